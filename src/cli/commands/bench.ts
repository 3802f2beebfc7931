// `loglog bench`: a quick measurement through the client alone, of a node of its own, which goes when it is done, or of a running one.

import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { LogClient } from '../../client/index.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { commandTimeoutOption, jsonOption, parseCount, parseSize, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { grouped, print, printJson, readableBytes, say, table } from '../output.ts';
import { withOwnNode } from '../ownNode.ts';
import { Progress, percent } from '../progress.ts';

const MODES = ['all', 'append', 'latency', 'read'] as const;

interface BenchOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly data: string;
  readonly entries: number;
  readonly size: number;
  readonly samples: number;
  readonly mode: (typeof MODES)[number];
  readonly json?: boolean;
}

interface Throughput {
  readonly entries: number;
  readonly payloadBytes: number;
  readonly seconds: number;
  readonly entriesPerSecond: number;
  readonly bytesPerSecond: number;
}

interface Latency {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

function throughput(entries: number, payloadBytes: number, startedMs: number): Throughput {
  const seconds = (performance.now() - startedMs) / 1000;
  return { entries, payloadBytes, seconds, entriesPerSecond: entries / seconds, bytesPerSecond: payloadBytes / seconds };
}

/** Appends as fast as the node takes it, every append with its own promise. */
async function measureAppends(log: LogClient, { entries, size }: BenchOptions, progress: Progress): Promise<Throughput> {
  const payload = new Uint8Array(size).fill(0x61);
  const startedMs = performance.now();
  let failure: unknown;
  const onFailure = (error: unknown): void => {
    failure ??= error;
  };
  let last: Promise<unknown> = Promise.resolve();
  for (let i = 0; i < entries && failure === undefined; i += 1) {
    const append = log.append(payload);
    append.catch(onFailure);
    last = append;
    if (log.hasRoom) continue;
    await log.ready();
    progress.update(() => `append  ${percent(i, entries)}  ${grouped(i / progress.seconds)} entries/s`);
  }
  await last;
  if (failure !== undefined) throw failure;
  return throughput(entries, entries * size, startedMs);
}

/** One append in flight at a time, each until it is durable. */
async function measureLatency(log: LogClient, { samples, size }: BenchOptions, progress: Progress): Promise<Latency> {
  const payload = new Uint8Array(size).fill(0x61);
  const times: number[] = [];
  for (let i = 0; i < samples; i += 1) {
    const startedMs = performance.now();
    await log.append(payload);
    times.push(performance.now() - startedMs);
    progress.update(() => `latency  ${percent(i, samples)}`);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { samples, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

/** Reads entries back in batches, verified by the client. */
async function measureReads(log: LogClient, entries: number, from: number | undefined, progress: Progress): Promise<Throughput> {
  const startedMs = performance.now();
  let count = 0;
  let bytes = 0;
  for await (const batch of log.read({ from }).batches()) {
    count += batch.entryCount;
    bytes += batch.bytes.length;
    progress.update(() => `read  ${percent(count, entries)}  ${grouped(count / progress.seconds)} entries/s`);
    if (count >= entries) break;
  }
  return throughput(count, bytes, startedMs);
}

interface Results {
  readonly url: string;
  readonly size: number;
  append?: Throughput;
  latency?: Latency;
  read?: Throughput;
}

function describe({ append, latency, read, size, url }: Results): string {
  const rows = [['measurement', 'result', 'more']];
  const speed = (name: string, { entries, seconds, entriesPerSecond, bytesPerSecond }: Throughput): void => {
    const more = `${grouped(entries)} entries in ${seconds.toFixed(2)} s, ${readableBytes(bytesPerSecond)}/s`;
    rows.push([name, `${grouped(entriesPerSecond)} entries/s`, more]);
  };
  if (append !== undefined) speed('append, many in flight', append);
  if (latency !== undefined) {
    const { p50Ms, p99Ms, maxMs, samples } = latency;
    rows.push([
      'append, one in flight',
      `${p50Ms.toFixed(3)} ms p50`,
      `${p99Ms.toFixed(3)} ms p99, ${maxMs.toFixed(3)} ms max of ${grouped(samples)}`,
    ]);
  }
  if (read !== undefined) speed('read', read);
  return `${url}, payloads of ${grouped(size)} bytes, appends acknowledged when durable\n\n${table(rows)}`;
}

/** Measures the nodes at `urls`; where they run for others too, says what it leaves there. */
async function measure(urls: readonly string[], options: BenchOptions, isRunning: boolean): Promise<Results> {
  const { mode, size } = options;
  const is = (name: BenchOptions['mode']): boolean => mode === 'all' || mode === name;
  const results: Results = { url: urls.map(withoutSecrets).join(','), size };
  await withClient(urls, options.timeout, async (log) => {
    const { end } = await log.end();
    const timed = async <T>(work: (progress: Progress) => Promise<T>): Promise<T> => {
      const progress = new Progress();
      return work(progress).finally(() => progress.done());
    };
    if (is('append')) results.append = await timed((progress) => measureAppends(log, options, progress));
    if (is('latency')) results.latency = await timed((progress) => measureLatency(log, options, progress));
    if (is('read')) {
      results.read = await timed((progress) => measureReads(log, options.entries, mode === 'read' ? undefined : end, progress));
    }
    const left = (await log.end()).end - end;
    if (isRunning && left > 0)
      say(`loglog: the ${readableBytes(left)} that this appended stay in the log, at offsets ${end} to ${end + left}`);
  });
  return results;
}

async function run(options: BenchOptions, command: Command): Promise<void> {
  const isRunning = command.getOptionValueSource('url') !== 'default';
  if (!isRunning && options.mode === 'read')
    command.error('--mode read reads what a running node has: name it with --url', { exitCode: 2 });
  const results = isRunning
    ? await measure(options.url, options, true)
    : await withOwnNode(resolve(options.data), (url) => measure([url], options, false));
  if (options.json === true) await printJson(results);
  else await print(describe(results));
}

export function benchCommand(): Command {
  const command = new Command('bench')
    .summary('measure a node')
    .description(
      'measure append throughput and latency, and reading back: of a node that it starts for this on a free port, or, with --url, of a running one, in whose log stays what it appends',
    )
    .addOption(urlOption('a running node, or several of a cluster with commas between them').default([], 'a node of its own'))
    .addOption(commandTimeoutOption())
    .addOption(
      new Option('--data <directory>', 'where the own node makes its directory, on the disk to measure; it is removed at the end').default(
        '.',
      ),
    )
    .addOption(new Option('--entries <number>', 'entries to append and to read').default(500_000).argParser(parseCount))
    .addOption(new Option('--size <bytes>', 'bytes of each payload').default(100).argParser(parseSize(0, 16_777_215)))
    .addOption(new Option('--samples <number>', 'appends one at a time, for the latency').default(1_000).argParser(parseCount))
    .addOption(new Option('--mode <mode>', 'what to measure; read alone reads from the start of the log').choices(MODES).default('all'))
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog bench', 'of a node of its own, with its data in this directory while it runs'],
    ['loglog bench --mode append --entries 2000 --size 100000', 'large entries'],
    ['loglog bench --json --url ws://10.0.0.7:7070', 'of a running one, for programs'],
  ]);
}
