// Finds out when no leader can be elected although all nodes talk, because too many of them lost their disks or never joined. Nothing is wrong
// with any one of them, so nobody else would. Pure: told what was heard, asked now and then.

import { electorsOf, type Part, type Standing } from '../core/ids.ts';

const WHAT: Readonly<Record<Standing, string>> = {
  stranger: 'lost its disk, or never joined',
  new: 'joined without a founder to vote for',
  voter: 'counts',
  returned: 'runs on an old copy of its disk',
  damaged: 'has lost a part of the log that its disk had',
};

export class QuorumWatch {
  readonly #others: () => readonly number[];
  /** What each other node that a link leads to said of itself when it was made. */
  readonly #said = new Map<number, Part>();
  #lacksLeader = false;

  /** `others`: the nodes, without this one, that count now, or would if their directories were what they were. */
  constructor(others: () => readonly number[]) {
    this.#others = others;
  }

  connected(to: number, { standing, isFounder }: Part): void {
    this.#said.set(to, { standing, isFounder });
  }

  disconnected(to: number): void {
    this.#said.delete(to);
  }

  /**
   * Called at intervals in which an election is over, many times: why none can succeed, as long as that is so; undefined: nothing is known.
   */
  look(node: number, own: Part, leader: number): string | undefined {
    const lackedLeader = this.#lacksLeader;
    this.#lacksLeader = leader === 0;
    const others = this.#others();
    const said = [...this.#said].filter(([id]) => others.includes(id));
    if (leader !== 0 || !lackedLeader || said.length < others.length) return undefined;
    if (others.length === 0 && own.standing === 'stranger')
      return `node ${node} is in no set of nodes yet: add it, wherever a member is reached, with loglog member add ${node}@HOST:PORT/PEERPORT`;
    const all = [[node, own] as const, ...said].sort(([a], [b]) => a - b);
    const electors = electorsOf(all.map(([, part]) => part));
    const voters = all.filter(([, part]) => electors.includes(part));
    if (voters.length * 2 > all.length) return undefined;
    const lacking = all.filter((each) => !voters.includes(each)).map(([id, { standing }]) => `node ${id} ${WHAT[standing]}`);
    const keep = voters.length === 0 ? '' : `; do not remove the directory of node ${voters.map(([id]) => id).join(' or ')}`;
    return (
      `nobody can be elected: all ${all.length} nodes talk, but by what they said when they connected only ${voters.length} may vote: ` +
      `${lacking.join(', ')}. Nothing that was acknowledged is removed, and nothing can be appended${keep}`
    );
  }
}
