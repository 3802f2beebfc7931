// A well-behaved client beside an attack: what it measured before and during it, what the attack cost the node, and who was cut.

import { readFileSync } from 'node:fs';
import { type Cut, Flood, type FloodWork } from './flood.ts';
import { repeated } from './frames.ts';
import { type Latencies, WellBehaved } from './wellBehaved.ts';

/** A node in a process of its own. */
export interface Victim {
  readonly url: string;
  readonly pid: number;
}

export type Attack = Omit<FloodWork, 'host' | 'port'>;

/** One connection that sends `frame` again and again, as fast as it can, also after it was told goodbye. */
export function endless(frame: Uint8Array): Attack {
  return { connections: 1, isWebSocket: true, isStubborn: true, chunk: repeated(frame, 256 * 1024) };
}

export interface BesideOptions {
  /** What the well-behaved client must complete during the attack. */
  readonly appends?: number;
  readonly healthChecks?: number;
  /** Each attack goes on until so many of its connections were cut. */
  readonly untilCuts?: number;
  /** Where the well-behaved client is, if not at the node that is attacked. */
  readonly wellBehavedUrl?: string;
}

export interface BesideReport {
  readonly before: { readonly appends: Latencies; readonly health: Latencies };
  readonly beside: { readonly appends: Latencies; readonly health: Latencies };
  /** How much more memory the node had at most during the attack than before it, in 10^6 bytes. */
  readonly grownMegabytes: number;
  /** By the attack's name. */
  readonly cuts: Readonly<Record<string, readonly Cut[]>>;
  readonly sentBytes: number;
  readonly attackMs: number;
}

function statusOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024) / 1e6;
}

/** Resident memory of a process now, in 10^6 bytes. */
export const residentMegabytes = (pid: number): number => statusOf(pid, 'VmRSS');

/** The most that it ever had, in 10^6 bytes. */
export const peakMegabytes = (pid: number): number => statusOf(pid, 'VmHWM');

/**
 * Runs the well-behaved client alone, then beside all attacks at once, and ends them. Rejects when anything of the well-behaved client fails
 * or is cut. `onEnd` is told what must be ended when that happens.
 */
export async function beside(
  victim: Victim,
  attacks: Readonly<Record<string, Attack>>,
  { appends = 200, healthChecks = 10, untilCuts = 0, wellBehavedUrl = victim.url }: BesideOptions,
  onEnd: (end: () => void | Promise<void>) => void,
): Promise<BesideReport> {
  const client = await WellBehaved.start(wellBehavedUrl);
  onEnd(() => client.terminate());
  await client.progress(appends, healthChecks);
  const before = client.takeLatencies();
  const peakBefore = peakMegabytes(victim.pid);
  const startedMs = performance.now();
  const floods = await Promise.all(
    Object.entries(attacks).map(async ([name, attack]) => {
      const flood = await Flood.start(victim.url, attack);
      onEnd(() => flood.stop());
      return { name, flood };
    }),
  );
  await Promise.all([client.progress(appends, healthChecks), ...floods.map(({ flood }) => flood.untilCut(untilCuts))]);
  const attackMs = performance.now() - startedMs;
  const during = client.takeLatencies();
  const grownMegabytes = peakMegabytes(victim.pid) - peakBefore;
  await client.stop();
  await Promise.all(floods.map(({ flood }) => flood.stop()));
  const cuts = Object.fromEntries(floods.map(({ name, flood }) => [name, flood.cuts]));
  const sentBytes = floods.reduce((sum, { flood }) => sum + flood.sentBytes, 0);
  return { before, beside: during, grownMegabytes, cuts, sentBytes, attackMs };
}
