// Whether two nodes may talk, as each judges what the other says in its handshake: refusals name what is wrong and what to do about it.

import { NO_CLUSTER, NO_INSTANCE, type Standing } from '../core/ids.ts';
import { knowsLevel, type LevelRange } from '../core/levels.ts';
import { MAX_TERM_STEP } from '../core/limits.ts';
import { formatNodes, isSameSet, type NodeSet } from '../core/nodeSet.ts';
import type { NodeId } from '../raft/messages.ts';
import { ANY_NODE, type DecodedHandshake, type Introduction, PEER_PROTOCOL_VERSION, type Refusal } from './peerHandshake.ts';

/** What a node must know of itself to judge others. */
export interface Self {
  /** {@link NO_CLUSTER} while it looks for its cluster. */
  readonly clusterId: string;
  readonly id: NodeId;
  /** {@link NO_INSTANCE} while it looks for its cluster. */
  readonly instance: string;
  readonly process: string;
  readonly segmentBytes: number;
  readonly isSynced: boolean;
  /** Whether clients may put uploads on the sender: it announces them, and takes references to them. */
  readonly takesUploads: boolean;
  /** The cluster's nodes, this one among them: as its log says them, where {@link saysNodes}, with those that the founder's list awaits. */
  readonly nodes: NodeSet;
  readonly saysNodes: boolean;
  /** Those of them that count for majorities. */
  readonly voters: NodeSet;
  /** Whether the data directory `instance` of node `id` was removed from the cluster, and that is committed. */
  isRemoved(id: NodeId, instance: string): boolean;
  /** Where clients reach this node; empty: where each node's own list says. */
  readonly advertise: string;
  /** Levels of the log that this build knows. */
  readonly levels: LevelRange;
  /** That of this node's log. */
  readonly level: number;
  /** The log's generation; {@link NO_INSTANCE} while it is not known. */
  readonly generation: string;
  readonly standing: Standing;
  readonly term: number;
}

/** Whether the sender of `decoded` may dial this node: its HELLO, or why not. */
export function judgeHello(decoded: DecodedHandshake, self: Self): Introduction | Refusal {
  switch (decoded.kind) {
    case 'hello':
      return refusalOfHello(decoded.introduction, self) ?? decoded.introduction;
    case 'notAPeer':
      return { code: 'NOT_A_PEER', sentence: 'this is the port that LogLog nodes use among themselves; clients connect to another one' };
    case 'otherVersion':
      return {
        code: 'VERSION',
        sentence: `this node speaks version ${PEER_PROTOCOL_VERSION} of the protocol between nodes, not ${versionsOf(decoded)}: run the same LogLog on all nodes`,
      };
    case 'malformed':
      return { code: 'MALFORMED', sentence: decoded.reason };
    default:
      return { code: 'MALFORMED', sentence: `a connection begins with HELLO, not with a ${decoded.kind}` };
  }
}

/** `4`, or `4 to 5`, for sentences. */
export function versionsOf({ version, lowest }: { readonly version: number; readonly lowest: number }): string {
  return lowest === version || lowest === 0 ? String(version) : `${lowest} to ${version}`;
}

function ownIdSentence({ to, instance, process }: Introduction, self: Self): string {
  if (process === self.process) {
    return `the address of node ${to} leads back to the process that dialed it, node ${self.id}: give node ${to} an address in the list of nodes that leads to it from here`;
  }
  const what = instance === self.instance && instance !== NO_INSTANCE ? 'with a copy of its data directory' : `as node ${self.id}`;
  return `this is node ${self.id}, too: two processes were started ${what}, or with other lists of nodes; stop one of them`;
}

function refusalOfHello(hello: Introduction, self: Self): Refusal | undefined {
  const { from, to } = hello;
  if (from === self.id) {
    return { code: 'OWN_ID', sentence: ownIdSentence(hello, self) };
  }
  if (to !== self.id && hello.asksAddresses !== true) {
    return { code: 'WRONG_NODE', sentence: `this is node ${self.id}, not node ${to}: give all nodes the same list of nodes` };
  }
  if (hello.clusterId !== NO_CLUSTER && self.clusterId !== NO_CLUSTER && hello.clusterId !== self.clusterId) {
    return {
      code: 'OTHER_CLUSTER',
      sentence: `node ${self.id} belongs to cluster ${self.clusterId}, node ${from} to ${hello.clusterId}: one of the two has another cluster's data directory`,
    };
  }
  const generation = faultOfGeneration(hello, self);
  if (generation !== undefined) return { code: 'OTHER_GENERATION', sentence: generation };
  if (self.isRemoved(from, hello.instance)) return { code: 'REMOVED', sentence: removedSentence(hello) };
  const otherNodes = faultOfNodes(hello, self);
  if (otherNodes !== undefined) return { code: 'OTHER_NODES', sentence: otherNodes };
  if (hello.segmentBytes !== self.segmentBytes) {
    return {
      code: 'SEGMENT_BYTES',
      sentence: `node ${self.id} runs with segments of ${self.segmentBytes} bytes, node ${from} with segments of ${hello.segmentBytes}: all nodes need the same`,
    };
  }
  if (hello.isSynced !== self.isSynced) {
    const ofWhom = (isSynced: boolean): string => `fsync ${isSynced ? 'on' : 'off'}`;
    return {
      code: 'FSYNC',
      sentence: `node ${self.id} runs with ${ofWhom(self.isSynced)}, node ${from} with ${ofWhom(hello.isSynced)}: what is durable on some nodes only is durable on none, so start all with the same`,
    };
  }
  const level = faultOfLevel(hello, self);
  if (level !== undefined) return { code: 'LEVEL', sentence: level };
  return hello.clusterId !== NO_CLUSTER && hello.instance === NO_INSTANCE
    ? { code: 'MALFORMED', sentence: 'a HELLO of a cluster without an instance' }
    : undefined;
}

/** A build that does not know the log's level would not act on what is in it. */
function faultOfLevel({ from, levels }: Introduction, { id, level }: Self): string | undefined {
  if (knowsLevel(levels, level)) return undefined;
  const known = levels.lowest === levels.highest ? `level ${levels.highest}` : `levels ${levels.lowest} to ${levels.highest}`;
  return `the log of node ${id} is of level ${level}, and the LogLog of node ${from} knows ${known}: run a newer one there`;
}

/** What tells of which generation a node's log is. */
type Lineage = Pick<Introduction, 'generation' | 'standing' | 'term'> & { readonly id: NodeId };

/** Two logs may have gone on from one: what is committed in one of them is not in the other. */
function faultOfGeneration(introduction: Introduction, self: Self): string | undefined {
  const { from, generation } = introduction;
  const { id, generation: own } = self;
  const theirs: Lineage = { ...introduction, id: from };
  const left = isLeftBehind(theirs, self) ? theirs : isLeftBehind(self, theirs) ? self : undefined;
  if (left !== undefined) {
    const other = left === self ? from : id;
    return (
      `node ${left.id} is in term ${left.term}, and does not know of which generation its log is; the log of node ${other} was begun anew since it was let in: ` +
      `give node ${left.id} an empty directory, and it joins that one`
    );
  }
  if (generation === own || generation === NO_INSTANCE || own === NO_INSTANCE) return undefined;
  return (
    `the log of node ${id} is of generation ${own}, that of node ${from} of generation ${generation}: one of them was begun anew since, from a backup or a mirror; ` +
    'give the node whose log is not to go on an empty directory, and it joins the other'
  );
}

/**
 * Whether `node` was let into a log from which that of `other` was begun anew since. A generation that is begun anew begins at the next multiple of MAX_TERM_STEP,
 * above all terms of before, and whoever is let in knows a term of its own: so who was let in, and knows no generation, is in a term below that.
 */
function isLeftBehind(node: Lineage, other: Lineage): boolean {
  // Nobody knows a generation in a log of level 0, in which all that count are voters, sooner or later.
  const hasBegunAnew = other.generation !== NO_INSTANCE || other.standing !== 'voter';
  if (node.generation !== NO_INSTANCE || node.standing === 'stranger' || !hasBegunAnew) return false;
  return Math.floor(node.term / MAX_TERM_STEP) < Math.floor(other.term / MAX_TERM_STEP);
}

function removedSentence({ from, instance }: Introduction): string {
  return `the data directory of node ${from} (instance ${instance}) was removed from the cluster, for good: to take part again it needs an empty one, and loglog member add`;
}

/** Two lists have majorities of their own, which could decide against each other. Where a log says its nodes, that alone decides, and who is behind is fed. */
function faultOfNodes({ from, nodes, saysNodes }: Introduction, self: Self): string | undefined {
  if (saysNodes || self.saysNodes || isSameSet(nodes, self.nodes)) return undefined;
  return (
    `node ${self.id} belongs to the nodes ${formatNodes(self.nodes)}, node ${from} to the nodes ${formatNodes(nodes)}: ` +
    'until the log says which nodes it has (see loglog upgrade status), all nodes need the same ids in their lists of nodes'
  );
}

/** Why this node refuses the WELCOME that node `to`, or {@link ANY_NODE}, gave it; undefined when nothing is wrong. */
export function faultOfWelcome(welcome: Introduction, self: Self, to: NodeId): Refusal | undefined {
  if ((to !== ANY_NODE && welcome.from !== to) || welcome.to !== self.id) {
    const sentence = `it says that it is node ${welcome.from} and talks to node ${welcome.to}: give all nodes the same list of nodes`;
    return { code: 'WRONG_NODE', sentence };
  }
  if (welcome.clusterId !== NO_CLUSTER && self.clusterId !== NO_CLUSTER && welcome.clusterId !== self.clusterId) {
    return { code: 'OTHER_CLUSTER', sentence: `it belongs to cluster ${welcome.clusterId}, this node to ${self.clusterId}` };
  }
  const generation = faultOfGeneration(welcome, self);
  if (generation !== undefined) return { code: 'OTHER_GENERATION', sentence: generation };
  const sentence = faultOfNodes(welcome, self);
  if (sentence !== undefined) return { code: 'OTHER_NODES', sentence };
  const level = faultOfLevel(welcome, self);
  return level === undefined ? undefined : { code: 'LEVEL', sentence: level };
}
