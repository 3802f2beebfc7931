// The nodes of a cluster as one of them knows them: who leads, how far the others are. Read from the control block, where the raft thread
// writes it.

import type { Cause } from '../core/causes.ts';
import { type Config, ownPeer } from '../core/config.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { isSameConfiguration, type Member, majorityOf, NO_NODES, type NodesView, votersOf } from '../core/members.ts';
import { clientUrlOf, isWildcard, type Peer, peerAddressOf } from '../core/peers.ts';
import { PEER_CATCHING_UP, PEER_PROBING, PEER_REPLICATING, PEER_STUCK, ROLE_CANDIDATE, ROLE_LEADER, STATE, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ClusterView } from '../protocol/greeting.ts';
import type { Mirror } from './mirrorPort.ts';
import type { ClusterNodeStatus, FeedState, NodeRole, NodeStatus } from './status.ts';

const FEED_STATES: Readonly<Record<number, FeedState>> = {
  [PEER_PROBING]: 'probing',
  [PEER_REPLICATING]: 'replicating',
  [PEER_CATCHING_UP]: 'catchingUp',
  [PEER_STUCK]: 'cannotBeFed',
};

/** What a node was told of its cluster. */
type ClusterConfig = Pick<Config, 'node' | 'peers' | 'advertise' | 'tlsCert'>;

/** Where the other nodes reach one; null where nobody knows. */
function addressIn(peer: Peer | undefined): string | null {
  return peer === undefined || peer.host === '' || peer.peerPort === 0 ? null : peerAddressOf(peer);
}

export class ClusterStatus {
  readonly #memory: TailMemory;
  readonly #config: ClusterConfig;
  /** The set of the log. */
  #nodes: NodesView = NO_NODES;
  /** All nodes, by id. */
  #peers: readonly Peer[];
  #others: readonly number[] = [];
  #causes: readonly Cause[] = [];
  #whyNoLeader = '';
  /** Where clients reach the other nodes that have said so. */
  readonly #advertised = new Map<number, string>();

  readonly #mirror: Pick<Mirror, 'refusal' | 'generation'> | undefined;

  constructor(memory: TailMemory, config: ClusterConfig, mirror?: Pick<Mirror, 'refusal' | 'generation'>) {
    this.#memory = memory;
    this.#mirror = mirror;
    this.#config = config;
    this.#peers = config.peers;
    this.#others = this.#otherIds();
  }

  #otherIds(): readonly number[] {
    return this.#peers.map(({ id }) => id).filter((id) => id !== this.#config.node);
  }

  /** Ids of the other nodes: of those that the log says, or while it says none, of those that this one was told of. */
  get others(): readonly number[] {
    return this.#others;
  }

  /** All nodes, and where they are reached, by id; none: nobody else has a part in the log. */
  get peers(): readonly Peer[] {
    return this.#peers;
  }

  /** The set of the log, as far as this node has it. */
  get nodesOfLog(): NodesView {
    return this.#nodes;
  }

  /** Another set is in force, or the same one is committed. Returns whether clients are to hear of it: who is in it, or where, has changed. */
  setNodes(nodes: NodesView): boolean {
    const isOther = !isSameConfiguration(nodes.members, this.#nodes.members);
    this.#nodes = nodes;
    if (!isOther) return false;
    const given = (id: number): Peer | undefined => this.#config.peers.find((peer) => peer.id === id);
    this.#peers = nodes.members.length === 0 ? this.#config.peers : nodes.members.map((member) => given(member.id) ?? member);
    this.#others = this.#otherIds();
    return true;
  }

  /** Where this node is to be reached, by its own list, or by the log; undefined: nothing says it. */
  get #ownPeer(): Peer | undefined {
    const own = ownPeer(this.#config) ?? this.#memberOf(this.self);
    return own === undefined || own.host === '' || own.port === 0 ? undefined : own;
  }

  #memberOf(id: number): Member | undefined {
    return this.#nodes.members.find((member) => member.id === id);
  }

  /** On a mirror, why it takes nothing; else empty. */
  get readOnly(): string {
    return this.#mirror?.refusal ?? '';
  }

  /** Of the log; a mirror that is behind a restore has the one before it still, and is of this one. Zeros while nothing says it that is committed, and on a node that catches up. */
  get generation(): string {
    const told = this.#mirror?.generation ?? NO_INSTANCE;
    if (told !== NO_INSTANCE) return told;
    return this.#mirror === undefined ? this.#memory.knownGeneration : this.#memory.generationId;
  }

  /** This node's id. */
  get self(): number {
    return this.#config.node;
  }

  get role(): NodeRole {
    const role = this.#memory.word32(STATE.ROLE);
    if (role === ROLE_LEADER) return 'leader';
    return role === ROLE_CANDIDATE ? 'candidate' : 'follower';
  }

  /** Id of the leader; 0 when none is known. */
  get leaderId(): number {
    return this.#memory.word32(STATE.LEADER_ID);
  }

  /** What is known to be wrong between the nodes. */
  get causes(): readonly Cause[] {
    return this.#causes;
  }

  /** Why there is no leader, for people; empty while one is known, or no reason is. */
  get whyNoLeader(): string {
    if (this.leaderId !== 0) return '';
    return this.readOnly === '' ? this.#whyNoLeader : this.readOnly;
  }

  /** The raft thread says what keeps the nodes apart, and why there is no leader, should none be known. */
  setCauses(causes: readonly Cause[], whyNoLeader: string): void {
    this.#causes = causes;
    this.#whyNoLeader = whyNoLeader;
  }

  /** For who wants a leader: that none is known, and why, if that is known. */
  noLeaderSentence(): string {
    const { whyNoLeader } = this;
    return `no leader is known${whyNoLeader === '' ? '' : `: ${whyNoLeader}`}`;
  }

  /** Where clients find the leader; empty when that is this node, or not known. */
  leaderUrl(): string {
    const { leaderId } = this;
    const peer = this.#peers.find(({ id }) => id === leaderId);
    return peer === undefined || leaderId === this.self ? '' : this.#urlOf(peer);
  }

  /** Another node says where clients reach it; empty: where its entry in this node's list says, without TLS. Returns whether that is news. */
  setAdvertised(node: number, url: string): boolean {
    const peer = this.#peers.find(({ id }) => id === node);
    const before = peer === undefined ? '' : this.#urlOf(peer);
    this.#advertised.set(node, url);
    return peer !== undefined && this.#urlOf(peer) !== before;
  }

  #urlOf(peer: Peer): string {
    const said = this.#advertised.get(peer.id);
    // The log need not say where it is.
    if (peer.host === '' || peer.port === 0) return said ?? '';
    // Before it has said anything it is taken to be as this one.
    return said || clientUrlOf(peer, said === undefined && this.#config.tlsCert !== '');
  }

  /** What clients that introduced themselves are told of the cluster. `listenUrl`: where this node listens; empty: for no clients. */
  view(listenUrl: string): ClusterView {
    const peers = this.#peers;
    // Alone it knows only where it listens, which may be something else from where the client is.
    const ownUrl = this.#ownPeer === undefined ? this.#config.advertise : this.#ownUrl(listenUrl);
    const own = { id: this.self, url: ownUrl !== '' && isWildcard(new URL(ownUrl).hostname) ? '' : ownUrl };
    const members =
      peers.length === 0 ? [own] : peers.map((peer) => (peer.id === this.self ? own : { id: peer.id, url: this.#urlOf(peer) }));
    const { generation, leaderId } = this;
    return { generation, leaderId, members, segmentBytes: this.#memory.map.shape.segmentBytes };
  }

  /** Changes whenever clients should hear anew who leads. */
  roleText(): string {
    return `${this.role} ${this.#memory.word(WORD.TERM)} ${this.leaderId} ${this.generation}`;
  }

  /** A sentence for the log. */
  whoLeads(): string {
    const { leaderId } = this;
    const who = leaderId === 0 ? 'no leader is known' : leaderId === this.self ? 'this node leads' : `node ${leaderId} leads`;
    return `${who} in term ${this.#memory.word(WORD.TERM)}`;
  }

  /** What /status says of this node, which listens on `listenUrl`. */
  node(listenUrl: string): Pick<NodeStatus['node'], 'id' | 'role' | 'term' | 'url' | 'leader' | 'whyNoLeader'> {
    const url = this.#ownUrl(listenUrl);
    const { leaderId } = this;
    const leader = leaderId === 0 ? null : { id: leaderId, url: leaderId === this.self ? url : this.leaderUrl() };
    const whyNoLeader = this.whyNoLeader === '' ? null : this.whyNoLeader;
    return { id: this.self, role: this.role, term: this.#memory.word(WORD.TERM), url, leader, whyNoLeader };
  }

  /** All nodes by id. A single node's list is itself. */
  nodes(listenUrl: string): readonly ClusterNodeStatus[] {
    const own = this.#selfStatus(listenUrl);
    const others = this.#peers.filter(({ id }) => id !== this.self).map((peer) => this.#peerStatus(peer));
    // One that is in no set is there all the same.
    return [own, ...others].sort((a, b) => a.id - b.id);
  }

  /** A node may listen on all addresses: others use the one of its entry, unless it was told to take another port. */
  #ownUrl(listenUrl: string): string {
    const { advertise } = this.#config;
    if (advertise !== '') return advertise;
    const own = this.#ownPeer;
    if (own === undefined || listenUrl === '') return listenUrl;
    return new URL(listenUrl).port === String(own.port) ? clientUrlOf(own, this.#config.tlsCert !== '') : listenUrl;
  }

  /**
   * How many more of the nodes may fail, and still a majority is left that has the log: by what this node has heard as the leader of nodes that are there, count, and are fed from
   * its memory. Null where it does not lead.
   */
  get toleratedFailures(): number | null {
    if (this.role !== 'leader') return null;
    const voters = this.#voterIds;
    const holding = voters.filter((id) => {
      if (id === this.self) return true;
      const { isConnected, isVoter, isOldCopy, state } = this.#memory.peers.get(id);
      return isConnected && isVoter === true && isOldCopy !== true && state === PEER_REPLICATING;
    });
    return Math.max(0, holding.length - majorityOf(voters.length));
  }

  /** Ids of the others that are to count. */
  get otherVoters(): readonly number[] {
    return this.#voterIds.filter((id) => id !== this.self);
  }

  /** Ids of those that are to count. */
  get #voterIds(): readonly number[] {
    const { members } = this.#nodes;
    return members.length === 0 ? [this.self, ...this.others] : votersOf(members).map(({ id }) => id);
  }

  #selfStatus(listenUrl: string): ClusterNodeStatus {
    const { durable, tail } = this.#memory;
    return {
      id: this.self,
      url: this.#ownUrl(listenUrl),
      peerAddress: addressIn(this.#ownPeer),
      isSelf: true,
      isConnected: true,
      isVoter: this.#isVoter(this.self),
      role: this.#memberOf(this.self)?.role ?? null,
      durable,
      lagBytes: this.role === 'leader' ? tail - durable : null,
      state: 'unknown',
      isOldCopy: null,
      lastContactMs: null,
      sentBytes: null,
    };
  }

  /** Whether a node counts: it says so of itself, and is a voter by the log, if that says who is. */
  #isVoter(id: number): boolean | null {
    const member = this.#memberOf(id);
    return member === undefined || member.role === 'voter' ? this.#memory.peers.get(id).isVoter : false;
  }

  #peerStatus(peer: Peer): ClusterNodeStatus {
    const { match, contactMs, state, isConnected, isOldCopy } = this.#memory.peers.get(peer.id);
    const feed = FEED_STATES[state] ?? 'unknown';
    const isLeader = this.role === 'leader';
    // Only a leader hears how far the others are, and only from those that answer; what this node heard when it led before is old.
    const isKnown = isLeader && feed !== 'unknown';
    // Behind a link that is down anything may have become of a node, of its disk too: nobody feeds it, and its last word is from before.
    const isFed = isKnown && isConnected;
    return {
      id: peer.id,
      url: this.#urlOf(peer),
      peerAddress: addressIn(peer),
      isSelf: false,
      isConnected,
      isVoter: isKnown ? this.#isVoter(peer.id) : null,
      role: this.#memberOf(peer.id)?.role ?? null,
      durable: isKnown ? match : null,
      lagBytes: isKnown && match !== null ? Math.max(0, this.#memory.tail - match) : null,
      state: isFed ? feed : 'unknown',
      isOldCopy: isFed ? isOldCopy : null,
      lastContactMs: contactMs === 0 ? null : contactMs,
      sentBytes: this.#memory.peers.sentBytes(peer.id),
    };
  }
}
