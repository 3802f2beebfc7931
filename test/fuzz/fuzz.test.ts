import { expect, test } from 'vitest';
import { fuzzDisk } from './disk.ts';
import { fuzzProtocol } from './protocol.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);

/** What to type to see a failure again. */
function replay(only: string, failure: string | undefined): string {
  if (failure === undefined) return '';
  const seed = /seed (\d+)/.exec(failure)?.[1] ?? SEED;
  return `${failure}\nreplay it: npm run fuzz -- --only ${only} --seed ${seed} --seconds 0`;
}

test(`protocol: whatever clients send, the node lives and others notice nothing (seed ${SEED})`, async () => {
  const { rounds, messages, failure } = await fuzzProtocol(SEED, 0, 5);
  expect(replay('protocol', failure)).toBe('');
  expect(rounds).toBe(5);
  expect(messages).toBeGreaterThan(100);
});

test(`disk: whatever the files hold, the node starts or says why not (seed ${SEED})`, () => {
  const { rounds, failure } = fuzzDisk(SEED, 0, 300);
  expect(replay('disk', failure)).toBe('');
  expect(rounds).toBe(300);
});
