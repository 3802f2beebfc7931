// A look at every node of a cluster: one node is asked who they are, then each of them what it says of itself. What a node that does not
// answer has on its disk is what the leader says of it.

import type { MemberRole } from '../core/members.ts';
import type { ClusterNodeStatus, FeedState, NodeRole, NodeStatus } from '../node/status.ts';
import { fetchStatus, NoAnswer } from './nodeStatus.ts';

/** Time for each node to answer. They are asked at once. */
const TIMEOUT_MS = 2_000;

/** How far a node is that is fed. */
export interface CatchUp {
  /** Of the log, what it has, 0 to 100. */
  readonly percent: number;
  readonly bytesPerSecond: number;
  /** Until it has all; null: the log grows as fast as it is fed. */
  readonly secondsLeft: number | null;
}

/** One node of the cluster, as it looks from here. Offsets and sizes in bytes; null where something is not known. */
export interface SurveyedNode {
  readonly id: number;
  readonly url: string;
  readonly isReachable: boolean;
  /** Why it is not reachable. */
  readonly reason: string | null;
  readonly role: NodeRole | null;
  readonly term: number | null;
  readonly tail: number | null;
  readonly durable: number | null;
  readonly commit: number | null;
  /** What of the leader's log is not on this node's disk, as far as the leader has heard. */
  readonly lagBytes: number | null;
  readonly isVoter: boolean | null;
  /** What the log says that it is; null: it does not say it. */
  readonly memberRole: MemberRole | null;
  /** How the leader feeds it. */
  readonly state: FeedState;
  /** It lacks what it had acknowledged to the leader: it runs on an old copy of its disk. */
  readonly isOldCopy: boolean | null;
  /** How far it is on its way to the whole log; null: it is not being fed from the disk of the leader, or that could not be measured. */
  readonly catchUp: CatchUp | null;
  /** Bytes that the leader has sent to it since the leader's process began. */
  readonly sentBytes: number | null;
  /** What it says of uploads. */
  readonly uploads: NodeStatus['uploads'] | null;
  /** What it says of its disk. */
  readonly disk: NodeStatus['disk'] | null;
  /** What it says of its sealed segments. */
  readonly scrub: NodeStatus['scrub'] | null;
  /** What it says of the log's seals. */
  readonly seals: NodeStatus['seals'] | null;
  /** Of its LogLog; the newest level of a log that this knows, and that of the log here: null where it does not say. */
  readonly version: string | null;
  readonly newestLevel: number | null;
  readonly level: number | null;
  /** It leads, and the log's time stands still. */
  readonly isTimeHeld: boolean;
  /** The number of the process that answered. */
  readonly process: string | null;
  /** For people: what it knows to be wrong between the nodes; where it knows no leader, one sentence of why. */
  readonly causes: readonly string[];
}

export interface Survey {
  readonly clusterId: string;
  readonly nodes: readonly SurveyedNode[];
  /** The node that leads, if it answered. */
  readonly leader: { readonly id: number; readonly url: string; readonly term: number } | undefined;
  /** How many more nodes may fail before there is no majority, as the leader knows it; null where no leader answered. */
  readonly toleratedFailures: number | null;
  /** Who leads by what the others say, when no node that answered does. */
  readonly absentLeaderId: number | undefined;
}

/** What a node said, or why it said nothing; and when it was asked and had answered, Unix milliseconds. */
export type Answer = { readonly known: ClusterNodeStatus; readonly askedMs: number; readonly answeredMs: number } & (
  | { readonly status: NodeStatus; readonly reason?: undefined }
  | { readonly status?: undefined; readonly reason: string }
);

/** What is said of an address at which somebody else answers, if anybody. */
export const ELSEWHERE = {
  otherCluster: 'a node of another cluster answers there',
  otherNode: (id: number): string => `node ${id} answers there`,
  noNode: 'what answers there is not a LogLog node',
} as const;

async function ask(known: ClusterNodeStatus, clusterId: string): Promise<Answer> {
  const askedMs = Date.now();
  const answer = (): { known: ClusterNodeStatus; askedMs: number; answeredMs: number } => ({ known, askedMs, answeredMs: Date.now() });
  try {
    const status = await fetchStatus(known.url, TIMEOUT_MS);
    if (status.clusterId !== clusterId) return { ...answer(), reason: ELSEWHERE.otherCluster };
    if (status.node.id !== known.id) return { ...answer(), reason: ELSEWHERE.otherNode(status.node.id) };
    return { ...answer(), status };
  } catch (thrown) {
    if (thrown instanceof NoAnswer) return { ...answer(), reason: thrown.reason };
    return { ...answer(), reason: ELSEWHERE.noNode };
  }
}

/** Asks all nodes that `asked` names what they say of themselves, at once; the one that has just answered, too, where `again` is so. */
export function askAll(asked: NodeStatus, again = false): Promise<readonly Answer[]> {
  const nowMs = Date.now();
  return Promise.all(
    asked.cluster.nodes.map((known) =>
      known.isSelf && !again ? { known, status: asked, askedMs: nowMs, answeredMs: nowMs } : ask(known, asked.clusterId),
    ),
  );
}

/**
 * The leader of the highest term among those that say they lead: one that is cut off from the others may not know yet that it no longer
 * does. Undefined as well when another node knows a leader of a higher term, which did not answer.
 */
export function leaderOf(statuses: readonly NodeStatus[]): NodeStatus | undefined {
  const [first] = statuses.filter(({ node }) => node.role === 'leader').sort((a, b) => b.node.term - a.node.term);
  const isOutdated = statuses.some(({ node }) => first !== undefined && node.term > first.node.term && node.leader !== null);
  return isOutdated ? undefined : first;
}

const DAY_MS = 86_400_000;
/** Certificates that end within this are told of. */
const SOON_DAYS = 30;

const WHOSE: Readonly<Record<NodeStatus['node']['certificates'][number]['use'], string>> = {
  node: 'its certificate',
  clients: 'an authority of its clients',
  peer: 'its certificate for other nodes',
  peers: 'an authority of nodes',
};

/** What there is to say of a certificate; undefined: nothing. */
export function certificateSentence(
  { use, notAfterMs, fault }: NodeStatus['node']['certificates'][number],
  nowMs: number,
): string | undefined {
  const whose = WHOSE[use];
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  const end = days < 0 ? `${whose} has expired` : days < SOON_DAYS ? `${whose} counts for ${days} more days` : undefined;
  const refused = fault === null ? undefined : `new files for TLS are not taken: ${fault}`;
  return [end, refused].filter((part) => part !== undefined).join('; ') || undefined;
}

/** While there is a leader, a node that is merely down is no news: it has a row of its own. */
function causesIn({ node, cluster }: NodeStatus): readonly string[] {
  const causes = node.isDurable ? [] : ['nothing that the cluster acknowledges is durable: its nodes run with --fsync off'];
  // Earlier builds say nothing of these.
  if (node.isInsecure === true) causes.push(`whoever reaches node ${node.id} may do everything: it runs with --insecure`);
  for (const certificate of node.certificates ?? []) {
    const sentence = certificateSentence(certificate, Date.now());
    if (sentence !== undefined) causes.push(`node ${node.id}: ${sentence}`);
  }
  if (node.leader === null && node.whyNoLeader !== null) return [...causes, `no leader is known: ${node.whyNoLeader}`];
  const others = cluster.causes.filter(({ code }) => code !== 'UNREACHABLE' && code !== 'NOT_JOINED');
  return [...causes, ...others.map(({ sentence }) => sentence)];
}

function surveyed({ known, status, reason }: Answer, leader: NodeStatus | undefined, catchUps: ReadonlyMap<number, CatchUp>): SurveyedNode {
  const seen = leader?.cluster.nodes.find(({ id }) => id === known.id);
  const durable = status?.log.durable ?? seen?.durable ?? null;
  return {
    id: known.id,
    url: known.url,
    isReachable: status !== undefined,
    reason: reason ?? null,
    role: status?.node.role ?? null,
    term: status?.node.term ?? null,
    tail: status?.log.tail ?? null,
    durable,
    commit: status?.log.commit ?? null,
    // Not its own end: only the leader knows how much of that is the same as what it has itself.
    lagBytes: seen?.lagBytes ?? null,
    isVoter: seen?.isVoter ?? status?.cluster.nodes.find(({ isSelf }) => isSelf)?.isVoter ?? null,
    // Earlier builds do not say it.
    memberRole: (seen ?? known).role ?? null,
    state: seen?.state ?? 'unknown',
    isOldCopy: seen?.isOldCopy ?? null,
    catchUp: catchUps.get(known.id) ?? null,
    sentBytes: seen?.sentBytes ?? null,
    uploads: status?.uploads ?? null,
    disk: status?.disk ?? null,
    scrub: status?.scrub ?? null,
    seals: status?.seals ?? null,
    version: status?.version ?? null,
    // Earlier builds do not say these.
    newestLevel: status?.node.newestLevel ?? null,
    level: status?.log.level ?? null,
    isTimeHeld: status?.log.isTimeHeld ?? false,
    process: status?.node.process ?? null,
    causes: status === undefined ? [] : causesIn(status),
  };
}

/** Between two looks at how far nodes are that are fed. */
const CATCH_UP_MS = 1_000;

/** What two answers of a leader, so many milliseconds apart, say of the nodes that it feeds from its disk. */
export function catchUpsOf(first: NodeStatus, second: NodeStatus, elapsedMs: number): ReadonlyMap<number, CatchUp> {
  const found = new Map<number, CatchUp>();
  for (const { id, state, durable: before } of first.cluster.nodes) {
    const after = second.cluster.nodes.find((each) => each.id === id)?.durable ?? null;
    if (state !== 'catchingUp' || before === null || after === null) continue;
    const { start, tail } = second.log;
    const perMs = Math.max(0, after - before) / elapsedMs;
    const nearerPerMs = perMs - (tail - first.log.tail) / elapsedMs;
    const percent = tail <= start ? 100 : Math.floor((100 * Math.max(0, Math.min(after, tail) - start)) / (tail - start));
    const secondsLeft = nearerPerMs > 0 ? Math.max(0, tail - after) / nearerPerMs / 1e3 : null;
    found.set(id, { percent, bytesPerSecond: Math.round(perMs * 1e3), secondsLeft: secondsLeft === null ? null : Math.round(secondsLeft) });
  }
  return found;
}

/** How far the nodes are that `leader` feeds from its disk: it is asked once more. */
async function watchCatchUps(leader: Answer | undefined): Promise<ReadonlyMap<number, CatchUp>> {
  const first = leader?.status;
  if (leader === undefined || first === undefined || !first.cluster.nodes.some(({ state }) => state === 'catchingUp')) return new Map();
  await new Promise((resolve) => setTimeout(resolve, CATCH_UP_MS));
  const { status, answeredMs } = await ask(leader.known, first.clusterId);
  return status === undefined ? new Map() : catchUpsOf(first, status, Math.max(1, answeredMs - leader.answeredMs));
}

/** Asks all nodes that `asked` names, at once. */
export async function survey(asked: NodeStatus): Promise<Survey> {
  const answers = await askAll(asked);
  const statuses = answers.flatMap(({ status }) => status ?? []);
  const leader = leaderOf(statuses);
  const catchUps = await watchCatchUps(answers.find(({ status }) => status !== undefined && status === leader));
  const nodes = answers.map((answer) => surveyed(answer, leader, catchUps));
  const named = [...statuses].sort((a, b) => b.node.term - a.node.term).find(({ node }) => node.leader !== null)?.node.leader;
  return {
    clusterId: asked.clusterId,
    nodes,
    leader: leader && {
      id: leader.node.id,
      url: nodes.find(({ id }) => id === leader.node.id)?.url ?? leader.node.url,
      term: leader.node.term,
    },
    toleratedFailures: leader?.cluster.toleratedFailures ?? null,
    absentLeaderId: leader === undefined ? named?.id : undefined,
  };
}
