import { expect, test } from 'vitest';
import { SIGNAL, STATE, WORD } from '../../src/memory/map.ts';
import { smallMemory } from '../crash/testNode.ts';
import { ENOUGH_AT, PUBLISHED_AT, ROUNDS_AT } from '../support/memoryThread.ts';
import { startThread } from './thread.ts';

test('what is durable is committed only where no other node has a say, and wakes the main thread only there', () => {
  const memory = smallMemory();
  const signals = (): number[] => [memory.signal(SIGNAL.DURABLE), memory.signal(SIGNAL.COMMIT)];
  memory.publishDurable(100);
  expect([memory.durable, memory.commit, ...signals()]).toEqual([100, 0, 1, 0]);
  memory.setWord32(STATE.SOLE, 1);
  memory.publishDurable(200);
  expect([memory.durable, memory.commit, ...signals()]).toEqual([200, 200, 2, 1]);
});

test('a word that is lifted never goes back', () => {
  const memory = smallMemory();
  memory.liftWord(WORD.COMMIT, 70);
  memory.liftWord(WORD.COMMIT, 60);
  expect(memory.commit).toBe(70);
  memory.liftWord(WORD.COMMIT, 2 ** 53 - 1);
  expect(memory.commit).toBe(2 ** 53 - 1);
});

test('what a writer publishes while the raft thread leaves the commit to it is committed', async () => {
  const memory = smallMemory();
  const thread = startThread({ shared: memory.shared, kind: 'publish', entries: new Uint8Array(0) });
  await thread.running;
  for (let round = 1; round <= 300; round += 1) {
    memory.setWord32(STATE.SOLE, 0);
    memory.setWord32(ROUNDS_AT, round);
    memory.leaveCommitToWriters();
    while (memory.word32(PUBLISHED_AT) !== round);
    if (memory.commit !== round) expect(`round ${round}: ${memory.commit}`).toBe(`round ${round}: ${round}`);
  }
  memory.setWord32(ENOUGH_AT, 1);
  await thread.ended;
});
