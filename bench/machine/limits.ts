// The machine's own limits, measured in the same round as what is compared with them: (a) the disk, by write + fdatasync on an allocated
// file, (b) the same client against a server that only counts and answers, (c) loopback. Each is measured when first asked for in a round.

import { LANE_RING_BYTES } from '../load/lane.ts';
import type { AppendResult, DiskResult, InTurnResult, LoadName, Loads } from '../load/types.ts';
import { compiled, type LoadAnswer, runLoad, startServer } from '../processes/processes.ts';
import type { Distribution, LoadRecord, Sample, Sizes } from '../sample.ts';
import { Written } from '../written.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const DISK_FILE_BYTES = 64 * MIB;
/** The sequential write is as long as what it is compared with, roughly. */
const SEQUENTIAL_MIB_PER_SECOND = 128;

/** Limit (a) at one size. */
export interface DiskLimit {
  readonly p50Ms: number;
  readonly megabytesPerSecond: number;
}

export class Limits {
  readonly #sizes: Sizes;
  readonly #directory: string;
  readonly #say: (text: string) => void;
  readonly #measured = new Map<string, unknown>();
  readonly samples: Sample[] = [];
  readonly loads: LoadRecord[] = [];
  readonly distributions: Distribution[] = [];

  constructor(sizes: Sizes, directory: string, say: (text: string) => void) {
    this.#sizes = sizes;
    this.#directory = directory;
    this.#say = say;
  }

  /**
   * Limit (a) with writes of `writeBytes`, a multiple of 4096: through the page cache and past it, where the file system can; the
   * better of both is the limit. `label` names it in the table, where the size may differ from round to round.
   */
  disk(writeBytes: number, label = sizeText(writeBytes)): Promise<DiskLimit> {
    return this.#once(`disk ${writeBytes}`, `write + fdatasync of ${sizeText(writeBytes)}`, async () => {
      const buffered = await this.#disk(writeBytes, false, `${label}, buffered`);
      // Not every file system has O_DIRECT.
      const direct = await this.#disk(writeBytes, true, `${label}, direct`).catch(() => buffered);
      return {
        p50Ms: Math.min(buffered.latency.p50Ms, direct.latency.p50Ms),
        megabytesPerSecond: Math.max(buffered.megabytesPerSecond, direct.megabytesPerSecond),
      };
    });
  }

  /** How fast the disk takes bytes that are synced once they are all written: through the page cache and past it. */
  sequential(): Promise<void> {
    return this.#once('sequential', 'sequential write', async () => {
      const fileBytes = Math.max(DISK_FILE_BYTES, Math.round(this.#sizes.seconds * SEQUENTIAL_MIB_PER_SECOND) * MIB);
      const plan = { directory: this.#directory, fileBytes, writeBytes: MIB };
      const measure = async (direct: boolean, label: string): Promise<void> => {
        const { result } = await this.#load('sequential', { ...plan, direct });
        const what = `(a) sequential write, 1 MiB, ${label}, one fdatasync at the end`;
        this.samples.push({ what, value: result.megabytesPerSecond, unit: 'MB/s', needsDisk: true });
      };
      await measure(false, 'buffered');
      // Not every file system has O_DIRECT.
      await measure(true, 'direct').catch(() => undefined);
    });
  }

  /** What two processes can exchange over loopback, without any protocol. */
  loopback(): Promise<void> {
    const { warmUpSeconds, seconds, smallBytes: payloadBytes } = this.#sizes;
    return this.#once('loopback', 'loopback', async () => {
      const server = await startServer(compiled('./machine/echoServer.js'), []);
      try {
        const { result } = await this.#load('loopback', { url: server.url, payloadBytes, warmUpSeconds, seconds });
        const what = `(c) loopback, ${sizeText(payloadBytes)} there and back`;
        this.distributions.push({ what, histogram: result.latency.histogram, needsDisk: false });
        this.samples.push({ what: `${what}: p50`, value: result.latency.p50Ms, unit: 'ms' });
        this.samples.push({ what: `${what}: p99`, value: result.latency.p99Ms, unit: 'ms' });
        this.samples.push({ what: '(c) loopback, one connection', value: result.megabytesPerSecond, unit: 'MB/s' });
      } finally {
        await server.end('SIGTERM');
      }
    });
  }

  /** Limit (b) with automatic batching. */
  bareAppend(payloadBytes: number): Promise<AppendResult> {
    const { warmUpSeconds, seconds, entries } = this.#sizes;
    return this.#once(`append ${payloadBytes}`, `bare server, ${payloadBytes} B`, async () => {
      const result = await this.#withBare('append', { payloadBytes, warmUpSeconds, seconds, entries, batchEntries: 0 });
      const rate = result.entries / result.seconds;
      const what = `(b) bare server, ${sizeText(payloadBytes)}`;
      this.samples.push({ what: `${what}: entries`, value: rate, unit: 'entries/s' });
      this.samples.push({ what: `${what}: payload`, value: (rate * payloadBytes) / 1e6, unit: 'MB/s' });
      return result;
    });
  }

  /** Limit (b) with one append in flight on each of `connections`. */
  bareRoundTrip(connections: number): Promise<InTurnResult> {
    const { warmUpSeconds, seconds, smallBytes: payloadBytes } = this.#sizes;
    return this.#once(`round trip ${connections}`, `bare server, ${connections} in flight`, async () => {
      const result = await this.#withBare('inTurn', { connections, isStorm: false, payloadBytes, warmUpSeconds, seconds });
      const what = `(b) bare server, ${connections} × one in flight`;
      this.distributions.push({ what, histogram: result.latency.histogram, needsDisk: false });
      this.samples.push({ what: `${what}: p50`, value: result.latency.p50Ms, unit: 'ms' });
      this.samples.push({ what: `${what}: p99`, value: result.latency.p99Ms, unit: 'ms' });
      this.samples.push({ what: `${what}: entries`, value: result.entries / result.seconds, unit: 'entries/s' });
      return result;
    });
  }

  async #disk(writeBytes: number, direct: boolean, label: string): Promise<DiskResult> {
    const fileBytes = Math.max(DISK_FILE_BYTES, writeBytes);
    const seconds = Math.min(2, this.#sizes.seconds);
    const { result } = await this.#load('disk', { directory: this.#directory, fileBytes, writeBytes, direct, seconds });
    const what = `(a) write + fdatasync, ${label}`;
    this.distributions.push({ what, histogram: result.latency.histogram, needsDisk: true });
    this.samples.push(
      { what: `${what}: p50`, value: result.latency.p50Ms, unit: 'ms', needsDisk: true },
      { what: `${what}: p99`, value: result.latency.p99Ms, unit: 'ms', needsDisk: true },
      { what: `${what}: throughput`, value: result.megabytesPerSecond, unit: 'MB/s', needsDisk: true },
    );
    return result;
  }

  async #once<T>(key: string, what: string, measure: () => Promise<T>): Promise<T> {
    if (this.#measured.has(key)) return this.#measured.get(key) as T;
    this.#say(`limit: ${what}`);
    const result = await measure();
    this.#measured.set(key, result);
    return result;
  }

  async #load<Name extends LoadName>(name: Name, params: Loads[Name]['params']): Promise<LoadAnswer<Name>> {
    const { result, lanes } = await runLoad(name, params);
    this.loads.push({ load: name, params, result });
    return { result, lanes };
  }

  async #withBare<Name extends 'append' | 'inTurn'>(
    name: Name,
    params: Omit<Loads[Name]['params'], 'log'>,
  ): Promise<Loads[Name]['result']> {
    const server = await startServer(compiled('./machine/bareServer.js'), [String(this.#sizes.windowBytes)]);
    try {
      const { connections = 1 } = params as { readonly connections?: number };
      const log = new Written(LANE_RING_BYTES).target({ driver: 'loglog', urls: [server.url] }, connections);
      const { result, lanes } = await this.#load(name, { ...params, log } as Loads[Name]['params']);
      const appended = lanes.reduce((sum, { sent }) => sum + sent, 0);
      const counted = Number(await (await fetch(new URL('/entries', server.url.replace(/^ws/, 'http')))).text());
      if (counted !== appended) throw new Error(`the bare server counted ${counted} entries where ${appended} were acknowledged`);
      return result;
    } finally {
      await server.end('SIGTERM');
    }
  }
}

/** `4 KiB`, `100 B`, `100 kB`: in the unit that fits evenly. */
export function sizeText(bytes: number): string {
  if (bytes >= MIB && bytes % MIB === 0) return `${bytes / MIB} MiB`;
  if (bytes >= KIB && bytes % KIB === 0) return `${bytes / KIB} KiB`;
  return bytes >= 1000 && bytes % 1000 === 0 ? `${bytes / 1000} kB` : `${bytes} B`;
}
