// Readers that ask for offsets which are not committed yet, and come to mean something else: the log is cut, and goes on in another term.

import { expect, test } from 'vitest';
import { NO_OP_BYTES } from '../../assembly/layout.ts';
import { WORD } from '../../src/memory/map.ts';
import { CallerReadings } from '../../src/node/caller.ts';
import type { Session } from '../../src/server/session.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { smallMemory, type TestNode } from '../crash/testNode.ts';
import { hotReadings } from '../node/support.ts';
import { startNode } from '../storage/support.ts';

/** What of a session a reading touches. */
class FakeSession {
  readonly readings = new CallerReadings();
  readonly answers: string[] = [];
  readonly dataRoom = Number.POSITIVE_INFINITY;
  readonly hasUnsent = false;
  readonly isClosed = false;

  admits(): boolean {
    return true;
  }

  sendData(_requestId: number, from: number, _commit: number, entries: Uint8Array): void {
    this.answers.push(`[${from}, ${from + entries.length})`);
  }

  sendError(_requestId: number, code: string, offset: number): void {
    this.answers.push(`${code} ${offset}`);
  }
}

function append(node: TestNode, payloadBytes: number): void {
  const { entries, entryCount } = makeBatch([payloadBytes], new Random(payloadBytes));
  expect(node.append(entries, entryCount)).toBe('ordered');
}

test('a subscription at an entry that was never committed is shown nothing of it, and no part of what took its place (KAFKA-20507)', async () => {
  const memory = smallMemory();
  const node = startNode(new MemoryDisk(), memory);
  append(node, 100);
  const commit = memory.tail;
  append(node, 88);
  const lost = memory.tail;
  append(node, 50);
  node.settle();
  memory.setWord(WORD.COMMIT, commit);

  const readings = hotReadings(memory);
  const sessions = [commit, lost].map((next) => {
    const fake = new FakeSession();
    const session = fake as unknown as Session;
    const limits = { isBoundary: false, creditBytes: 10_000, deadline: undefined, neededBytes: 0 };
    readings.start({ caller: session, requestId: 1, isSubscription: true, next, state: 'ready', ...limits }, 0);
    return fake;
  });
  const answers = (): string[][] => sessions.map((session) => session.answers);
  readings.committed();
  expect(answers()).toEqual([[], []]);

  // Another leader's entries: none of them begins where the second reader waits.
  node.truncate(commit);
  node.changeTerm(2, true);
  append(node, 300);
  node.settle();
  readings.committed();
  expect(answers()).toEqual([[], []]);
  memory.setWord(WORD.COMMIT, memory.tail);
  readings.committed();
  await expect.poll(() => answers().every(({ length }) => length > 0)).toBe(true);
  expect(answers()).toEqual([[`[${commit}, ${memory.tail})`], [`OFFSET_NOT_BOUNDARY ${commit + NO_OP_BYTES}`]]);
});
