// Redis Streams through ioredis, whose pipelines are about twice as fast as those of node-redis: XADD in pipelines, XRANGE in pages. Redis syncs
// once for what it has read of all connections, and of one it reads little at a time, so several connections make it twice as fast with
// larger entries; the price is that entries in flight together have no order.

import { importClient } from '../../systems/clients.ts';
import type { Target } from '../target.ts';
import { batchEntries, type Driver } from './driver.ts';

const STREAM = 'entries';
/** A stream's entry is a list of fields and values: ours has one, with the shortest name. */
const FIELD = 'e';

const PIPELINE_ENTRIES = 512;
const PIPELINE_BYTES = 512 * 1024;
const CONNECTIONS = 8;
const PAGE_ENTRIES = 2000;
const PAGE_BYTES = 4 * 1024 * 1024;
/** Before the first entry. */
const FIRST_ID = '0-0';

interface Pipeline {
  xadd(key: string, id: '*', field: string, value: Buffer): this;
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

type StreamEntry = readonly [id: Buffer, fields: readonly Buffer[]];

interface Redis {
  pipeline(): Pipeline;
  xadd(key: string, id: '*', field: string, value: Buffer): Promise<unknown>;
  xrangeBuffer(key: string, from: string, to: '+', count: 'COUNT', entries: number): Promise<readonly StreamEntry[]>;
  xrevrangeBuffer(key: string, from: '+', to: '-', count: 'COUNT', entries: number): Promise<readonly StreamEntry[]>;
  xreadBuffer(
    ...command: ['COUNT', number, 'BLOCK', 0, 'STREAMS', string, string]
  ): Promise<readonly (readonly [key: Buffer, entries: readonly StreamEntry[]])[] | null>;
  xgroup(command: 'CREATE', key: string, group: string, from: string): Promise<unknown>;
  xreadgroupBuffer(
    ...command: ['GROUP', string, string, 'COUNT', number, 'STREAMS', string, '>']
  ): Promise<readonly (readonly [key: Buffer, entries: readonly StreamEntry[]])[] | null>;
  xack(key: string, group: string, ...ids: readonly Buffer[]): Promise<number>;
  disconnect(): void;
  on(event: 'error', listener: (error: Error) => void): void;
  quit(): Promise<unknown>;
}

interface Ioredis {
  readonly Redis: new (url: string, options: object) => Redis;
}

async function appendPipeline(redis: Redis, payloads: readonly Buffer[]): Promise<void> {
  const pipeline = redis.pipeline();
  for (const payload of payloads) pipeline.xadd(STREAM, '*', FIELD, payload);
  const answers = await pipeline.exec();
  if (answers?.length !== payloads.length) throw new Error(`${payloads.length} entries got ${answers?.length ?? 0} answers`);
  for (const [error] of answers) if (error !== null) throw error;
}

function seeAll(page: readonly StreamEntry[], see: (payload: Uint8Array) => void): void {
  for (const [, fields] of page) {
    const payload = fields[1];
    if (payload === undefined) throw new Error('an entry of the stream has no value');
    see(payload);
  }
}

async function readAll(redis: Redis, see: (payload: Uint8Array) => void): Promise<void> {
  let pageEntries = PAGE_ENTRIES;
  const pageFrom = (from: string): Promise<readonly StreamEntry[]> => redis.xrangeBuffer(STREAM, from, '+', 'COUNT', pageEntries);
  const [first] = await redis.xrangeBuffer(STREAM, '-', '+', 'COUNT', 1);
  pageEntries = batchEntries(first?.[1][1]?.length ?? 1, PAGE_ENTRIES, PAGE_BYTES);
  for (let page = await pageFrom('-'); page.length > 0; ) {
    const last = page.at(-1)?.[0].toString('latin1') ?? '';
    // The next page comes while this one is looked at.
    const next = page.length < pageEntries ? Promise.resolve([]) : pageFrom(`(${last}`);
    seeAll(page, see);
    page = await next;
  }
}

/** Reads as the only consumer of a group, which the server remembers: what it was given and has not acknowledged, too. */
async function consumeAll(redis: Redis, group: string, count: number, see: (payload: Uint8Array) => void): Promise<void> {
  await redis.xgroup('CREATE', STREAM, group, FIRST_ID);
  let acknowledged: Promise<unknown> = Promise.resolve();
  for (let left = count; left > 0; ) {
    const answer = await redis.xreadgroupBuffer('GROUP', group, 'bench', 'COUNT', PAGE_ENTRIES, 'STREAMS', STREAM, '>');
    const page = answer?.[0]?.[1] ?? [];
    if (page.length === 0) throw new Error(`the stream has ${left} entries less than are due`);
    seeAll(page, see);
    left -= page.length;
    await acknowledged;
    // A page at once: the next one is fetched meanwhile.
    acknowledged = redis.xack(STREAM, group, ...page.map(([id]) => id));
  }
  await acknowledged;
}

/** Reads on as entries come. The connection waits, and does nothing else. */
async function follow(redis: Redis, from: string, see: (payload: Uint8Array) => void, isOver: () => boolean): Promise<void> {
  for (let last = from; ; ) {
    const answer = await redis.xreadBuffer('COUNT', PAGE_ENTRIES, 'BLOCK', 0, 'STREAMS', STREAM, last).catch((thrown: unknown) => {
      if (isOver()) return undefined;
      throw thrown;
    });
    if (answer === undefined) return;
    const page = answer?.[0]?.[1] ?? [];
    seeAll(page, see);
    last = page.at(-1)?.[0].toString('latin1') ?? last;
  }
}

export async function open({ urls, ca }: Target): Promise<Driver> {
  const { Redis } = await importClient<Ioredis>('ioredis');
  const connect = (): Redis => {
    // An entry must not be sent twice by a client that reconnects.
    const tls = ca === undefined ? {} : { tls: { ca } };
    const redis = new Redis(urls[0] ?? '', { maxRetriesPerRequest: 0, retryStrategy: () => null, ...tls });
    redis.on('error', () => {});
    return redis;
  };
  const first = connect();
  const connections = [first];
  return {
    keepsOrder: false,
    keepsLiveOrder: false,
    async appendAll(source) {
      while (connections.length < CONNECTIONS) connections.push(connect());
      const most = batchEntries(source.payloadBytes, PIPELINE_ENTRIES, PIPELINE_BYTES);
      const loops = connections.map(async (redis) => {
        for (;;) {
          if (source.mustWait) await source.ready();
          const payloads = source.take(most);
          if (payloads.length === 0) return;
          await appendPipeline(redis, payloads);
        }
      });
      await Promise.all(loops);
    },
    // What is not awaited is in the pipeline of its connection.
    appendOne: (payload) => first.xadd(STREAM, '*', FIELD, payload),
    readAll: (see) => readAll(first, see),
    consumeAll: (name, count, see) => consumeAll(first, name, count, see),
    async subscribe(see) {
      const [last] = await first.xrevrangeBuffer(STREAM, '+', '-', 'COUNT', 1);
      const redis = connect();
      let isOver = false;
      void follow(redis, last?.[0].toString('latin1') ?? FIRST_ID, see, () => isOver);
      return async () => {
        isOver = true;
        redis.disconnect();
      };
    },
    async close() {
      await Promise.all(connections.map((redis) => redis.quit()));
    },
  };
}
