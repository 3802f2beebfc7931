// A cluster for the length of a test: real nodes, each a process, and the network between them.

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkInteger, MAX_TIMER_MS } from '../client/checks.ts';
import { type ConnectOptions, connect, type LogClient } from '../client/index.ts';
import { checkOptions } from '../client/optionNames.ts';
import { type MadeToken, makeToken } from '../client/tokens.ts';
import type { ClusterNode } from '../cluster/clusterNode.ts';
import { Keeper } from '../cluster/keeper.ts';
import { LocalCluster } from '../cluster/localCluster.ts';
import type { Place } from '../cluster/network.ts';
import { compiled } from '../cluster/program.ts';
import { until } from '../cluster/until.ts';
import { leaveTokenRequest } from '../storage/tokenRequest.ts';
import { CheckError, type CheckOptions, type CheckResult, check } from './check.ts';
import { type ClusterPlan, planOf, type StartClusterOptions } from './options.ts';
import { Recording } from './recording.ts';
import { TestNode } from './testNode.ts';

/** Longer than any wait: a timer that only keeps the program running. */
const FOR_LONG_MS = 0x7fff_ffff;

const LEADER_OPTIONS = ['not', 'timeoutMs'] as const satisfies readonly (keyof LeaderOptions)[];
const CHECK_OPTIONS = ['timeoutMs'] as const satisfies readonly (keyof CheckOptions)[];
const SLOWNESS_OPTIONS = ['delayMs', 'bytesPerSecond'] as const satisfies readonly (keyof Slowness)[];

/** What clients have to finish when the cluster is closed. */
const CLIENTS_MS = 1_000;

/** The program runs on until `work` is done: neither nodes nor links keep it running on their own. */
async function busy<T>(work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => undefined, FOR_LONG_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `work`, at most `ms`. No timer is left, which would keep the program running. */
async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([work, waited]);
  } finally {
    clearTimeout(timer);
  }
}

export interface LeaderOptions {
  /** Wait for another node than this one. */
  readonly not?: TestNode;
  /** Longest time, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number;
}

/** What slows the way from one node to another. */
export interface Slowness {
  /** Added to the way of each byte, in milliseconds. Default 0. */
  readonly delayMs?: number;
  /** Default: no limit. */
  readonly bytesPerSecond?: number;
}

/** A cluster that runs; made by {@link startCluster}. Its clients reach the nodes by links, which can be cut, as can those between nodes. */
export class TestCluster {
  /** By id: node 1 is the first. */
  readonly nodes: readonly TestNode[];
  /** Holds the data directories and the logs of all nodes. */
  readonly directory: string;
  readonly #cluster: LocalCluster;
  readonly #keeper: Keeper;
  readonly #clients = new Set<LogClient>();
  readonly #recording = new Recording();
  readonly #ended = new AbortController();
  readonly #isTemporary: boolean;
  /** Undefined: nobody is asked for one. */
  readonly #adminToken: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(cluster: LocalCluster, keeper: Keeper, directory: string, isTemporary: boolean, adminToken: string | undefined) {
    this.#adminToken = adminToken;
    this.#cluster = cluster;
    this.#keeper = keeper;
    this.directory = directory;
    this.#isTemporary = isTemporary;
    const owner = { busy, wipe: (node: ClusterNode) => cluster.wipe(node) };
    this.nodes = cluster.nodes.map((node) => new TestNode(node, owner));
  }

  /** @internal See {@link startCluster}. */
  static async start(plan: ClusterPlan): Promise<TestCluster> {
    const isTemporary = plan.directory === undefined;
    const directory = isTemporary ? mkdtempSync(join(tmpdir(), 'loglog-testing-')) : resolve(plan.directory ?? '');
    if (!isTemporary) checkEmpty(directory);
    const keeper = new Keeper(directory, { removes: isTemporary });
    const admin = plan.hasTokens ? await makeToken({ name: 'the test', scopes: ['admin'] }, Date.now()) : undefined;
    const local = await LocalCluster.make({
      nodes: plan.nodes,
      directory,
      flags: plan.flags,
      hasClientLinks: true,
      nodeFlags: ['--import', pathToFileURL(compiled('testing/faultyDisk.js')).href],
      readyTimeoutMs: plan.timeoutMs,
      ...(admin === undefined ? {} : { token: admin.token }),
    });
    if (admin !== undefined) askFor(admin, local.node(1).data);
    for (const node of local.nodes) keep(node, keeper);
    const cluster = new TestCluster(local, keeper, directory, isTemporary, admin?.token);
    try {
      await busy(cluster.#begin(plan.timeoutMs));
    } catch (thrown) {
      await cluster.close();
      throw thrown;
    }
    return cluster;
  }

  /** All nodes run, one leads, and each counts for majorities: any node may die then. */
  async #begin(timeoutMs: number): Promise<void> {
    await this.#cluster.start(timeoutMs);
    if (this.nodes.length > 1) await this.#cluster.allVoters(timeoutMs);
    // Each shows its status to who shows it a token that it knows.
    if (this.#adminToken === undefined) return;
    const know = async (): Promise<boolean> => (await this.#cluster.statuses()).length === this.nodes.length;
    await until('for every node to know the token of the test', know, timeoutMs);
  }

  /** Addresses of all nodes, for clients. */
  get urls(): readonly string[] {
    return this.#cluster.urls;
  }

  /**
   * A token with all scopes, for programs that a test starts, and for `log.createToken` and `log.revokeToken`. Throws a TypeError where the cluster was not started
   * with `tokens: true`.
   */
  get adminToken(): string {
    if (this.#adminToken === undefined) throw new TypeError('this cluster asks nobody for a token: start it with { tokens: true }');
    return this.#adminToken;
  }

  get #shown(): { token?: string } {
    return this.#adminToken === undefined ? {} : { token: this.#adminToken };
  }

  /** How many nodes make a majority. */
  get majority(): number {
    return this.#cluster.majority;
  }

  /** The node with `id`: 1 to their number. */
  node(id: number): TestNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id}: the ids are 1 to ${this.nodes.length}`);
    return node;
  }

  /**
   * Waits for a node that leads in the highest term of all that answer. A leader that was just cut off believes for an election timeout
   * that it leads: name it as `not`. Rejects after a time, and with TypeError or RangeError for an option.
   */
  async leader(options: LeaderOptions = {}): Promise<TestNode> {
    checkOptions('leader', options, LEADER_OPTIONS);
    const { not, timeoutMs = 30_000 } = options;
    checkInteger('timeoutMs', timeoutMs, 0, MAX_TIMER_MS);
    const unwanted = not === undefined ? undefined : this.#cluster.node(not.id);
    return this.node((await this.#cluster.leader(unwanted, timeoutMs)).id);
  }

  /** Some running node that does not lead at the moment. */
  async follower(): Promise<TestNode> {
    return this.node((await this.#cluster.follower()).id);
  }

  /** Waits until all nodes run, and have the same log, all of it committed. Nothing may be appended meanwhile. Returns its end. */
  converged(timeoutMs = 60_000): Promise<number> {
    return this.#cluster.converged(timeoutMs);
  }

  /**
   * A client of all nodes, whose calls are recorded for {@link check}. {@link close} closes it. Where the nodes ask for tokens it shows {@link adminToken}, unless
   * `options` have another one.
   */
  async connect(options: ConnectOptions = {}): Promise<LogClient> {
    const client = await connect(this.urls, { ...this.#shown, ...options });
    this.#recording.watch(client, this.#ended.signal);
    this.#clients.add(client);
    return client;
  }

  /**
   * Verifies what the clients of {@link connect} did and were told, against the log as it is now: nothing that was acknowledged is lost, nothing is
   * there twice or where it was not to be, all that was read is in the log, in order and whole, conditions held, and the whole is
   * linearizable: there is a moment for each append between its call and its answer. And that all nodes that have the log have the same
   * bytes, and that none ended without being told to. Rejects with a {@link CheckError}; TypeError or
   * RangeError for an option.
   *
   * Entries are recognised by their bytes: put something unique into each payload. Other clients may append too. One node must lead.
   */
  async check(options: CheckOptions = {}): Promise<CheckResult> {
    checkOptions('check', options, CHECK_OPTIONS);
    const { timeoutMs = 30_000 } = options;
    checkInteger('timeoutMs', timeoutMs, 0, MAX_TIMER_MS);
    const { violations, ...result } = await check(this.#cluster, this.#recording, this.#shown, timeoutMs);
    if (violations.length > 0) throw new CheckError(violations);
    return result;
  }

  /**
   * Splits the network: places in different groups do not reach each other, as when all packets between them are dropped. A place is the
   * id of a node, or `clients`: all clients of this cluster. What is in no group reaches everything. Replaces an earlier partition, and what
   * {@link cut} has cut; what is slow stays so.
   */
  async partition(groups: readonly (readonly Place[])[]): Promise<void> {
    this.#checkGroups(groups);
    const network = this.#network;
    network.unsilence();
    for (const [index, group] of groups.entries()) {
      for (const others of groups.slice(index + 1)) {
        for (const one of group) {
          for (const other of others) {
            network.silence(one, other);
            network.silence(other, one);
          }
        }
      }
    }
  }

  /** Nothing that `from` sends reaches `to` any more; what `to` sends still reaches `from`. */
  async cut(from: Place, to: Place): Promise<void> {
    this.#checkPlaces([from, to]);
    this.#network.silence(from, to);
  }

  /** What `from` sends reaches `to` later, or more slowly; an earlier slowness of this way is replaced. */
  async slow(from: Place, to: Place, slowness: Slowness): Promise<void> {
    this.#checkPlaces([from, to]);
    checkOptions('slow', slowness, SLOWNESS_OPTIONS, { called: 'what slows the way' });
    const { delayMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = slowness;
    if (!(delayMs >= 0 && bytesPerSecond > 0)) throw new RangeError('delayMs must be at least 0, and bytesPerSecond above 0');
    this.#network.slowWay(from, to, { delayMs, bytesPerSecond });
  }

  /** Mends the network: nothing is cut or slow. What was held back arrives. */
  async heal(): Promise<void> {
    this.#network.heal();
  }

  /** Closes the clients, kills the nodes, and removes what was made for the test. May be called again. */
  close(): Promise<void> {
    this.#closing ??= busy(this.#close());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // A moment for what is on its way; what cannot be done any more is given up.
    const leaving = Promise.all([...this.#clients].map((client) => client.close()));
    await atMost(leaving, CLIENTS_MS);
    this.#ended.abort();
    await this.#cluster.close();
    await atMost(leaving, CLIENTS_MS);
    if (this.#isTemporary) rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
    await this.#keeper.farewell();
  }

  get #network(): NonNullable<LocalCluster['network']> {
    const { network } = this.#cluster;
    if (network === undefined) throw new TypeError('a test cluster has links');
    return network;
  }

  #checkPlaces(places: readonly Place[]): void {
    for (const place of places) if (place !== 'clients') this.node(place);
    if (new Set(places).size < places.length) throw new TypeError(`a place is named twice: ${places.join(', ')}`);
  }

  #checkGroups(groups: readonly (readonly Place[])[]): void {
    this.#checkPlaces(groups.flat());
  }
}

function checkEmpty(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const [name] = readdirSync(directory);
  if (name !== undefined) throw new Error(`${directory} is not empty (${name}): name another directory for the cluster, or an empty one`);
}

/** The node of `directory` puts the token into the log as soon as there is a leader. */
function askFor({ record }: MadeToken, directory: string): void {
  mkdirSync(directory, { recursive: true });
  leaveTokenRequest(directory, { what: 'put', record, isRequest: true });
}

/** No process of `node` outlives this program, and none keeps it running. */
function keep(node: ClusterNode, keeper: Keeper): void {
  node.onStart = (child) => {
    const { pid } = child;
    if (pid === undefined) return;
    child.unref();
    keeper.started(pid);
    void child.ended.then(() => keeper.ended(pid));
  };
}

/**
 * Starts a cluster on this machine, of real nodes, each a process with its data in a temporary directory, on free ports. Resolves when one
 * node leads and all count for majorities. `await using` ends it with its block, and whatever becomes of the test: no process, port or
 * file is left. Rejects with the last words of a node that does not start; TypeError or RangeError for an option.
 */
export async function startCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  return TestCluster.start(planOf(options));
}
