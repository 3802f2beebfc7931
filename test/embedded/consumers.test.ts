// Named consumers whose positions the log keeps: as programs and the command line use them, over restarts of the log, and what they are refused.

import { expect, it } from 'vitest';
import { type Consumer, connect, type Entry, LogError } from '../../src/client/index.ts';
import { failureOf } from '../client/support/failure.ts';
import { runCommand } from '../support/server.ts';
import { directory, open } from './support.ts';

const SMALL = { segmentBytes: 65_536, slots: 3 } as const;

const cli = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await runCommand(['consumer', ...args]);
  expect([code, stderr]).toEqual([0, '']);
  return String(stdout);
};

const textOf = ({ payload }: Entry): string => Buffer.from(payload).toString();

/** The next `count` entries, each committed; not all of those commits are waited for. */
async function handle(consumer: Pick<Consumer, 'commit' | typeof Symbol.asyncIterator>, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of consumer) {
    texts.push(textOf(entry));
    const kept = consumer.commit(entry);
    if (texts.length === count) {
      await kept;
      break;
    }
  }
  return texts;
}

it('go on where they left off, over restarts of the log, one process at a time', async () => {
  const options = { dir: directory(), ...SMALL };
  const log = await open(options);
  await log.appendBatch(['a', 'b', 'c', 'd', 'e']);
  expect(await log.consumers()).toEqual([]);
  const first = await log.consumer({ name: 'billing' });
  expect([first.committed, await handle(first, 2)]).toEqual([undefined, ['a', 'b']]);
  const second = await log.consumer({ name: 'billing', from: 'end' });
  expect([second.committed, await handle(second, 1)]).toEqual([first.committed, ['c']]);
  // The first one has lost its name: what it commits changes nothing, and its loop ends.
  expect((await failureOf(handle(first, 2))).code).toBe('FENCED');
  const late = await log.consumer({ name: 'late/é', from: 'end' });
  const { committed } = second;
  await log.close();

  const again = await open(options);
  await again.append('f');
  const [billing, other] = await again.consumers();
  expect([billing, other]).toMatchObject([
    { name: 'billing', position: committed },
    { name: 'late/é', position: late.committed },
  ]);
  const third = await again.consumer({ name: 'billing' });
  expect([third.committed, await handle(third, 3)]).toEqual([committed, ['d', 'e', 'f']]);
  expect(await handle(await again.consumer({ name: 'late/é', from: 'end' }), 1)).toEqual(['f']);
  expect((await again.consumers()).map(({ lagBytes }) => lagBytes)).toEqual([0, 0]);
  await again.close();
});

it('are listed, begun anew and removed, by programs and the command line', async () => {
  const log = await open({ dir: directory(), ...SMALL, listen: { port: 0 } });
  const { offset, end } = await log.appendBatch(['a', 'b', 'c']);
  const url = log.url ?? '';
  expect(await cli('list', '--url', url)).toBe('the log has no consumers\n');
  const consumer = await log.consumer({ name: 'billing' });
  await handle(consumer, 1);
  const second = offset + 13;
  const shown = { name: 'billing', bookmark: log.bookmark(second), offset: second, lagBytes: end - second, changedMs: expect.any(Number) };
  expect(JSON.parse(await cli('show', 'billing', '--url', url, '--json'))).toEqual(shown);
  expect(JSON.parse(await cli('list', '--url', url, '--json'))).toEqual({ consumers: [shown] });
  expect((await cli('list', '--url', url)).split('\n')[1]).toMatch(new RegExp(`^billing +${second} +${end - second} +\\S`));
  expect(await cli('show', 'billing', '--url', url)).toContain(`goes on at ${log.bookmark(second)}, ${end - second} bytes to go`);
  const unknown = await runCommand(['consumer', 'show', 'biling', '--url', url]);
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('the log has "billing"')]);

  const third = offset + 26;
  expect(await cli('reset', 'billing', '--to', String(third), '--url', url)).toContain(`goes on at ${third}`);
  const told = JSON.parse(await cli('reset', 'billing', '--to', String(third), '--url', url, '--json'));
  expect(told).toEqual({ name: 'billing', bookmark: log.bookmark(third), offset: third });
  expect((await failureOf(handle(consumer, 1))).code).toBe('FENCED');
  expect(await handle(await log.consumer({ name: 'billing' }), 1)).toEqual(['c']);
  await log.resetConsumer('billing', { to: log.bookmark(second) });
  expect((await log.consumers())[0]?.position).toBe(second);
  await log.resetConsumer('billing');
  expect(await handle(await log.consumer({ name: 'billing' }), 1)).toEqual(['a']);
  expect((await failureOf(log.resetConsumer('billing', { to: end + 1_000_000 }))).code).toBe('OFFSET_BEYOND_END');
  // It could go on nowhere from there, and would fail whenever it is taken.
  for (const to of [second + 1, log.bookmark(second + 1)]) await expect(log.resetConsumer('billing', { to })).rejects.toThrow(RangeError);
  expect((await log.consumers())[0]?.position).toBe(second);
  expect((await runCommand(['consumer', 'reset', 'billing', '--to', 'nowhere', '--url', url])).code).toBe(2);
  expect((await failureOf(log.resetConsumer('billing', { to: `${'5f'.repeat(16)}@12` }))).code).toBe('OTHER_CLUSTER');

  expect(await cli('remove', 'billing', '--url', url)).toContain('is forgotten');
  expect(JSON.parse(await cli('remove', 'billing', '--url', url, '--json'))).toEqual({ name: 'billing', wasThere: false });
  expect(await log.removeConsumer('billing')).toBe(false);
  await expect(log.removeConsumer('')).rejects.toThrow(RangeError);

  const metrics = await (await fetch(`${url.replace(/^ws/, 'http')}/metrics`)).text();
  expect(metrics).not.toContain('consumer="billing"');
  await handle(await log.consumer({ name: 'q"1' }), 2);
  const scraped = await (await fetch(`${url.replace(/^ws/, 'http')}/metrics`)).text();
  expect(scraped).toContain(`loglog_consumer_lag_bytes{consumer="q\\"1"} ${13}`);
  await log.close();
});

it('need the scope consume, and a log that has room for them', async () => {
  const log = await open({ dir: directory(), ...SMALL, maxConsumers: 1, tokens: true, listen: { port: 0 } });
  await log.append('a');
  const reader = await log.createToken({ name: 'r', scopes: ['read'] });
  const both = await log.createToken({ name: 'c', scopes: ['read', 'consume'] });
  await using less = await connect(log.url ?? '', { token: reader.token });
  expect(await failureOf(less.consumer({ name: 'a' }))).toMatchObject({ code: 'FORBIDDEN', details: { scope: 'consume' } });
  await using more = await connect(log.url ?? '', { token: both.token });
  expect(await handle(await more.consumer({ name: 'a' }), 1)).toEqual(['a']);
  expect((await failureOf(more.consumer({ name: 'b' }))).code).toBe('TOO_MANY_CONSUMERS');
  await more.removeConsumer('a');
  expect(await handle(await more.consumer({ name: 'b' }), 1)).toEqual(['a']);
  await log.close();
});

it('commit each entry of many at little cost: few entries of the log', async () => {
  const log = await open({ dir: directory(), segmentBytes: 1 << 20, slots: 3 });
  const { offset, end } = await log.appendBatch(Array.from({ length: 5000 }, (_, i) => String(i)));
  const consumer = await log.consumer({ name: 'n' });
  const startMs = performance.now();
  expect(await handle(consumer, 5000)).toHaveLength(5000);
  const tookMs = performance.now() - startMs;
  const { end: after } = await log.end();
  expect(consumer.committed).toBe(end);
  // 20 entries a second at most, of 32 bytes, the claim, and the place where it began.
  expect(after - end).toBeLessThan(200 + 32 * (2 + tookMs / 50));
  expect(offset).toBeLessThan(end);
  await log.close();
});

it('are not reset to a place beyond the end that is inside an entry when the leader is asked', async () => {
  const log = await open({ dir: directory(), ...SMALL, listen: { port: 0 } });
  for (let turns = 0; turns < 12; turns += 1) {
    const { end } = await log.append('a');
    const reset = log.resetConsumer('r', { to: end + 1 }).then(
      () => 'accepted',
      (thrown: unknown) => (thrown instanceof LogError ? thrown.code : String(thrown)),
    );
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    await log.append('a longer one');
    // Inside the entry, if that was there when it was looked up.
    expect(await reset).toMatch(/^(OFFSET_BEYOND_END$|RangeError: to is offset \d+, which is inside an entry)/);
  }
  await log.close();
});
