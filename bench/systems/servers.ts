// Starts the servers of another system, one or several that are a cluster, each a process on ports of its own.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { choosePeers } from '../../src/cli/cluster/ports.ts';
import type { DriverName } from '../load/drivers/driver.ts';
import { processCpuSeconds, processResident } from '../proc.ts';
import { startProgram } from '../processes.ts';
import { type RunningSystem, sumOf } from './system.ts';

export const HOST = '127.0.0.1';

/** Times that other ports are chosen because another program took one before the server could. */
const MAX_PORT_CHOICES = 5;
const PORT_IS_TAKEN = /address already in use/i;

/** What one server of several is given. */
export interface Seat {
  /** From 1 on. */
  readonly id: number;
  /** For its data; it is there, and empty. */
  readonly folder: string;
  /** For clients, for the other servers, and for questions about its state. */
  readonly port: number;
  readonly peerPort: number;
  readonly statePort: number;
}

/** How a system's servers are started. */
export interface ServerPlan {
  readonly driver: DriverName;
  /** Command line of the server at `seat`. */
  args(seat: Seat, seats: readonly Seat[]): readonly string[];
  isReady(seat: Seat): Promise<boolean>;
  /** URLs for clients, in the order that the driver expects. */
  urls(seats: readonly Seat[]): Promise<readonly string[]> | readonly string[];
}

async function chooseSeats(folder: string, servers: number): Promise<Seat[]> {
  const peers = await choosePeers(2 * servers, undefined);
  return peers.slice(0, servers).map(({ id, port, peerPort }) => {
    const own = join(folder, `server-${id}`);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own, { recursive: true });
    return { id, folder: own, port, peerPort, statePort: peers[servers + id - 1]?.port ?? 0 };
  });
}

async function startOnce(path: string, folder: string, seats: readonly Seat[], plan: ServerPlan): Promise<RunningSystem> {
  const starts = seats.map((seat) => startProgram(path, plan.args(seat, seats), () => plan.isReady(seat)));
  const outcomes = await Promise.allSettled(starts);
  const programs = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  try {
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    const pids = programs.map(({ pid }) => pid);
    return {
      target: { driver: plan.driver, urls: await plan.urls(seats) },
      cpuSeconds: () => sumOf(pids.map(processCpuSeconds)),
      residentBytes: () => sumOf(pids.map((pid) => processResident(pid)?.now)),
      lastWords: () => programs.map((program) => program.lastWords() ?? '').join(''),
      async remove() {
        await Promise.all(programs.map((program) => program.end('SIGTERM')));
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      },
    };
  } catch (thrown) {
    await Promise.all(programs.map((program) => program.end('SIGKILL')));
    throw thrown;
  }
}

/** Starts `servers` processes of the program at `path`, with data in `folder`, and waits until all are ready. */
export async function startServers(path: string, folder: string, servers: number, plan: ServerPlan): Promise<RunningSystem> {
  for (let choice = 1; ; choice += 1) {
    try {
      return await startOnce(path, folder, await chooseSeats(folder, servers), plan);
    } catch (thrown) {
      if (choice === MAX_PORT_CHOICES || !PORT_IS_TAKEN.test(String(thrown))) throw thrown;
    }
  }
}

/** Whether `url` is answered, and well. */
export async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
