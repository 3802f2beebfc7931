// The ring of ordered uploads: whoever orders appends writes rows, the raft thread takes them out, and hashes what stands there.

import { ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { assert } from '../../../src/core/assert.ts';
import { MAX_ORDERED_UPLOADS, MIN_REFERRED_BYTES } from '../../../src/core/uploadLimits.ts';
import { ORDERED_UPLOAD, SLOT_SEALED, STATE } from '../../../src/memory/map.ts';
import { noteOrdered, type OrderedUpload, takeOrdered, type Upload } from '../../../src/memory/orderedUploads.ts';
import { uploadKeyOf } from '../../../src/memory/staging.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import { Digests } from '../../../src/replication/digests.ts';
import { Feed } from '../../../src/replication/feed.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body, PlainRanges } from '../threads.ts';
import { LARGE, REFERRED } from './batches.ts';

function uploadOf(number: number): Upload {
  return { id: new Uint8Array(16).fill(number), nodes: number, client: number };
}

/** A row must be all of one upload: `number` is in each part of it. */
function checkRow({ key, offset, end, nodes, client, term }: OrderedUpload): number {
  const isWhole =
    key === uploadKeyOf(uploadOf(client).id) &&
    nodes === client &&
    offset === client * MIN_REFERRED_BYTES &&
    end === offset + MIN_REFERRED_BYTES &&
    term === 1;
  assert(isWhole, 'a row is all of one upload');
  return client;
}

function note(memory: TailMemory, number: number): void {
  noteOrdered(memory, number * MIN_REFERRED_BYTES, (number + 1) * MIN_REFERRED_BYTES, 1, uploadOf(number));
}

/** Ids of the rows that a scenario uses. */
function idsOfRows(...rows: readonly number[]): (memory: TailMemory) => PlainRanges {
  return ({ map, bytes }) =>
    rows.map((row) => {
      const at = map.orderedUploadAt(row) + ORDERED_UPLOAD.ID;
      return bytes.subarray(at, at + 16);
    });
}

/** Uploads 1 and 2 are in the first two rows, and there is room for one more. */
function fullButOne({ memory }: Bench): void {
  note(memory, 1);
  note(memory, 2);
  memory.setWord32(STATE.UPLOADS, MAX_ORDERED_UPLOADS - 1);
}

/** The counts are about to begin again at 0. */
function beforeWrap({ memory }: Bench): void {
  memory.setWord32(STATE.UPLOADS, -1);
  memory.setWord32(STATE.UPLOADS_TAKEN, -1);
}

const takes =
  (...expected: readonly number[]): Body =>
  ({ memory }) =>
  () => {
    for (const number of expected) {
      const upload = takeOrdered(memory);
      assert(upload !== undefined && checkRow(upload) === number, 'rows come out in order, as they are until then');
    }
  };

/** Takes what is there, for so many looks. */
const takesSome =
  (looks: number): Body =>
  ({ memory }) =>
  () => {
    let last = 0;
    for (let look = 0; look < looks; look += 1) {
      const upload = takeOrdered(memory);
      if (upload === undefined) continue;
      const number = checkRow(upload);
      assert(number === last + 1, 'rows come out in order, each once');
      last = number;
    }
  };

const notes =
  (...numbers: readonly number[]): Body =>
  ({ memory }) =>
  () => {
    for (const number of numbers) note(memory, number);
  };

/** Who sees the tail after an append with an upload sees its row. */
const sees: Body =
  ({ memory }) =>
  () => {
    const tail = memory.tail;
    let end = 0;
    for (let upload = takeOrdered(memory); upload !== undefined; upload = takeOrdered(memory)) end = upload.end;
    assert(end >= tail, 'who sees the tail sees the rows of what is before it');
  };

const orders: Body = ({ memory }) => {
  const tail = new Tail(memory, () => undefined);
  return () => {
    for (const number of [1, 2]) tail.append(REFERRED, 1, 1, REFERRED.length, 5, false, uploadOf(number));
  };
};

/** Three full segments of the terms 1, 2 and 3, of which two may be taken for others. */
function fill({ memory }: Bench): void {
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  for (let slot = 0; slot < 3; slot += 1) tail.append(LARGE, 1, slot + 1, LARGE.length, 5);
  for (let slot = 0; slot < 2; slot += 1) memory.setSlotState(slot, SLOT_SEALED);
}

function firstTerm({ map, bytes }: TailMemory): PlainRanges {
  const at = map.slotAt(0) + SEGMENT_HEADER_BYTES;
  return [bytes.subarray(at, at + 4)];
}

const ordersMore: Body = ({ memory }) => {
  const tail = new Tail(memory, () => undefined);
  return () => void tail.append(LARGE, 1, 4, LARGE.length, 6);
};

/** Hashes the first segment's append; what it hashes must be that. */
const hashes: Body = ({ memory, pause }) => {
  const upload = { key: '', offset: 0, end: LARGE.length, nodes: 0, client: 1, term: 1 };
  const hash = {
    update: (bytes: Uint8Array): void => {
      pause();
      assert(bytes.length < ENTRY_HEADER_BYTES || bytes[0] === 1, 'what is hashed is the append of term 1');
    },
    digest: () => new Uint8Array(32),
  };
  const digests = new Digests(new Feed(memory, []), { hash: () => hash });
  return () => {
    digests.startTurn();
    digests.of(upload);
  };
};

export const ORDERED_SCENARIOS: readonly Scenario[] = [
  {
    name: 'rows of ordered uploads',
    what: 'a row is whole when it is seen, and comes out once',
    plain: idsOfRows(0, 1),
    setUp: () => undefined,
    threads: { main: notes(1, 2), raft: takesSome(3) },
  },
  {
    name: 'a full ring of ordered uploads',
    what: 'no row is written over that is not taken out',
    plain: idsOfRows(0, 1, MAX_ORDERED_UPLOADS - 1),
    setUp: fullButOne,
    threads: { main: notes(3, 4, 5), raft: takes(1, 2) },
  },
  {
    name: 'counts of ordered uploads begin again',
    what: 'rows come out in order, each once',
    plain: idsOfRows(0, MAX_ORDERED_UPLOADS - 1),
    setUp: beforeWrap,
    threads: { main: notes(1, 2), raft: takesSome(3) },
  },
  {
    name: 'tail and ordered uploads',
    what: 'who sees the tail sees the row',
    setUp: ({ memory }) => new Tail(memory, () => undefined).start(0, 0, undefined),
    threads: { main: orders, raft: sees },
  },
  {
    name: 'hash and take',
    what: 'what is hashed stays where it is',
    plain: firstTerm,
    setUp: fill,
    threads: { main: ordersMore, raft: hashes },
  },
];
