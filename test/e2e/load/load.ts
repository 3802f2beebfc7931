// The load of a run: clients of every kind at once, and one history of all of them.

import { type ClientStats, connect, type LogClient } from '../../../src/client/index.ts';
import type { LocalCluster } from '../../../src/cluster/localCluster.ts';
import { until } from '../../../src/cluster/until.ts';
import { Appender, type AppendStyle } from './appenders.ts';
import type { LoadContext } from './context.ts';
import { Liar } from './liar.ts';
import { Asker, Stranger, Subscriber } from './readers.ts';

/** Who appends, and how many appends each has in flight. */
const APPENDERS: readonly { readonly style: AppendStyle; readonly lanes: number; readonly uploads?: true }[] = [
  { style: 'single', lanes: 12 },
  { style: 'single', lanes: 4 },
  { style: 'batch', lanes: 3 },
  { style: 'conditional', lanes: 1 },
  { style: 'writer', lanes: 2 },
  { style: 'received', lanes: 2 },
  { style: 'single', lanes: 2, uploads: true },
  { style: 'batch', lanes: 1, uploads: true },
  { style: 'writer', lanes: 1, uploads: true },
];

/** Bounded waits: a client that is cut off must come back with an error while the run lasts. */
const CLIENT_OPTIONS = { connectTimeoutMs: 1_000, reconnect: { minDelayMs: 20, maxDelayMs: 300, timeoutMs: 8_000 } } as const;

export class Load {
  readonly #context: LoadContext;
  readonly #appenders: Appender[] = [];
  readonly #subscribers: Subscriber[] = [];
  #liar: Liar | undefined;
  readonly #clients: LogClient[] = [];
  #appending: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(context: LoadContext) {
    this.#context = context;
  }

  /** Connects everybody and lets them begin. */
  static async start(cluster: LocalCluster, context: LoadContext): Promise<Load> {
    const load = new Load(context);
    let id = 0;
    const connectAll = async (first: number, uploads: 'auto' | 'on' = 'auto'): Promise<LogClient> => {
      const { urls } = cluster;
      const order = [...urls.slice(first % urls.length), ...urls.slice(0, first % urls.length)];
      const client = await connect(order, { ...CLIENT_OPTIONS, uploads });
      load.#clients.push(client);
      return client;
    };
    const appending: Promise<void>[] = [];
    const reading: Promise<void>[] = [];
    for (const { style, lanes, uploads = false } of APPENDERS) {
      const client = await connectAll(id, uploads ? 'on' : 'auto');
      const session = `writer/${++id}`;
      const appender = new Appender(id, style, client, context, session, uploads);
      load.#appenders.push(appender);
      appending.push(appender.run(lanes));
      // What it wrote, it must see.
      reading.push(new Asker(++id, client, context, session).run());
    }
    if (cluster.nodes.length > 1) {
      load.#liar = new Liar(++id, cluster.nodes, context);
      appending.push(load.#liar.run());
    }
    for (const node of cluster.nodes) {
      reading.push(new Stranger(++id, node, context, cluster.nodes.length > 1).run());
      const subscriber = new Subscriber(++id, await connectAll(node.id - 1), context);
      load.#subscribers.push(subscriber);
      reading.push(subscriber.run());
    }
    reading.push(new Asker(++id, await connectAll(0), context).run());
    load.#appending = Promise.all(appending);
    load.#reading = Promise.all(reading);
    // Whatever throws here is a fault of the test itself; it is met again when the load is stopped.
    load.#appending.catch(() => undefined);
    load.#reading.catch(() => undefined);
    return load;
  }

  /** No more appends; resolves when every one that was made is settled, which must happen in a cluster that is whole. */
  async stopAppending(timeoutMs: number): Promise<void> {
    this.#stop();
    const pending = (): number => this.#appenders.reduce((sum, { pendingCount }) => sum + pendingCount, this.#liar?.pendingCount ?? 0);
    await until(
      () => `for ${pending()} appends to be settled`,
      () => pending() === 0,
      timeoutMs,
    );
    await this.#appending;
  }

  /** Subscriptions must have brought everything up to `end`; then all clients go. */
  async finish(end: number, timeoutMs: number): Promise<void> {
    try {
      await Promise.all(this.#subscribers.map((subscriber) => subscriber.caughtUp(end, timeoutMs)));
    } finally {
      await this.abandon();
    }
  }

  /** Up to where all subscriptions have the log. */
  get readTo(): number {
    return Math.min(...this.#subscribers.map(({ next }) => next));
  }

  /** A client that ends with the others. */
  async connect(urls: readonly string[]): Promise<LogClient> {
    const client = await connect(urls, CLIENT_OPTIONS);
    this.#clients.push(client);
    return client;
  }

  #stop(): void {
    for (const appender of this.#appenders) appender.stop();
    this.#liar?.stop();
  }

  /** What clients uploaded, and what became of it. */
  get uploadFacts(): { uploadedByClients: number; missedByClients: number; lies: string; acknowledgedLies: number } {
    const stats = this.#clients.map((client) => client.stats());
    const sum = (of: (stats: ClientStats) => number): number => stats.reduce((all, each) => all + of(each), 0);
    return {
      uploadedByClients: sum(({ uploadedMessageCount }) => uploadedMessageCount),
      missedByClients: sum(({ uploadMissCount }) => uploadMissCount),
      lies: [...(this.#liar?.told ?? [])].map(([lie, count]) => `${count} × ${lie}`).join(', '),
      acknowledgedLies: this.#liar?.acknowledged ?? 0,
    };
  }

  /** All clients go, whatever they wait for. */
  async abandon(): Promise<void> {
    this.#stop();
    this.#context.ended.abort();
    const leaving = Promise.all([this.#reading, ...this.#clients.map((client) => client.close())]);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 10_000);
    });
    await Promise.race([leaving, tooLate]).finally(() => clearTimeout(timer));
  }
}
