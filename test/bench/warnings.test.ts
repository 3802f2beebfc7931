// What the bench's report warns of.

import { describe, expect, it } from 'vitest';
import type { Environment } from '../../bench/machine/environment.ts';
import { type RunRecord, summarize } from '../../bench/report/report.ts';
import { warningsOf } from '../../bench/report/warnings.ts';
import type { Sample } from '../../bench/sample.ts';

const DISK: Environment = {
  version: '1.2.3',
  commit: '0123456789ab',
  node: 'v22.0.0',
  system: 'Linux 6',
  cpu: 'a processor',
  cores: 2,
  memoryBytes: 2 ** 33,
  disk: '/dev/sda1',
  fileSystem: 'ext4',
  freeBytes: 1e12,
  isDurable: true,
  fsync: 'fdatasync before every acknowledgement',
  startedAt: '2026-01-01T00:00:00.000Z',
};
const MEMORY: Environment = { ...DISK, fileSystem: 'tmpfs', isDurable: false };

function runOf(scenario: string, samples: readonly Sample[], more: Partial<RunRecord> = {}): RunRecord {
  return { round: 1, scenario, samples, loads: [], distributions: [], series: [], notes: [], othersPercent: 0, ...more };
}

/** The limits with syncs that take `bufferedMs` through the page cache, and `directMs` past it. */
function limitsOf(bufferedMs: number, directMs: number): RunRecord {
  const sync = (how: string, value: number): Sample => {
    return { what: `(a) write + fdatasync, 4 KiB, ${how}: p50`, value, unit: 'ms', needsDisk: true };
  };
  const roundTrip: Sample = { what: '(b) bare server, 1 × one in flight: p50', value: 0.001, unit: 'ms' };
  return runOf('limits', [roundTrip, sync('buffered', bufferedMs), sync('direct', directMs)]);
}

function warn(runs: readonly RunRecord[], environment = DISK): string[] {
  return warningsOf(summarize(runs, environment.isDurable), runs, environment);
}

describe('warnings', () => {
  it('say nothing of a disk that takes its time', () => {
    expect(warn([limitsOf(0.8, 0.3)])).toEqual([]);
    expect(warn([])).toEqual([]);
  });

  it('say that a sync is too fast to be one of a disk, whichever way it was', () => {
    const text = 'fdatasync takes 5 µs here, too fast for a disk: it may end in a volatile cache';
    expect(warn([limitsOf(0.005, 0.3)])).toEqual([text]);
    expect(warn([limitsOf(0.8, 0.005)])).toEqual([text]);
    expect(warn([limitsOf(0.02, 0.02)])).toEqual([]);
  });

  it('say that memory is not durable, instead of how fast its syncs are', () => {
    expect(warn([limitsOf(0.001, 0.001)], MEMORY)).toEqual([
      'the data was on tmpfs, which is memory: nothing of this is durable; name a disk with --dir',
    ]);
  });

  it('say when others used the machine, what scenarios noted, and that the cores are not those of the targets', () => {
    const busy = runOf('read', [], { othersPercent: 40, notes: ['something happened'] });
    expect(warn([busy], { ...DISK, cores: 8 })).toEqual([
      'read, round 1: something happened',
      'other processes used 40 % of the machine in round 1 of read',
      'the targets are for 2 cores, and this machine has 8',
    ]);
  });
});
