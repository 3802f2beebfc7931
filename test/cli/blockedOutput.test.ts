// A2: whoever reads what a node says may stop reading, or be gone. That must not hold the node.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { CLI, stopServers, temporaryDirectory } from '../support/server.ts';

/** The tests run side by side: what they leave is gone with the last of them. */
const leftovers: (() => unknown)[] = [];
afterAll(async () => {
  for (const remove of leftovers) await remove();
  await stopServers();
});

const timeout = 120_000;
const STDERR_MODULE = fileURLToPath(new URL('../../dist/src/cli/stderr.js', import.meta.url));

/** A pipe that takes nothing, until it is read. */
class FullPipe {
  readonly #own: number;
  /** For a child. */
  readonly end: number;
  #text = '';

  constructor() {
    const path = join(temporaryDirectory(), 'pipe');
    execFileSync('mkfifo', [path]);
    this.#own = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.end = openSync(path, constants.O_WRONLY);
    try {
      for (;;) writeSync(this.#own, `${'-'.repeat(63)}\n`);
    } catch (thrown) {
      if (!isEagain(thrown)) throw thrown;
    }
    leftovers.push(() => {
      closeSync(this.#own);
      closeSync(this.end);
    });
  }

  /** Empties it; returns all lines that came out of it so far, but those that filled it. */
  read(): string[] {
    const bytes = Buffer.alloc(65_536);
    try {
      for (;;) this.#text += bytes.toString('utf8', 0, readSync(this.#own, bytes, 0, bytes.length, null));
    } catch (thrown) {
      if (!isEagain(thrown)) throw thrown;
    }
    return this.#text.split('\n').filter((line) => line !== '' && !/^-+$/.test(line));
  }
}

function isEagain(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN';
}

/** Resolves to code and signal, however it ends; a process that hangs is given up by the test's time limit. */
function exitOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
}

type Stdio = 'ignore' | 'pipe' | number;

/** `loglog` with `args`; killed after the test. */
function run(args: readonly string[], stdout: Stdio, stderr: Stdio): ChildProcess {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', stdout, stderr] });
  leftovers.push(() => void child.kill('SIGKILL'));
  return child;
}

async function serve(flags: readonly string[], stdout: Stdio, stderr: Stdio): Promise<{ child: ChildProcess; url: string }> {
  const block = await claimPorts(1);
  leftovers.push(() => block.release());
  const port = block.ports[0] ?? 0;
  const data = join(temporaryDirectory(), 'data');
  const child = run(['serve', '--port', String(port), '--data', data, ...flags], stdout, stderr);
  return { child, url: `ws://127.0.0.1:${port}` };
}

async function append(url: string): Promise<void> {
  const client = await until('for the node to listen', () => connect(url, { reconnect: { timeoutMs: 3000 } }).catch(() => undefined));
  await client.append(new Uint8Array(10));
  await client.close();
}

describe.concurrent('a node', { timeout }, () => {
  test.each([
    ['with --json', ['--json']],
    ['for people', []],
  ])('%s whose stderr is full serves, and stops when it is told to', async (_what, flags) => {
    const pipe = new FullPipe();
    const { child, url } = await serve(flags, 'ignore', pipe.end);
    const exited = exitOf(child);
    await append(url);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  test('whose stdout is full serves, and stops when it is told to', async () => {
    const pipe = new FullPipe();
    const { child, url } = await serve(['--json'], pipe.end, 'ignore');
    const exited = exitOf(child);
    await append(url);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  test.each([
    ['stdout', 'pipe', 'ignore'],
    ['stderr', 'ignore', 'pipe'],
  ] as const)('whose %s nobody has any more (EPIPE) goes on', async (_what, stdout, stderr) => {
    const { child, url } = await serve(['--json'], stdout, stderr);
    child.stdout?.destroy();
    child.stderr?.destroy();
    const exited = exitOf(child);
    await append(url);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  test('whose stderr is full ends on a fatal error, with its exit code; what it said is there for whoever reads later', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      }),
    );
    leftovers.push(() => void server.close());
    const args = ['serve', '--json', '--port', String(port), '--data', join(temporaryDirectory(), 'data')];
    const never = new FullPipe();
    expect(await exitOf(run(args, 'ignore', never.end))).toEqual([1, null]);
    const soon = new FullPipe();
    const child = run(args, 'ignore', soon.end);
    const exited = exitOf(child);
    await until('for its last words', () => soon.read().some((line) => line.includes('PORT_IN_USE')));
    expect(await exited).toEqual([1, null]);
  });

  test('of a cluster whose stderr is full does not hold the command that starts it', async () => {
    const pipe = new FullPipe();
    const block = await claimPorts(6);
    leftovers.push(() => block.release());
    const data = join(temporaryDirectory(), 'cluster');
    const child = run(['cluster', '--json', '--nodes', '1', '--data', data, '--port', String(block.ports[0])], 'ignore', pipe.end);
    const exited = exitOf(child);
    await append(`ws://127.0.0.1:${block.ports[0]}`);
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });
});

test('tail whose stdout is full ends when it is told to, and read holds no more than a bound', { timeout }, async () => {
  const { url } = await serve(['--json'], 'ignore', 'ignore');
  const client = await until('for the node to listen', () => connect(url, { reconnect: { timeoutMs: 3000 } }).catch(() => undefined));
  for (let i = 0; i < 64; i += 1) await client.append(new Uint8Array(1024 * 1024));
  await client.close();
  for (const [command, ending] of [
    [
      ['tail', '--from', 'start'],
      [0, null],
    ],
    [['read'], [null, 'SIGTERM']],
  ] as const) {
    const pipe = new FullPipe();
    const child = run([...command, '--raw', '--url', url], pipe.end, 'ignore');
    const exited = exitOf(child);
    // Its first bytes: from here on it has begun, and has much more.
    await until('for the first bytes', () => pipe.read().length > 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const resident = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024;
    // Node itself takes 70 MiB of it.
    expect(resident).toBeLessThan(128 * 1024 * 1024);
    child.kill('SIGTERM');
    expect(await exited).toEqual(ending);
  }
});

describe.concurrent('lines for a stderr that takes nothing', { timeout }, () => {
  /** Says 100,000 lines of 32 bytes, and that it has; then waits for a word, says one line more, and ends. */
  const PROGRAM = `import { stderr } from ${JSON.stringify(STDERR_MODULE)};
    for (let i = 0; i < 100000; i += 1) stderr.write(String(i).padStart(31) + '\\n');
    process.stdout.write('said\\n');
    process.stdin.once('data', () => {
      stderr.write('last\\n', true);
      stderr.flushSync();
      process.exit(7);
    });`;

  function check(lines: readonly string[]): void {
    const at = lines.findIndex((line) => line.includes('lines are missing here'));
    const missing = Number(lines[at]?.split(' ')[0]);
    const said = lines.slice(0, at).map(Number);
    expect(said).toEqual(said.map((_, i) => i));
    // 1 MiB waits, and what the pipe or socket itself holds.
    expect(said.length).toBeGreaterThan(32_000);
    expect(said.length + missing).toBe(100_000);
    expect(lines.slice(at + 1)).toEqual(['last']);
  }

  function start(stderr: 'pipe' | number): ChildProcess {
    const directory = temporaryDirectory();
    mkdirSync(directory, { recursive: true });
    const program = join(directory, 'program.mjs');
    writeFileSync(program, PROGRAM);
    const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', stderr] });
    leftovers.push(() => void child.kill('SIGKILL'));
    return child;
  }

  test('wait up to a bound, are counted above it, and the count stands in their place: a pipe', async () => {
    const pipe = new FullPipe();
    const child = start(pipe.end);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await until('for the count', () => pipe.read().some((line) => line.includes('missing')));
    const exited = exitOf(child);
    child.stdin?.write('on\n');
    expect(await exited).toEqual([7, null]);
    check(pipe.read());
  });

  test('and a socket, which is what node gives its children', async () => {
    const child = start('pipe');
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await until('for the count', () => text.includes('missing'));
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.stdin?.write('on\n');
    expect(await closed).toBe(7);
    check(text.trimEnd().split('\n'));
  });

  test('do not hold the end of a process: it waits for half a second', async () => {
    const pipe = new FullPipe();
    const child = start(pipe.end);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    const exited = exitOf(child);
    child.stdin?.write('on\n');
    expect(await exited).toEqual([7, null]);
  });
});
