// A leader's references on a clock of the test's own: whom it refers to what, and for whom it waits.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  ANNOUNCE_EARNED_HITS,
  ANNOUNCE_WAIT_MS,
  ANNOUNCE_WAIT_SHARE,
  MAX_UPLOAD_BYTES,
  MIN_REFERRED_BYTES,
  REFERENCE_DOUBT_MS,
} from '../../src/core/limits.ts';
import { WORD } from '../../src/memory/map.ts';
import { noteOrdered } from '../../src/memory/orderedUploads.ts';
import { type UploadKey, uploadKeyOf } from '../../src/memory/staging.ts';
import { type Plan, References } from '../../src/replication/references.ts';
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
  references.rejected(NODE, end, nowMs);
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
    references.rejected(NODE, end, 0);
    expect(plan().kind).toBe('bytes');
    expect(counted()).toEqual([0, 1]);
  });

  it('count as hits when they were placed, and are made again where they were not looked at', () => {
    for (const number of [1, 2, 3, 4]) {
      order(number);
      announce(number);
      refer(plan());
    }
    references.accepted(NODE, BYTES);
    expect(counted()).toEqual([1, 0]);
    references.rejected(NODE, 2 * BYTES, 0);
    // Those after it were rejected because it was missing.
    for (const rejected of [2 * BYTES, 3 * BYTES]) references.rejected(NODE, rejected, 1);
    references.accepted(NODE, 2 * BYTES);
    expect(counted()).toEqual([1, 1]);
    expect(references.plan(NODE, { from: BYTES, limit: end, maxBytes: end }, 5000)).toEqual({ kind: 'bytes', limit: 2 * BYTES });
    expect(references.plan(NODE, { from: 2 * BYTES, limit: end, maxBytes: end }, 5000).kind).toBe('reference');
    // What was under way when a link broke may have been placed, or not.
    order(5);
    announce(5);
    refer(plan(5000));
    references.reconnected(NODE);
    references.accepted(NODE, end);
    expect(counted()).toEqual([1, 1]);
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

  it('end a run of bytes before each upload that the node is said to have: it may be announced until then, and else is a miss of its own', () => {
    for (const number of [1, 2, 3]) order(number);
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
