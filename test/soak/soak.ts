// One soak: a cluster, its users, what happens to it, and what is judged at the end.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, fileStore, type LogClient } from '../../src/client/index.ts';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { Random } from '../assembly/random.ts';
import { runCommand } from '../support/server.ts';
import { buildOf } from './buildOf.ts';
import { Ledger } from './ledger.ts';
import { descriptorCount, residentMib, Times, Trend } from './trends.ts';
import { Dashboards, Follower, produce, Reader } from './users.ts';

export interface SoakOptions {
  readonly seconds: number;
  /** Appends a second. */
  readonly rate: number;
  /** How often something happens. */
  readonly everySeconds: number;
  readonly seed: number;
  /** For data and logs; the caller removes it. */
  readonly directory: string;
  readonly tell: (sentence: string) => void;
  /** Upgrades go from this commit's build to this one, and back; undefined: both are this one. */
  readonly commit?: string | undefined;
}

export interface SoakResult {
  readonly problems: readonly string[];
  readonly facts: readonly (readonly [string, string | number])[];
}

/** Small segments, so that a run of minutes rolls, seals and removes some. */
const FLAGS = ['--segment-bytes', '1MiB', '--slots', '6'];
const PRODUCERS = 8;
/** More than readers may be behind: what they have not seen must stay. */
const KEPT_BYTES = 8 << 20;
const ENTRIES_PER_LIFE = 2_000;
/** Looks in a run, so that a run of minutes has enough of them for thirds, and one of days not too many. */
const LOOKS = 300;
const PATIENCE_MS = 180_000;
const MIB = 1 << 20;

const directoryMib = (directory: string): number =>
  readdirSync(directory).reduce((sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0), 0) / MIB;

class Soak {
  readonly #options: SoakOptions;
  readonly #cluster: LocalCluster;
  readonly #random: Random;
  readonly #log: LogClient;
  readonly #ledger = new Ledger();
  readonly #reader = new Reader(this.#ledger);
  readonly #follower = new Follower();
  readonly #dashboards = new Dashboards();
  readonly #appends = new Times();
  readonly #pages = new Times();
  readonly #happened = new Map<string, number>();
  readonly #trends: { readonly trend: Trend; readonly look: () => number | undefined }[];
  readonly #startedMs = performance.now();
  /** The command of the earlier build, and whether the nodes run it. */
  readonly #earlier: string | undefined;
  #isEarlier = false;

  constructor(options: SoakOptions, cluster: LocalCluster, log: LogClient, earlier: string | undefined) {
    this.#options = options;
    this.#cluster = cluster;
    this.#log = log;
    this.#earlier = earlier;
    this.#random = new Random(options.seed);
    const first = cluster.node(1);
    const ofFirst = (look: (pid: number) => number) => (): number => look(first.pid ?? process.pid);
    const memory = { part: 0.1, least: 16 };
    const few = { part: 0.1, least: 8 };
    const time = { part: 0.5, least: 5 };
    this.#trends = [
      { trend: new Trend('memory of node 1', 'MiB', 'lowest', memory), look: ofFirst(residentMib) },
      { trend: new Trend('descriptors of node 1', 'descriptors', 'lowest', few), look: ofFirst(descriptorCount) },
      { trend: new Trend('disk of node 1', 'MiB', 'median', { part: 0.2, least: 16 }), look: () => directoryMib(first.data) },
      { trend: new Trend('memory of the clients', 'MiB', 'lowest', memory), look: () => residentMib(process.pid) },
      { trend: new Trend('descriptors of the clients', 'descriptors', 'lowest', few), look: () => descriptorCount(process.pid) },
      { trend: new Trend('median append', 'ms', 'median', time), look: () => this.#appends.take()?.p50 },
      { trend: new Trend('median /status', 'ms', 'median', time), look: () => this.#pages.take()?.p50 },
    ];
  }

  #tell(sentence: string): void {
    const minutes = ((performance.now() - this.#startedMs) / 60_000).toFixed(1).padStart(6);
    this.#options.tell(`${minutes} min  ${sentence}`);
  }

  async run(): Promise<SoakResult> {
    const { seconds, rate, directory } = this.#options;
    const appending = new AbortController();
    const reading = new AbortController();
    const store = fileStore(join(directory, 'positions'));
    const users = Promise.all([
      this.#reader.run(this.#log, reading.signal),
      this.#follower.run(this.#log, store, ENTRIES_PER_LIFE, reading.signal),
      this.#dashboards.run(this.#cluster, this.#pages, reading.signal),
    ]);
    const producers = Promise.all(
      Array.from({ length: PRODUCERS }, (_, i) => produce(i, this.#log, this.#ledger, this.#appends, rate / PRODUCERS, appending.signal)),
    );
    // Whoever fails ends the run at once.
    const broken = Promise.race([users, producers]).then(() => undefined);
    broken.catch(() => undefined);
    const problems: string[] = [];
    const over = new AbortController();
    try {
      await Promise.race([broken, Promise.all([this.#happen(seconds), this.#watch(seconds, over.signal)])]);
      appending.abort();
      await producers;
      await this.#whole();
      const { end } = await this.#log.end({ linearizable: true });
      await until(
        () => `for the reader to come from ${this.#reader.position} to ${end}`,
        () => this.#reader.position >= end,
        PATIENCE_MS,
      );
      await until(
        () => `for the consumer to see ${this.#ledger.seen} entries, of which it has ${this.#follower.count}`,
        () => this.#follower.count >= this.#ledger.seen,
        PATIENCE_MS,
      );
      reading.abort();
      await users;
      this.#ledger.close();
      if (this.#follower.count !== this.#ledger.seen)
        problems.push(`the consumer saw ${this.#follower.count} entries, and there are ${this.#ledger.seen}`);
      problems.push(...(await this.#compare()));
    } catch (thrown) {
      problems.push(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    } finally {
      over.abort();
      appending.abort();
      reading.abort();
    }
    problems.push(...this.#ledger.problems, ...this.#cluster.surprises, ...this.#trends.flatMap(({ trend }) => trend.judge() ?? []));
    return { problems, facts: this.#facts() };
  }

  #facts(): SoakResult['facts'] {
    const { acknowledged, unknown, unknownFound, failed, seen } = this.#ledger;
    const { count, repeated, lives } = this.#follower;
    const { requests, unanswered, entries } = this.#dashboards;
    return [
      ['minutes', Math.round((performance.now() - this.#startedMs) / 6_000) / 10],
      ['appends acknowledged', acknowledged],
      ['appends of unknown outcome', `${unknown}, of which ${unknownFound} were in the log`],
      ['appends that failed', failed],
      ['entries in the log', seen],
      ['what happened', [...this.#happened].map(([name, times]) => `${times} × ${name}`).join(', ')],
      ['the consumer', `${count} entries in ${lives} lives, ${repeated} of them again`],
      ['dashboards', `${requests} requests, ${unanswered} to nodes that were down; ${entries} entries of a live tail`],
      ...this.#trends.map(({ trend }) => [trend.name, trend.toString()] as const),
    ];
  }

  /** Looks at everything that may grow. */
  async #watch(seconds: number, over: AbortSignal): Promise<void> {
    const everyMs = Math.max(1_000, (seconds * 1000) / LOOKS);
    const endsMs = performance.now() + seconds * 1000;
    for (let look = 1; performance.now() < endsMs && !over.aborted; look += 1) {
      await sleep(everyMs, undefined, { signal: over }).catch(() => undefined);
      for (const each of this.#trends) {
        const value = each.look();
        if (value !== undefined) each.trend.add(value);
      }
      if (look % 10 === 0)
        this.#tell(
          `${this.#ledger.acknowledged} appends; ${this.#trends.map(({ trend }) => `${trend.name} ${Math.round(trend.last)}`).join(', ')}`,
        );
    }
  }

  /** Something happens, again and again. */
  async #happen(seconds: number): Promise<void> {
    const endsMs = performance.now() + seconds * 1000;
    const kinds = ['kill', 'trim', 'stop', 'transfer', 'trim', 'kill', 'upgrade'] as const;
    for (let turn = 0; ; turn += 1) {
      const leftMs = endsMs - performance.now();
      const pauseMs = this.#options.everySeconds * 1000;
      if (leftMs < 2 * pauseMs) return sleep(Math.max(0, leftMs));
      await sleep(pauseMs);
      const kind = kinds[turn % kinds.length] ?? 'trim';
      this.#happened.set(kind, (this.#happened.get(kind) ?? 0) + 1);
      await this.#do(kind);
      await this.#whole();
    }
  }

  /** Any node but the first one, which is watched. */
  #victim(): ClusterNode {
    return this.#cluster.node(2 + this.#random.below(this.#cluster.nodes.length - 1));
  }

  async #do(kind: 'kill' | 'stop' | 'trim' | 'transfer' | 'upgrade'): Promise<void> {
    const node = this.#victim();
    this.#tell(kind === 'trim' ? 'trim' : `${kind}: node ${node.id}`);
    if (kind === 'kill') {
      await node.kill();
      await sleep(this.#random.below(5_000));
      await this.#start(node);
    } else if (kind === 'stop') {
      await this.#restart(node);
    } else if (kind === 'trim') {
      await this.#log.trim({ keepBytes: KEPT_BYTES, timeoutMs: PATIENCE_MS });
    } else if (kind === 'transfer') {
      // Where it leads already, or cannot take over, nothing changes.
      await this.#log.transfer({ to: node.id, timeoutMs: PATIENCE_MS }).catch(() => undefined);
    } else {
      this.#isEarlier = !this.#isEarlier;
      for (const each of this.#cluster.nodes.slice(1)) {
        await this.#restart(each);
        await this.#whole();
      }
      await this.#log.finalizeUpgrade({ timeoutMs: PATIENCE_MS });
    }
  }

  async #restart(node: ClusterNode): Promise<void> {
    const { code, signal } = await node.stop();
    if (code !== 0) throw new Error(`node ${node.id} ended with ${code ?? signal} when it was told to stop: ${node.lastWords()}`);
    await this.#start(node);
  }

  async #start(node: ClusterNode): Promise<void> {
    node.start([], this.#isEarlier ? this.#earlier : undefined);
    await node.ready;
  }

  /** Waits until every node runs, counts, and one leads. */
  async #whole(): Promise<void> {
    await this.#cluster.leader(undefined, PATIENCE_MS);
    await this.#cluster.allVoters(PATIENCE_MS);
  }

  /** All nodes have the same bytes, online and on their disks. */
  async #compare(): Promise<string[]> {
    this.#tell('comparing the nodes');
    await this.#cluster.converged(PATIENCE_MS);
    const online = await runCommand(['verify', '--cluster', this.#cluster.node(1).url]);
    const problems = online.code === 0 ? [] : [`loglog verify --cluster: ${online.stdout}${online.stderr}`];
    for (const node of this.#cluster.nodes) {
      const { code } = await node.stop();
      if (code !== 0) problems.push(`node ${node.id} ended with ${code}: ${node.lastWords()}`);
      const offline = await runCommand(['verify', node.data]);
      if (offline.code !== 0) problems.push(`loglog verify of node ${node.id}: ${offline.stdout}${offline.stderr}`);
    }
    return problems;
  }
}

/** Runs a soak. Resolves to what is wrong, and what was seen. */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const { directory, commit, tell } = options;
  const earlier = commit === undefined ? undefined : buildOf(commit, join(directory, 'earlier'));
  const cluster = await LocalCluster.make({ nodes: 3, directory, flags: FLAGS });
  try {
    const leader = await cluster.start();
    await cluster.allVoters();
    tell(`3 nodes run; node ${leader.id} leads`);
    const log = await connect(cluster.urls, { reconnect: { timeoutMs: 60_000 } });
    try {
      return await new Soak(options, cluster, log, earlier).run();
    } finally {
      await log.close({ timeoutMs: 10_000 });
    }
  } finally {
    await cluster.close();
  }
}
