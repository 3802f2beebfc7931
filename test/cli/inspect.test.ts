// What `loglog inspect` makes of a node.json with and without membership in a cluster.

import { describe, expect, it } from 'vitest';
import { directoryPairs, publicFacts } from '../../src/cli/commands/inspect.ts';
import type { DirectoryFacts } from '../../src/storage/offline.ts';

const IDENTITY = { clusterId: '0'.repeat(32), nodeId: 2, markSeed: 7n, start: 0 };

function factsOf(more: object): DirectoryFacts {
  const identity = { ...IDENTITY, ...more } as DirectoryFacts['identity'];
  return {
    directory: 'd',
    identity,
    vote: { currentTerm: 3, votedFor: 0, commit: 0 },
    start: 0,
    end: 12,
    commit: 12,
    segments: [],
    damage: [],
    leftover: [],
  };
}

describe('inspect', () => {
  it('shows instance and standing where node.json has them', () => {
    const facts = factsOf({ instance: '0123456789abcdef', standing: 'voter', isFounder: true, nodes: [1, 2, 3], known: { 1: 'x' } });
    expect(directoryPairs(facts)).toEqual([
      ['directory', 'd'],
      ['cluster', IDENTITY.clusterId],
      ['node', '2, founder of the cluster'],
      ['nodes', '1, 2, 3'],
      ['instance', '0123456789abcdef'],
      ['standing', 'voter'],
      ['term', '3, voted for none'],
      ['log', 'offsets 0 to 12, committed up to 12 at least'],
      ['entries', '0'],
    ]);
    expect(JSON.parse(JSON.stringify(publicFacts(facts)))).toMatchObject({
      identity: { clusterId: IDENTITY.clusterId, nodeId: 2, start: 0, instance: '0123456789abcdef', standing: 'voter', isFounder: true },
    });
  });

  it('does without them, and never shows the seed of the marks', () => {
    const facts = factsOf({});
    expect(directoryPairs(facts).map(([name]) => name)).toEqual(['directory', 'cluster', 'node', 'term', 'log', 'entries']);
    expect(JSON.parse(JSON.stringify(publicFacts(facts)))).toMatchObject({
      identity: { clusterId: IDENTITY.clusterId, nodeId: 2, start: 0 },
    });
    expect(JSON.stringify(publicFacts(facts))).not.toContain('markSeed');
  });
});
