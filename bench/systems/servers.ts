// Starts the servers of another system, one or several that are a cluster, each a process on ports of its own.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { choosePeers } from '../../src/cluster/ports.ts';
import type { DriverName, Target } from '../load/target.ts';
import { processCpuSeconds, processResident, processStorageReadBytes } from '../machine/proc.ts';
import { type Program, type Signal, startProgram } from '../processes/processes.ts';
import { until } from '../processes/until.ts';
import { sumOf } from '../statistics.ts';
import type { RunningSystem } from './system.ts';

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
  /** Whether the server at `seat`, of several, says that it leads. */
  leads(seat: Seat): Promise<boolean>;
  readonly electionTimeoutMs: number;
  /** The authority of the servers' certificates, in PEM; undefined: clients come without TLS. */
  readonly ca?: string | undefined;
  /** As of {@link Target}. */
  readonly isOnce?: boolean;
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

/** Servers on their seats, those that run. */
class Servers implements RunningSystem {
  readonly #path: string;
  readonly #folder: string;
  readonly #seats: readonly Seat[];
  readonly #plan: ServerPlan;
  readonly #programs = new Map<number, Program>();

  constructor(path: string, folder: string, seats: readonly Seat[], plan: ServerPlan) {
    this.#path = path;
    this.#folder = folder;
    this.#seats = seats;
    this.#plan = plan;
  }

  async target(): Promise<Target> {
    return { driver: this.#plan.driver, urls: await this.#plan.urls(this.#seats), ca: this.#plan.ca, isOnce: this.#plan.isOnce ?? false };
  }

  get folders(): readonly string[] {
    return this.#seats.map(({ folder }) => folder);
  }

  get electionTimeoutMs(): number {
    return this.#plan.electionTimeoutMs;
  }

  get #pids(): number[] {
    return [...this.#programs.values()].map(({ pid }) => pid);
  }

  cpuSeconds(): number | undefined {
    return sumOf(this.#pids.map(processCpuSeconds));
  }

  residentBytes(): number | undefined {
    return sumOf(this.#pids.map((pid) => processResident(pid)?.now));
  }

  storageReadBytes(): number | undefined {
    return sumOf(this.#pids.map(processStorageReadBytes));
  }

  lastWords(): string {
    return [...this.#programs.values()].map((program) => program.lastWords() ?? '').join('');
  }

  leader(): Promise<number> {
    return until('a server leads', async () => {
      const running = this.#seats.filter(({ id }) => this.#programs.has(id));
      if (this.#seats.length === 1) return running[0]?.id;
      const isLeader = await Promise.all(running.map((seat) => this.#plan.leads(seat).catch(() => false)));
      return running.find((_, i) => isLeader[i])?.id;
    });
  }

  async start(id: number): Promise<void> {
    const seat = this.#seats[id - 1];
    if (seat === undefined) throw new RangeError(`there is no server ${id}`);
    const program = await startProgram(this.#path, this.#plan.args(seat, this.#seats), () => this.#plan.isReady(seat));
    this.#programs.set(id, program);
  }

  async end(id: number, signal: Signal): Promise<void> {
    const program = this.#programs.get(id);
    this.#programs.delete(id);
    await program?.end(signal);
  }

  async endAll(signal: Signal): Promise<void> {
    await Promise.all(this.#seats.map(({ id }) => this.end(id, signal)));
  }

  async remove(): Promise<void> {
    // Nothing of it is needed any more, and a clean stop of several takes some of them seconds.
    await this.endAll('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function startOnce(path: string, folder: string, seats: readonly Seat[], plan: ServerPlan): Promise<RunningSystem> {
  const servers = new Servers(path, folder, seats, plan);
  // All of them must have ended or be there before the ports are given up.
  const outcomes = await Promise.allSettled(seats.map(({ id }) => servers.start(id)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return servers;
  await servers.endAll('SIGKILL');
  throw failed.reason;
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
