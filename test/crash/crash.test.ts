import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const SEED = Number(process.env.CRASH_SEED ?? 1);
const STATES = 20_000;

/** The compiled program, in a process of its own: under vitest the same states take half as long again. */
const PROGRAM = fileURLToPath(new URL('../../dist/test/crash/main.js', import.meta.url));

it(`recovery: keeps every promise after any crash, in ${STATES} states`, async () => {
  const args = [PROGRAM, '--seed', String(SEED), '--states', String(STATES)];
  const { code = 0, stdout, stderr } = await promisify(execFile)(process.execPath, args).catch((failed) => failed);
  expect([code, stderr], stdout).toEqual([0, '']);
  const [, states] = /^(\d+) crash states .*: every promise is kept\n$/.exec(stdout) ?? [];
  expect(Number(states), stdout).toBeGreaterThanOrEqual(STATES);
}, 600_000);
