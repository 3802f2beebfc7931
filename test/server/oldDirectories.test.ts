// Directories that earlier builds wrote: each that has a format from 3 on opens for ever, whatever later builds add. One is kept for each format,
// and never changed; docs/FORMAT.md shows the one of the present format, byte for byte.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect as connectLog, type LogClient } from '../../src/client/index.ts';
import { bytesOf } from '../format/hex.ts';
import { runCommand } from '../support/server.ts';
import { connect, makeDirectory, startNode } from './support/fixture.ts';

const PRESENT = 3;
const FORMATS = [3] as const;

function golden(format: number): string {
  return readFileSync(new URL(`./golden/format-${format}.txt`, import.meta.url), 'utf8');
}

/** The bytes of one file: lines of a position and bytes in hexadecimal, `xx*n` for n equal ones; all others are zero. Or indented text. */
function fileOf(lines: readonly string[], bytes: number): Uint8Array {
  if (lines[0]?.trim() === '{') return Buffer.from(`${lines.map((line) => line.slice(8)).join('\n')}\n`);
  const file = new Uint8Array(bytes);
  for (const line of lines) {
    let at = Number(line.slice(0, 6));
    for (const part of line.slice(8).split('   ')[0]?.split(' ') ?? []) {
      const [hex = '', times] = part.split('*');
      const run = times === undefined ? bytesOf(hex) : new Uint8Array(Number(times)).fill(Number.parseInt(hex, 16));
      file.set(run, at);
      at += run.length;
    }
  }
  return file;
}

/** Writes a directory as `text` shows it. */
function directoryOf(text: string): string {
  const directory = makeDirectory();
  for (const part of text.trimEnd().split('\n\n')) {
    const [title = '', ...lines] = part.split('\n');
    const [, name = '', bytes] = /^(\S+), (\d+) bytes$/.exec(title) ?? [];
    const file = fileOf(lines, Number(bytes));
    expect(file).toHaveLength(Number(bytes));
    writeFileSync(join(directory, name), file);
  }
  return directory;
}

const contents = (directory: string): unknown => readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]);

describe('a directory of an earlier build', () => {
  test.each(FORMATS)('of format %i opens, with all of its entries, and goes on', async (format) => {
    const data = directoryOf(golden(format));
    for (const more of [0, 1]) {
      const node = await startNode({ data, segmentBytes: 65_536, slots: 3 });
      const client = await connect(node);
      // Committed before this node was asked for anything.
      expect(client.hello.commit).toBeGreaterThanOrEqual(70_123);
      const { commit } = await client.end();
      const entries = (await client.readAll(0, commit)).filter(({ kind }) => kind === 0);
      const expected = [
        [20, 'one'],
        [35, 'two'],
        [50, 'three'],
        [87, 'a'.repeat(40_000)],
        [40_099, 'b'.repeat(30_000)],
        [70_111, ''],
        [70_143, 'and on'],
      ].slice(0, 6 + more);
      expect(entries.map(({ offset, payload }) => [offset, payload.toString()])).toEqual(expected);
      // It has no times.
      await expect(client.find(1)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      await client.append(Buffer.from('and on'));
      await node.stop();
    }
  });

  test('is raised to the present level when somebody says so, and has then what such a log has, also after a restart', async () => {
    const data = directoryOf(golden(3));
    const options = { data, segmentBytes: 65_536, slots: 3 };
    let node = await startNode(options);
    const cli = async (...args: string[]): Promise<string> => String((await runCommand([...args, '--url', node.url])).stdout);
    const log = async (): Promise<LogClient> => {
      const client = await connectLog(node.url);
      onTestFinished(() => client.close());
      return client;
    };
    expect(await cli('upgrade', 'status')).toBe(
      'the log is of level 0, and may be of level 2: loglog upgrade finalize\nnode 1: knows levels up to 2\n',
    );
    await expect((await log()).setRetention({ bytes: 2 ** 30 })).rejects.toThrow('this log is of level 0, and has no retention');
    // A build that does not know the level may take over as long as nobody has said so.
    await node.stop();
    node = await startNode(options);
    const beforeMs = Date.now();
    expect(await cli('upgrade', 'finalize')).toBe('the log is of level 2, the newest one\nnode 1: knows levels up to 2\n');
    const level = { level: 2, newest: 2, nodes: [{ id: 1, newest: 2, holdsBack: false }] };
    for (const round of [0, 1]) {
      const client = await log();
      expect([await client.level(), await client.finalizeUpgrade()]).toEqual([level, level]);
      const receipt = await client.append(`round ${round}`);
      const texts: string[] = [];
      for await (const { payload } of client.read()) texts.push(Buffer.from(payload).toString());
      expect(texts.filter((text) => text.startsWith('round'))).toEqual(['round 0', 'round 1'].slice(0, round + 1));
      // What was there before has no times, and so it is with all that is asked for; what came then has.
      const { start, end } = await client.end();
      expect(await client.offsetAt(beforeMs - 1)).toBe(start);
      expect(await client.offsetAt(Date.now() + 3_600_000)).toBe(end);
      expect(await client.setRetention({ bytes: 2 ** 30 })).toMatchObject({ bytes: 2 ** 30, ageMs: null });
      if (round === 1) expect((await client.trim({ to: receipt.end })).start).toBe(receipt.end);
      await node.stop();
      node = await startNode(options);
    }
    expect(await (await log()).level()).toEqual(level);
    await node.stop();
    expect(String((await runCommand(['verify', data])).stdout)).toContain('no damage');
  });

  test('is the one that docs/FORMAT.md shows', () => {
    const document = readFileSync(new URL('../../docs/FORMAT.md', import.meta.url), 'utf8');
    expect(document).toContain(golden(PRESENT).trimEnd());
  });

  test.each([1, 2])('of format %i, which was never released, is refused with a sentence, and not changed', async (format) => {
    const data = directoryOf(golden(3));
    const identity = join(data, 'node.json');
    const { check: _none, ...fields } = JSON.parse(readFileSync(identity, 'utf8'));
    writeFileSync(identity, JSON.stringify({ ...fields, format }));
    const before = contents(data);
    await expect(startNode({ data })).rejects.toThrow(
      `node.json has format ${format}, which was never released; this LogLog reads formats from 3 on, and has changed nothing: use the build that wrote it`,
    );
    expect(contents(data)).toEqual(before);
  });
});
