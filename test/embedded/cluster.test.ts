// A log in a program that is a member of a cluster: its appends go to whoever leads, and what was acknowledged outlives the leader.

import { expect, it, onTestFinished } from 'vitest';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import type { EmbeddedLog } from '../../dist/src/index.js';
import { directory, open, textsOf } from './support.ts';

/** Three members in this process. */
async function openCluster(): Promise<EmbeddedLog[]> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  return Promise.all([1, 2, 3].map((node) => open({ dir: directory(), node, peers })));
}

/** Whoever says that it leads. */
async function leaderOf(members: readonly EmbeddedLog[]): Promise<EmbeddedLog> {
  for (;;) {
    const leader = members.find(({ hello }, i) => hello.role === 'leader' && hello.nodeId === i + 1);
    if (leader !== undefined) return leader;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('members of a cluster append through the leader, and go on without it', async () => {
  const members = await openCluster();
  const receipts = await Promise.all(members.map((log, i) => log.append(`from ${i + 1}`)));
  const end = Math.max(...receipts.map((receipt) => receipt.end));
  expect(new Set(members.map(({ clusterId }) => clusterId)).size).toBe(1);
  // The log says which nodes it has after that, too.
  for (const log of members) expect((await log.end({ linearizable: true })).end).toBeGreaterThanOrEqual(end);

  const leader = await leaderOf(members);
  await leader.close();
  const others = members.filter((log) => log !== leader);
  const later = await Promise.all(others.map((log) => log.append('later')));
  const [other] = others as [EmbeddedLog];
  await other.end({ atLeast: Math.max(...later.map((receipt) => receipt.end)) });
  const texts = await textsOf(other);
  expect(texts.slice(0, 3).sort()).toEqual(['from 1', 'from 2', 'from 3']);
  expect(texts.slice(3)).toEqual(['later', 'later']);
});
