// The commands against a real node.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/ports.ts';
import {
  CLI,
  type CommandResult,
  type RunningServer,
  runCommand,
  spawnCommand,
  startServer,
  stopServers,
  temporaryDirectory,
} from '../support/server.ts';

let server: RunningServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(stopServers);

function run(args: readonly string[], input: string | Uint8Array = '', url = server.url): Promise<CommandResult> {
  return runCommand(args, { input, env: { LOGLOG_URL: url } });
}

/** Asked from the node, which takes a hundredth of a command. */
async function endOf(): Promise<number> {
  const status = await fetch(`${server.url.replace(/^ws/, 'http')}/status`);
  return ((await status.json()) as { log: { commit: number } }).log.commit;
}

describe('append and read', () => {
  it('one text is one entry, and its offset and end are printed', async () => {
    const before = await endOf();
    const { code, stdout } = await run(['append', 'hello']);
    expect(code).toBe(0);
    expect(stdout.toString()).toBe(`appended 1 entry at offset ${before}, end ${before + 17}\n`);
    expect((await run(['read', '--from', String(before)])).stdout.toString()).toBe('hello\n');
  });

  it('standard input is one entry, byte for byte', async () => {
    const payload = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) & 0xff);
    const { stdout } = await run(['append', '--json'], payload);
    const { offset, count } = JSON.parse(stdout.toString()) as { offset: number; count: number };
    expect(count).toBe(1);
    const raw = await run(['read', '--raw', '--from', String(offset)]);
    expect(Buffer.compare(raw.stdout, payload)).toBe(0);
    const json = await run(['read', '--json', '--from', String(offset)]);
    const entry = JSON.parse(json.stdout.toString()) as Record<string, unknown>;
    expect(entry).toMatchObject({ offset, nextOffset: offset + 300_012, encoding: 'base64' });
    expect(Buffer.compare(Buffer.from(entry.payload as string, 'base64'), payload)).toBe(0);
  });

  it('an empty standard input appends nothing and says how an empty entry is appended; --empty appends it', async () => {
    const before = await endOf();
    const { code, stderr } = await run(['append']);
    expect(code).toBe(2);
    expect(stderr).toContain('nothing was appended; --empty appends one empty entry');
    expect(await endOf()).toBe(before);
    expect((await run(['append', '--empty'])).stdout.toString()).toBe(`appended 1 entry at offset ${before}, end ${before + 12}\n`);
    expect((await run(['append', '--expected-end', String(before + 12)])).code).toBe(2);
    expect(await endOf()).toBe(before + 12);
  });

  it.each([
    ['a directory', 'r', []],
    ['a directory', 'r', ['--lines']],
    ['a file that is open for writing only', 'w', []],
    ['a file that is open for writing only', 'w', ['--lines']],
  ] as const)(
    '%s as standard input (opened with %s, flags %j) is an error with exit code 1, and nothing is appended',
    async (what, mode, flags) => {
      const before = await endOf();
      const path = temporaryDirectory();
      const stdin = openSync(what === 'a directory' ? path : join(path, 'file'), mode);
      const errors = openSync(join(path, 'errors'), 'w');
      const child = spawn(process.execPath, [CLI, 'append', ...flags, '--url', server.url], { stdio: [stdin, 'ignore', errors] });
      closeSync(stdin);
      closeSync(errors);
      expect(await once(child, 'close')).toEqual([1, null]);
      const stderr = readFileSync(join(path, 'errors'), 'utf8');
      expect(stderr).toContain('standard input cannot be read');
      expect(stderr).not.toContain('bug in loglog');
      expect(await endOf()).toBe(before);
    },
  );

  it('lines: empty ones count, a carriage return stays, a last line needs no newline', async () => {
    const from = String(await endOf());
    const { stdout } = await run(['append', '--lines', '--json'], 'x\n\ny\r\nlast');
    expect(JSON.parse(stdout.toString())).toMatchObject({ count: 4, offset: Number(from) });
    const { stdout: back } = await run(['read', '--json', '--from', from]);
    const payloads = back
      .toString()
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { payload: string }).payload);
    expect(payloads).toEqual(['x', '', 'y\r', 'last']);
    expect((await run(['read', '--from', from, '--limit', '3'])).stdout.toString()).toBe('x\n\ny\r\n');
    expect((await run(['append', '--lines'], '')).stdout.toString()).toBe('appended nothing\n');
  });

  it('a million lines come back the same', async () => {
    const from = String(await endOf());
    const lines = `${Array.from({ length: 1_000_000 }, (_, i) => i + 1).join('\n')}\n`;
    expect((await run(['append', '--lines'], lines)).stdout.toString()).toContain('appended 1,000,000 entries');
    expect((await run(['read', '--from', from])).stdout.equals(Buffer.from(lines))).toBe(true);
  });

  it('--expected-end that is not the end appends nothing and exits with 3; one that is appends all', async () => {
    const end = await endOf();
    const refused = await run(['append', 'a', 'b', '--expected-end', '5']);
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain(String(end));
    expect(await endOf()).toBe(end);
    expect((await run(['append', '--lines', '--expected-end', String(end)], 'a\nb\n')).code).toBe(0);
    expect(await endOf()).toBe(end + 26);
  });

  it('--expected-term goes with an --expected-end, which holds in that term only', async () => {
    const { stdout } = await run(['append', '--json', 'a']);
    const { end, term } = JSON.parse(stdout.toString()) as { end: number; term: number };
    const append = (...condition: readonly string[]): ReturnType<typeof run> => run(['append', 'b', ...condition]);
    expect((await append('--expected-term', String(term))).code).toBe(2);
    expect((await append('--expected-end', String(end), '--expected-term', '0')).code).toBe(2);
    expect((await append('--expected-end', String(end), '--expected-term', String(term + 1))).code).toBe(3);
    expect((await append('--expected-end', String(end), '--expected-term', String(term))).code).toBe(0);
    expect(await endOf()).toBe(end + 13);
  });

  it('a line that is too long for an entry is refused by number, and the ones before it are in the log', async () => {
    const small = await startServer({ flags: ['--max-payload-bytes', '1000'] });
    const { code, stderr } = await run(['append', '--lines'], `a\nb\n${'x'.repeat(1001)}\nc\n`, small.url);
    expect(code).toBe(1);
    expect(stderr).toContain('line 3 is longer than the 1000 bytes');
    expect(stderr).toContain('lines 1 to 2 are in the log; line 3 is not, nor is any line after it');
    expect((await run(['read'], '', small.url)).stdout.toString()).toBe('a\nb\n');
    await small.stop();
  });

  it('a node that dies says from which line on the outcome is unknown', async () => {
    const dying = await startServer();
    const child = spawnCommand(['append', '--lines', '--url', dying.url]);
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    const chunk = Buffer.from('0123456789\n'.repeat(5_000));
    const feed = setInterval(() => child.stdin.write(chunk), 2);
    const entries = async (): Promise<number> => {
      const response = await fetch(`${dying.url.replace(/^ws/, 'http')}/status`);
      return ((await response.json()) as { appends: { entries: number } }).appends.entries;
    };
    while ((await entries()) === 0);
    await dying.kill();
    const [code] = (await once(child, 'close')) as [number];
    clearInterval(feed);
    expect(code).toBe(4);
    expect(stderr).toMatch(/(is|are) in the log|from line \d+ on the outcome is unknown|line \d+ is not/);
  });

  it('an offset inside an entry, and one past the end, are refused with a sentence', async () => {
    const inside = await run(['read', '--from', '13']);
    expect(inside.code).toBe(1);
    expect(inside.stderr).toContain('offset 13 is inside the entry that begins at 0');
    const past = await run(['read', '--from', '9007199254740991']);
    expect(past.code).toBe(1);
    expect(past.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('a reader of stdout that goes away ends read quietly', async () => {
    const child = spawnCommand(['read', '--url', server.url]);
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    expect(stderr).toBe('');
  });
});

describe('tail', () => {
  it('-n prints the last entries, and then what comes; read --last ends with them', async () => {
    await run(['append', '--lines'], 'x\ny\nz\n');
    expect((await run(['read', '--last', '2'])).stdout.toString()).toBe('y\nz\n');
    const child = spawnCommand(['tail', '-n', '2', '--url', server.url]);
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
    });
    await expect.poll(() => text).toBe('y\nz\n');
    await run(['append', 'later']);
    await expect.poll(() => text).toBe('y\nz\nlater\n');
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  it('shows what comes, each entry at once, and ends with 0 when interrupted', async () => {
    const from = String(await endOf());
    const child = spawnCommand(['tail', '--from', from, '--url', server.url]);
    for (const text of ['one', 'two']) {
      const seen = once(child.stdout, 'data') as Promise<[Buffer]>;
      await run(['append', text]);
      expect((await seen)[0].toString()).toBe(`${text}\n`);
    }
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  it('goes on after its node was restarted, without a gap or a repeat', async () => {
    const data = join(temporaryDirectory(), 'data');
    // The later --port wins over the helper's. The first node gets a number too: what port 0 gave cannot be taken again at once.
    const flags = ['--port', String(await freePort())];
    const first = await startServer({ data, flags });
    const child = spawnCommand(['tail', '--from', 'start', '--url', first.url]);
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
    });
    await run(['append', 'a'], '', first.url);
    await expect.poll(() => text).toBe('a\n');
    await first.stop();
    const second = await startServer({ data, flags });
    await run(['append', 'b'], '', second.url);
    await expect.poll(() => text).toBe('a\nb\n');
    child.kill('SIGTERM');
    await once(child, 'close');
    await second.stop();
  });
});

describe('status and bench', () => {
  it('status shows the log, and --json is what the node says', async () => {
    const end = await endOf();
    expect((await run(['status'])).stdout.toString()).toContain(`offsets 0 to ${end}`);
    const { stdout } = await run(['status', '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ log: { commit: end } });
  });

  it('something that is not a node is not taken for one', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, stderr } = await run(['status'], '', `ws://127.0.0.1:${port}`);
    expect(code).toBe(1);
    expect(stderr).toContain('not as a LogLog node does');
    other.close();
  });

  it('bench measures appends, latency and reads of a running node, and says what it leaves there', async () => {
    const before = await endOf();
    const { code, stdout, stderr } = await run(['bench', '--entries', '5000', '--samples', '20', '--json']);
    expect(code).toBe(0);
    const results = JSON.parse(stdout.toString()) as Record<string, Record<string, number>>;
    expect(results.append?.entries).toBe(5000);
    expect(results.read?.entries).toBeGreaterThanOrEqual(5000);
    expect(results.latency?.p50Ms).toBeGreaterThan(0);
    expect(stderr).toContain(`stay in the log, at offsets ${before} to ${await endOf()}`);
  });

  it.each([
    ['to its end', false],
    ['until Ctrl-C', true],
  ])('bench without a node measures one of its own %s, and leaves nothing', async (_what, isInterrupted) => {
    const data = temporaryDirectory();
    const child = spawnCommand(['bench', '--data', data, '--entries', isInterrupted ? '100000000' : '2000', '--samples', '20', '--json']);
    const closed = once(child, 'close');
    if (isInterrupted) {
      await expect.poll(() => existsSync(join(data, readdirSync(data)[0] ?? '', 'data', 'vote'))).toBe(true);
      child.kill('SIGINT');
    }
    expect(await closed).toEqual([isInterrupted ? 130 : 0, null]);
    expect(readdirSync(data)).toEqual([]);
  });
});

describe('serve', () => {
  it('says where it listens, where its data is and what to type next, and stops with 0', async () => {
    const data = join(temporaryDirectory(), 'data');
    const child = spawnCommand(['serve', '--port', '0', '--data', data]);
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part.toString();
    });
    await expect.poll(() => stderr).toContain('loglog tail');
    expect(stderr).toMatch(/listens on ws:\/\/127\.0\.0\.1:\d+/);
    expect(stderr).toContain(data);
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  it('--json prints one line on stdout when it is ready', () => {
    expect(server.clusterId).toMatch(/^[0-9a-f]{32}$/);
    expect(server.recovered).toMatchObject({ start: 0, end: 0, cutBytes: 0, sealed: 0 });
  });

  it('a port in use, a directory in use, a foreign one, and damage: one line and the right exit code', async () => {
    const fails = async (flags: readonly string[], code: number, text: string): Promise<void> => {
      const result = await runCommand(['serve', ...flags]);
      expect(result.stderr).toContain(text);
      expect(result.stderr).not.toContain('    at ');
      expect(result.stderr.trim().split('\n')).toHaveLength(1);
      expect(result.code).toBe(code);
    };
    const folder = temporaryDirectory();
    const { port } = new URL(server.url);
    await fails(['--data', join(folder, 'a'), '--port', port], 1, `cannot listen on 127.0.0.1 port ${port}`);
    await fails(['--data', server.data, '--port', '0'], 1, `in use by process ${server.pid}`);
    mkdirSync(join(folder, 'foreign'));
    writeFileSync(join(folder, 'foreign', 'holiday.jpg'), 'x');
    await fails(['--data', join(folder, 'foreign'), '--port', '0'], 1, 'is not a LogLog data directory');
    writeFileSync(join(folder, 'file'), 'x');
    await fails(['--data', join(folder, 'file'), '--port', '0'], 1, 'file');
    const damaged = join(folder, 'damaged');
    await (await startServer({ data: damaged })).stop();
    writeFileSync(join(damaged, 'vote'), 'x');
    await fails(['--data', damaged, '--port', '0'], 5, 'vote');
  });
});
