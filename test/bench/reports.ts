// A report of two rounds, as the bench makes it, for the tests of what is made of reports.

import { mergeLatencies, type Report, type RunRecord, summarize } from '../../bench/report/report.ts';
import type { Sample } from '../../bench/sample.ts';
import { LatencyRecorder } from '../../bench/statistics.ts';

/** Times of 1 ms to `count` ms. */
function histogram(count: number): string {
  const times = new LatencyRecorder();
  for (let ms = 1; ms <= count; ms++) times.record(ms);
  return times.summary().histogram;
}

function runOf(round: number, factor: number): RunRecord {
  const samples: Sample[] = [
    { what: 'throughput', value: 1000 * factor, unit: 'entries/s', target: { is: 'at least', value: 1500 }, needsDisk: true },
    { what: 'of <b>limit</b> "a" | & more', value: 50 * factor, unit: '%', target: { is: 'at most', value: 10 } },
    { what: '100 B: payload', value: 10 * factor, unit: 'MB/s', bar: { chart: 'Throughput & size', group: '100 B', series: 'Log<Log>' } },
    {
      what: 'another system',
      value: 7,
      unit: 'MB/s',
      isUnsynced: true,
      bar: { chart: 'Throughput & size', group: '100 B', series: 'Other' },
    },
  ];
  return {
    round,
    scenario: 'some-scenario',
    samples,
    loads: [],
    distributions: [{ what: 'append </script> to receipt', histogram: histogram(100 * factor), needsDisk: true }],
    series: [
      {
        what: 'committed appends',
        unit: 'entries/s',
        startMs: -200,
        binMs: 100,
        values: [10, 20, 0, 30],
        marks: [{ atMs: 0, what: 'the leader is </script> killed' }],
      },
    ],
    notes: [],
    othersPercent: Number.NaN,
  };
}

export function makeReport(isDurable = true): Report {
  const runs = [runOf(1, 1), runOf(2, 3)];
  return {
    environment: {
      version: '1.2.3',
      commit: '0123456789ab+changes',
      node: 'v22.0.0',
      system: 'Linux 6',
      cpu: 'A <CPU> & more',
      cores: 2,
      memoryBytes: 2 ** 33,
      disk: '/dev/sda1',
      fileSystem: 'ext4',
      freeBytes: 1e12,
      isDurable,
      fsync: 'fdatasync before every acknowledgement',
      startedAt: '2026-01-01T00:00:00.000Z',
    },
    rounds: 2,
    sizes: { seconds: 4, warmUpSeconds: 2 } as Report['sizes'],
    systems: [{ id: 'other', label: 'Other <1>', version: '2.0', setting: 'sync & wait', isDurable: true, nodes: 1, isOwn: false }],
    remarks: ['all is <well>'],
    warnings: ['beware of <tags> & signs'],
    results: summarize(runs, isDurable),
    latencies: mergeLatencies(runs, isDurable),
    runs,
  };
}
