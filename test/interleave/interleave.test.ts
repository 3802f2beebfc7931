// Every schedule of the scenarios, and every planted bug, on the compiled code in a process of its own: the explorer stops asynchronous
// functions in the middle, which a test runner would take for errors.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';
import type { Report } from './report.ts';
import { SCENARIOS } from './scenarios/all.ts';

const PROGRAM = fileURLToPath(new URL('../../dist/test/interleave/main.js', import.meta.url));

/** Much more than it takes: other tests run beside it. */
const TIMEOUT_MS = 300_000;

async function run(...args: string[]): Promise<Map<string, Report>> {
  const reports = new Map<string, Report>();
  const program = fork(PROGRAM, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  program.on('message', (message) => {
    const report = message as Report;
    reports.set(report.name, report);
  });
  const [code] = await once(program, 'exit');
  expect(code).toBe(0);
  return reports;
}

describe('under every schedule', () => {
  let reports: ReadonlyMap<string, Report>;
  beforeAll(async () => {
    reports = await run();
  }, TIMEOUT_MS);

  test.each(SCENARIOS.map(({ name, what }) => [name, what] as const))('%s: %s', (name) => {
    const report = reports.get(name);
    expect(report?.finding).toBeUndefined();
    // Threads that have nothing to do with each other would prove nothing.
    expect(report?.schedules).toBeGreaterThan(10);
  });
});

describe('the explorer finds', () => {
  let reports: ReadonlyMap<string, Report>;
  beforeAll(async () => {
    reports = await run('--planted');
  }, TIMEOUT_MS);

  test.each(MUTANTS.map(({ name, what }) => [name, what] as const))('%s: %s', (name) => {
    expect(reports.get(name)?.finding).toBeDefined();
  });
});
