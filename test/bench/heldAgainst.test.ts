// Lines that hold LogLog against another system: of the same table, in the same round, and only where both were measured.

import { describe, expect, it } from 'vitest';
import type { Sample } from '../../bench/sample.ts';
import { heldAgainst } from '../../bench/scenarios/systems.ts';

function noted(group: string, number: string, system: string, value: number): Sample {
  return { what: `${group}, ${number}: ${system}`, value, unit: 'ms', beside: { group, number, system, isCompared: true } };
}

const target = { is: 'at most', value: 0.9 } as const;
const claim = { own: 'loglog', other: 'redis-always', number: 'p50', target };

describe('what LogLog is held against', () => {
  it('is the same number of the other system in the same table', () => {
    const samples = [
      noted('1 k/s', 'p50', 'loglog', 9),
      noted('100 B', 'p99', 'loglog', 8),
      noted('100 B', 'p50', 'loglog', 3),
      noted('100 B', 'p50', 'redis-always', 4),
      noted('1 k/s', 'p50', 'redis-always', 1),
    ];
    expect(heldAgainst(samples, '100 B', [claim])).toEqual([
      { what: '100 B, p50: loglog to redis-always', value: 0.75, unit: '×', target },
    ]);
  });

  it('has no line of a system that was not measured', () => {
    expect(heldAgainst([noted('100 B', 'p50', 'loglog', 3)], '100 B', [claim])).toEqual([]);
    expect(heldAgainst([noted('100 B', 'p50', 'redis-always', 3)], '100 B', [claim])).toEqual([]);
  });
});
