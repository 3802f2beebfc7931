// Producers on real processes that are killed, stopped, and cut off: each appends in its session and waits for its receipts. Afterwards the log has every append
// once, where its receipt says, in the order of each producer, and none is unknown.

import { setTimeout as delay } from 'node:timers/promises';
import type { LogClient } from '../../src/client/client.ts';
import { connect } from '../../src/client/index.ts';
import { LogError } from '../../src/core/errors.ts';
import { startCluster, type TestCluster, type TestNode } from '../../src/testing/index.ts';
import { Random } from '../assembly/random.ts';

export interface ProducersRun {
  readonly nodes: number;
  readonly producers: number;
  /** Of all producers together. */
  readonly appends: number;
  /** How often something is struck. */
  readonly strikes: number;
  readonly seed: number;
  readonly electionTimeoutMs: number;
  readonly tell: (sentence: string) => void;
}

export interface ProducersResult {
  readonly problems: readonly string[];
  readonly facts: Readonly<Record<string, number>>;
}

/** As many of a producer are on their way. */
const IN_FLIGHT = 24;
/** Longer than all that is done to a cluster at a time. */
const PATIENCE_MS = 300_000;

interface Told {
  readonly offset: number;
  readonly end: number;
}

class Load {
  readonly #log: LogClient;
  readonly #name: string;
  readonly #count: number;
  readonly receipts: Told[] = [];
  readonly failures: string[] = [];
  sent = 0;

  constructor(log: LogClient, name: string, count: number) {
    this.#log = log;
    this.#name = name;
    this.#count = count;
  }

  /** Appends all, never more at a time than struck so far allow: `share` says how many of all may have been sent. */
  async run(share: () => number): Promise<void> {
    const one = async (): Promise<void> => {
      while (this.sent < this.#count) {
        if (this.sent >= share() * this.#count) {
          await delay(5);
          continue;
        }
        const number = this.sent;
        this.sent += 1;
        const text = `${this.#name} ${number}`;
        try {
          const receipt = number % 7 === 0 ? await this.#log.appendBatch([text]) : await this.#log.append(text);
          this.receipts[number] = { offset: receipt.offset, end: receipt.end };
        } catch (thrown) {
          this.failures.push(`${text}: ${thrown instanceof LogError ? `${thrown.code} ${thrown.outcome}, ${thrown.message}` : thrown}`);
        }
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, one));
  }
}

/** Strikes one node, or one way between two places, for a while. */
async function strike(cluster: TestCluster, random: Random, pauseMs: () => number): Promise<void> {
  const pick = (): TestNode => cluster.node(1 + random.below(cluster.nodes.length));
  const leader = async (): Promise<TestNode> => (random.oneIn(3) ? pick() : cluster.leader({ timeoutMs: PATIENCE_MS }));
  const node = await leader();
  switch (random.below(5)) {
    case 0:
      await node.pause();
      await delay(pauseMs());
      await node.resume();
      return;
    case 1:
      await cluster.partition([[node.id], ['clients', ...cluster.nodes.filter((other) => other !== node).map(({ id }) => id)]]);
      await delay(pauseMs());
      await cluster.heal();
      return;
    case 2:
      await cluster.cut(node.id, 'clients');
      await delay(pauseMs());
      await cluster.heal();
      return;
    default:
      await node.kill();
      await delay(random.below(2) * pauseMs());
      await node.start();
  }
}

/** What is wrong with the log, in sentences. */
async function judge(log: LogClient, loads: readonly Load[], names: readonly string[], counts: readonly number[]): Promise<string[]> {
  const problems: string[] = [];
  const due = names.map(() => 0);
  for await (const { payload, offset, nextOffset } of log.read()) {
    const [name = '', number = ''] = Buffer.from(payload).toString().split(' ');
    const i = names.indexOf(name);
    const n = Number(number);
    if (n !== due[i]) problems.push(`the log has ${name} ${n} at ${offset}, where its number ${due[i]} was due`);
    due[i] = n + 1;
    const told = loads[i]?.receipts[n];
    if (told !== undefined && (told.offset !== offset || told.end !== nextOffset)) {
      problems.push(`${name} ${n} was acknowledged at [${told.offset}, ${told.end}), and is at [${offset}, ${nextOffset})`);
    }
  }
  for (const [i, name] of names.entries())
    if (due[i] !== counts[i]) problems.push(`the log has ${due[i]} of the ${counts[i]} appends of ${name}`);
  return problems;
}

/** Runs it; the cluster is gone when this resolves. */
export async function runProducers({
  nodes,
  producers,
  appends,
  strikes,
  seed,
  electionTimeoutMs,
  tell,
}: ProducersRun): Promise<ProducersResult> {
  const random = new Random(seed);
  const startedMs = performance.now();
  await using cluster = await startCluster({ nodes, electionTimeoutMs, timeoutMs: PATIENCE_MS });
  const names = Array.from({ length: producers }, (_, i) => `p${i + 1}`);
  const counts = names.map((_, i) => Math.floor(appends / producers) + (i < appends % producers ? 1 : 0));
  const reconnect = { timeoutMs: PATIENCE_MS };
  const clients = await Promise.all(names.map((producer) => connect(cluster.urls, { producer, reconnect })));
  const loads = clients.map((log, i) => new Load(log, names[i] ?? '', counts[i] ?? 0));
  let struck = 0;
  const work = Promise.all(loads.map((load) => load.run(() => (strikes === 0 ? 1 : (struck + 1) / strikes))));
  for (; struck < strikes; struck += 1) {
    if (struck % 25 === 24) tell(`${struck + 1} strikes, ${loads.reduce((sum, { receipts }) => sum + receipts.length, 0)} appends`);
    await strike(cluster, random, () => electionTimeoutMs * (0.2 + random.below(20) / 10));
    await delay(random.below(electionTimeoutMs));
  }
  await work;
  await cluster.converged(PATIENCE_MS);
  const reader = await connect(cluster.urls, { reconnect });
  const unknown = loads.flatMap(({ failures }) => failures);
  const problems = [...unknown.slice(0, 20), ...(await judge(reader, loads, names, counts)).slice(0, 20)];
  const resent = clients.reduce((sum, client) => sum + client.stats().resentMessageCount, 0);
  await Promise.all([reader, ...clients].map((client) => client.close()));
  const facts = {
    appends,
    producers,
    strikes,
    resent,
    failed: unknown.length,
    seconds: Math.round((performance.now() - startedMs) / 1000),
  };
  return { problems, facts };
}
