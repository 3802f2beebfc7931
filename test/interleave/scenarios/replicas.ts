// A real replica on made-up ports, brought into office by messages.

import { createHash } from 'node:crypto';
import { NO_INSTANCE, type Standing } from '../../../src/core/ids.ts';
import { LOG_LEVEL } from '../../../src/core/levels.ts';
import type { Peer } from '../../../src/core/peers.ts';
import { NO_POLICY } from '../../../src/format/controlEntries.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import type { AppendRequest, AppendResponse, NodeId, PeerMessage } from '../../../src/raft/messages.ts';
import { TermTable } from '../../../src/raft/termTable.ts';
import type { ReplicaPorts } from '../../../src/replication/ports.ts';
import { Replica } from '../../../src/replication/replica.ts';

const ELECTION_MS = 1_000;

/** Instances of the replica, and of whoever else leads. */
const OWN = '1'.repeat(16);
export const OTHER_LEADER = '2'.repeat(16);

/** What a scenario's replica does with what it is asked to do. */
export interface Handlers {
  readonly truncate?: (offset: number) => void;
  readonly maxAppendBytes?: number;
  /** Where nodes are reached; without it, it is to be alone. */
  readonly peers?: readonly Peer[];
  /** How far it may take part, when it starts; without it as a voter. */
  readonly standing?: Standing;
  /** Told of which generation, and which ids, node.json is to have. */
  readonly saveGeneration?: ReplicaPorts['saveGeneration'];
  readonly saveNodes?: ReplicaPorts['saveNodes'];
  /** Told of what is sent without entries. */
  readonly sendMessage?: (to: NodeId, message: PeerMessage) => void;
  /** Told of what is sent with entries; without it none are. */
  readonly sendEntries?: (to: NodeId, message: PeerMessage) => void;
}

/** Ports that lead nowhere. */
export const NO_PORTS: ReplicaPorts = {
  nowMs: () => 0,
  wallMs: () => 1,
  wakeAt: () => undefined,
  followLog: () => undefined,
  takesUploads: () => false,
  placed: () => undefined,
  seal: () => undefined,
  access: () => undefined,
  askedAccess: () => undefined,
  digest: () => undefined,
  hash: () => createHash('sha256'),
  canSend: () => false,
  send: () => undefined,
  cut: () => undefined,
  fetched: () => undefined,
  damaged: () => undefined,
  saveVote: () => undefined,
  saveGeneration: () => undefined,
  saveNodes: () => undefined,
  beginAt: () => undefined,
  saveStanding: () => undefined,
  truncate: () => undefined,
  readCold: () => undefined,
  readIndexDone: () => undefined,
  transferDone: () => undefined,
  nodes: () => undefined,
  nodesChanged: () => undefined,
  fatal: (error) => {
    throw error;
  },
  log: () => undefined,
};

/** The replica of node 1 among `nodes`, whose log has these terms, and time that only {@link TestReplica.later} moves. */
export class TestReplica {
  readonly replica: Replica;
  #nowMs = 0;

  constructor(memory: TailMemory, nodes: readonly NodeId[], log: TermTable, currentTerm: number, handlers: Handlers = {}) {
    const ports: ReplicaPorts = {
      ...NO_PORTS,
      nowMs: () => this.#nowMs,
      canSend: () => handlers.sendEntries !== undefined,
      send: (to, message, body, released) => {
        if (body !== undefined) handlers.sendEntries?.(to, message);
        else handlers.sendMessage?.(to, message);
        released?.();
      },
      truncate: (offset) => handlers.truncate?.(offset),
      saveGeneration: (id, ids) => handlers.saveGeneration?.(id, ids),
      saveNodes: (ids) => handlers.saveNodes?.(ids),
    };
    this.replica = new Replica({
      settings: {
        id: 1,
        instance: OWN,
        electionTimeoutMs: ELECTION_MS,
        heartbeatMs: ELECTION_MS / 10,
        diskTimeoutMs: 100 * ELECTION_MS,
        windowBytes: 65536,
        maxAppendBytes: handlers.maxAppendBytes ?? 65536,
        random: () => 0,
      },
      state: { currentTerm, votedFor: 0, commit: 0, standing: handlers.standing ?? 'voter', log, list: nodes },
      memory,
      tail: new Tail(memory, () => undefined),
      sealed: [],
      policy: NO_POLICY,
      newLevel: LOG_LEVEL,
      peers: handlers.peers ?? [],
      trustsClock: false,
      hang: { hangMs: 100 * ELECTION_MS, lookMs: ELECTION_MS / 10 },
      ports,
    });
  }

  /** Campaigns for the next term, up to and without the vote that wins it. */
  campaign(): void {
    const { replica } = this;
    this.#nowMs += 2 * ELECTION_MS;
    replica.tick();
    if (replica.raft.members.list.length === 1) return;
    const term = replica.raft.currentTerm + 1;
    replica.receive(2, { kind: 'voteResponse', term, isPreVote: true, granted: true }, []);
  }

  /** Time passes. */
  later(ms: number): void {
    this.#nowMs += ms;
    this.replica.tick();
  }

  /** The vote that wins the campaign: the replica leads. */
  win(): void {
    const term = this.replica.raft.currentTerm;
    this.replica.receive(2, { kind: 'voteResponse', term, isPreVote: false, granted: true }, []);
  }

  /** Node `from` has everything before `durable` on its disk, or says what `change` says. */
  has(from: NodeId, durable: number, change: Partial<AppendResponse> = {}): void {
    const { currentTerm } = this.replica.raft;
    const answer: AppendResponse = {
      kind: 'appendResponse',
      term: currentTerm,
      round: 1,
      accepted: true,
      offset: durable,
      durable,
      hintTerm: 0,
      hintLeader: NO_INSTANCE,
      rejected: 0,
      isVoter: true,
      mayLead: true,
      awaitsCommit: false,
      isHung: false,
      isFull: false,
      isMissing: false,
      hasHeardAll: true,
      ...change,
    };
    this.replica.receive(from, answer, []);
  }

  /** Node `from` leads in `term`, and sends what stands there, of that term where it is not said. */
  follow(
    from: NodeId,
    request: Pick<AppendRequest, 'term' | 'prevTerm' | 'prevOffset' | 'commit'> & Partial<Pick<AppendRequest, 'round' | 'entriesTerm'>>,
    entries: Uint8Array = new Uint8Array(0),
  ): void {
    const end = request.prevOffset + entries.length;
    const entriesTerm = entries.length === 0 ? 0 : (request.entriesTerm ?? request.term);
    const prevLeader = this.replica.raft.log.before(request.prevOffset).leader;
    const entriesLeader = entries.length === 0 ? NO_INSTANCE : OTHER_LEADER;
    const leaders = { prevLeader, entriesLeader };
    this.replica.receive(from, { kind: 'appendRequest', round: 1, base: 0, ...request, ...leaders, entriesTerm, end }, [entries]);
  }
}

/** An empty log. */
export function emptyLog(): TermTable {
  return new TermTable(0, 0, []);
}
