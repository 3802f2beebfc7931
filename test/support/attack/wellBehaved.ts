// A well-behaved client beside attackers: it appends, is subscribed to the log, reads back what it appended, and asks for the node's
// health, all at its own pace. Whatever it should not meet is an error: a lost connection, a refusal, a gap, a health check that fails.

import { get } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { Canary } from '../../server/support/canary.ts';

const HEALTH_PAUSE_MS = 20;
const HEALTH_TIMEOUT_MS = 60_000;

/** Latencies in milliseconds. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function latenciesOf(samples: readonly number[]): Latencies {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Opens a connection, asks `path`, and closes it. Resolves with the status; rejects when there is none. */
export function ask(url: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = get({ host: hostname.replace(/^\[|\]$/g, ''), port, path, agent: false, timeout: HEALTH_TIMEOUT_MS }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${path} was not answered within ${HEALTH_TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

/** Everything that comes back for `request`, until the node closes. */
export function exchange(url: string, request: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let text = '';
    const socket = connectTcp(Number(port), hostname, () => socket.write(request));
    socket.setEncoding('latin1').on('data', (part) => {
      text += part;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

export class WellBehaved {
  readonly #canary: Canary;
  readonly #url: string;
  #isStopped = false;
  #healthMs: number[] = [];
  #failure: Error | undefined;
  readonly #asking: Promise<void>;

  static async start(url: string, tag = 'well-behaved'): Promise<WellBehaved> {
    return new WellBehaved(url, await Canary.start(url, tag));
  }

  private constructor(url: string, canary: Canary) {
    this.#url = url;
    this.#canary = canary;
    this.#asking = this.#askForHealth();
  }

  /** Waits until `appends` more appends and `checks` more health checks were answered, then reads all of it back. */
  async progress(appends: number, checks = 5): Promise<void> {
    const goal = this.#healthMs.length + checks;
    await this.#canary.progress(appends);
    while (this.#healthMs.length < goal && this.#failure === undefined) await this.#canary.progress(1);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#canary.check();
  }

  /** What was measured since the last call. */
  takeLatencies(): { readonly appends: Latencies; readonly health: Latencies } {
    const health = latenciesOf(this.#healthMs);
    this.#healthMs = [];
    return { appends: latenciesOf(this.#canary.takeLatencies()), health };
  }

  /** Ends it, and checks that all that was acknowledged is in the log and came once in the subscription. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#asking;
    if (this.#failure !== undefined) throw this.#failure;
    await this.#canary.stop();
  }

  /** Ends at once, whatever state it is in. */
  terminate(): void {
    this.#isStopped = true;
    this.#canary.terminate();
  }

  async #askForHealth(): Promise<void> {
    while (!this.#isStopped) {
      const startedMs = performance.now();
      try {
        const status = await ask(this.#url, '/healthz');
        if (status !== 200) throw new Error(`/healthz was answered with ${status}`);
      } catch (thrown) {
        this.#failure ??= new Error('the health check failed', { cause: thrown });
        return;
      }
      this.#healthMs.push(performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, HEALTH_PAUSE_MS));
    }
  }
}
