// The bench's command line, as far as it decides something by itself.

import { describe, expect, it } from 'vitest';
import { type BenchOptions, parseOptions, whyTooLarge } from '../../bench/options.ts';
import { appendBatches } from '../../bench/scenarios/appendBatches.ts';

function parse(...args: readonly string[]): BenchOptions {
  return parseOptions([appendBatches], ['node', 'bench', ...args]);
}

describe('rounds', () => {
  it('are as many as --runs says, whatever the sizes are', () => {
    expect(parse().runs).toBe(3);
    expect(parse('--quick').runs).toBe(1);
    expect(parse('--quick', '--runs', '5').runs).toBe(5);
    expect(parse('--runs', '2').runs).toBe(2);
  });
});

describe('batches', () => {
  it('are refused when a load cannot hold the entries of one at once', () => {
    expect(whyTooLarge([1, 1000], 100)).toBeUndefined();
    expect(whyTooLarge([1000, 1], 5000)).toBe('--batches 1000 is too much for --small 5000: a batch of such entries has 209 at most');
    expect(whyTooLarge([209], 5000)).toBeUndefined();
    expect(whyTooLarge([210], 5000)).toBeDefined();
  });
});
