// Who is who: the ids that stand in node.json and that nodes tell each other.

/** How far a node may take part, in the order of their numbers between nodes. See docs/PEERS.md, "Joining". */
export const STANDINGS = ['stranger', 'new', 'voter', 'returned', 'damaged'] as const;

export type Standing = (typeof STANDINGS)[number];

/** The cluster id of a node that has none yet. */
export const NO_CLUSTER = '0'.repeat(32);

/** The instance of a data directory that has none yet. */
export const NO_INSTANCE = '0'.repeat(16);

/** Bytes of the number that each process of a node draws when it starts; as 16 hexadecimal digits it is told to nodes and clients. */
export const PROCESS_BYTES = 8;

/** Whether a node of this standing counts for majorities, and may vote. */
export function doesCount(standing: Standing): boolean {
  return standing === 'voter' || standing === 'new';
}

/** What a node's directory says of its part in its cluster. */
export interface Part {
  readonly standing: Standing;
  /** The cluster began with it. */
  readonly isFounder: boolean;
}

/**
 * Those of `all`, nodes of one cluster, that can elect a leader among them: voters, and new ones where the founder is there to be elected, for whom alone they
 * vote. One that is damaged, or lost its disk, is elected by nobody.
 */
export function electorsOf<Node extends Part>(all: readonly Node[]): Node[] {
  const hasFounder = all.some(({ isFounder, standing }) => isFounder && standing === 'voter');
  return all.filter(({ standing }) => standing === 'voter' || (standing === 'new' && hasFounder));
}

/**
 * Whose an entry is: its term, and the instance of that term's leader. Two lists of nodes can have two leaders of one term, so only both
 * together say who wrote a byte.
 */
export interface EntryTerm {
  readonly term: number;
  /** 16 hexadecimal digits; NO_INSTANCE where nothing tells. */
  readonly leader: string;
}

/** Where there is no entry, or nothing tells whose it is. */
export const NO_TERM: EntryTerm = { term: 0, leader: NO_INSTANCE };

export function isSameTerm(left: EntryTerm, right: EntryTerm): boolean {
  return left.term === right.term && left.leader === right.leader;
}
