// What work costs beside its time: CPU of both sides, and the servers' memory. The same lines stand in all scenarios.

import type { Unit } from './sample.ts';

/** What a load did, and what it took. */
export interface Cost {
  readonly entries: number;
  /** With those of the warm-up, which the servers' time includes. */
  readonly allEntries: number;
  readonly clientCpuSeconds: number;
  /** Undefined where the system does not tell. */
  readonly serverCpuSeconds: number | undefined;
}

/** A number of a cost: how it is called, alone and with what the load did. */
interface CostNumber {
  readonly name: string;
  readonly joint: 'of' | 'after';
  readonly value: number;
  readonly unit: Unit;
}

/** The numbers of what a load that has just ended cost; `residentBytes` of all servers, where it is known. */
export function costNumbers(cost: Cost, residentBytes: number | undefined): CostNumber[] {
  const { entries, allEntries, clientCpuSeconds, serverCpuSeconds } = cost;
  const perMillion = (name: string, seconds: number, count: number): CostNumber => {
    return { name, joint: 'of', value: (seconds / count) * 1e6, unit: 's/million' };
  };
  return [
    ...(serverCpuSeconds === undefined ? [] : [perMillion('server CPU', serverCpuSeconds, allEntries)]),
    perMillion('client CPU', clientCpuSeconds, entries),
    ...(residentBytes === undefined ? [] : [{ name: 'server memory', joint: 'after', value: residentBytes / 1e6, unit: 'MB' } as const]),
  ];
}
