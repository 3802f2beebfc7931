// A client that appends as a producer: what it sends, and sends again, over all that may happen to a session.

import { beforeEach, describe, expect, test } from 'vitest';
import type { ConnectOptions } from '../../src/client/options.ts';
import { LogError } from '../../src/core/errors.ts';
import { READ } from '../../src/protocol/client.ts';
import { frameEntries } from '../server/support/entries.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';
import { FakeSessions } from './support/fakeSessions.ts';

let server: FakeServer;
let sessions: FakeSessions;

beforeEach(() => {
  server = new FakeServer();
  sessions = new FakeSessions();
  sessions.on(server);
});

const connect = (options: ConnectOptions = {}) => server.connect({ producer: 'p', ...options });

/** Appends each text in a message of its own. */
async function appendEach(log: Awaited<ReturnType<typeof connect>>, texts: readonly string[]): Promise<Promise<unknown>[]> {
  const promises: Promise<unknown>[] = [];
  for (const text of texts) {
    const promise = log.append(text);
    promise.catch(() => undefined);
    promises.push(promise);
    await settleMicrotasks();
  }
  return promises;
}

async function outcomesOf(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => (result.status === 'fulfilled' ? 'done' : `${result.reason.code} ${result.reason.outcome}`));
}

describe('a client that is a producer', () => {
  test('opens a session with its first append, and numbers its messages in it; the appends of one tick are one batch', async () => {
    const log = await connect();
    expect(sessions.opened).toEqual([]);
    const receipts = await Promise.all([log.append('a'), log.append('b')]);
    await log.appendBatch(['c', 'd']);
    expect(sessions.opened).toEqual([false]);
    expect(sessions.came).toEqual([
      [1100, 1],
      [1100, 2],
    ]);
    expect(receipts.map(({ offset, end }) => [offset, end])).toEqual([
      [0, 13],
      [13, 26],
    ]);
    expect(server.continuedTexts()).toEqual(['a', 'c']);
    await log.close();
  });

  test('sends again what has no answer when its connection is lost: it is in the log once, and the receipt says where', async () => {
    const log = await connect();
    let isFirst = true;
    sessions.onAppend = (sequence) => {
      const isLost = sequence === 2 && isFirst;
      if (isLost) isFirst = false;
      return isLost ? 'lost' : undefined;
    };
    const promises = await appendEach(log, ['a', 'b', 'c']);
    expect(await outcomesOf(promises)).toEqual(['done', 'done', 'done']);
    expect(server.texts()).toEqual(['a', 'b', 'c']);
    expect((await promises[1]) as { offset: number }).toMatchObject({ offset: 13, end: 26 });
    expect(sessions.opened).toEqual([false]);
    await log.close();
  });

  test('opens another session when the answer to the first was lost', async () => {
    const log = await connect();
    const answers: ('lost' | undefined)[] = ['lost'];
    sessions.onOpen = () => answers.shift();
    expect(await log.append('a')).toMatchObject({ offset: 0 });
    expect(sessions.opened).toEqual([false, false]);
    expect(sessions.came).toEqual([[1100, 1]]);
    await log.close();
  });

  test.each([1, 2, 3])(
    'E175: knows what became of its appends where the answer to who opened another session was lost, %i times',
    async (times) => {
      const log = await connect();
      const answers: ('silent' | 'FORBIDDEN')[] = ['silent', 'FORBIDDEN'];
      sessions.onAppend = () => answers.shift();
      // The first is done, and nobody hears it; the second is refused for good, so that another session is opened.
      const promises = await appendEach(log, ['a', 'b', 'c']);
      expect(await outcomesOf(promises.slice(1, 2))).toEqual(['FORBIDDEN failed']);
      let lost = 0;
      sessions.onOpen = () => {
        lost += 1;
        return lost <= times ? 'lost' : undefined;
      };
      server.connections.at(-1)?.kill();
      expect(await outcomesOf(promises)).toEqual(['done', 'FORBIDDEN failed', 'done']);
      expect(await promises[0]).toMatchObject({ offset: -1, level: 'committed' });
      expect([server.texts(), sessions.opened.length]).toEqual([['a', 'c'], 2 + times]);
      await log.close();
    },
  );

  test('E176: knows what became of an append with a condition that does not hold any more, also where the log is trimmed there', async () => {
    const log = await connect();
    await log.append('a');
    sessions.onAppend = () => {
      sessions.onAppend = () => undefined;
      server.order(frameEntries([Buffer.from('other')]), 1);
      server.start = server.end;
      return 'dropped';
    };
    const [refused, next] = [log.append('b', { expectedEnd: 13 }), log.append('c')];
    expect(await outcomesOf([refused, next])).toEqual(['CONDITION_FAILED failed', 'done']);
    expect(sessions.opened).toEqual([false, true]);
    await log.close();
  });

  test.each(['FORBIDDEN', 'ENTRY_TOO_LARGE'] as const)(
    'E176: knows that an append is not in the log that was refused for good when it was sent again (%s)',
    async (code) => {
      const log = await connect();
      await log.append('a');
      const answers: ('dropped' | typeof code)[] = ['dropped', code];
      sessions.onAppend = () => answers.shift();
      const promises = await appendEach(log, ['b', 'c']);
      expect(await outcomesOf(promises)).toEqual([`${code} failed`, 'done']);
      expect([server.texts(), sessions.opened]).toEqual([
        ['a', 'c'],
        [false, true],
      ]);
      await log.close();
    },
  );

  test('goes on in another session after a refusal for good: what came after it is not in the log, and is numbered anew', async () => {
    const log = await connect();
    const answers: ('FORBIDDEN' | undefined)[] = [undefined, 'FORBIDDEN'];
    sessions.onAppend = () => answers.shift();
    const promises = await appendEach(log, ['a', 'b', 'c', 'd']);
    expect(await outcomesOf(promises)).toEqual(['done', 'FORBIDDEN failed', 'done', 'done']);
    expect(server.texts()).toEqual(['a', 'c', 'd']);
    expect(sessions.opened).toEqual([false, true]);
    await log.close();
  });

  test('is fenced by another client with its name, for good, and does not fence that in turn', async () => {
    const one = await connect();
    await one.append('a');
    const other = await connect();
    await other.append('b');
    const error = await failureOf(one.append('c'));
    expect([error.code, error.outcome]).toEqual(['FENCED', 'failed']);
    expect((await failureOf(one.append('d'))).code).toBe('FENCED');
    expect(await other.append('e')).toMatchObject({ level: 'committed' });
    // Also when the log has forgotten the other one, which does not know that, and may append again.
    sessions.held.clear();
    expect((await failureOf(one.append('f'))).code).toBe('FENCED');
    expect(await other.append('g')).toMatchObject({ level: 'committed' });
    expect(server.texts()).toEqual(['a', 'b', 'e', 'g']);
    await Promise.all([one.close(), other.close()]);
  });

  test('says that an append is unknown whose session the log had forgotten when it was sent again, and goes on in another one', async () => {
    const log = await connect();
    await log.append('a');
    sessions.onAppend = () => {
      sessions.held.clear();
      sessions.onAppend = () => undefined;
      return 'lost';
    };
    const [lost, next] = await appendEach(log, ['b', 'c']);
    const error = await failureOf(lost as Promise<unknown>);
    expect([error.code, error.outcome]).toEqual(['UNKNOWN_SESSION', 'unknown']);
    expect(await next).toMatchObject({ level: 'committed' });
    expect(sessions.opened).toEqual([false, true]);
    await log.close();
  });

  test('goes on in another one without a word where nothing that it had sent was without an answer', async () => {
    const log = await connect();
    await log.append('a');
    sessions.held.clear();
    expect(await log.append('b')).toMatchObject({ level: 'committed' });
    expect(server.texts()).toEqual(['a', 'b']);
    await log.close();
  });

  test('resolves without a place what was trimmed before it was sent again', async () => {
    const log = await connect();
    sessions.onAppend = () => {
      sessions.onAppend = () => undefined;
      queueMicrotask(() => sessions.held.get('p')?.places.fill({ first: 0, end: 0 }));
      return 'lost';
    };
    expect(await log.appendBatch(['a', 'b'])).toMatchObject({ term: 0, offset: -1, end: -1, offsets: [-1, -1], level: 'committed' });
    await log.close();
  });

  test.each([true, false])('says of what is in a session that is over only what its log promises (durable: %s)', async (isDurable) => {
    server.hello = { ...server.hello, isDurable };
    const log = await connect();
    const answers: ('silent' | 'FORBIDDEN')[] = ['silent', 'FORBIDDEN'];
    sessions.onAppend = () => answers.shift();
    const [done, refused] = await appendEach(log, ['a', 'b']);
    expect(await outcomesOf([refused as Promise<unknown>])).toEqual(['FORBIDDEN failed']);
    server.connections.at(-1)?.kill();
    expect(await done).toMatchObject({ offset: -1, end: -1, level: isDurable ? 'committed' : 'volatile' });
    expect([server.texts(), sessions.opened]).toEqual([['a'], [false, true]]);
    await log.close();
  });

  test('sends on what its caller has given up, because what comes after it must', async () => {
    const log = await connect();
    await log.append('a');
    const controller = new AbortController();
    sessions.onAppend = () => {
      sessions.onAppend = () => undefined;
      controller.abort();
      return 'NOT_LEADER';
    };
    const given = log.append('b', { signal: controller.signal });
    given.catch(() => undefined);
    await settleMicrotasks();
    expect(await log.append('c')).toMatchObject({ level: 'committed' });
    expect(await outcomesOf([given])).toEqual(['ABORTED unknown']);
    expect(server.texts()).toEqual(['a', 'b', 'c']);
    await log.close();
  });

  test.each([
    ['NOT_LEADER', 'NOT_LEADER failed', ['a', 'c']],
    ['lost', 'CONNECTION_LOST unknown', ['a', 'b', 'c']],
    ['dropped', 'CONNECTION_LOST unknown', ['a', 'b', 'c']],
  ] as const)(
    'E148: says that an append failed only if it is not in the log later, where it waits no longer (%s)',
    async (answer, outcome, texts) => {
      const log = await connect({ reconnect: { timeoutMs: 0 } });
      await log.append('a');
      sessions.onAppend = () => {
        sessions.onAppend = () => undefined;
        return answer;
      };
      const given = log.append('b');
      given.catch(() => undefined);
      expect(await outcomesOf([given])).toEqual([outcome]);
      expect(await log.append('c')).toMatchObject({ level: 'committed' });
      expect([server.texts(), sessions.opened]).toEqual([texts, [false]]);
      await log.close();
    },
  );

  test('leaves out what its caller has given up before it was sent', async () => {
    const log = await connect();
    const controller = new AbortController();
    const given = log.append('a', { signal: controller.signal });
    given.catch(() => undefined);
    controller.abort();
    expect(await log.append('b')).toMatchObject({ offset: 0 });
    expect(await outcomesOf([given])).toEqual(['ABORTED failed']);
    expect(sessions.came).toEqual([[1100, 1]]);
    await log.close();
  });

  test('fails its appends with what the node says where there can be no session', async () => {
    const log = await connect();
    const answers: ('UNSUPPORTED' | undefined)[] = ['UNSUPPORTED'];
    sessions.onOpen = () => answers.shift();
    expect(await outcomesOf([log.append('a')])).toEqual(['UNSUPPORTED failed']);
    expect(await log.append('b')).toMatchObject({ offset: 0 });
    await log.close();
  });

  test('fails at a node that knows no sessions, and appends nothing', async () => {
    server.hello = { ...server.hello, features: 0 };
    const log = await connect();
    const error = await failureOf(log.append('a'));
    expect([error.code, error.outcome]).toEqual(['UNSUPPORTED', 'failed']);
    expect(server.texts()).toEqual([]);
    await log.close();
  });

  test('appends as a writer as any client does', async () => {
    const log = await connect();
    await log.append('a');
    const writer = log.writer({ expectedEnd: 13 });
    expect(await writer.append('b')).toMatchObject({ offset: 13 });
    expect(sessions.came).toHaveLength(1);
    await log.close();
  });

  test('E177: is not kept from its next session by a writer of the same client that always has something on its way', async () => {
    const log = await connect();
    await log.append('a');
    server.holdsAppends = true;
    const writer = log.writer({ expectedEnd: 13 });
    const links = [writer.append('w')];
    await settleMicrotasks();
    const answers: ('FORBIDDEN' | undefined)[] = ['FORBIDDEN'];
    sessions.onAppend = () => answers.shift();
    const [refused, next] = [log.appendBatch(['x']), log.appendBatch(['b'])];
    expect(await outcomesOf([refused])).toEqual(['FORBIDDEN failed']);
    links.push(writer.append('v'));
    await settleMicrotasks();
    server.connection.answerAppends(1);
    expect(await outcomesOf([next])).toEqual(['done']);
    server.holdsAppends = false;
    server.connection.answerAppends();
    expect(await outcomesOf(links)).toEqual(['done', 'CHAIN_BROKEN failed']);
    expect(server.texts()).toEqual(['a', 'w', 'b']);
    await log.close();
  });

  test('appends with a condition in its session: one that does not hold takes no sequence, and the session goes on', async () => {
    const log = await connect();
    await log.append('a');
    const failed = log.append('x', { expectedEnd: 0 });
    failed.catch(() => undefined);
    const promises = [failed, ...(await appendEach(log, ['b', 'c']))];
    expect(await outcomesOf(promises)).toEqual(['CONDITION_FAILED failed', 'done', 'done']);
    expect(await log.append('d', { expectedEnd: 39 })).toMatchObject({ offset: 39, end: 52 });
    expect([server.texts(), sessions.opened]).toEqual([['a', 'b', 'c', 'd'], [false]]);
    expect(sessions.came.at(-1)).toEqual([1100, 4]);
    await log.close();
  });

  test('E176: knows what became of one that is larger than what the next leader takes', async () => {
    const log = await connect();
    await log.append('a');
    const answers: ('silent' | undefined)[] = ['silent'];
    sessions.onAppend = () => answers.shift();
    const promises = await appendEach(log, ['b'.repeat(100), 'c']);
    server.hello = { ...server.hello, maxBatchBytes: 50, maxPayloadBytes: 30 };
    server.connections.at(-1)?.kill();
    expect(await outcomesOf(promises)).toEqual(['done', 'done']);
    expect(server.texts()).toEqual(['a', 'b'.repeat(100), 'c']);
    await log.close();
  });

  test('has the receipt of an append with a condition that was done, without a look into the log', async () => {
    const log = await connect();
    sessions.onAppend = () => {
      sessions.onAppend = () => undefined;
      return 'lost';
    };
    expect(await log.appendBatch(['a', 'b'], { expectedEnd: 0 })).toMatchObject({ offset: 0, end: 26, offsets: [0, 13] });
    expect([server.texts(), server.requests.filter(({ opcode }) => opcode === READ)]).toEqual([['a', 'b'], []]);
    await log.close();
  });

  test('learns from the log what became of one that may have been done when its condition does not hold any more', async () => {
    const log = await connect();
    await log.append('a');
    sessions.onAppend = () => {
      sessions.onAppend = () => undefined;
      server.order(frameEntries([Buffer.from('other')]), 1);
      return 'dropped';
    };
    const [refused, next] = [log.append('b', { expectedEnd: 13 }), log.append('c')];
    expect(await outcomesOf([refused, next])).toEqual(['CONDITION_FAILED failed', 'done']);
    expect([server.texts(), sessions.opened]).toEqual([
      ['a', 'other', 'c'],
      [false, true],
    ]);
    await log.close();
  });

  test('gives no sequence of one that may have come twice to another append: it opens another session', async () => {
    const log = await connect();
    await log.append('a');
    sessions.losesGap = true;
    const failed = log.append('x', { expectedEnd: 0 });
    failed.catch(() => undefined);
    const [next] = await appendEach(log, ['b']);
    expect(await outcomesOf([failed, next as Promise<unknown>])).toEqual(['CONDITION_FAILED failed', 'done']);
    expect([server.texts(), sessions.opened]).toEqual([
      ['a', 'b'],
      [false, true],
    ]);
    await log.close();
  });

  test('finds the place of one with a condition in the log when the session in which it was done is over', async () => {
    const log = await connect();
    await log.append('a');
    const answers: ('silent' | 'FORBIDDEN')[] = ['silent', 'FORBIDDEN'];
    sessions.onAppend = () => answers.shift();
    const done = log.append('b', { expectedEnd: 13 });
    done.catch(() => undefined);
    const [refused] = await appendEach(log, ['c']);
    expect(await outcomesOf([refused as Promise<unknown>])).toEqual(['FORBIDDEN failed']);
    server.connections.at(-1)?.kill();
    expect(await done).toMatchObject({ offset: 13, end: 26, level: 'committed' });
    expect([server.texts(), sessions.opened]).toEqual([
      ['a', 'b'],
      [false, true],
    ]);
    await log.close();
  });
});

test.each([
  ['', RangeError],
  ['a'.repeat(65), RangeError],
  ['a\nb', RangeError],
  [7, TypeError],
])('a producer cannot be %j', async (producer, expected) => {
  await expect(server.connect({ producer: producer as string })).rejects.toThrow(expected);
  expect(new LogError('FENCED', '').outcome).toBe('unknown');
});
