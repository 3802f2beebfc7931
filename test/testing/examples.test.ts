// The examples are programs that run as they are.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { startCluster } from '../../dist/src/testing/index.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the example of a program with a log in it keeps what it is given', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-example-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const run = promisify(execFile);
  const noted = async (...words: string[]): Promise<string> =>
    (await run(process.execPath, ['examples/embedded.mjs', join(directory, 'notes'), ...words], { cwd: ROOT })).stdout;
  expect(await noted('buy', 'milk')).toBe('noted at 148\n148: buy milk\n');
  expect(await noted()).toBe('148: buy milk\n');
});

test('the example of entries without promises keeps each line', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-example-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const count = 100_000;
  const lines = Array.from({ length: count }, (_, i) => `line ${i}\n`).join('');
  const child = spawn(process.execPath, ['examples/lines.mjs', directory], { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.end(lines);
  let output = '';
  for await (const part of child.stdout.setEncoding('utf8')) output += part;
  expect(output).toMatch(new RegExp(`^${count} lines, from 148 to \\d+\nthe log has ${lines.length - count} bytes of lines\n$`));
});

test('the example of a consumer misses nothing, however often it is killed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-example-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const cluster = await startCluster({ nodes: 1, fsync: false });
  onTestFinished(() => cluster.close());
  const log = await cluster.connect();
  const texts = Array.from({ length: 300 }, (_, i) => `entry ${i}`);
  await log.appendBatch(texts);
  const seen: string[] = [];
  for (let kills = 0; seen.at(-1) !== texts.at(-1); kills += 1) {
    expect(kills).toBeLessThan(100);
    const args = ['examples/consumer.mjs', 'reader', join(directory, 'positions')];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, LOGLOG_URL: cluster.urls[0] },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    // Each is killed after some lines more than the one before it: while it reads, saves, or waits for more.
    for await (const part of child.stdout.setEncoding('utf8')) {
      output += part;
      if (output.split('\n').length > 20 * kills || output.includes('entry 299\n')) child.kill('SIGKILL');
    }
    const lines = output.split('\n').slice(0, -1);
    expect(lines.length).toBeGreaterThan(0);
    // It goes on with something that came before, or with what comes next.
    const first = texts.indexOf(lines[0]?.replace(/^\d+: /, '') ?? '');
    expect(first).toBeLessThanOrEqual(texts.indexOf(seen.at(-1) ?? '') + 1);
    seen.push(...lines.map((line) => line.replace(/^\d+: /, '')));
  }
  expect([...new Set(seen)]).toEqual(texts);
});

test('the example of a test with a cluster passes under node:test', { timeout: 240_000 }, async () => {
  const child = spawn(process.execPath, ['--test', 'examples/cluster.test.mjs'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let report = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    report += part;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(report).toMatch(/^# pass 1$/m);
  expect(code).toBe(0);
});
