// Why two nodes do not talk, and why there is no leader: one list of causes, and the sentence of each. The log, /status, the greeting of
// clients and their errors say these and no others. They travel, so they name no option: each program has its own names for those. docs/OPERATIONS.md says what to do about each.

import { MAX_WHY_BYTES } from './peerLimits.ts';

/** Codes are stable; sentences may change. */
export const CAUSES = [
  'LEADS_TO_SELF',
  'LEADS_TO_OTHER',
  'TWO_PROCESSES',
  'REFUSED',
  'LISTENS_ON_LOOPBACK',
  'ONE_WAY',
  'NOT_JOINED',
  'UNREACHABLE',
  'TOO_FEW_VOTERS',
] as const;

export type CauseCode = (typeof CAUSES)[number];

/** Something that keeps nodes apart, or the cluster without a leader. */
export interface Cause {
  readonly code: CauseCode;
  /** The node that it is about; null: the cluster as a whole. */
  readonly node: number | null;
  /** What is known, and what to do. */
  readonly sentence: string;
}

/** Only these are certainly somebody's mistake, which waiting does not mend: each is worth a line in the log of its own. */
const MISTAKES: readonly CauseCode[] = [
  'LEADS_TO_SELF',
  'LEADS_TO_OTHER',
  'TWO_PROCESSES',
  'REFUSED',
  'LISTENS_ON_LOOPBACK',
  'TOO_FEW_VOTERS',
];

export function isMistake({ code }: Cause): boolean {
  return MISTAKES.includes(code);
}

/** A process that says that it is a node. */
export interface ProcessFacts {
  /** Where it was found: an address of the list of nodes, or the host that it dialed from. */
  readonly at: string;
  readonly instance: string;
}

export const causes = {
  leadsToSelf: (node: number, address: string): Cause => ({
    code: 'LEADS_TO_SELF',
    node,
    sentence:
      `the address of node ${node} in the list of nodes, ${address}, leads back to this node itself: a forwarded port, or a name that this machine ` +
      `has as its own (127.0.1.1 in /etc/hosts). Give node ${node} an address that leads to it from here`,
  }),
  leadsToOther: (node: number, address: string, found: number): Cause => ({
    code: 'LEADS_TO_OTHER',
    node,
    sentence: `the address of node ${node} in the list of nodes, ${address}, leads to node ${found}: correct it, or the port that is forwarded to the wrong node`,
  }),
  /** Two processes that were both heard say that they are `node`. */
  twoProcesses: (node: number, one: ProcessFacts, other: ProcessFacts): Cause => ({
    code: 'TWO_PROCESSES',
    node,
    sentence:
      `two processes run as node ${node}, at ${one.at} and at ${other.at}, ` +
      `${one.instance === other.instance ? 'with copies of one data directory (a cloned machine?)' : 'each with a data directory of its own'}: ` +
      `this node talks to the one that answers at the address in the list of nodes. Stop the other one, and start it again only with an empty directory and as the node that it is`,
  }),
  /** Another node says that another process than this one is this node. */
  isSecond: (own: number, by: number, text: string, isSilent: boolean): Cause => ({
    code: 'TWO_PROCESSES',
    node: own,
    sentence:
      `another process runs as node ${own}, as this one does${isSilent ? ', so this one stays silent' : ''}, ` +
      `or node ${by} has a wrong address of node ${own} in its list of nodes: node ${by} says: ${text}`,
  }),
  refused: (node: number, text: string): Cause => ({ code: 'REFUSED', node, sentence: `node ${node}: ${text}` }),
  listensOnLoopback: (own: number, address: string): Cause => ({
    code: 'LISTENS_ON_LOOPBACK',
    node: own,
    sentence:
      `this node listens to other nodes at ${address} only, where other machines cannot reach it: its own name may be 127.0.1.1 in ` +
      `/etc/hosts. Start it with another host to listen on, an address that others reach`,
  }),
  oneWay: (node: number, address: string, reason: string): Cause => ({
    code: 'ONE_WAY',
    node,
    sentence:
      `node ${node} reaches this node, but this one cannot reach it at ${address}: ${reason}. A firewall, or it listens on a loopback ` +
      `address only (its own name as 127.0.1.1 in its /etc/hosts): check which host it listens on`,
  }),
  isNotReached: (node: number): Cause => ({
    code: 'ONE_WAY',
    node,
    sentence:
      `this node reaches node ${node}, but node ${node} does not reach this one: a firewall, another address of this node in the list of nodes there, ` +
      `or this node listens on a loopback address only`,
  }),
  notJoined: (node: number): Cause => ({ code: 'NOT_JOINED', node, sentence: `node ${node} does not belong to the cluster yet` }),
  unreachable: (node: number, address: string, reason: string): Cause => ({
    code: 'UNREACHABLE',
    node,
    sentence: `node ${node} cannot be reached at ${address}: ${reason}`,
  }),
  tooFewVoters: (sentence: string): Cause => ({ code: 'TOO_FEW_VOTERS', node: null, sentence }),
} as const;

/**
 * Why no leader is known, for people; empty when nothing but an election is known to be under way. `talking`: nodes that this one talks to,
 * itself among them, of `total`: where some do not count for majorities, of those that do (`isOfVoters`).
 */
export function whyNoLeader(found: readonly Cause[], talking: number, total: number, isOfVoters = false): string {
  const majority = Math.floor(total / 2) + 1;
  const [voters] = found.filter(({ code }) => code === 'TOO_FEW_VOTERS');
  if (voters !== undefined) return cut(voters.sentence);
  const sentences = found.map(({ sentence }) => sentence).join('; ');
  if (talking >= majority) return cut(sentences);
  const nodes = `${total} ${isOfVoters ? 'voters' : 'nodes'}`;
  const count = `it talks to ${talking} of ${nodes}, itself included, and a leader needs ${majority}`;
  return cut(sentences === '' ? count : `${count}: ${sentences}`);
}

/** At most MAX_WHY_BYTES of UTF-8, whatever addresses and other nodes' sentences it is made of. */
function cut(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(MAX_WHY_BYTES));
  return text.slice(0, read);
}
