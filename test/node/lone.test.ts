// When threads may spin because appends come one at a time: not a moment longer than they do.

import { beforeEach, describe, expect, test } from 'vitest';
import { LONE_APPENDS } from '../../src/core/limits.ts';
import { Gate } from '../../src/memory/gate.ts';
import { STATE, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Appends } from '../../src/node/appends.ts';
import type { Appender } from '../../src/node/caller.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { repeatsIn } from '../support/repeats.ts';

describe('appends come one at a time', () => {
  let memory: TailMemory;
  let appends: Appends;
  let turns: (() => void)[];
  let requestId: number;
  const caller: Appender = {
    unacknowledgedBytes: 0,
    unacknowledgedAppends: 0,
    isClosed: false,
    sendError: () => undefined,
    fail: () => undefined,
    addReceipt: () => false,
    flushReceipts: () => undefined,
  };

  const append = (received = false): void => {
    requestId += 1;
    const { entries, entryCount } = makeBatch([10], new Random(requestId));
    appends.accept({ caller, requestId, entries, entryCount, received, condition: undefined, arrivedMs: 0 });
  };
  const endTurn = (): void => {
    for (const run of turns.splice(0)) run();
  };
  const commit = (): void => {
    memory.setWord(WORD.COMMIT, memory.tail);
    appends.settle(0);
  };
  const isLone = (): boolean => memory.word32(STATE.LONE) === 1;

  beforeEach(() => {
    memory = smallMemory();
    const tail = new Tail(memory, () => undefined);
    tail.start(0, 0, undefined);
    memory.setWord(WORD.OPEN_TERM, 1);
    const gate = new Gate(memory);
    gate.open();
    turns = [];
    requestId = 0;
    appends = new Appends({
      memory,
      tail,
      gate,
      cluster: { self: 1, others: [], leaderUrl: () => '', noLeaderSentence: () => 'no leader is known' },
      loop: { wallMs: () => 5, afterTurn: (run) => turns.push(run) },
      maxPayloadBytes: 1000,
      repeats: repeatsIn(memory),
      awaitCommit: () => undefined,
    });
    for (let i = 0; i < LONE_APPENDS; i += 1) {
      expect(isLone()).toBe(false);
      append();
      endTurn();
      commit();
    }
    expect(isLone()).toBe(true);
  });

  test('until two wait at the same time', () => {
    append();
    endTurn();
    expect(isLone()).toBe(true);
    append();
    endTurn();
    expect(isLone()).toBe(false);
  });

  test('until there are some that nobody waits for: they may be many', () => {
    append(true);
    append(true);
    endTurn();
    expect(isLone()).toBe(false);
  });

  test('as long as this node leads: what another leader gets from many, it has to write as well', () => {
    memory.setWord(WORD.OPEN_TERM, 0);
    appends.settle(0);
    expect(isLone()).toBe(false);
    memory.setWord(WORD.OPEN_TERM, 3);
    append();
    endTurn();
    expect(isLone()).toBe(false);
  });
});
