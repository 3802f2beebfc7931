// A cluster under load, watched, and judged at the end: what runs with a nemesis and single scenarios share.

import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { majorityOf } from '../../src/core/members.ts';
import { checkHistory } from '../../src/history/check.ts';
import { HistoryRecorder } from '../../src/history/recorder.ts';
import { Random } from '../assembly/random.ts';
import { Archive } from './archive.ts';
import { missingFromDisk } from './diskLog.ts';
import { readFinalLog } from './finalLog.ts';
import { LoadContext } from './load/context.ts';
import { Load } from './load/load.ts';
import { Monitor } from './monitor.ts';
import type { Life } from './nemesis/life.ts';
import { FEWEST_NODES } from './nemesis/members.ts';

const ENTRIES_AFTER_MENDING = 200;
/** Within this, a cluster that is whole must do whatever is asked of it. */
const PATIENCE_MS = 240_000;
/** Thousands of appends a second: as much as two cores have time for. */
const THINK_MS = 8;

/** How a cluster is loaded, and judged. */
export interface LoadOptions {
  /** How long {@link LoadedCluster.judge} waits for anything. Default 60,000. */
  readonly patienceMs?: number | undefined;
  /** Longest pause of who appends after an append that succeeded: 40 leaves two cores time for other tests. Default 8. */
  readonly thinkMs?: number | undefined;
}

export type Facts = Record<string, string | number>;

export class LoadedCluster {
  readonly cluster: LocalCluster;
  readonly context: LoadContext;
  readonly recorder = new HistoryRecorder(() => performance.now());
  readonly monitor: Monitor;
  readonly facts: Facts = {};
  readonly #archive = new Archive(this.recorder);
  readonly #patienceMs: number;
  readonly #waits: string[] = [];
  #load: Load | undefined;
  #life: Life | undefined;

  private constructor(cluster: LocalCluster, seed: number, { patienceMs = PATIENCE_MS, thinkMs = THINK_MS }: LoadOptions) {
    this.cluster = cluster;
    this.#patienceMs = patienceMs;
    this.context = new LoadContext(this.recorder, new Random(seed), thinkMs);
    this.monitor = new Monitor(cluster);
  }

  /** Lets load begin on a cluster that runs. {@link abandon} ends it, however far it came. */
  static async start(cluster: LocalCluster, seed: number, options: LoadOptions = {}): Promise<LoadedCluster> {
    const loaded = new LoadedCluster(cluster, seed, options);
    loaded.monitor.start();
    for (const node of cluster.nodes) node.onDeath = () => loaded.#inspect(node);
    try {
      const load = await Load.start(cluster, loaded.context);
      loaded.#load = load;
      const client = await load.connect(cluster.urls);
      loaded.#life = { archive: loaded.#archive, context: loaded.context, client, readTo: () => load.readTo };
    } catch (thrown) {
      await loaded.abandon();
      throw thrown;
    }
    return loaded;
  }

  /** Waits until `count` more entries are acknowledged as committed: so much must happen in a cluster that is whole. */
  async moreCommitted(count = ENTRIES_AFTER_MENDING, timeoutMs = PATIENCE_MS): Promise<void> {
    const goal = this.context.committedEntries + count;
    await until(`for ${count} more entries to be acknowledged`, () => this.context.committedEntries >= goal, timeoutMs);
  }

  /** The cluster is whole: ends the load, waits until all nodes agree, and returns everything that is wrong, in sentences. */
  async judge(tell: (sentence: string) => void = () => undefined): Promise<string[]> {
    const startedMs = performance.now();
    await this.#must(this.moreCommitted(ENTRIES_AFTER_MENDING, this.#patienceMs));
    this.facts.msAfterMending = Math.round(performance.now() - startedMs);
    await this.#must(this.#load?.stopAppending(this.#patienceMs));
    const end = await this.cluster.converged(this.#patienceMs);
    await this.#must(this.#load?.finish(end, this.#patienceMs));
    await this.#must(this.cluster.allVoters(this.#patienceMs));
    await this.monitor.stop();
    tell(`reading the log, ${end} bytes, from every node`);
    const start = await this.#startEverywhere();
    const log = await readFinalLog(this.cluster.nodes, { start, end }, (offset, to, term, id) => this.recorder.entry(offset, to, term, id));
    tell('checking the history');
    const { length } = this.cluster.nodes;
    // Where there are changes, one node at a time is not in the set.
    const majority = majorityOf(length < FEWEST_NODES ? length : length - 1);
    const violations = checkHistory(this.recorder, [...this.#archive.before(start), ...log.entries], { majority });
    this.#countFacts(end, log.entries.length);
    this.facts.logStart = start;
    this.facts.heals = this.cluster.nodes.reduce((sum, node) => sum + (node.log().match(/was healed/g)?.length ?? 0), 0);
    return [
      ...this.#waits,
      ...log.differences,
      ...this.monitor.problems,
      ...this.context.problems,
      ...violations.map(({ kind, sentence }) => `${kind}: ${sentence}`),
    ];
  }

  /** What is trimmed is trimmed on all nodes. Returns where the log starts. */
  async #startEverywhere(): Promise<number> {
    const start = await until(
      'for all nodes to begin their logs at one offset',
      async () => {
        const starts = (await this.cluster.statuses()).map(({ status }) => status.log.start);
        return starts.length === this.cluster.nodes.length && new Set(starts).size === 1 && { at: starts[0] ?? 0 };
      },
      this.#patienceMs,
    );
    const { askedTo } = this.#archive;
    if (start.at > askedTo) this.context.problem(`the log starts at ${start.at}, and nobody asked to trim it past ${askedTo}`);
    return start.at;
  }

  /** What does not come about in time is wrong, but no reason not to look at the rest. */
  async #must(step: Promise<void> | undefined): Promise<void> {
    try {
      await step;
    } catch (thrown) {
      this.#waits.push(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** A node has died: is everything on its disk that receipts said it has? */
  #inspect(node: ClusterNode): void {
    this.facts.disksInspected = Number(this.facts.disksInspected ?? 0) + 1;
    for (const problem of missingFromDisk(node, this.recorder, (...at) => this.#archive.isExcused(...at))) this.context.problem(problem);
  }

  /** What a nemesis may do to the log itself. */
  get life(): Life {
    if (this.#life === undefined) throw new Error('the load has not begun');
    return this.#life;
  }

  async abandon(): Promise<void> {
    await this.#load?.abandon();
    await this.monitor.stop();
  }

  #countFacts(logBytes: number, logEntries: number): void {
    const { appends, ends, reads, deliveries } = this.recorder;
    const { committedEntries, longestGapMs, errors, terms } = this.context;
    const { placed, hits, misses, expired, refused } = this.monitor.uploads;
    Object.assign(this.facts, this.#load?.uploadFacts, {
      uploadsPlaced: placed,
      referenceHits: hits,
      referenceMisses: misses,
      uploadsExpired: expired,
      uploadsRefused: refused,
      appends: appends.length,
      committedEntries,
      conditionalSuccesses: appends.filter(({ expectedEnd, result }) => expectedEnd !== undefined && result.kind === 'ok').length,
      linkSuccesses: appends.filter(({ chain, result }) => chain !== undefined && chain.number > 1 && result.kind === 'ok').length,
      ends: ends.length,
      linearizableEnds: ends.filter(({ isLinearizable }) => isLinearizable).length,
      reads: reads.length,
      deliveries: deliveries.length,
      logBytes,
      logEntries,
      terms: terms.size,
      leadersSeen: this.monitor.leaders.size,
      longestGapMs: Math.round(longestGapMs),
      errors: [...errors].map(([code, count]) => `${count} × ${code}`).join(', '),
    });
  }
}
