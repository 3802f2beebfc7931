// The set of nodes that the log says: shown as the leader knows it, and changed when somebody asks for that. What may be changed is for the consensus core to say.

import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { LEVELS, LOG_LEVEL } from '../core/levels.ts';
import { MAX_MEMBER_REQUESTS } from '../core/limits.ts';
import { changedBy, isRefusal, type MemberChange } from '../core/memberChanges.ts';
import type { Configuration, Member } from '../core/members.ts';
import type { Peer } from '../core/peers.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ListedMember, MembersAnswer } from '../protocol/members.ts';
import type { ClusterStatus } from './clusterStatus.ts';
import type { RaftPort } from './raftPort.ts';
import type { ClusterNodeStatus } from './status.ts';

/** What the log says of a node, but for its address. */
interface ByLog extends Pick<Member, 'instance'> {
  readonly role: Member['role'] | null;
}

/** What a request about nodes is answered with. */
export type MembersStatus = Omit<MembersAnswer, 'requestId'>;

export interface MembersPorts {
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'level'>;
  readonly cluster: Pick<ClusterStatus, 'nodesOfLog' | 'peers' | 'self'>;
  /** What is known of each node. */
  nodes(): readonly ClusterNodeStatus[];
  readonly raft: () => Pick<RaftPort, 'changeNodes'> | undefined;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the set or the office has changed. */
  progress(): Promise<void>;
}

const NOT_CONFIRMED =
  'this node leads no longer, or stops, and does not know whether the set of nodes is changed: see loglog member list before you ask again';

export class Members {
  readonly #ports: MembersPorts;
  #isOver = false;
  /** Requests under way. */
  #asked = 0;

  constructor(ports: MembersPorts) {
    this.#ports = ports;
  }

  stop(): void {
    this.#isOver = true;
  }

  /**
   * Says which nodes there are, and with a `change` changes that first, or with `isDryRun` looks what it would be. Resolves when the change is committed. Rejects with
   * a LogError: NOT_LEADER, SHUTTING_DOWN, TOO_MANY_REQUESTS, and those of {@link ChangeRefusal}; NOT_LEADER may come although it was done.
   */
  async request(change: MemberChange | undefined, isDryRun: boolean): Promise<MembersStatus> {
    if (this.#asked >= MAX_MEMBER_REQUESTS)
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_MEMBER_REQUESTS} requests about nodes are under way: try again`);
    this.#asked += 1;
    try {
      this.#refuse();
      if (change === undefined) return this.#status(false);
      const term = this.#ports.memory.word(WORD.OPEN_TERM);
      const outcome = await this.#ports.raft()?.changeNodes(change, isDryRun);
      if (outcome?.refusal !== undefined) throw new LogError(outcome.refusal.code, outcome.refusal.sentence);
      if (isDryRun) return this.#wouldBe(change);
      await this.#committed(outcome?.end ?? 0, term);
      return this.#status(true);
    } finally {
      this.#asked -= 1;
    }
  }

  #refuse(): void {
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) throw refusal;
  }

  #status(hasChanged: boolean, would?: Configuration): MembersStatus {
    const { memory, fold, cluster } = this.#ports;
    const { members, end, isSettled } = cluster.nodesOfLog;
    const { commit, tail } = memory;
    return {
      hasChanged,
      isInLog: members.length > 0,
      isSettled: isSettled || end <= commit,
      start: memory.word(WORD.START),
      commit,
      end: Math.max(commit, tail),
      level: fold.level,
      newestLevel: LOG_LEVEL,
      leader: cluster.self,
      term: memory.word(WORD.TERM),
      nodes: this.#nodes(would ?? members),
    };
  }

  /** Those of the set; where the log has none, those that this node was told of. */
  #nodes(members: Configuration): readonly ListedMember[] {
    const { nodes, cluster } = this.#ports;
    const seen = new Map(nodes().map((node) => [node.id, node]));
    if (members.length > 0) return members.map((member) => this.#listed(member, member, seen.get(member.id)));
    const self: Peer = { id: cluster.self, host: '', port: 0, peerPort: 0 };
    const peers = cluster.peers.length === 0 ? [self] : cluster.peers;
    return peers.map((peer) => this.#listed(peer, { role: null, instance: NO_INSTANCE }, seen.get(peer.id)));
  }

  #listed({ id, host, port, peerPort }: Peer, { role, instance }: ByLog, seen: ClusterNodeStatus | undefined): ListedMember {
    const { memory, cluster } = this.#ports;
    const isSelf = id === cluster.self;
    return {
      id,
      role,
      instance,
      host,
      port,
      peerPort,
      url: seen?.url ?? '',
      isConnected: isSelf || seen?.isConnected === true,
      counts: seen?.isVoter === true,
      isOldCopy: seen?.isOldCopy === true,
      feed: seen?.state ?? 'unknown',
      durable: seen?.durable ?? null,
      lastContactMs: seen?.lastContactMs ?? 0,
      levels: isSelf ? LEVELS : memory.peers.get(id).levels,
    };
  }

  #wouldBe(change: MemberChange): MembersStatus {
    const next = changedBy(this.#ports.cluster.nodesOfLog.members, change);
    // It may have changed meanwhile.
    return this.#status(false, isRefusal(next) ? undefined : next);
  }

  /** Resolves when the change is committed that ends at `end` and was made in `term`. */
  async #committed(end: number, term: number): Promise<void> {
    const { memory, cluster, progress } = this.#ports;
    for (;;) {
      const leads = memory.word(WORD.OPEN_TERM) === term;
      // In this order: what another leader commits at the same place comes after this one has lost its office.
      const isCommitted = leads ? memory.commit >= end && memory.word(WORD.OPEN_TERM) === term : this.#endedBehind(end, term);
      if (isCommitted && cluster.nodesOfLog.end >= end) return;
      if (this.#isOver || !(leads || isCommitted)) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
      await progress();
    }
  }

  /** Whether all before `end` was committed when this node's office of `term` ended: one that was removed gives it up right after that. */
  #endedBehind(end: number, term: number): boolean {
    const { memory } = this.#ports;
    const commit = memory.word(WORD.ENDED_COMMIT);
    return memory.word(WORD.ENDED_TERM) === term && commit >= end;
  }
}
