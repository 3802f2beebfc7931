// The sentence at the top: how the cluster is, why, and what to type.

import type { NodeStatus } from '../node/status.ts';
import { durationText } from './texts.ts';

export interface Health {
  readonly state: 'healthy' | 'degraded' | 'down';
  readonly sentence: string;
  /** What else makes it less than healthy, each in a sentence. */
  readonly reasons: readonly string[];
  /** What to type next; undefined: nothing. */
  readonly command: string | undefined;
}

/** Certificates that end in less are named. */
const SOON_MS = 14 * 86_400_000;

/** What one node says of itself that its people have to know. */
function reasonsOf({ node, disk, scrub, mirror, log }: NodeStatus, nowMs: number): string[] {
  const name = mirror === null ? `node ${node.id}` : 'the mirror';
  const reasons: string[] = [];
  if (disk.level === 'critical') reasons.push(`the disk of ${name} is full: it takes no appends`);
  if (disk.level === 'low') reasons.push(`the disk of ${name} fills up`);
  if (scrub.damaged > 0) reasons.push(`${scrub.damaged} segments of ${name} are damaged`);
  if (scrub.openDamage !== null) reasons.push(`the newest segment of ${name} is damaged, so it does not count`);
  if (!node.isDurable) reasons.push(`${name} runs without fsync: what it acknowledges may be lost`);
  if (log.isTimeHeld) reasons.push(`the clock of ${name} is off, and the log's time stands still`);
  if (mirror !== null && !mirror.isConnected) reasons.push('the mirror does not follow its source now');
  for (const { use, notAfterMs } of node.certificates) {
    const leftMs = notAfterMs - nowMs;
    if (leftMs < SOON_MS)
      reasons.push(`a certificate of ${name} (${use}) ${leftMs < 0 ? 'has expired' : `expires in ${durationText(leftMs)}`}`);
  }
  return reasons;
}

/** How all of it is, as `own` and the other nodes say: those that answered, and how many did not. */
export function healthOf(own: NodeStatus, others: readonly NodeStatus[], nowMs: number): Health {
  const all = [own, ...others];
  const command = `loglog doctor ${own.node.url}`;
  const leader = all.find(({ node }) => node.role === 'leader' && node.term === Math.max(...all.map((each) => each.node.term)));
  if (own.mirror === null && own.node.leader === null && leader === undefined) {
    const why = own.node.whyNoLeader ?? 'the nodes elect one, or cannot';
    return { state: 'down', sentence: 'Down: no node leads, so nothing can be appended', reasons: [why], command };
  }
  const view = (leader ?? own).cluster;
  // What is wrong between two nodes the leader need not know.
  const reasons = new Set<string>(
    [view, ...all.map(({ cluster }) => cluster)].flatMap(({ causes }) => causes.map(({ sentence }) => sentence)),
  );
  const count = view.nodes.length;
  // Of a leader that this browser does not reach nothing is known but what this node sees.
  const seer = leader === undefined ? `node ${own.node.id}` : 'the leader';
  for (const { id, isSelf, isConnected } of view.nodes) if (!isSelf && !isConnected) reasons.add(`node ${id} is not connected to ${seer}`);
  const voters = view.nodes.filter(({ role }) => role !== 'learner' && role !== 'reader').length;
  if (view.toleratedFailures === 0 && voters > 2) reasons.add('one more node that fails stops the cluster');
  for (const status of all) for (const reason of reasonsOf(status, nowMs)) reasons.add(reason);
  const [first, ...rest] = reasons;
  if (first !== undefined) return { state: 'degraded', sentence: `Degraded: ${first}`, reasons: rest, command };
  const tolerates = view.toleratedFailures;
  const more = tolerates === null || count === 1 ? '' : `, and tolerates ${tolerates} more failure${tolerates === 1 ? '' : 's'}`;
  const what =
    own.mirror === null
      ? `${count === 1 ? 'the node' : `all ${count} nodes`} run${count === 1 ? 's' : ''}${more}`
      : 'the mirror follows its source';
  return { state: 'healthy', sentence: `Healthy: ${what}`, reasons: [], command: undefined };
}
