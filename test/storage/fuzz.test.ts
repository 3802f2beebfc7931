import { expect, it } from 'vitest';
import { fuzzDisk } from '../fuzz/disk.ts';

const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const SECONDS = Number(process.env.FUZZ_SECONDS ?? 5);

it(`a node refuses damaged files with a reason, or starts without loss (replay: FUZZ_SEED=${SEED})`, () => {
  const { rounds, started, refused, failure } = fuzzDisk(SEED, SECONDS);
  expect(failure).toBeUndefined();
  if (SECONDS < 5) return;
  expect(rounds).toBeGreaterThan(500);
  expect(started).toBeGreaterThan(0);
  expect(refused.DAMAGE).toBeGreaterThan(0);
}, 600_000);
