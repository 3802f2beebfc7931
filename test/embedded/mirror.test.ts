// A read-only copy of another log inside a program.

import { expect, it } from 'vitest';
import { runCommand } from '../support/server.ts';
import { directory, open, SMALL } from './support.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

it('is read from its own disk, takes no appends, goes on without its source, and is that of no other log', {
  timeout: 60_000,
}, async () => {
  const source = await open({ listen: { port: 0 } });
  await source.append('a');
  const urls = source.url ?? '';
  const dir = directory();
  // Without `segmentBytes`: they are as large as those of its source.
  const copy = await open({ dir, slots: 3, segmentBytes: undefined, mirror: urls });
  const { end } = await source.append('b');
  await copy.end({ atLeast: end });
  const texts: string[] = [];
  for await (const { payload } of copy.read()) texts.push(text(payload));
  expect(texts).toEqual(['a', 'b']);
  expect([copy.clusterId, copy.bookmark(end)]).toEqual([source.clusterId, source.bookmark(end)]);
  await expect(copy.append('c')).rejects.toMatchObject({ code: 'READ_ONLY' });
  await expect(copy.trim({ to: end })).rejects.toMatchObject({ code: 'READ_ONLY' });
  // What its source has acknowledged is asked there.
  const later = await source.append('d');
  expect((await copy.end({ linearizable: true })).end).toBeGreaterThanOrEqual(later.end);
  // A subscription hears of what comes.
  const next = copy.subscribe({ from: later.end })[Symbol.asyncIterator]();
  const heard = next.next();
  await source.append('e');
  expect(text((await heard).value?.payload ?? new Uint8Array(0))).toBe('e');
  await copy.close();
  await source.close();

  // It has what it had, also for others.
  const again = await open({ dir, slots: 3, segmentBytes: undefined, mirror: { urls: [urls] }, listen: { port: 0 } });
  const kept: string[] = [];
  for await (const { payload } of again.read()) kept.push(text(payload));
  expect(kept).toEqual(['a', 'b', 'd', 'e']);
  const shown = await runCommand(['read', '--url', again.url ?? '', '--limit', '1']);
  expect(String(shown.stdout)).toContain('a');
  await again.close();
  await expect(open({ dir })).rejects.toThrow(/is a mirror of the log of cluster/);
  const own = directory();
  await (await open({ dir: own })).close();
  await expect(open({ dir: own, segmentBytes: undefined, mirror: urls })).rejects.toMatchObject({ code: 'USAGE' });
});

it('options that mean nothing for it are refused', async () => {
  const dir = directory();
  const refused = [
    { node: 2 },
    { segmentBytes: 65_536 },
    { retentionBytes: '1MiB' },
    { autoFinalizeAfter: '1h' },
    { maxConsumers: 9 },
    { peers: '1=a:1/2,2=b:1/2' },
  ] as const;
  for (const option of refused)
    await expect(open({ dir, ...{ segmentBytes: undefined }, mirror: 'ws://127.0.0.1:1', ...option })).rejects.toThrow(
      /has no effect with mirror, because its source decides that/,
    );
  await expect(open({ dir, segmentBytes: undefined, mirror: 'ws://127.0.0.1:1', unref: true })).rejects.toThrow(
    /keeps the program running/,
  );
  const withTls = { urls: 'ws://127.0.0.1:1', tls: {} };
  await expect(open({ dir, ...SMALL, segmentBytes: undefined, mirror: withTls })).rejects.toThrow(/tls/);
  await expect(open({ dir, segmentBytes: undefined, mirror: 'http://x y' })).rejects.toThrow();
});
