// `cluster.check()`: whether the log and what clients were told of it keep the promises.

import { connect } from '../client/index.ts';
import type { LocalCluster } from '../cluster/localCluster.ts';
import { until } from '../cluster/until.ts';
import { type NodeLog, readNodeLog, type Shown } from './finalLog.ts';
import { judge } from './judge.ts';
import type { Recording } from './recording.ts';

export interface CheckOptions {
  /** How long the nodes have for the whole log, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number;
}

/** What was verified. */
export interface CheckResult {
  /** Bytes of the log. */
  readonly end: number;
  /** Entries in it that clients appended. */
  readonly entries: number;
  /** Calls of `append` and `appendBatch` that were recorded. */
  readonly appends: number;
  /** How many of them were acknowledged. */
  readonly acknowledged: number;
  /** Entries that reads and subscriptions handed out. */
  readonly read: number;
  /** Ids of the nodes that run and have the whole log: they were compared. */
  readonly compared: readonly number[];
  /** Ids of the nodes that refuse to show a part of it, because a disk does not have what was written there. */
  readonly damaged: readonly number[];
}

/** The promises that were broken. */
export class CheckError extends Error {
  override readonly name = 'CheckError';
  /** A sentence each. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `the cluster broke ${problems.length === 1 ? 'a promise' : `${problems.length} promises`}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

/** How far the log goes that all must have: all that was acknowledged to anyone is in it. */
async function endOf(cluster: LocalCluster, shown: Shown, timeoutMs: number): Promise<number> {
  const leader = await cluster.leader(undefined, timeoutMs);
  if (leader.listensAt === undefined) throw new TypeError('a node that leads has said where it listens');
  // Not by way of links: that clients are cut off does not matter here.
  await using client = await connect(leader.listensAt, { ...shown, reconnect: { timeoutMs } });
  const { end } = await client.end({ linearizable: true, timeoutMs });
  await until(
    `for node ${leader.id} to have what it committed`,
    async () => ((await leader.status())?.log.commit ?? end) >= end,
    timeoutMs,
  );
  return end;
}

export async function check(
  cluster: LocalCluster,
  recording: Recording,
  shown: Shown,
  timeoutMs: number,
): Promise<CheckResult & { readonly violations: readonly string[] }> {
  const end = await endOf(cluster, shown, timeoutMs);
  const logs = await Promise.all(
    cluster.nodes.map(async ({ id, listensAt, isRunning, isPaused }) => {
      if (!isRunning || isPaused || listensAt === undefined) return [];
      return [{ id, log: await readNodeLog(listensAt, end, shown, timeoutMs) }];
    }),
  );
  const [first, ...others] = logs.flat().flatMap(({ id, log }) => (typeof log === 'string' ? [] : [{ id, log }]));
  if (first === undefined) throw new Error(`no node has all of the log, ${end} bytes, within ${timeoutMs} ms`);
  const { violations, dataEntries } = judge(recording, first.log.entries, cluster.majority);
  const { appends } = recording.recorder;
  return {
    violations: [
      ...violations.map(({ kind, sentence }) => `${kind}: ${sentence}`),
      ...others.flatMap((other) => difference(first, other)),
      ...cluster.surprises,
    ],
    end,
    entries: dataEntries,
    appends: appends.length,
    acknowledged: appends.filter(({ result }) => result.kind === 'ok').length,
    read: recording.readings.reduce((sum, { entries }) => sum + entries.length, 0),
    compared: [first, ...others].map(({ id }) => id),
    damaged: logs.flat().flatMap(({ id, log }) => (log === 'damaged' ? [id] : [])),
  };
}

interface OfNode {
  readonly id: number;
  readonly log: NodeLog;
}

function difference(one: OfNode, other: OfNode): string[] {
  if (one.log.digest === other.log.digest) return [];
  const at = one.log.entries.findIndex((entry, index) => {
    const its = other.log.entries[index];
    return its?.offset !== entry.offset || its.term !== entry.term || its.fingerprint !== entry.fingerprint;
  });
  return [`nodes differ: the logs of nodes ${one.id} and ${other.id} differ from offset ${one.log.entries[at]?.offset ?? 0} on`];
}
