// One run: a cluster, load, a nemesis, and at the end the judgement. Whatever is wrong is returned in sentences.

import { cpSync, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import type { HistoryRecorder } from '../../src/history/recorder.ts';
import { runCommand } from '../support/server.ts';
import { compareDisks } from './diskLog.ts';
import { SmallDisk, straceRefusal } from './disks.ts';
import { type Facts, LoadedCluster, type LoadOptions } from './loadedCluster.ts';
import { FEWEST_NODES, MEMBER_CHANGES } from './nemesis/members.ts';
import { Nemesis } from './nemesis.ts';

export interface RunOptions extends LoadOptions {
  readonly nodes: number;
  readonly seconds: number;
  readonly seed: number;
  /** For data, logs and the history; the caller removes it. */
  readonly directory: string;
  /** Told what happens, line by line. */
  readonly tell: (sentence: string) => void;
  readonly flags?: readonly string[];
}

export interface RunResult {
  /** Everything that is wrong; empty when the run passed. */
  readonly problems: readonly string[];
  readonly facts: Readonly<Facts>;
}

/** Small segments, so that logs roll, are sealed, truncated and read from disk all the time. */
const FLAGS = ['--segment-bytes', '262144', '--slots', '6', '--disk-critical-bytes', '8MiB', '--disk-low-bytes', '16MiB'];
const CLUSTER_FLAGS = ['--election-timeout-ms', '500'];
/** A run with less than this has shown nothing. */
const MIN_ENTRIES_PER_SECOND = 10;
const SECONDS_PER_LEADER = 12;
const SECONDS_PER_UPLOAD = 5;
const SECONDS_PER_CHANGE = 40;
/** The disk that fills up has room for the log of a run, and more. */
const SMALL_DISK_BYTES = 64 << 20;
const SMALL_DISK_BYTES_PER_SECOND = 16 << 20;
const PROGRESS_INTERVAL_MS = 5_000;

class Run {
  readonly #options: RunOptions;
  readonly #problems: string[] = [];
  readonly #startedMs = performance.now();
  #facts: Facts = {};
  #recorder: HistoryRecorder | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  async run(): Promise<RunResult> {
    const { nodes, seconds, directory } = this.#options;
    const refusal = straceRefusal();
    const smallDisk = SmallDisk.mount(join(directory, `data-${nodes}`), SMALL_DISK_BYTES + seconds * SMALL_DISK_BYTES_PER_SECOND);
    for (const reason of [refusal, smallDisk]) if (typeof reason === 'string') this.#tell(`NOT RUN: ${reason}`);
    const disk = typeof smallDisk === 'string' ? undefined : smallDisk;
    try {
      await this.#withDisk(disk, refusal === undefined);
    } catch (thrown) {
      this.#problems.push(thrown instanceof Error ? thrown.message : String(thrown));
    } finally {
      // What is only in memory is gone when it is unmounted.
      if (disk !== undefined && this.#problems.length > 0) cpSync(disk.directory, `${disk.directory}-kept`, { recursive: true });
      disk?.unmount();
    }
    if (this.#problems.length > 0) await this.#keepHistory();
    return { problems: this.#problems, facts: this.#facts };
  }

  #tell(sentence: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(6);
    this.#options.tell(`${seconds} s  ${sentence}`);
  }

  async #withDisk(disk: SmallDisk | undefined, canSlowDisks: boolean): Promise<void> {
    const { nodes, directory, seed, flags = [] } = this.#options;
    const all = [...FLAGS, ...(nodes > 1 ? CLUSTER_FLAGS : []), ...flags];
    const cluster = await LocalCluster.make({ nodes, directory, flags: all, dataOf: (id) => join(directory, `data-${id}`, 'log') });
    try {
      const leader = await cluster.start();
      this.#tell(`${nodes} nodes run; node ${leader.id} leads`);
      const loaded = await LoadedCluster.start(cluster, seed, this.#options);
      this.#recorder = loaded.recorder;
      this.#facts = loaded.facts;
      try {
        await this.#underLoad(loaded, disk, canSlowDisks);
      } finally {
        await loaded.abandon();
      }
      const known = loaded.context.problems.length;
      await this.#stopAll(cluster, Number(loaded.facts.logStart ?? 0), Number(loaded.facts.logBytes ?? 0));
      // Of the disks that are looked at when their nodes have stopped.
      this.#problems.push(...loaded.context.problems.slice(known));
    } finally {
      this.#problems.push(...cluster.surprises);
      await cluster.close();
    }
  }

  async #underLoad(loaded: LoadedCluster, smallDisk: SmallDisk | undefined, canSlowDisks: boolean): Promise<void> {
    const { cluster, context } = loaded;
    const { seed, seconds } = this.#options;
    const tell = (sentence: string): void => this.#tell(sentence);
    const progress = setInterval(() => {
      tell(`${context.committedEntries} entries acknowledged, up to ${context.acknowledgedEnd}, in ${context.terms.size} terms`);
    }, PROGRESS_INTERVAL_MS);
    try {
      const nemesis = new Nemesis({ seed, cluster, smallDisk, canSlowDisks, life: loaded.life, tell });
      await nemesis.run(seconds);
      const { counts } = nemesis;
      loaded.facts.changes = MEMBER_CHANGES.reduce((sum, name) => sum + (counts.get(name) ?? 0), 0);
      loaded.facts.faults = [...counts].map(([name, count]) => `${count} × ${name}`).join(', ');
      this.#problems.push(...(await loaded.judge(tell)));
    } finally {
      clearInterval(progress);
    }
    this.#judgeProgress(loaded);
  }

  /** A cluster that does nothing does nothing wrong. */
  #judgeProgress({ context, facts }: LoadedCluster): void {
    const { nodes, seconds } = this.#options;
    const { committedEntries, terms } = context;
    const minEntries = Math.round(MIN_ENTRIES_PER_SECOND * seconds);
    if (committedEntries < minEntries)
      this.#problems.push(`too little progress: ${committedEntries} entries were acknowledged, fewer than ${minEntries}`);
    const minTerms = nodes > 1 ? 1 + Math.floor(seconds / SECONDS_PER_LEADER) : 1;
    if (terms.size < minTerms)
      this.#problems.push(`too little change: appends were acknowledged in ${terms.size} terms, fewer than ${minTerms}`);
    for (const kind of ['reads', 'linearizableEnds', 'deliveries'] as const) {
      if (Number(facts[kind]) < seconds) this.#problems.push(`too little was read: ${facts[kind]} ${kind}`);
    }
    const minChanges = nodes < FEWEST_NODES ? 0 : Math.max(1, Math.floor(seconds / SECONDS_PER_CHANGE));
    if (Number(facts.changes) < minChanges)
      this.#problems.push(`too little change: the set of nodes was changed ${facts.changes} times, fewer than ${minChanges}`);
    if (nodes === 1) return;
    for (const kind of ['uploadedByClients', 'uploadsPlaced', 'referenceHits', 'acknowledgedLies'] as const) {
      if (Number(facts[kind]) < seconds / SECONDS_PER_UPLOAD) this.#problems.push(`too little was uploaded: ${facts[kind]} ${kind}`);
    }
  }

  /** Stops every node in order, lets the offline tool look at what each has on its disk, and compares that, [start, end). */
  async #stopAll(cluster: LocalCluster, start: number, end: number): Promise<void> {
    this.#tell('stopping all nodes, and verifying what they have on disk');
    for (const node of cluster.nodes) {
      const { code, signal } = await node.stop();
      if (code !== 0) this.#problems.push(`node ${node.id} ended with ${code ?? signal} when it was told to stop: ${node.lastWords()}`);
      const verified = await runCommand(['verify', node.data]);
      if (verified.code !== 0) this.#problems.push(`loglog verify of node ${node.id}: ${verified.stdout}${verified.stderr}`);
    }
    this.#problems.push(...compareDisks(cluster.nodes, start, end));
  }

  /** One JSON record a line, in `history.ndjson`. */
  async #keepHistory(): Promise<void> {
    if (this.#recorder === undefined) return;
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
