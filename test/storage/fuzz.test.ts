import { expect, it } from 'vitest';
import { fuzzDisk } from '../fuzz/disk.ts';

const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 600);

it(`a node refuses damaged files with a reason, or starts without loss (replay: FUZZ_SEED=${SEED})`, () => {
  const { started, refused, failure } = fuzzDisk(SEED, 0, ROUNDS);
  expect(failure).toBeUndefined();
  if (ROUNDS < 600) return;
  expect(started).toBeGreaterThan(0);
  expect(refused.DAMAGE).toBeGreaterThan(0);
}, 600_000);
