// inspect, verify and trim on directories without a node.

import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { KIND_CONTINUED, KIND_DATA, KIND_SESSION, NO_OP_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';
import { dirtyEnd, flipByte, makeLog, overwrite } from './support.ts';

interface Report {
  readonly ok: boolean;
  readonly start: number;
  readonly end: number;
  readonly identity: Record<string, unknown>;
  readonly segments: readonly {
    readonly state: string;
    readonly base: number;
    readonly end: number;
    readonly entries: number;
    readonly tornBytes: number;
  }[];
  readonly damage: readonly { readonly file: string; readonly position: number; readonly sentence: string }[];
}

async function verify(path: string): Promise<{ code: number | null; report: Report; stderr: string }> {
  const { code, stdout, stderr } = await runCommand(['verify', path, '--json']);
  return { code, report: JSON.parse(stdout.toString()) as Report, stderr };
}

afterEach(stopServers);

describe('verify', () => {
  it('finds nothing wrong with a whole log, and counts all of it', async () => {
    const log = makeLog();
    const { code, report } = await verify(log.directory);
    expect(code).toBe(0);
    expect(report.damage).toEqual([]);
    expect(report.segments.map(({ state }) => state)).toEqual(['sealed', 'sealed', 'open']);
    expect(report.segments.map(({ base }) => base)).toEqual(log.bases);
    expect(report.end).toBe(log.end);
    expect(report.segments.reduce((sum, { entries }) => sum + entries, 0)).toBe(log.entries);
    const human = await runCommand(['verify', log.directory]);
    expect(human.stdout.toString()).toContain(`no damage; 3 segments, ${log.entries} entries verified`);
  });

  it('verifies and skips control entries of every kind, and the node refuses to start and changes nothing', async () => {
    const log = makeLog(true);
    const path = log.segment(2);
    const position = SEGMENT_HEADER_BYTES + log.end - log.bases[2];
    overwrite(path, position, encodeEntry(new Uint8Array(20), KIND_SESSION | KIND_CONTINUED, { term: 1, offset: log.end }));
    overwrite(path, position + 32, encodeEntry(new Uint8Array(3), KIND_DATA, { term: 1, offset: log.end + 32 }));
    overwrite(path, position + 47, encodeEntry(new Uint8Array(0), 63, { term: 1, offset: log.end + 47 }));
    const { code, report } = await verify(log.directory);
    expect([code, report.damage, report.end]).toEqual([0, [], log.end + 59]);
    const { stdout } = await runCommand(['inspect', path, '--entries', '--from', String(log.end)]);
    expect(stdout.toString().match(/(session, batch goes on|data|63)$/gm)).toEqual(['session, batch goes on', 'data', '63']);
    const before = readFileSync(path);
    const started = await runCommand(['serve', '--data', log.directory, '--port', '0']);
    expect(started.code).not.toBe(0);
    expect(started.stderr).toContain(`the entry at log offset ${log.end + 47} is of kind 63`);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('never shows the secret seed of the durable marks', async () => {
    const { report } = await verify(makeLog().directory);
    expect(report.identity).toHaveProperty('clusterId');
    expect(JSON.stringify(report)).not.toContain('markSeed');
  });

  it('names file and byte of a flipped bit in a sealed segment, goes on with the others, and exits with 5', async () => {
    const log = makeLog();
    flipByte(log.segment(0), SEGMENT_HEADER_BYTES + NO_OP_BYTES + 50);
    flipByte(log.segment(1), 30_000);
    const { code, report, stderr } = await verify(log.directory);
    expect(code).toBe(5);
    expect(report.ok).toBe(false);
    expect(report.damage.map(({ file }) => file)).toEqual([log.segment(0), log.segment(1)]);
    // The entry behind the no-op is the damaged one.
    expect(report.damage[0]?.position).toBe(SEGMENT_HEADER_BYTES + NO_OP_BYTES);
    expect(stderr).toContain(`${log.segment(0)} at byte ${SEGMENT_HEADER_BYTES + NO_OP_BYTES}: `);
    expect(stderr).toContain('does not match its check');
    expect(report.end).toBe(log.end);
  });

  it.each([
    ['a header', 8, 'at byte 0'],
    ['a base in a header', 24, 'at byte 0'],
  ])('finds damage in %s', async (_what, position, sentence) => {
    const log = makeLog();
    flipByte(log.segment(1), position);
    const { code, stderr } = await verify(log.directory);
    expect(code).toBe(5);
    expect(stderr).toContain(`${log.segment(1)} ${sentence}`);
  });

  it('finds damage in the open segment below what its mark says was durable', async () => {
    const log = makeLog();
    flipByte(log.segment(2), SEGMENT_HEADER_BYTES + 20);
    const { code, report } = await verify(log.directory);
    expect(code).toBe(5);
    expect(report.damage).toHaveLength(1);
    expect(report.damage[0]?.sentence).toContain(`the log was durable up to offset ${log.end}`);
  });

  it('reports a torn tail of the open segment as such, not as damage', async () => {
    const log = makeLog(true);
    const at = dirtyEnd(log.segment(2));
    overwrite(log.segment(2), at, new Uint8Array(100).fill(7));
    const { code, report } = await verify(log.directory);
    expect(code).toBe(0);
    expect(report.segments[2]?.tornBytes).toBeGreaterThanOrEqual(100);
    expect((await runCommand(['verify', log.directory])).stdout.toString()).toContain('bytes of an unfinished write');
  });

  it('finds damage in an index, and verifies its segment all the same', async () => {
    const log = makeLog();
    const index = log.segment(0).replace('.segment', '.index');
    flipByte(index, 41);
    flipByte(log.segment(0), 30_000);
    const { code, report } = await verify(log.directory);
    expect(code).toBe(5);
    expect(new Set(report.damage.map(({ file }) => file))).toEqual(new Set([index, log.segment(0)]));
  });

  it('takes a lost index for a segment that the next start will seal', async () => {
    const log = makeLog();
    rmSync(log.segment(0).replace('.segment', '.index'));
    const { code, report } = await verify(log.directory);
    expect(code).toBe(0);
    expect(report.segments[0]?.state).toBe('full');
  });

  it('finds a missing segment, a cut one, and an index of another segment', async () => {
    const missing = makeLog();
    rmSync(missing.segment(1));
    expect((await verify(missing.directory)).stderr).toContain(`${missing.segment(1)} at byte 0: this segment is missing`);
    const cut = makeLog();
    truncateSync(cut.segment(0), 40_000);
    expect((await verify(cut.directory)).code).toBe(5);
    const swapped = makeLog();
    renameSync(swapped.segment(1).replace('.segment', '.index'), swapped.segment(0).replace('.segment', '.index'));
    expect((await verify(swapped.directory)).stderr).toContain('its name 0');
  });

  it('finds a lost vote and a broken node.json', async () => {
    const log = makeLog();
    rmSync(join(log.directory, 'vote'));
    writeFileSync(join(log.directory, 'node.json'), '{');
    const { code, report } = await verify(log.directory);
    expect(code).toBe(5);
    expect(report.damage.map(({ file }) => file)).toEqual([join(log.directory, 'node.json'), join(log.directory, 'vote')]);
  });

  it('verifies one segment file', async () => {
    const log = makeLog();
    expect((await runCommand(['verify', log.segment(1)])).code).toBe(0);
    flipByte(log.segment(1), 30_000);
    const { code, stderr } = await runCommand(['verify', log.segment(1)]);
    expect(code).toBe(5);
    expect(stderr).toContain(log.segment(1));
  });

  it('changes nothing', async () => {
    const log = makeLog(true);
    const before = readdirSync(log.directory).sort();
    await verify(log.directory);
    expect(readdirSync(log.directory).sort()).toEqual(before);
  });
});

describe('inspect', () => {
  it('shows identity, term and segments of a directory', async () => {
    const log = makeLog();
    const { code, stdout } = await runCommand(['inspect', log.directory]);
    expect(code).toBe(0);
    for (const text of ['cluster', 'voted for node 1', `offsets 0 to ${log.end}`, 'sealed', 'open'])
      expect(stdout.toString()).toContain(text);
    const json = JSON.parse((await runCommand(['inspect', log.directory, '--json'])).stdout.toString()) as Report;
    expect(json.segments.map(({ base }) => base)).toEqual(log.bases);
  });

  it('lists the entries of a segment file', async () => {
    const log = makeLog();
    const { stdout } = await runCommand(['inspect', log.segment(0), '--entries', '--json', '--limit', '3']);
    const entries = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(entries).toEqual([
      { offset: 0, position: 4096, term: 1, kind: 'no-op', isContinued: false, payloadBytes: 8 },
      { offset: NO_OP_BYTES, position: 4096 + NO_OP_BYTES, term: 1, kind: 'data', isContinued: false, payloadBytes: 100 },
      { offset: NO_OP_BYTES + 112, position: 4096 + NO_OP_BYTES + 112, term: 1, kind: 'data', isContinued: false, payloadBytes: 2000 },
    ]);
    const from = await runCommand(['inspect', log.segment(0), '--entries', '--from', String(NO_OP_BYTES + 1), '--limit', '1']);
    expect(from.stdout.toString()).toMatch(new RegExp(`\\n +${NO_OP_BYTES + 112} +${4096 + NO_OP_BYTES + 112} `));
  });

  it('shows an index file', async () => {
    const { stdout } = await runCommand(['inspect', makeLog().segment(1).replace('.segment', '.index')]);
    expect(stdout.toString()).toContain('digest');
  });
});

describe('trim', () => {
  const trim = (directory: string, before: number, ...flags: string[]) =>
    runCommand(['trim-offline', '--data', directory, '--before', String(before), '--json', ...flags]);

  it('removes whole segments before an offset, and leaves a log that verifies', async () => {
    const log = makeLog();
    const inSecond = log.bases[1] + 5_000;
    const { code, stdout } = await trim(log.directory, inSecond);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ start: log.bases[1], segments: [0], end: log.end });
    const { report } = await verify(log.directory);
    expect(report).toMatchObject({ ok: true, start: log.bases[1], end: log.end });
    expect(report.segments.map(({ base }) => base)).toEqual([log.bases[1], log.bases[2]]);
  });

  it('with --dry-run changes nothing', async () => {
    const log = makeLog();
    const before = readdirSync(log.directory).sort();
    const { stdout } = await trim(log.directory, log.end, '--dry-run');
    expect(JSON.parse(stdout.toString())).toMatchObject({ dryRun: true, newStart: log.bases[2], segments: [log.bases[0], log.bases[1]] });
    expect(readdirSync(log.directory).sort()).toEqual(before);
  });

  it('keeps the open segment, and does nothing the second time', async () => {
    const log = makeLog();
    await trim(log.directory, log.end);
    expect(readdirSync(log.directory).filter((name) => name.endsWith('.segment'))).toHaveLength(1);
    const { code, stdout } = await trim(log.directory, log.end);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ segments: [] });
  });

  it('refuses an offset past the end with 2, and changes nothing', async () => {
    const log = makeLog();
    const { code, stderr } = await trim(log.directory, log.end + 1);
    expect(code).toBe(2);
    expect(stderr).toContain(`past the end of the log, ${log.end}`);
    expect((await verify(log.directory)).report.segments).toHaveLength(3);
  });
});

describe('paths that are not a log', () => {
  it('get one sentence and no stack trace', async () => {
    const empty = temporaryDirectory();
    const foreign = temporaryDirectory();
    writeFileSync(join(foreign, 'holiday.jpg'), 'x');
    for (const [path, code, text] of [
      [join(empty, 'nothing'), 2, 'does not exist'],
      [empty, 1, 'it is empty'],
      [foreign, 1, 'holiday.jpg'],
    ] as const) {
      for (const command of ['inspect', 'verify']) {
        const result = await runCommand([command, path]);
        expect(result.code).toBe(code);
        expect(result.stderr).toContain(text);
        expect(result.stderr).not.toContain('    at ');
        expect(result.stderr.trim().split('\n')).toHaveLength(1);
      }
    }
  });

  it('a file that is no segment is damage of that file', async () => {
    const file = join(temporaryDirectory(), 'x.segment');
    writeFileSync(file, Buffer.alloc(10_000, 5));
    const { code, stderr } = await runCommand(['verify', file]);
    expect(code).toBe(5);
    expect(stderr).toContain('wrong magic number');
  });
});
