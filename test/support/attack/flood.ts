// Attackers with raw sockets, in a thread of their own, so that what they cost is not counted as their victims' waiting. Tests and
// benchmarks share them.

import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LOGLOG } from '../../../src/cluster/program.ts';

/** What each attacking connection does, once it is open. */
export interface FloodWork {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Sent first. With `isWebSocket` it is the upgrade, and the rest waits for its answer. */
  readonly isWebSocket: boolean;
  /** Sent once, after the connection is open: the beginning of an endless message, for example. */
  readonly once?: Uint8Array;
  /** Sent again and again, as fast as it is taken; empty: nothing, the connection stays silent. */
  readonly chunk: Uint8Array;
  /** Bytes a second for each connection; without it, as fast as they are taken. */
  readonly bytesPerSecond?: number;
  /** Reads nothing of what comes back. It then does not hear a goodbye either. */
  readonly isDeaf?: boolean;
  /** A connection that was cut is replaced by a new one. */
  readonly isReplaced?: boolean;
  /** Goes on sending after the goodbye, for as long as the other side takes it. */
  readonly isStubborn?: boolean;
}

/** How one attacking connection ended. */
export interface Cut {
  /** Close code and reason of the WebSocket; 0 where the connection just ended. */
  readonly code: number;
  readonly reason: string;
  readonly sentBytes: number;
  /** From the first byte of the attack until the end was noticed. */
  readonly afterMs: number;
}

export type FloodReport =
  | { readonly kind: 'open' }
  | { readonly kind: 'cut'; readonly cut: Cut }
  | { readonly kind: 'sent'; readonly bytes: number; readonly answers: number }
  | { readonly kind: 'refused' };

export class Flood {
  readonly cuts: Cut[] = [];
  /** Bytes that all connections have sent so far, and bytes that came back. */
  sentBytes = 0;
  answerBytes = 0;
  /** Connections that were opened, those among them that took the place of others, and attempts that failed. */
  opened = 0;
  refused = 0;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #changed: () => void = () => undefined;
  #failure: Error | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (report: FloodReport) => {
      if (report.kind === 'cut') this.cuts.push(report.cut);
      else if (report.kind === 'open') this.opened += 1;
      else if (report.kind === 'refused') this.refused += 1;
      else {
        this.sentBytes = report.bytes;
        this.answerBytes = report.answers;
      }
      this.#changed();
    });
    worker.on('error', (error: Error) => {
      this.#failure = error;
      this.#changed();
    });
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
  }

  /** Begins to attack; resolves when all connections are open. */
  static async start(url: string, work: Omit<FloodWork, 'host' | 'port'>): Promise<Flood> {
    const { hostname, port } = new URL(url);
    const file = pathToFileURL(join(dirname(LOGLOG), '../../test/support/attack/floodThread.js'));
    const workerData: FloodWork = { ...work, host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
    const flood = new Flood(new Worker(file, { workerData }));
    await flood.until(() => flood.opened + flood.refused >= work.connections);
    return flood;
  }

  /** Waits until `condition` holds, which is looked at whenever the attackers report something, ten times a second at least. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Resolves when `count` connections were cut. */
  untilCut(count: number): Promise<void> {
    return this.until(() => this.cuts.length >= count);
  }

  /** Ends all connections and the thread; more than once does no harm. */
  async stop(): Promise<void> {
    this.#worker.postMessage('stop');
    await this.#exited;
  }
}
