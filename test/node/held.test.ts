// Appends that wait for the log's end: their message is gone before they are ordered.

import { expect, test } from 'vitest';
import { Gate } from '../../src/memory/gate.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { Appends } from '../../src/node/appends.ts';
import type { Appender } from '../../src/node/caller.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { repeatsIn } from '../support/repeats.ts';

test('an append that waits keeps its bytes, although uWS takes the memory of its message away (uWebSockets.js#535)', () => {
  const memory = smallMemory();
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  memory.setWord(WORD.OPEN_TERM, 1);
  const gate = new Gate(memory);
  const cluster = { self: 1, others: [], leaderUrl: () => '', noLeaderSentence: () => 'no leader is known' };
  const appends = new Appends({
    memory,
    tail,
    gate,
    cluster,
    loop: { wallMs: () => 5, afterTurn: () => undefined },
    maxPayloadBytes: 1000,
    repeats: repeatsIn(memory),
    awaitCommit: () => undefined,
  });
  const refusals: string[] = [];
  const caller: Appender = {
    unacknowledgedBytes: 0,
    unacknowledgedAppends: 0,
    isClosed: false,
    sendError: (_requestId, code) => refusals.push(code),
    fail: (_requestId, code) => refusals.push(code),
    addReceipt: () => false,
    flushReceipts: () => undefined,
  };
  const batches = [makeBatch([700, 1], new Random(1)), makeBatch([300], new Random(2))];
  for (const [requestId, { entries, entryCount }] of batches.entries()) {
    const message = entries.slice().buffer;
    appends.accept({
      caller,
      requestId,
      entries: new Uint8Array(message),
      entryCount,
      received: false,
      condition: undefined,
      arrivedMs: 0,
    });
    structuredClone(message, { transfer: [message] });
    expect(message.byteLength).toBe(0);
  }
  expect([appends.heldBytes > 0, memory.tail]).toEqual([true, 0]);
  gate.open();
  appends.retryHeld();
  const log: Uint8Array[] = [];
  for (const { entries } of batches) log.push(stampBatch(entries, 1, Buffer.concat(log).length));
  expect([appends.heldBytes, refusals]).toEqual([0, []]);
  expect(Buffer.compare(memory.slotBytes(memory.openSlot, 4096, 4096 + memory.tail), Buffer.concat(log))).toBe(0);
});

test('E2: an append of a caller that an answer to an earlier one cuts off is not ordered, and nothing of it is counted', () => {
  const memory = smallMemory();
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  memory.setWord(WORD.OPEN_TERM, 1);
  const gate = new Gate(memory);
  gate.open();
  const appends = new Appends({
    memory,
    tail,
    gate,
    cluster: { self: 1, others: [], leaderUrl: () => '', noLeaderSentence: () => 'no leader is known' },
    loop: { wallMs: () => 5, afterTurn: () => undefined },
    maxPayloadBytes: 1000,
    repeats: repeatsIn(memory),
    awaitCommit: () => undefined,
  });
  const caller = {
    unacknowledgedBytes: 0,
    unacknowledgedAppends: 0,
    isClosed: false,
    // It has not read the answers before.
    sendError: () => {
      caller.isClosed = true;
      appends.closed(caller);
    },
    fail: () => undefined,
    addReceipt: () => false,
    flushReceipts: () => undefined,
  };
  const { entries, entryCount } = makeBatch([100], new Random(1));
  const request = { caller, entries, entryCount, received: false, condition: undefined, arrivedMs: 0 };
  appends.accept({ ...request, requestId: 1 });
  const { tail: end } = memory;
  expect([end > 0, caller.unacknowledgedAppends]).toEqual([true, 1]);
  // Another office of this node: what was ordered in the one before is undecided.
  memory.setWord(WORD.OPEN_TERM, 2);
  appends.accept({ ...request, requestId: 2 });
  expect([memory.tail, caller.unacknowledgedAppends, caller.unacknowledgedBytes]).toEqual([end, 0, 0]);
});
