// How long a writer tries to go on, and how much of others' appends it bears. A client of the test's own stands around it, with a clock
// that the test moves.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CommittedQuestion } from '../../src/client/append/committedEnd.ts';
import type { Message, Operation } from '../../src/client/append/message.ts';
import { type Question, recheck } from '../../src/client/append/recheck.ts';
import { Watch } from '../../src/client/events.ts';
import type { ReadNodes } from '../../src/client/nodes/readNodes.ts';
import type { Workspace } from '../../src/client/wasm.ts';
import { Writer } from '../../src/client/writer/writer.ts';
import type { WriterPort } from '../../src/client/writer/writerPort.ts';
import { LogError } from '../../src/core/errors.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

const TIMEOUT_MS = 30_000;
const LOOK_MS = 5_000;

let nowMs: number;

beforeEach(() => {
  nowMs = 1_000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
});

afterEach(() => vi.restoreAllMocks());

class FakePort implements WriterPort {
  readonly watch = new Watch([]);
  readonly maxInFlightBytes = 1 << 20;
  readonly maxQueuedBytes = 1 << 20;
  readonly timeoutMs = TIMEOUT_MS;
  readonly lookTimeoutMs = LOOK_MS;
  readonly submitted: Operation[] = [];
  /** How long each question to the log may take. */
  readonly asked: number[] = [];
  readonly limits = () => ({ maxPayloadBytes: 1 << 20, maxBatchBytes: 1 << 20 });
  readonly committed = () => 0;
  readonly isDurable = () => true;
  readonly over = (): undefined => undefined;
  readonly busy = () => undefined;
  readonly submit = (operation: Operation) => void this.submitted.push(operation);
  readonly ready = () => Promise.resolve();
  readonly pause = () => Promise.resolve();
  readonly find = ({ timeoutMs }: Question) => this.#ask(timeoutMs);
  readonly findCommittedEnd = ({ timeoutMs }: CommittedQuestion) => this.#ask(timeoutMs);

  #ask(timeoutMs: number): Promise<never> {
    this.asked.push(timeoutMs);
    nowMs += timeoutMs - 100;
    return Promise.reject(new LogError('TIMEOUT', 'no node answered', {}, 'failed'));
  }
}

test.each(['committed', 'received'] as const)(
  'the time for trying again begins with the first loss, and ends with one look into the log, of %s appends',
  async (ack) => {
    const port = new FakePort();
    const writer = new Writer(port, { expectedEnd: 0, expectedTerm: ack === 'received' ? 1 : 0, ack });
    const first = failureOf(writer.appendBatch(['a']));
    const second = failureOf(writer.appendBatch(['b']));
    await settleMicrotasks();
    const [lost, unsent] = port.submitted;
    lost?.reject(new LogError('CONNECTION_LOST', 'lost', {}, 'unknown'));
    // The other one waits for a leader as long as a client waits for one.
    nowMs += TIMEOUT_MS;
    unsent?.reject(new LogError('UNREACHABLE', 'no node answers', {}, 'failed'));
    const errors = await Promise.all([first, second]);
    expect(errors.map(({ outcome }) => outcome)).toEqual(['unknown', 'failed']);
    expect(port.submitted).toHaveLength(2);
    expect(port.asked).toEqual(ack === 'received' ? [LOOK_MS, 100] : [LOOK_MS]);
    expect(errors[1]?.message).toContain(ack === 'received' ? 'are in the log at least up to offset 0.' : 'are in the log up to offset 0.');
  },
);

test('an append alone is looked for once, however late its uncertain answer comes', async () => {
  const asked: number[] = [];
  const readNodes = {
    lookTimeoutMs: LOOK_MS,
    ask: ({ timeoutMs }: { timeoutMs: number }) => {
      asked.push(timeoutMs);
      return Promise.reject(new LogError('NOT_LEADER', 'nobody leads'));
    },
  };
  const message = { expectedEnd: 0, expectedTerm: 0, requestId: 1, retryUntilMs: nowMs - 1, payloads: () => [] };
  const refusal = new LogError('CONDITION_FAILED', 'data ends at 5');
  const result = await recheck(readNodes as unknown as ReadNodes, {} as Workspace, message as unknown as Message, refusal);
  expect(asked).toEqual([LOOK_MS]);
  expect(result).toMatchObject({ outcome: 'unknown' });
  expect((result as LogError).message).toMatch(/nobody leads\. The last try was refused: data ends at 5$/);
});

test('links that find the client’s queue full wait in the writer, and calls are counted, not only bytes', async () => {
  vi.restoreAllMocks();
  const server = new FakeServer();
  server.holdsAppends = true;
  const log = await server.connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 40_000 });
  const plain = [log.append(new Uint8Array(60_000)), log.append(new Uint8Array(30_000))];
  const writer = log.writer({ expectedEnd: 90_024 });
  await writer.ready();
  const appends = [writer.appendBatch([new Uint8Array(30_000)]), writer.appendBatch(['next'])];
  await settleMicrotasks();
  server.holdsAppends = false;
  server.connection.answerAppends();
  await Promise.all([...plain, ...appends]);
  expect(server.texts().map(({ length }) => length)).toEqual([60_000, 30_000, 30_000, 4]);
  expect(await writer.append('last')).toMatchObject({ end: server.end });

  server.holdsAppends = true;
  let count = 0;
  const tooMany = new Promise<LogError>((resolve) => {
    let isOver = false;
    for (; !isOver && count < 5_000; count++) void writer.appendBatch(['']).catch((error: LogError) => resolve(error));
    isOver = true;
  });
  expect((await tooMany).code).toBe('QUEUE_FULL');
  server.holdsAppends = false;
  server.connection.answerAppends();
  await log.close();
  // The memory of 268 bytes for each is what counts, not the 12 of its entry.
  expect(server.texts().length).toBeLessThan(500);
});
