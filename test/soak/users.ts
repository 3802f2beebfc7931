// Who uses the cluster in a soak: producers, a reader that sees everything, a named consumer that comes and goes, and dashboards.

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type FileStore, isLogError, type LogClient } from '../../src/client/index.ts';
import type { LocalCluster } from '../../src/cluster/localCluster.ts';
import type { Ledger } from './ledger.ts';
import type { Times } from './trends.ts';

const PAYLOAD_BYTES = 200;
/** Errors in a row that a user takes as part of a soak; more: it does not come back. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 2_000;

/** What an entry says: `producer:number:` and padding. */
function payloadOf(producer: number, number: number): string {
  return `${producer}:${number}:`.padEnd(PAYLOAD_BYTES, '.');
}

const utf8 = new TextDecoder();

/** Who appended it, and its number. */
export function identityOf(payload: Uint8Array): readonly [number, number] {
  const [producer = '', number = ''] = utf8.decode(payload.subarray(0, 40)).split(':');
  return [Number(producer), Number(number)];
}

/** Waits, and goes on at once when the run ends. */
async function pause(ms: number, ended: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: ended }).catch(() => undefined);
}

/** Tries again what fails while nodes die, up to {@link PATIENCE_MS}. */
async function persist<T>(what: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await what();
    } catch (thrown) {
      if (performance.now() > untilMs) throw thrown;
      await sleep(200);
    }
  }
}

/** Appends one after the other, `perSecond` of them. */
export async function produce(
  producer: number,
  log: LogClient,
  ledger: Ledger,
  times: Times,
  perSecond: number,
  ended: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  for (let number = 0; !ended.aborted; number += 1) {
    const dueMs = startedMs + (number / perSecond) * 1000;
    if (dueMs > performance.now()) await pause(dueMs - performance.now(), ended);
    ledger.begin(producer, number);
    const begunMs = performance.now();
    try {
      const { offset } = await log.append(payloadOf(producer, number));
      times.add(performance.now() - begunMs);
      ledger.acknowledge(producer, number, offset);
    } catch (thrown) {
      if (!isLogError(thrown)) throw thrown;
      const { end } = await persist(() => log.end({ linearizable: true, timeoutMs: 10_000 }));
      ledger.reject(producer, number, thrown.outcome, end);
    }
  }
}

/** Sees every entry, in order. */
export class Reader {
  readonly #ledger: Ledger;
  position = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  async run(log: LogClient, ended: AbortSignal): Promise<void> {
    const reading = log.subscribe({ signal: ended });
    try {
      for await (const batch of reading.batches()) {
        for (const { offset, payload } of batch) this.#ledger.see(...identityOf(payload), offset);
        this.position = batch.nextOffset;
        this.#ledger.passed(this.position);
      }
    } catch (thrown) {
      if (!(ended.aborted && isLogError(thrown, 'ABORTED'))) throw thrown;
    }
  }
}

/** A named consumer, taken anew after some entries: over all of its lives it sees each entry, and may see some again. */
export class Follower {
  /** Entries that it had not had before. */
  count = 0;
  repeated = 0;
  lives = 0;
  next = 0;

  async run(log: LogClient, store: FileStore, entriesPerLife: number, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      this.lives += 1;
      const consumer = await persist(() => log.consumer({ name: 'soak', store }));
      const leave = (): void => void consumer.close().catch(() => undefined);
      ended.addEventListener('abort', leave);
      let handed = 0;
      for await (const entry of consumer) {
        if (entry.offset < this.next) this.repeated += 1;
        else this.count += 1;
        this.next = Math.max(this.next, entry.nextOffset);
        handed += 1;
        // Some are handed out and never committed, as by a process that dies.
        if (handed <= entriesPerLife) void consumer.commit(entry);
        if (handed >= entriesPerLife + 5) break;
      }
      ended.removeEventListener('abort', leave);
      await consumer.close();
    }
  }
}

/** What the page of every node asks for, again and again, and its live tail. */
export class Dashboards {
  requests = 0;
  unanswered = 0;
  entries = 0;

  async run(cluster: LocalCluster, times: Times, ended: AbortSignal): Promise<void> {
    await Promise.all([
      ...cluster.nodes.map(({ url }) => this.#watch(url.replace(/^ws/, 'http'), times, ended)),
      this.#tail(cluster.urls, ended),
    ]);
  }

  async #watch(url: string, times: Times, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      for (const path of ['/', '/status', '/history', '/metrics']) {
        const begunMs = performance.now();
        try {
          const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000) });
          await response.arrayBuffer();
          this.requests += 1;
          if (path === '/status') times.add(performance.now() - begunMs);
        } catch {
          // A node that is down.
          this.unanswered += 1;
        }
      }
      await pause(LOOK_MS, ended);
    }
  }

  async #tail(urls: readonly string[], ended: AbortSignal): Promise<void> {
    const log = await connect(urls, { reconnect: { timeoutMs: PATIENCE_MS } });
    try {
      for await (const { entryCount } of log.subscribe({ last: 200, signal: ended }).batches()) this.entries += entryCount;
    } catch (thrown) {
      if (!(ended.aborted && isLogError(thrown, 'ABORTED'))) throw thrown;
    } finally {
      await log.close();
    }
  }
}
