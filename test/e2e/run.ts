// One run: a cluster, load, a nemesis, and at the end the judgement. Whatever is wrong is returned in sentences.

import { cpSync, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../assembly/random.ts';
import { checkHistory } from '../history/check.ts';
import { HistoryRecorder } from '../history/recorder.ts';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/clusterNode.ts';
import { runCommand } from '../support/server.ts';
import { SmallDisk, straceRefusal } from './disks.ts';
import { readFinalLog } from './finalLog.ts';
import { LoadContext } from './load/context.ts';
import { Load } from './load/load.ts';
import { Monitor } from './monitor.ts';
import { Nemesis } from './nemesis.ts';

export interface RunOptions {
  readonly nodes: number;
  readonly seconds: number;
  readonly seed: number;
  /** For data, logs and the history. Data directories are removed by the caller. */
  readonly directory: string;
  /** Told what happens, line by line. */
  readonly tell: (sentence: string) => void;
  readonly flags?: readonly string[];
}

export interface RunResult {
  /** Everything that is wrong; empty when the run passed. */
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, string | number>>;
}

/** Small segments, so that logs roll, are sealed, truncated and read from disk all the time. */
const FLAGS = ['--segment-bytes', '262144', '--slots', '6'];
const CLUSTER_FLAGS = ['--election-timeout-ms', '500'];
/** A run with less than this has shown nothing. */
const MIN_ENTRIES_PER_SECOND = 40;
const SECONDS_PER_LEADER = 12;
/** The disk that fills up has room for the log of a run, and more. */
const SMALL_DISK_BYTES_PER_SECOND = 16 << 20;
const ENTRIES_AFTER_MENDING = 200;
const MENDING_TIMEOUT_MS = 60_000;

class Run {
  readonly #options: RunOptions;
  readonly #context: LoadContext;
  readonly #recorder = new HistoryRecorder(() => performance.now());
  readonly #problems: string[] = [];
  readonly #facts: Record<string, string | number> = {};
  readonly #startedMs = performance.now();

  constructor(options: RunOptions) {
    this.#options = options;
    this.#context = new LoadContext(this.#recorder, new Random(options.seed));
  }

  async run(): Promise<RunResult> {
    const { nodes, seconds, directory, flags = [] } = this.#options;
    const refusal = straceRefusal();
    const smallDisk = SmallDisk.mount(join(directory, `data-${nodes}`), (64 << 20) + seconds * SMALL_DISK_BYTES_PER_SECOND);
    for (const reason of [refusal, smallDisk]) if (typeof reason === 'string') this.#tell(`NOT RUN: ${reason}`);
    const disk = typeof smallDisk === 'string' ? undefined : smallDisk;
    try {
      const all = [...FLAGS, ...(nodes > 1 ? CLUSTER_FLAGS : []), ...flags];
      const cluster = await Cluster.make({ nodes, directory, flags: all, dataOf: (id) => join(directory, `data-${id}`, 'log') });
      try {
        await this.#withCluster(cluster, disk, refusal === undefined);
      } finally {
        this.#problems.push(...cluster.surprises);
        await cluster.close();
      }
    } catch (thrown) {
      this.#problems.push(thrown instanceof Error ? thrown.message : String(thrown));
    } finally {
      // What is only in memory is gone when it is unmounted.
      if (disk !== undefined && this.#problems.length > 0) cpSync(disk.directory, `${disk.directory}-kept`, { recursive: true });
      disk?.unmount();
    }
    this.#problems.push(...this.#context.problems);
    if (this.#problems.length > 0) await this.#keepHistory();
    return { problems: this.#problems, facts: this.#facts };
  }

  #tell(sentence: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(6);
    this.#options.tell(`${seconds} s  ${sentence}`);
  }

  async #withCluster(cluster: Cluster, disk: SmallDisk | undefined, canSlowDisks: boolean): Promise<void> {
    const { seed, seconds } = this.#options;
    const leader = await cluster.start();
    this.#tell(`${cluster.nodes.length} nodes run; node ${leader.id} leads`);
    const monitor = new Monitor(cluster);
    monitor.start();
    const load = await Load.start(cluster, this.#context);
    const progress = setInterval(() => this.#tellProgress(), 5_000);
    try {
      const nemesis = new Nemesis({
        seed,
        cluster,
        smallDisk: disk,
        canSlowDisks,
        tell: (sentence) => this.#tell(sentence),
      });
      await nemesis.run(seconds);
      this.#facts.faults = [...nemesis.counts].map(([name, count]) => `${count} × ${name}`).join(', ');
      await this.#mended();
      await load.stopAppending();
      const end = await cluster.converged();
      await load.finish(end);
      await monitor.stop();
      await this.#judge(cluster, monitor, end);
    } finally {
      clearInterval(progress);
      await load.abandon();
      await monitor.stop();
    }
    await this.#stopAll(cluster);
  }

  #tellProgress(): void {
    const { committedEntries, acknowledgedEnd, terms } = this.#context;
    this.#tell(`${committedEntries} entries acknowledged, up to ${acknowledgedEnd}, in ${terms.size} terms`);
  }

  /** A cluster that is whole takes appends again within a bounded time. */
  async #mended(): Promise<void> {
    const goal = this.#context.committedEntries + ENTRIES_AFTER_MENDING;
    const startedMs = performance.now();
    await until('for appends to go on after everything was mended', () => this.#context.committedEntries >= goal, MENDING_TIMEOUT_MS);
    this.#facts.msAfterMending = Math.round(performance.now() - startedMs);
  }

  async #judge(cluster: Cluster, monitor: Monitor, end: number): Promise<void> {
    this.#tell(`reading the log, ${end} bytes, from every node`);
    const log = await readFinalLog(cluster.nodes, end, (offset, to, term, id) => this.#recorder.entry(offset, to, term, id));
    this.#problems.push(...log.differences, ...monitor.problems);
    this.#tell('checking the history');
    const { appends, ends, reads, deliveries } = this.#recorder;
    const violations = checkHistory(this.#recorder, log.entries, { majority: cluster.majority });
    this.#problems.push(...violations.map(({ kind, sentence }) => `${kind}: ${sentence}`));
    const { committedEntries, longestGapMs, errors, terms } = this.#context;
    Object.assign(this.#facts, {
      appends: appends.length,
      committedEntries,
      conditionalSuccesses: appends.filter(({ expectedEnd, result }) => expectedEnd !== undefined && result.kind === 'ok').length,
      ends: ends.length,
      linearizableEnds: ends.filter(({ isLinearizable }) => isLinearizable).length,
      reads: reads.length,
      deliveries: deliveries.length,
      logBytes: end,
      logEntries: log.entries.length,
      terms: terms.size,
      leadersSeen: monitor.leaders.size,
      longestGapMs: Math.round(longestGapMs),
      errors: [...errors].map(([code, count]) => `${count} × ${code}`).join(', '),
    });
    this.#judgeProgress(cluster);
  }

  /** A cluster that does nothing does nothing wrong. */
  #judgeProgress(cluster: Cluster): void {
    const { nodes, seconds } = this.#options;
    const { committedEntries, terms } = this.#context;
    const minEntries = Math.round(MIN_ENTRIES_PER_SECOND * seconds);
    if (committedEntries < minEntries)
      this.#problems.push(`too little progress: ${committedEntries} entries were acknowledged, fewer than ${minEntries}`);
    const minTerms = nodes > 1 ? 1 + Math.floor(seconds / SECONDS_PER_LEADER) : 1;
    if (terms.size < minTerms)
      this.#problems.push(`too little change: appends were acknowledged in ${terms.size} terms, fewer than ${minTerms}`);
    for (const kind of ['reads', 'linearizableEnds', 'deliveries'] as const) {
      if (Number(this.#facts[kind]) < cluster.nodes.length * seconds)
        this.#problems.push(`too little was read: ${this.#facts[kind]} ${kind}`);
    }
  }

  /** Stops every node in order, and lets the offline tool look at what each has on its disk. */
  async #stopAll(cluster: Cluster): Promise<void> {
    this.#tell('stopping all nodes, and verifying what they have on disk');
    for (const node of cluster.nodes) {
      const { code, signal } = await node.stop();
      if (code !== 0) this.#problems.push(`node ${node.id} ended with ${code ?? signal} when it was told to stop: ${node.lastWords()}`);
      const verified = await runCommand(['verify', node.data]);
      if (verified.code !== 0) this.#problems.push(`loglog verify of node ${node.id}: ${verified.stdout}${verified.stderr}`);
    }
  }

  /** One JSON record a line, in `history.ndjson`. */
  async #keepHistory(): Promise<void> {
    const { appends, ends, reads, deliveries } = this.#recorder;
    const file = createWriteStream(join(this.#options.directory, 'history.ndjson'));
    for (const [kind, records] of Object.entries({ append: appends, end: ends, read: reads, delivery: deliveries })) {
      for (const record of records) {
        if (!file.write(`${JSON.stringify({ kind, ...record })}\n`))
          await new Promise<void>((resolve) => file.once('drain', () => resolve()));
      }
    }
    await new Promise<void>((resolve) => file.end(() => resolve()));
  }
}

export function runCluster(options: RunOptions): Promise<RunResult> {
  return new Run(options).run();
}
