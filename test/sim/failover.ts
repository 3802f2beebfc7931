// The death of a leader in a cluster that is otherwise well: how long appends wait for the next one.

import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

/**
 * Kills the leader, and tries to append at whoever leads then. Returns after how many election timeouts (of the slowest clock) the first
 * append was committed; infinity: after `limit` none was. Undefined when the others could not elect anybody, or nobody leads.
 */
export async function failOver(
  world: World,
  limit: number,
  append: (node: SimNode, done: () => void) => void,
): Promise<number | undefined> {
  const { leader, nodes, profile, scheduler, random } = world;
  if (leader === undefined || nodes.length < 3) return undefined;
  const timeoutMs = profile.electionTimeoutMs * profile.clockSpread;
  const startMs = scheduler.nowMs;
  let committedMs: number | undefined;
  /** In which term each node was last asked: one append a term is enough. */
  const asked = new Map<SimNode, number>();
  const attempt = (): void => {
    if (committedMs !== undefined) return;
    for (const node of nodes) {
      const raft = node.process?.replica.raft;
      if (raft?.role !== 'leader' || asked.get(node) === raft.currentTerm) continue;
      asked.set(node, raft.currentTerm);
      append(node, () => {
        committedMs ??= scheduler.nowMs;
      });
    }
    scheduler.after(profile.electionTimeoutMs * (0.02 + random.below(40) / 1000), attempt);
  };
  leader.kill(false);
  leader.isHeldDown = true;
  attempt();
  const endMs = startMs + limit * timeoutMs;
  while (committedMs === undefined && scheduler.step(endMs)) {
    if (scheduler.isUnsettled) await scheduler.settled();
  }
  leader.isHeldDown = false;
  leader.planStart(0);
  return committedMs === undefined ? Number.POSITIVE_INFINITY : (committedMs - startMs) / timeoutMs;
}
