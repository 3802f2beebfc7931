// R3: a founder that lost its disk while another node had never joined: nothing can be elected, and that is said.

import { describe, expect, test } from 'vitest';
import type { Standing } from '../../src/core/ids.ts';
import { QuorumWatch } from '../../src/peers/quorumWatch.ts';

const VOTER = { standing: 'voter', isFounder: false } as const;

/** What node 2 says in the second look in which it knows no leader; the others said this of themselves. */
function saidOf(one: Standing, three: Standing | undefined, isFounder = false): string | undefined {
  const watch = new QuorumWatch(() => [1, 3]);
  watch.connected(1, { standing: one, isFounder });
  if (three !== undefined) watch.connected(3, { standing: three, isFounder: false });
  expect(watch.look(2, VOTER, 0)).toBeUndefined();
  return watch.look(2, VOTER, 0);
}

describe('too few nodes that may vote', () => {
  test('are named, with what became of the others and what must be kept', () => {
    const said = saidOf('stranger', 'returned');
    expect(said).toContain('nobody can be elected: all 3 nodes talk');
    expect(said).toContain('only 1 may vote: node 1 lost its disk, or never joined, node 3 runs on an old copy of its disk');
    expect(said).toContain('do not remove the directory of node 2');
    expect(saidOf('new', 'stranger')).toContain('node 1 joined without a founder to vote for');
  });

  test.each<[string, string | undefined]>([
    ['one of them is silent', saidOf('stranger', undefined)],
    ['a majority may vote', saidOf('voter', 'stranger')],
    ['new nodes have their founder', saidOf('voter', 'new', true)],
  ])('are not said to be when %s', (_what, said) => {
    expect(said).toBeUndefined();
  });

  test('are none where no set has this node: it is to be added', () => {
    const watch = new QuorumWatch(() => []);
    const stranger = { standing: 'stranger', isFounder: false } as const;
    const said = [0, 0].map(() => watch.look(4, stranger, 0));
    expect(said[0]).toBeUndefined();
    expect(said[1]).toContain('loglog member add 4@HOST:PORT/PEERPORT');
  });

  test('are said as long as there is no leader, and from the second look on', () => {
    const watch = new QuorumWatch(() => [1, 3]);
    const stranger = { standing: 'stranger', isFounder: false } as const;
    for (const node of [1, 3]) watch.connected(node, stranger);
    const looks = (leader: number): boolean[] => [0, 0, 0].map(() => watch.look(2, VOTER, leader) !== undefined);
    expect([looks(0), looks(1), looks(0)]).toEqual([
      [false, true, true],
      [false, false, false],
      [false, true, true],
    ]);
    watch.disconnected(3);
    expect([...looks(1), ...looks(0)]).not.toContain(true);
  });
});
