// How much of a log is kept, as programs and the command line say it: on a log that serves itself and others, over restarts.

import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { eventually } from '../server/support/fixture.ts';
import { runCommand } from '../support/server.ts';
import { directory, open } from './support.ts';

const SMALL = { segmentBytes: 65_536, slots: 3 } as const;
/** Two fit into a segment. */
const ENTRY = Buffer.alloc(30_000);

const segmentsOf = (dir: string): number => readdirSync(dir).filter((name) => name.endsWith('.segment')).length;

it('a log keeps what it was founded with, and then what it is told, on its disk, too', async () => {
  const dir = directory();
  const lines: string[] = [];
  const options = { dir, ...SMALL, listen: { port: 0 }, log: (_level: string, text: string) => void lines.push(text) };
  const log = await open({ ...options, retentionBytes: '256KiB', retentionAge: '30d' });
  expect(await log.retention()).toMatchObject({ bytes: 262_144, ageMs: 30 * 86_400_000, start: 0 });
  for (let i = 0; i < 30; i += 1) await log.append(ENTRY);
  const inUse = async () => {
    const { end, start } = await log.retention();
    return end - start;
  };
  await eventually(async () => (await inUse()) <= 262_144 && segmentsOf(dir) <= 5, 'what is more has gone, from the disk, too');
  const kept = await log.retention();
  expect(kept.end - kept.start).toBeGreaterThan(262_144 - 65_536);
  // By the log's time, which was the clock's.
  expect(Date.now() - (kept.oldestMs ?? 0)).toBeLessThan(60_000);
  expect(kept.timeMs).toBeGreaterThanOrEqual(kept.oldestMs ?? 0);

  // What it does not say stays as it is.
  expect(await log.setRetention({ bytes: 131_072 })).toMatchObject({ bytes: 131_072, ageMs: 30 * 86_400_000 });
  await eventually(async () => (await log.retention()).end - (await log.end()).start <= 131_072, 'what is more now has gone');
  expect(await log.setRetention({ ageMs: null })).toMatchObject({ bytes: 131_072, ageMs: null });
  const url = log.url ?? '';
  const shown = await runCommand(['retention', 'show', '--url', url]);
  expect(String(shown.stdout)).toMatch(
    /^goes by whole segments: what is more than 128KiB\nthere: \d+\.\d kB, from offset \d+ to \d+; nothing is older than 20\d\d-\S+Z\n$/,
  );
  const set = await runCommand(['retention', 'set', '--url', url, '--bytes', 'none', '--age', '12h', '--json']);
  expect(JSON.parse(String(set.stdout))).toMatchObject({ bytes: null, ageMs: 12 * 3_600_000 });
  await log.close();

  // A restart finds the same, and says that it was asked for something else.
  const again = await open({ ...options, retentionBytes: '1GiB' });
  expect(await again.retention()).toMatchObject({ bytes: null, ageMs: 12 * 3_600_000 });
  await again.append('x');
  expect(await again.setRetention({ ageMs: null, bytes: null })).toMatchObject({ bytes: null, ageMs: null });
  expect(String((await runCommand(['retention', 'show', '--url', again.url ?? ''])).stdout)).toMatch(/^all is kept\nthere: /);
  await again.close();
  expect(lines.filter((line) => line.startsWith('retentionBytes'))).toEqual([
    'retentionBytes: only a new log takes that, and this one has another retention, which stays; loglog retention set changes it',
  ]);
});

it('refuses what cannot be meant', async () => {
  const log = await open({ dir: directory(), ...SMALL });
  await expect(log.setRetention({})).rejects.toThrow('setRetention takes bytes, ageMs, consumerBytes or several of them; null is no bound');
  await expect(log.setRetention({ bytes: 10 })).rejects.toThrow(RangeError);
  await expect(log.setRetention({ ageMs: 0 })).rejects.toThrow(RangeError);
  await expect(log.setRetention({ age: 1 } as never)).rejects.toThrow('did you mean ageMs?');
  await expect(open({ dir: directory(), retentionBytes: 10 })).rejects.toThrow(
    'retentionBytes takes a whole number from 65536 to 9007199254740991 bytes, or a size such as 64MiB, or none, not 10',
  );
  await expect(open({ dir: directory(), retentionAge: '30' as never })).rejects.toThrow(
    'retentionAge takes a duration of 1s or more, such as 30d or 12h, or none, not "30"',
  );
  await log.close();
  await expect(log.retention()).rejects.toMatchObject({ code: 'CLOSED' });
});
