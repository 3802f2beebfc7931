// What becomes of named consumers and of producers' sessions when their log is begun anew: from a backup, and from a mirror. Who was there before is told so; nobody goes
// on at a place of another log.

import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type ConnectOptions, type Consumer, connect, type Entry, fileStore, type LogClient } from '../../src/client/index.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { failureOf } from '../client/support/failure.ts';
import { runCommand } from '../support/server.ts';
import { directory, open } from './support.ts';

const SMALL = { segmentBytes: 65_536, slots: 3 } as const;

const textOf = ({ payload }: Entry): string => Buffer.from(payload).toString();

/** The next `count` entries, of which the last is committed. */
async function handle(consumer: Consumer, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of consumer) {
    texts.push(textOf(entry));
    if (texts.length < count) continue;
    await consumer.commit(entry);
    break;
  }
  return texts;
}

async function client(url: string, options: ConnectOptions = {}): Promise<LogClient> {
  const log = await connect(url, options);
  onTestFinished(() => log.close());
  return log;
}

async function run(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(args);
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
}

interface Facts {
  readonly sessions: { readonly count: number };
}

const sessionsOf = async (url: string): Promise<number> => {
  const status = (await (await fetch(`${url.replace(/^ws/, 'http')}/status`)).json()) as Facts;
  return status.sessions.count;
};

it.each(['a backup', 'a mirror'])(
  'begun anew from %s, a log has positions and no sessions; who was there before is refused',
  {
    timeout: 120_000,
  },
  async (from) => {
    const { ports, release } = await claimPorts(1);
    onTestFinished(release);
    const listen = { port: ports[0] ?? 0 };
    const before = await open({ dir: directory(), ...SMALL, listen });
    const url = before.url ?? '';
    const [billing, producer] = [await client(url), await client(url, { producer: 'p' })];
    const store = fileStore(directory());
    for (const text of ['a', 'b', 'c', 'd']) await producer.append(text);
    const consumer = await billing.consumer({ name: 'billing' });
    expect(await handle(consumer, 2)).toEqual(['a', 'b']);
    const { committed } = consumer;
    const filed = await billing.consumer({ name: 'billing', store });
    expect(await handle(filed, 3)).toEqual(['a', 'b', 'c']);
    const kept = billing.bookmark(committed ?? -1);
    expect(await sessionsOf(url)).toBe(1);

    // What is done from here on the copy does not have.
    const data = directory();
    if (from === 'a backup') {
      const folder = join(directory(), 'backup');
      await run('backup', url, folder);
      await run('restore', folder, data, '--same-cluster');
    } else {
      const copy = await open({ dir: data, slots: 3, segmentBytes: undefined, mirror: url });
      await copy.end({ atLeast: (await before.end()).end });
      await copy.close();
      await run('promote', data, '--same-cluster');
    }
    for (const text of ['e', 'f']) await producer.append(text);
    expect(await handle(consumer, 2)).toEqual(['c', 'd']);
    await before.close();

    const after = await open({ dir: data, ...SMALL, listen });
    expect(await sessionsOf(url)).toBe(0);
    // Clients that were there: neither a position of before nor a session, whose number may be another's by now.
    expect((await failureOf(producer.append('g'))).code).toBe('GENERATION_CHANGED');
    expect((await failureOf(handle(consumer, 1))).code).toBe('GENERATION_CHANGED');
    expect((await failureOf(handle(filed, 1))).code).toBe('GENERATION_CHANGED');
    // Clients that are new: what was kept outside of the log is of another one, what the log kept is its own.
    const anew = await client(url, { producer: 'p' });
    expect((await failureOf(anew.consumer({ name: 'billing', store }))).code).toBe('GENERATION_CHANGED');
    expect((await failureOf(anew.resetConsumer('billing', { to: kept }))).code).toBe('GENERATION_CHANGED');
    const again = await anew.consumer({ name: 'billing' });
    expect(again.committed).toBe(committed);
    await anew.append('h');
    expect(await handle(again, 3)).toEqual(['c', 'd', 'h']);
    expect(await sessionsOf(url)).toBe(1);
    await after.close();
  },
);

it('a mirror shows nobody’s position and takes no commit and no producer', async () => {
  const source = await open({ ...SMALL, listen: { port: 0 } });
  await source.append('a');
  const url = source.url ?? '';
  const consumer = await (await client(url)).consumer({ name: 'billing' });
  await handle(consumer, 1);
  const copy = await open({ dir: directory(), slots: 3, segmentBytes: undefined, mirror: url, listen: { port: 0 } });
  await copy.end({ atLeast: (await source.end()).end });
  const reader = await client(copy.url ?? '', { producer: 'p' });
  for (const work of [reader.consumer({ name: 'billing' }), reader.consumers(), reader.append('x'), reader.removeConsumer('billing')])
    expect((await failureOf(work)).code).toBe('READ_ONLY');
  // It goes on there with a store of its own.
  const filed = await reader.consumer({ name: 'billing', store: fileStore(directory()) });
  expect(await handle(filed, 1)).toEqual(['a']);
});
