// A leader of a newer build sends entries on which this build does not act: a follower stores nothing of them, and stops.

import { beforeEach, describe, expect, it } from 'vitest';
import { KIND_CONFIGURATION, KIND_CONTINUED, KIND_DATA, KIND_SESSION } from '../../assembly/layout.ts';
import { LogError } from '../../src/core/errors.ts';
import { WORD } from '../../src/memory/map.ts';
import { stampNoOp } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { emptyLog, OTHER_LEADER, TestReplica } from '../interleave/scenarios/replicas.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const memory = smallMemory();
let follower: TestReplica;
let round: number;

beforeEach(() => {
  memory.bytes.fill(0, 0, memory.map.slotAt(0));
  memory.openSlot = -1;
  round = 0;
  follower = new TestReplica(memory, [1, 2, 3], emptyLog(), 0);
});

/** Entries of term 1 with these kinds from `offset` on. */
function entriesAt(offset: number, kinds: readonly number[]): Uint8Array {
  return Buffer.concat(kinds.map((kind, i) => encodeEntry(new Uint8Array(4), kind, { term: 1, offset: offset + i * 16 })));
}

/** Sends `entries` as the leader of term 1; returns what ended the node, if anything did. */
function send(prevOffset: number, entries: Uint8Array): unknown {
  round += 1;
  try {
    follower.follow(2, { round, term: 1, prevTerm: prevOffset === 0 ? 0 : 1, prevOffset, commit: 0 }, entries);
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

describe('a follower', () => {
  it.each([KIND_CONFIGURATION, KIND_SESSION | KIND_CONTINUED, 63, 100])(
    'stores nothing of a message with an entry of kind %i, and ends with NEWER_FORMAT',
    (kind) => {
      const noOp = stampNoOp(OTHER_LEADER, 1, 0);
      expect(send(0, noOp)).toBeUndefined();
      expect(memory.tail).toBe(noOp.length);
      const thrown = send(noOp.length, entriesAt(noOp.length, [KIND_DATA, kind, KIND_DATA]));
      expect(thrown).toBeInstanceOf(LogError);
      expect(thrown).toMatchObject({ code: 'NEWER_FORMAT', details: { offset: noOp.length + 16, kind: kind & ~KIND_CONTINUED } });
      expect([memory.tail, memory.word(WORD.DATA_END)]).toEqual([noOp.length, 0]);
    },
  );

  it('does so, too, where the entry begins a term in the place of the no-op', () => {
    expect(send(0, entriesAt(0, [63, KIND_DATA]))).toMatchObject({
      code: 'NEWER_FORMAT',
      details: { offset: 0, kind: 63 },
    });
    expect(memory.tail).toBe(0);
  });

  it('goes on when the entry was only damaged on the way, and when a term begins with data', () => {
    const noOp = stampNoOp(OTHER_LEADER, 1, 0);
    expect(send(0, entriesAt(0, [KIND_DATA]))).toBeUndefined();
    expect(memory.tail).toBe(0);
    expect(send(0, noOp)).toBeUndefined();
    const damaged = entriesAt(noOp.length, [KIND_DATA, KIND_SESSION]).with(24, 9);
    expect(send(noOp.length, damaged)).toBeUndefined();
    expect(memory.tail).toBe(noOp.length);
    expect(send(noOp.length, entriesAt(noOp.length, [KIND_DATA]))).toBeUndefined();
    expect(memory.tail).toBe(noOp.length + 16);
  });
});
