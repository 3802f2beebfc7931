// What a node does with a data directory whose node.json is wrong about where the log starts: it deletes nothing, and says so.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Identity, readIdentity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { runCommand, stopServers } from '../support/server.ts';
import { makeLog, type SmallLog } from './support.ts';

afterEach(stopServers);

/** All files and their bytes, but for the lock. */
function contents(directory: string): Map<string, string> {
  const names = readdirSync(directory).filter((name) => name !== 'lock');
  return new Map(names.sort().map((name) => [name, readFileSync(join(directory, name)).toString('base64')]));
}

/** Replaces node.json by a valid one that says something else. All entries of the log are of term 1, which its node led. */
function forge(log: SmallLog, change: Partial<Identity>): void {
  const disk = new NodeDisk();
  const identity = readIdentity(disk, log.directory);
  if (identity === undefined) throw new Error('the log has an identity');
  writeIdentity(disk, log.directory, { ...identity, startTerm: 1, startLeader: identity.instance, ...change });
}

/** Edits the text of node.json, as a person would. */
function edit(log: SmallLog, start: number): void {
  const path = join(log.directory, 'node.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"start": 0', `"start": ${start}`));
}

/** The wrong starts of a log: what they are, and what they are made from. */
const STARTS: Readonly<Record<string, (log: SmallLog) => number>> = {
  'too high by one segment': (log) => log.bases[1],
  'too high by all segments but one': (log) => log.bases[2],
  'inside a segment': (log) => log.bases[1] + 100,
  'beyond the end': (log) => log.end + 1_000_000,
};

async function expectRefused(log: SmallLog, sentence: string | RegExp): Promise<void> {
  const before = contents(log.directory);
  for (const command of [
    ['serve', '--data', log.directory, '--port', '0'],
    ['trim-offline', '--data', log.directory, '--before', '1'],
    ['verify', log.directory],
  ]) {
    const { code, stderr, stdout } = await runCommand(command);
    expect([command[0], code, code === 5 ? '' : stderr]).toEqual([command[0], 5, '']);
    expect(stderr + stdout.toString()).toMatch(sentence);
    expect(stderr).not.toContain('this is a bug');
    expect(contents(log.directory)).toEqual(before);
  }
}

describe('R5: a start in node.json', () => {
  it.each(Object.entries(STARTS))('that is %s, in a file edited by hand, is damage, and nothing is deleted', async (_name, startOf) => {
    const log = makeLog();
    edit(log, startOf(log));
    await expectRefused(log, /node\.json.* does not match its check/);
  });

  it.each(Object.entries(STARTS))(
    'that is %s, in a whole file of another time, is damage, and nothing is deleted',
    async (_name, startOf) => {
      const log = makeLog();
      const start = startOf(log);
      forge(log, { start, removeFrom: start });
      await expectRefused(log, /nothing was removed/);
    },
  );

  it.each(['inside a segment', 'beyond the end'] as const)('that is %s is damage also when a trim is under way', async (name) => {
    const log = makeLog();
    forge(log, { start: STARTS[name]?.(log) ?? 0 });
    await expectRefused(log, /nothing was removed/);
  });

  it('that a trim made durable is obeyed: the segments before it are removed, and that is noted', async () => {
    const log = makeLog();
    forge(log, { start: log.bases[1] });
    const { code } = await runCommand(['trim-offline', '--data', log.directory, '--before', String(log.bases[1])]);
    expect(code).toBe(0);
    expect(readdirSync(log.directory)).not.toContain('00000000000000000000.segment');
    expect(readIdentity(new NodeDisk(), log.directory)).toMatchObject({ start: log.bases[1], removeFrom: log.bases[1] });
  });
});
