// The examples are programs that run as they are.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

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
