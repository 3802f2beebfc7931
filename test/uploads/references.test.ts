// A leader's references on a clock of the test's own: whom it refers to what, and for whom it waits.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  ANNOUNCE_EARNED_HITS,
  ANNOUNCE_WAIT_MS,
  ANNOUNCE_WAIT_SHARE,
  MAX_DISTRUST_MS,
  MAX_ORDERED_UPLOADS,
  MAX_UPLOAD_BYTES,
  MIN_REFERRED_BYTES,
  REFERENCE_DOUBT_MS,
} from '../../src/core/uploadLimits.ts';
import { WORD } from '../../src/memory/map.ts';
import { noteOrdered } from '../../src/memory/orderedUploads.ts';
import { type UploadKey, uploadKeyOf } from '../../src/memory/staging.ts';
import { type Plan, References } from '../../src/replication/references.ts';
import { Trust } from '../../src/replication/trust.ts';
import { smallMemory } from '../crash/testNode.ts';

const TERM = 3;
const BYTES = 300;
const NODE = 2;
const CLIENT = 7;

const memory = smallMemory();
let references: References;
let end: number;

beforeEach(() => {
  memory.bytes.fill(0, 0, memory.map.slotAt(0));
  references = new References(memory);
  end = 0;
});

function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, number, true);
  return id;
}

/** The next append is `number`'s upload, which its client says is on node 2. */
function order(number: number, nodes = 0b010, term = TERM, bytes = BYTES, client = CLIENT): void {
  noteOrdered(memory, end, end + bytes, term, { id: idOf(number), nodes, client });
  end += bytes;
  references.takeOrdered(TERM);
}

function announce(number: number, nowMs = 0): void {
  references.announced(NODE, [uploadKeyOf(idOf(number))], nowMs);
}

/** What is to be sent next of the last append. */
function plan(nowMs = 0, node = NODE): Plan {
  return references.plan(node, { from: end - BYTES, limit: end, maxBytes: BYTES }, nowMs);
}

/** So many uploads that are there in time, and placed. */
function earn(first: number, nowMs = 0, count = ANNOUNCE_EARNED_HITS): void {
  for (let i = 0; i < count; i += 1) {
    order(first + i);
    announce(first + i, nowMs);
    place(plan(nowMs));
  }
}

/** An upload of `client` that is not what it says. */
function lie(number: number, client: number, nowMs: number): void {
  order(number, 0b010, TERM, BYTES, client);
  announce(number, nowMs);
  refer(plan(nowMs));
  miss(nowMs);
}

/** The follower says that what it was referred to last is not there. */
function miss(nowMs = 0): void {
  references.missing(NODE, end, end - BYTES, nowMs);
  references.sentTo(NODE, end - BYTES);
}

/** Hits and misses. */
function counted(): number[] {
  return [memory.word(WORD.REFERENCE_HITS), memory.word(WORD.REFERENCE_MISSES)];
}

/** The follower is referred to the last append, and has it. */
function place(made: Plan): void {
  refer(made);
  references.accepted(NODE, end);
}

function refer(made: Plan): void {
  expect(made.kind).toBe('reference');
  if (made.kind === 'reference') references.refer(NODE, made.upload);
}

describe('references', () => {
  it('are for what is announced, named by its client, and ordered in this term', () => {
    order(1);
    expect(plan().kind).toBe('bytes');
    announce(1);
    expect(plan().kind).toBe('reference');
    expect(plan(0, 3).kind).toBe('bytes');
    order(2, 0b100);
    announce(2);
    expect(plan().kind).toBe('bytes');
    order(3, 0b010, TERM - 1);
    announce(3);
    expect(plan().kind).toBe('bytes');
  });

  it('E27: are for no range that a follower would not take one for, whatever a client says', () => {
    for (const [i, bytes] of [MIN_REFERRED_BYTES - 1, MIN_REFERRED_BYTES, MAX_UPLOAD_BYTES, MAX_UPLOAD_BYTES + 1].entries()) {
      announce(i);
      order(i, 0b010, TERM, bytes);
      const { kind } = references.plan(NODE, { from: end - bytes, limit: end, maxBytes: bytes }, 0);
      expect(kind).toBe(bytes < MIN_REFERRED_BYTES || bytes > MAX_UPLOAD_BYTES ? 'bytes' : 'reference');
    }
  });

  it('are made once for each announcement, and a rejected one counts as one miss', () => {
    order(1);
    announce(1);
    refer(plan());
    expect(counted()).toEqual([0, 0]);
    miss();
    expect(plan().kind).toBe('bytes');
    expect(counted()).toEqual([0, 1]);
  });

  it('count as hits when they were placed, and are made again where they were not looked at', () => {
    for (const number of [1, 2, 3, 4]) {
      order(number);
      announce(number);
      refer(plan());
    }
    references.sentTo(NODE, end);
    references.accepted(NODE, BYTES);
    expect(counted()).toEqual([1, 0]);
    references.missing(NODE, 2 * BYTES, BYTES, 0);
    // Those after it were rejected because it was missing.
    references.sentTo(NODE, BYTES);
    references.accepted(NODE, 2 * BYTES);
    expect(counted()).toEqual([1, 1]);
    expect(references.plan(NODE, { from: BYTES, limit: end, maxBytes: end }, 5000)).toEqual({ kind: 'bytes', limit: 2 * BYTES });
    references.sentTo(NODE, 2 * BYTES);
    for (const from of [2 * BYTES, 3 * BYTES]) refer(references.plan(NODE, { from, limit: end, maxBytes: end }, 5000));
    references.sentTo(NODE, end);
    references.accepted(NODE, end);
    expect(counted()).toEqual([3, 1]);
    // What was under way when a link broke may have been placed, or not.
    order(5);
    announce(5);
    refer(plan(5000));
    references.sentTo(NODE, end);
    references.reconnected(NODE);
    references.sentTo(NODE, end - BYTES);
    references.accepted(NODE, end);
    references.sentTo(NODE, end);
    expect(counted()).toEqual([3, 1]);
  });

  it('E29: are not made for clients that have not earned it, a moment after one was rejected, and ever longer', () => {
    const liar = (number: number): number => CLIENT + 1 + number;
    earn(1, 0, 2 * ANNOUNCE_EARNED_HITS);
    const planFor = (client: number, nowMs: number): string => {
      order(nowMs, 0b010, TERM, BYTES, client);
      announce(nowMs, nowMs);
      return plan(nowMs).kind;
    };
    lie(100, liar(0), 1000);
    expect(planFor(liar(1), 1001)).toBe('bytes');
    expect(planFor(CLIENT, 1002)).toBe('reference');
    expect(planFor(liar(1), 1000 + REFERENCE_DOUBT_MS)).toBe('reference');
    // The next one, before long, costs as much and more.
    lie(101, liar(2), 3000);
    for (let i = 0; i < ANNOUNCE_EARNED_HITS; i += 1) {
      order(200 + i, 0b010, TERM, BYTES, liar(4));
      announce(200 + i, 4000);
      place(plan(4000));
    }
    lie(102, liar(5), 4600);
    lie(103, liar(4), 4700);
    expect(planFor(liar(6), 5699)).toBe('bytes');
    expect(planFor(liar(6), 5701)).toBe('bytes');
    expect(planFor(CLIENT, 5702)).toBe('reference');
    expect(planFor(liar(6), 6701)).toBe('reference');
  });

  it('E68: are made for new clients between two lies of another one, which is believed ever more rarely', () => {
    const LIAR = CLIENT + 1;
    const trust = new Trust();
    const lies: number[] = [];
    const hits: number[] = [];
    // The liar is always first.
    for (let nowMs = 0; nowMs < 200_000; nowMs += 10) {
      if (trust.mayRefer(LIAR, nowMs)) {
        lies.push(nowMs);
        trust.rejected(LIAR, nowMs);
      }
      if (!trust.mayRefer(CLIENT, nowMs)) continue;
      hits.push(nowMs);
      trust.placed(CLIENT);
    }
    expect(lies).toEqual([0, 2, 6, 14, 30, 62, 126, 190].map((s) => s * 1000));
    expect(hits[0]).toBe(REFERENCE_DOUBT_MS);
    expect(hits).toHaveLength((200_000 - REFERENCE_DOUBT_MS) / 10);
    // Who has been right for long since is believed again as soon as the first time.
    const beganMs = 190_000 + MAX_DISTRUST_MS;
    for (let i = 0; i < ANNOUNCE_EARNED_HITS; i += 1) trust.placed(LIAR);
    trust.rejected(LIAR, beganMs);
    expect(trust.mayRefer(LIAR, beganMs + 2 * REFERENCE_DOUBT_MS - 1)).toBe(false);
    expect(trust.mayRefer(LIAR, beganMs + 2 * REFERENCE_DOUBT_MS)).toBe(true);
  });

  it('end a run of bytes before each upload that the node is said to have: it may be announced until then, and else is a miss of its own', () => {
    // Of clients that nobody knows.
    for (const number of [1, 2, 3]) order(number, 0b010, TERM, BYTES, CLIENT + number);
    order(4, 0b100);
    const due = (first: number): Plan => references.plan(NODE, { from: first * BYTES, limit: end, maxBytes: end }, 0);
    expect(due(0)).toEqual({ kind: 'bytes', limit: BYTES });
    announce(2);
    const second = due(1);
    expect(second).toMatchObject({ kind: 'reference', upload: { offset: BYTES } });
    refer(second);
    expect(due(2)).toEqual({ kind: 'bytes', limit: end });
    references.accepted(NODE, 2 * BYTES);
    expect(counted()).toEqual([1, 2]);
  });

  it('E65: end a run of bytes for no client whose last one did not come, unless its next one is there', () => {
    const OTHER = CLIENT + 1;
    for (let number = 1; number <= 6; number += 1) order(number, 0b010, TERM, BYTES, number === 5 ? OTHER : CLIENT);
    const due = (first: number): Plan => references.plan(NODE, { from: first * BYTES, limit: end, maxBytes: end }, 0);
    // The first one is not there; of another client nobody knows anything.
    expect(due(0)).toEqual({ kind: 'bytes', limit: 4 * BYTES });
    announce(3);
    expect(due(0)).toEqual({ kind: 'bytes', limit: 2 * BYTES });
    references.sentTo(NODE, 2 * BYTES);
    refer(due(2));
    references.sentTo(NODE, 3 * BYTES);
    references.accepted(NODE, 3 * BYTES);
    // Its last one was there, but the next one is not in time.
    expect(due(3)).toEqual({ kind: 'bytes', limit: 4 * BYTES });
    references.sentTo(NODE, 4 * BYTES);
    expect(due(4)).toEqual({ kind: 'bytes', limit: end });
    references.sentTo(NODE, end);
    // Each that was sent as bytes is a miss, in a run of them, too.
    expect(counted()).toEqual([1, 5]);
  });

  it('E67: are made again, and nobody is blamed, where a node rejects what it has not looked at', () => {
    for (const [i, number] of [1, 2, 3].entries()) order(number, 0b010, TERM, BYTES, CLIENT + i);
    for (const number of [1, 2, 3]) announce(number);
    const due = (first: number): Plan => references.plan(NODE, { from: first * BYTES, limit: end, maxBytes: end }, 0);
    const referAll = (first: number): void => {
      for (let i = first; i < 3; i += 1) refer(due(i));
      references.sentTo(NODE, end);
    };
    referAll(0);
    // It has no room: the leader looks for the place of agreement again.
    references.sentTo(NODE, 0);
    expect(due(0).kind).toBe('reference');
    referAll(0);
    references.accepted(NODE, BYTES);
    // It has a part of the second one, as bytes that came before.
    references.missing(NODE, 2 * BYTES, BYTES + 100, 0);
    references.sentTo(NODE, BYTES + 100);
    expect(references.plan(NODE, { from: BYTES + 100, limit: end, maxBytes: end }, 0)).toEqual({ kind: 'bytes', limit: 2 * BYTES });
    references.sentTo(NODE, 2 * BYTES);
    expect(references.takeUnneeded(NODE, 10)).toEqual([uploadKeyOf(idOf(2))]);
    referAll(2);
    references.accepted(NODE, end);
    expect(counted()).toEqual([2, 1]);
    // No doubt: another client’s first one is believed.
    order(4, 0b010, TERM, BYTES, 99);
    announce(4);
    expect(plan().kind).toBe('reference');
  });

  it('E69: that cannot be made are misses, and the node is told that it needs the uploads no more', () => {
    order(1);
    announce(1);
    const made = plan();
    expect(made.kind).toBe('reference');
    if (made.kind === 'reference') references.drop(made.upload);
    expect(plan().kind).toBe('bytes');
    references.sentTo(NODE, end);
    expect(references.takeUnneeded(NODE, 10)).toEqual([uploadKeyOf(idOf(1))]);
    expect(counted()).toEqual([0, 1]);
    // More than a leader keeps note of are due to a node that is slow.
    order(2);
    announce(2);
    for (let i = 0; i < MAX_ORDERED_UPLOADS; i += 1) order(100 + i, 0b100);
    expect(references.takeUnneeded(NODE, 10)).toEqual([uploadKeyOf(idOf(2))]);
    expect(counted()).toEqual([0, 2]);
    // What all have is announced once more, over a new link.
    references.heldTo(end);
    references.sentTo(NODE, end);
    references.reconnected(NODE);
    references.sentTo(NODE, 0);
    announce(1);
    expect(references.takeUnneeded(NODE, 10)).toEqual([uploadKeyOf(idOf(1))]);
    expect(counted()).toEqual([0, 2]);
  });

  it('E70: count as hits only where they came: what was lost on its way, and then sent as bytes, is none', () => {
    for (const number of [1, 2]) order(number);
    for (const number of [1, 2]) announce(number);
    const due = (first: number): Plan => references.plan(NODE, { from: first * BYTES, limit: end, maxBytes: end }, 0);
    const first = due(0);
    refer(first);
    refer(due(1));
    references.sentTo(NODE, end);
    // The first one did not come: the second one was rejected for that.
    references.sentTo(NODE, 0);
    if (first.kind === 'reference') references.drop(first.upload);
    expect(due(0)).toEqual({ kind: 'bytes', limit: BYTES });
    refer(due(1));
    references.sentTo(NODE, end);
    references.accepted(NODE, end);
    expect(counted()).toEqual([1, 1]);
  });

  it('are made again also where the node has announced once more what they are for, before the link was there again', () => {
    order(1);
    announce(1);
    refer(plan());
    references.sentTo(NODE, end);
    announce(1);
    expect(references.hasUnneeded(NODE)).toBe(false);
    references.reconnected(NODE);
    references.sentTo(NODE, 0);
    place(plan());
    references.sentTo(NODE, end);
    expect([references.hasUnneeded(NODE), counted()]).toEqual([false, [1, 0]]);
  });

  it('are made no third time where a link broke in between and the node says that the upload is not there', () => {
    order(1);
    announce(1);
    refer(plan());
    references.sentTo(NODE, end);
    references.reconnected(NODE);
    references.sentTo(NODE, 0);
    miss();
    expect(plan().kind).toBe('bytes');
    // Both answers are one lie.
    miss();
    order(2, 0b010, TERM, BYTES, CLIENT + 1);
    announce(2, REFERENCE_DOUBT_MS);
    expect(plan(REFERENCE_DOUBT_MS - 1).kind).toBe('bytes');
    expect(plan(REFERENCE_DOUBT_MS).kind).toBe('reference');
  });

  it('are made again for what was under way when a link broke, also where it was to be sent as bytes', () => {
    for (const number of [1, 2]) order(number);
    announce(1);
    const due = (first: number): Plan => references.plan(NODE, { from: first * BYTES, limit: end, maxBytes: end }, 0);
    refer(due(0));
    expect(due(1).kind).toBe('bytes');
    references.sentTo(NODE, end);
    references.reconnected(NODE);
    references.sentTo(NODE, 0);
    announce(2);
    expect(references.hasUnneeded(NODE)).toBe(false);
    place(due(0));
    place(due(1));
    expect(counted()).toEqual([2, 1]);
  });

  it('are of no use to a node that was sent the bytes, whenever it has announced them: it is told so, once', () => {
    const told = (next: number): UploadKey[] => {
      references.sentTo(NODE, next);
      return references.hasUnneeded(NODE) ? references.takeUnneeded(NODE, 10) : [];
    };
    const keys = Array.from({ length: 4 }, (_, i) => uploadKeyOf(idOf(i)));
    order(0);
    announce(0);
    order(1);
    order(2, 0b100);
    order(3);
    announce(3);
    // Those that are announced before their entries go out, for whatever reason these are sent as bytes.
    expect(told(BYTES - 1)).toEqual([]);
    expect(told(3 * BYTES)).toEqual([keys[0]]);
    // Those that are announced after that, also by a node that their client did not name, or when they are no more to be sent to any.
    announce(1);
    references.heldTo(3 * BYTES);
    announce(2);
    expect(told(3 * BYTES)).toEqual([keys[1], keys[2]]);
    // What it was referred to it has put to its place.
    place(plan());
    expect(told(end)).toEqual([]);
  });

  it('are waited for by clients that have earned it, so long, and not after a miss', () => {
    earn(1);
    order(100);
    expect(plan(1000)).toEqual({ kind: 'wait', untilMs: 1000 + ANNOUNCE_WAIT_MS });
    announce(100, 1005);
    expect(plan(1005).kind).toBe('reference');
    place(plan(1005));
    order(101);
    expect(plan(12_000).kind).toBe('wait');
    expect(plan(12_000 + ANNOUNCE_WAIT_MS - 1).kind).toBe('wait');
    expect(plan(12_000 + ANNOUNCE_WAIT_MS).kind).toBe('bytes');
    // The next ones are not waited for, until as many were there in time.
    for (let i = 0; i < ANNOUNCE_EARNED_HITS; i += 1) {
      order(200 + i);
      expect(plan(23_000 + i).kind).toBe('bytes');
      announce(200 + i, 23_000 + i);
      place(plan(23_000 + i));
    }
    // A late announcement is a reference still, but each of these was a miss first.
    order(300);
    expect(plan(24_000).kind).toBe('bytes');
    earn(400, 25_000);
    order(500);
    expect(plan(36_000).kind).toBe('wait');
  });

  it('are waited for at most a small part of the time, and shortly once that is used up', () => {
    earn(1, 1000);
    let waitedMs = 0;
    const endMs = 10_000;
    for (let nowMs = 1000, number = 1000; nowMs < endMs; number += 1) {
      order(number);
      const made = plan(nowMs);
      if (made.kind === 'wait') {
        expect(made.untilMs - nowMs).toBeLessThanOrEqual(ANNOUNCE_WAIT_MS);
        waitedMs += made.untilMs - nowMs - 0.5;
        nowMs = made.untilMs - 0.5;
        announce(number, nowMs);
        place(plan(nowMs));
      } else {
        announce(number, nowMs);
        place(plan(nowMs));
        earn(number * 100, nowMs);
        nowMs += 40;
      }
    }
    expect(waitedMs).toBeGreaterThan(ANNOUNCE_WAIT_MS);
    expect(waitedMs).toBeLessThanOrEqual((endMs - 1000) * ANNOUNCE_WAIT_SHARE + ANNOUNCE_WAIT_MS);
  });
});
