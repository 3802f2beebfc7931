// What stands in a data directory and is not LogLog's, or not as LogLog made it: each gets a sentence, and stays.

import { spawnSync } from 'node:child_process';
import { linkSync, lstatSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { runCommand, startServer, stopServers } from '../support/server.ts';
import { makeLog, type SmallLog } from './support.ts';

afterEach(stopServers);

const TIB = 2 ** 40;

/** Makes a file of 1 TiB that takes no room. */
function holes(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, TIB);
}

/** What may stand under a name of ours, and what of it every sentence says. */
const KINDS: Readonly<Record<string, { readonly make: (path: string) => unknown; readonly says: RegExp }>> = {
  'a pipe': { make: (path) => spawnSync('mkfifo', [path]), says: /not a regular file/ },
  'a file of 1 TiB, all holes': { make: (path) => holes(path), says: /1099511627776/ },
  'a symbolic link': { make: (path) => symlinkSync('/dev/zero', path), says: /symbolic link|ELOOP/ },
};

/** Files of a log by what they are for. */
const FILES: Readonly<Record<string, (log: SmallLog) => string>> = {
  'node.json': () => 'node.json',
  vote: () => 'vote',
  'an index': (log) => indexName(log.bases[0]),
  'a sealed segment': (log) => segmentName(log.bases[0]),
  'the open segment': (log) => segmentName(log.bases[2]),
};

/** Ends by itself, with a sentence, although it is a server. */
async function expectSentence(command: readonly string[], says: RegExp): Promise<void> {
  const { code, stdout, stderr } = await runCommand(command);
  expect(code).not.toBe(0);
  expect(code).not.toBeNull();
  expect(stderr + stdout.toString()).toMatch(says);
  expect(stderr + stdout.toString()).not.toContain('this is a bug');
}

describe.each(Object.entries(KINDS))('R12: %s', (_kind, { make, says }) => {
  it.each(Object.entries(FILES))('in the place of %s: serve and verify say so, and nothing is removed', async (_file, nameOf) => {
    const log = makeLog();
    const path = join(log.directory, nameOf(log));
    rmSync(path);
    make(path);
    const before = readdirSync(log.directory).filter((name) => name !== 'lock');
    const { size } = lstatSync(path);
    const all = [runCommand(['serve', '--data', log.directory, '--port', '0']), runCommand(['verify', log.directory])];
    for (const { code, stdout, stderr } of await Promise.all(all)) {
      expect(code).not.toBe(0);
      expect(stderr + stdout.toString()).toMatch(says);
      expect(stderr).not.toContain('this is a bug');
    }
    expect(readdirSync(log.directory).filter((name) => name !== 'lock')).toEqual(before);
    expect(lstatSync(path).size).toBe(size);
  });
});

it('R12: trim says so, too', async () => {
  const log = makeLog();
  const path = join(log.directory, 'vote');
  rmSync(path);
  spawnSync('mkfifo', [join(log.directory, 'node.json.fifo')]);
  truncateSync(join(log.directory, 'node.json'), TIB);
  await expectSentence(['trim-offline', '--data', log.directory, '--before', '1'], /1099511627776/);
});

it('R12: a segment with a second name is not written to, and foreign temporary files stay', async () => {
  const log = makeLog();
  const path = log.segment(2);
  const other = join(log.directory, 'backup.tmp');
  linkSync(path, other);
  const bytes = readFileSync(other);
  await expectSentence(['serve', '--data', log.directory, '--port', '0'], /2 names \(hard links\)/);
  expect(Buffer.compare(readFileSync(other), bytes)).toBe(0);
  rmSync(other);
  writeFileSync(other, 'precious');
  const server = await startServer({ data: log.directory });
  expect((await server.stop()).code).toBe(0);
  expect(readFileSync(other, 'utf8')).toBe('precious');
});
