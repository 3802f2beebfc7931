// What another node says of its log is not always so: its memory was damaged, or it is not of this cluster's code. A leader's shell goes
// on, whatever place a node names, and feeds the others.

import { beforeEach, expect, test } from 'vitest';
import { MAX_LOG_OFFSET } from '../../src/core/limits.ts';
import { SLOT, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { emptyLog, TestReplica } from '../interleave/scenarios/replicas.ts';
import { BARE_LOG_HEAD_BYTES } from '../support/logHead.ts';

const memory = smallMemory();
/** Of an entry; one message takes one. */
const BATCH_BYTES = 3012;
const BATCHES = 18;

let sent: { readonly to: number; readonly from: number; readonly end: number }[];
let leader: TestReplica;

/** Node 1 leads nodes 2 and 3 in term 1; nothing behind its no-op has reached anyone. */
beforeEach(() => {
  memory.bytes.fill(0, 0, memory.map.slotAt(0));
  sent = [];
  const main = new Tail(memory, () => undefined);
  main.start(0, 0, undefined);
  leader = new TestReplica(memory, [1, 2, 3], emptyLog(), 0, {
    maxAppendBytes: 4096,
    sendEntries: (to, message) => {
      if (message.kind === 'appendRequest') sent.push({ to, from: message.prevOffset, end: message.end });
    },
  });
  leader.campaign();
  leader.win();
  memory.setWord(WORD.DURABLE, memory.tail);
  leader.replica.durableMoved();
  leader.has(3, BARE_LOG_HEAD_BYTES);
  const random = new Random(5);
  for (let i = 0; i < BATCHES; i += 1) {
    const { entries } = makeBatch([BATCH_BYTES - 12], random);
    expect(main.append(entries, 1, 1, 65_536, 1)).toBe('ordered');
  }
  leader.replica.logMoved();
});

function pins(): number {
  return Array.from({ length: 3 }, (_, slot) => memory.word32(memory.map.descriptorAt(slot) + SLOT.PINS)).reduce((a, b) => a + b, 0);
}

test.each([BARE_LOG_HEAD_BYTES + 1, BARE_LOG_HEAD_BYTES + 11, BARE_LOG_HEAD_BYTES + BATCH_BYTES - 1, 5, MAX_LOG_OFFSET])(
  'a node that says it has the log up to %i, where no entry ends, ends nobody (R4)',
  (offset) => {
    leader.has(2, 0, { offset });
    leader.has(2, 0, { accepted: false, offset, rejected: memory.tail, hintTerm: 1, hintLeader: leader.replica.raft.settings.instance });
    leader.replica.tick();
    expect([leader.replica.raft.role, pins()]).toEqual(['leader', 0]);
    // The other one is fed, up to the end, in whole batches.
    for (let fed = BARE_LOG_HEAD_BYTES; fed < memory.tail; ) {
      const next = sent.find(({ to, from }) => to === 3 && from === fed);
      expect(next).toMatchObject({ end: fed + BATCH_BYTES });
      fed += BATCH_BYTES;
      leader.has(3, fed);
    }
    expect(pins()).toBe(0);
  },
);

test('the same node is fed from where it says it is, once that is a place (R4)', () => {
  leader.has(2, 0, { offset: BARE_LOG_HEAD_BYTES + 11 });
  expect(sent.filter(({ to }) => to === 2)).toEqual([]);
  leader.has(2, BARE_LOG_HEAD_BYTES + BATCH_BYTES);
  expect(sent.find(({ to }) => to === 2)).toMatchObject({
    from: BARE_LOG_HEAD_BYTES + BATCH_BYTES,
    end: BARE_LOG_HEAD_BYTES + 2 * BATCH_BYTES,
  });
});
