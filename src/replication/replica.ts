// The shell around the consensus core: carries out its effects on tail memory and on the ports, in order, and feeds the other nodes. The
// raft thread and the simulator run this same code. Every method is one turn: the time is set, the core is told, its effects are done.

import { KIND_NOOP } from '../../assembly/layout.ts';
import { unreachable } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { FEED_READERS } from '../core/limits.ts';
import { Gate } from '../memory/gate.ts';
import {
  PEER_CATCHING_UP,
  PEER_PROBING,
  PEER_REPLICATING,
  PEER_STUCK,
  ROLE_CANDIDATE,
  ROLE_FOLLOWER,
  ROLE_LEADER,
  SIGNAL,
  STATE,
  WORD,
} from '../memory/map.ts';
import type { ReplicatedStatus, Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { RaftSettings } from '../raft/core.ts';
import type { Effect, RaftRole } from '../raft/effects.ts';
import type { Due } from '../raft/leadership.ts';
import type { AppendRequest, NodeId, PeerMessage } from '../raft/messages.ts';
import type { ProgressState } from '../raft/progress.ts';
import { Raft, type RaftState, type StoreOutcome } from '../raft/raft.ts';
import { CoreClock } from './clock.ts';
import { Feed, type SegmentRange } from './feed.ts';
import { type FeedKind, FeedReport } from './feedReport.ts';
import type { ReplicaPorts } from './ports.ts';

export interface ReplicaOptions {
  readonly settings: RaftSettings;
  readonly state: RaftState;
  readonly memory: TailMemory;
  /** The log's end; it is this replica's while the gate is closed. */
  readonly tail: Tail;
  readonly sealed: readonly SegmentRange[];
  readonly ports: ReplicaPorts;
}

const ROLES: Readonly<Record<RaftRole, number>> = {
  follower: ROLE_FOLLOWER,
  preCandidate: ROLE_CANDIDATE,
  candidate: ROLE_CANDIDATE,
  leader: ROLE_LEADER,
};

const PROGRESS_STATES = { probe: PEER_PROBING, replicate: PEER_REPLICATING, stuck: PEER_STUCK } as const;

const OUTCOMES: Readonly<Record<ReplicatedStatus, StoreOutcome>> = {
  ordered: 'stored',
  full: 'full',
  misplaced: 'misplaced',
  refused: 'refused',
};

export class Replica {
  readonly raft: Raft;
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #gate: Gate;
  readonly #feed: Feed;
  readonly #ports: ReplicaPorts;
  readonly #report: FeedReport;
  readonly #clock: CoreClock;
  readonly #others: readonly NodeId[];
  #gateIsOpen = false;
  /** The body of the message being handled. */
  #body: readonly Uint8Array[] = [];
  /** Term whose no-op waits for room. */
  #noopDue = 0;
  /** Commit, role, leader or term changed in this turn, or the log's end moved. */
  #hasNews = false;
  #hasOrdered = false;
  #isDead = false;
  #isInTurn = false;
  /** Nodes whose entries are being read from disk, and those that were fed from disk last. */
  readonly #reading = new Set<NodeId>();
  readonly #catchingUp = new Set<NodeId>();
  readonly #freeBuffers = Array.from({ length: FEED_READERS }, (_, i) => i);

  constructor({ settings, state, memory, tail, sealed, ports }: ReplicaOptions) {
    this.raft = new Raft(settings, state);
    this.#memory = memory;
    this.#tail = tail;
    this.#gate = new Gate(memory);
    this.#feed = new Feed(memory, sealed);
    this.#ports = ports;
    this.#report = new FeedReport((level, text) => ports.log(level, text));
    this.#clock = new CoreClock(ports.nowMs(), settings.heartbeatMs);
    this.#others = settings.nodes.filter((node) => node !== settings.id);
    memory.setWord(WORD.COMMIT, this.raft.commit);
    memory.setWord(WORD.TERM, this.raft.currentTerm);
  }

  /** Begins: a cluster of one elects itself at once. */
  start(): void {
    this.#turn(() => this.raft.tick());
  }

  /** The time asked for by `wakeAt` has come. */
  tick(): void {
    this.#turn(() => this.raft.tick());
  }

  /** A message came; `body` is valid during the call. */
  receive(from: NodeId, message: PeerMessage, body: readonly Uint8Array[]): void {
    this.#turn(() => {
      const isRehearsal = (message.kind === 'voteRequest' || message.kind === 'voteResponse') && message.isPreVote;
      // It may end this node's leadership: what clients were let in before must be part of the log by then.
      if (message.term > this.raft.currentTerm && !isRehearsal) this.#closeGate();
      this.#body = body;
      this.#memory.setPeer(from, { contactMs: this.#ports.wallMs() });
      this.raft.step(from, message);
    });
    this.#body = [];
  }

  /** The end: nothing is done any more. */
  stop(): void {
    this.#closeGate();
    this.#isDead = true;
  }

  /** A part of a large message came: its sender lives. */
  receiving(from: NodeId, message: PeerMessage): void {
    this.#turn(() => this.raft.receiving(from, message));
  }

  /** The main thread has ordered entries. */
  logMoved(): void {
    // The same word wakes this thread when it was the one to order them.
    if (this.#gateIsOpen || this.#noopDue !== 0) this.#turn(() => this.#takeOrdered());
  }

  /** The disk has caught up further. */
  durableMoved(): void {
    this.#turn(() => {
      // The end is read behind the durable end: it is never below it.
      const { durable } = this.#memory;
      this.#takeOrdered();
      this.raft.durableMoved(Math.min(durable, this.raft.log.end));
    });
  }

  /** A `truncate` was carried out: the log ends at `end`, durably. */
  truncated(end: number): void {
    this.#feed.truncated(end);
    this.#turn(() => this.raft.truncated(end));
  }

  /** A segment is sealed: it can be read from disk, and its slot may be free. */
  sealed(segment: SegmentRange): void {
    this.#feed.sealed(segment);
    this.#turn(() => this.#beginTerm());
  }

  /** Another node said in a greeting which term it is in. */
  greeted(from: NodeId, term: number): void {
    this.#turn(() => {
      if (term > this.raft.currentTerm) this.#closeGate();
      this.raft.greeted(from, term);
    });
  }

  /** Another data directory stands behind a node's id than before. */
  forget(node: NodeId): void {
    this.#turn(() => this.raft.forget(node));
  }

  /** The link to a node is up. */
  connected(node: NodeId): void {
    this.#memory.setPeer(node, { isConnected: true });
    this.#turn(() => {
      this.raft.reconnected(node);
      this.#hasNews = true;
    });
  }

  disconnected(node: NodeId): void {
    this.#memory.setPeer(node, { isConnected: false });
    this.#turn(() => {
      this.#hasNews = true;
    });
  }

  /** The link to a node takes entries again. Nothing during a turn: each turn ends with a look at what can be sent. */
  drained(): void {
    if (!this.#isInTurn) this.#turn(() => undefined);
  }

  /** Hands leadership over; the port `transferDone` says how it went. */
  transfer(): void {
    this.#turn(() => this.raft.transfer());
  }

  /** Asks for a linearizable commit; the port `readIndexDone` has it. */
  readIndex(id: number): void {
    this.#turn(() => this.raft.readIndex(id));
  }

  #turn(input: () => void): void {
    if (this.#isDead) return;
    this.#isInTurn = true;
    try {
      this.#takeTurn(input);
    } finally {
      this.#isInTurn = false;
    }
  }

  #takeTurn(input: () => void): void {
    this.raft.advanceTo(this.#clock.advance(this.#ports.nowMs(), this.raft.deadlineMs));
    input();
    for (let effects = this.raft.ready(); effects.length > 0; effects = this.raft.ready()) {
      for (const effect of effects) {
        this.#perform(effect);
        if (this.#isDead) return;
      }
    }
    this.#setGate();
    if (this.raft.leadership !== undefined) for (const node of this.#others) this.#feedNode(node);
    this.#publish();
    this.#ports.wakeAt(this.#clock.realOf(this.raft.deadlineMs));
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'saveVote':
        this.#ports.saveVote({ currentTerm: effect.currentTerm, votedFor: effect.votedFor });
        break;
      case 'saveStanding':
        this.#ports.saveStanding(effect.standing);
        this.#hasNews = true;
        break;
      case 'send':
        this.#ports.send(effect.to, effect.message);
        break;
      case 'role':
        this.#roleChanged(effect.role, effect.currentTerm, effect.leader);
        break;
      case 'lead':
        this.#noopDue = effect.term;
        this.#beginTerm();
        break;
      case 'pause':
        if (effect.paused) this.#closeGate();
        break;
      case 'store':
        this.#store(effect.message, effect.from);
        break;
      case 'truncate':
        this.#ports.truncate(effect.offset);
        break;
      case 'commit':
        // Receipts say which nodes have an entry: that must be known before it counts as committed.
        this.#publishPeers();
        this.#memory.setWord(WORD.COMMIT, effect.commit);
        this.#hasNews = true;
        break;
      case 'readIndexDone':
        this.#ports.readIndexDone(effect.id, effect.index);
        break;
      case 'transferDone':
        this.#ports.transferDone(effect.ok);
        break;
      case 'fatal':
        this.#die(effect.sentence);
        break;
      default:
        unreachable(effect);
    }
  }

  #die(sentence: string): void {
    this.#isDead = true;
    this.#closeGate();
    this.#ports.fatal(new LogError('DAMAGE', `this node must not go on: ${sentence}; compare its log with those of the others`));
  }

  #roleChanged(role: RaftRole, currentTerm: number, leader: NodeId): void {
    const memory = this.#memory;
    if (role !== 'leader') {
      this.#closeGate();
      this.#noopDue = 0;
      const ledTerm = memory.word(WORD.LEADER_TERM);
      if (ledTerm !== 0) {
        // Before the office is given up for all to see: what was committed in it, so that its appends can be answered.
        memory.setWord(WORD.LED_TERM, 0);
        memory.setWord(WORD.LED_COMMIT, this.raft.commit);
        memory.setWord(WORD.LED_TERM, ledTerm);
        memory.setWord(WORD.LEADER_TERM, 0);
      }
      this.#catchingUp.clear();
      this.#report.clear();
    }
    memory.setWord(WORD.TERM, currentTerm);
    memory.setWord32(STATE.ROLE, ROLES[role]);
    memory.setWord32(STATE.LEADER_ID, leader);
    this.#hasNews = true;
  }

  /** Takes the log's end back from the main thread; what it had ordered until then is part of the log. */
  #closeGate(): void {
    if (!this.#gateIsOpen) return;
    this.#gate.closeSync();
    this.#gateIsOpen = false;
    this.raft.appended(this.#memory.word(WORD.LEADER_TERM), this.#memory.tail);
  }

  /** Lets appends in while this node leads, its term has begun, and nobody is to take over. */
  #setGate(): void {
    const { leadership } = this.raft;
    if (this.#gateIsOpen || leadership === undefined || !leadership.hasLed || leadership.isTransferring) return;
    this.#memory.setWord(WORD.LEADER_TERM, this.raft.currentTerm);
    this.#gate.open();
    this.#gateIsOpen = true;
    this.#hasNews = true;
  }

  #takeOrdered(): void {
    if (this.#gateIsOpen) this.raft.appended(this.raft.currentTerm, this.#memory.tail);
    else this.#beginTerm();
  }

  /** Puts the no-op of a new term at the log's end, as soon as there is room. */
  #beginTerm(): void {
    if (this.#noopDue === 0) return;
    const status = this.#tail.appendOwn(KIND_NOOP, this.#noopDue, this.#ports.wallMs());
    if (status !== 'ordered') return;
    this.#noopDue = 0;
    this.#hasOrdered = true;
    this.raft.led(this.#tail.end);
  }

  /** Puts what a leader sent at the log's end: the bytes of the message in hand from log offset `from` on. */
  #store(message: AppendRequest, from: number): void {
    const chunks = skipBytes(this.#body, from - message.prevOffset);
    const bytes = message.end - from;
    const status = this.#tail.appendReplicated(chunks, bytes, message.entriesTerm, message.base, this.#ports.wallMs());
    if (status === 'ordered') this.#hasOrdered = true;
    if (status === 'refused') {
      const at = from + this.#tail.badAt;
      this.#ports.log('error', `entries that the leader sent are not valid at offset ${at}: they were damaged on the way, or on its disk`);
    }
    this.raft.stored(message, OUTCOMES[status]);
  }

  #feedNode(to: NodeId): void {
    if (this.#reading.has(to)) return;
    for (let due = this.raft.due(to); due !== undefined && this.#ports.canSend(to); due = this.raft.due(to)) {
      if (!this.#sendHot(to, due)) {
        this.#startCold(to, due);
        return;
      }
    }
  }

  #sendHot(to: NodeId, due: Due): boolean {
    const chunk = this.#feed.hot(due);
    if (chunk === undefined) return false;
    const message = this.raft.leadership?.sending(to, chunk.end, chunk.base);
    if (message === undefined) {
      this.#feed.release(chunk);
      return true;
    }
    this.#catchingUp.delete(to);
    this.#ports.send(to, message, chunk.bytes, () => this.#feed.release(chunk));
    return true;
  }

  /** Has what is due read from its sealed segment; when none has it yet, the news of its seal comes here again. */
  #startCold(to: NodeId, due: Due): void {
    const range = this.#feed.cold(due);
    const buffer = range === undefined ? undefined : this.#freeBuffers.pop();
    if (range === undefined || buffer === undefined) return;
    this.#reading.add(to);
    this.#catchingUp.add(to);
    this.#ports.readCold(range, buffer, (result) => {
      this.#reading.delete(to);
      this.#turn(() => this.#sendCold(to, range.from, range.base, buffer, result));
    });
  }

  #sendCold(to: NodeId, from: number, base: number, buffer: number, result: number | LogError): void {
    const release = (): void => {
      this.#freeBuffers.push(buffer);
    };
    if (typeof result !== 'number') {
      this.#ports.log('error', `cannot feed node ${to} from offset ${from}: ${result.message}`);
      release();
      return;
    }
    // Much may have happened while the disk was read.
    const due = this.raft.due(to);
    const message = due?.from === from ? this.raft.leadership?.sending(to, from + result, base) : undefined;
    if (message === undefined) {
      release();
      return;
    }
    const at = this.#memory.map.feedAt(buffer);
    this.#ports.send(to, message, this.#memory.bytes.subarray(at, at + result), () => {
      release();
      this.drained();
    });
  }

  #publishPeers(): void {
    const { leadership } = this.raft;
    if (leadership === undefined) return;
    for (const [node, { match, isVoter, state, contactMs }] of leadership.peers) {
      const isFedFromDisk = state === 'replicate' && this.#catchingUp.has(node);
      // A node that has not answered yet is taken for what nearly all are.
      const counts = isVoter || contactMs === Number.NEGATIVE_INFINITY;
      this.#memory.setPeer(node, { match, isVoter: counts, state: isFedFromDisk ? PEER_CATCHING_UP : PROGRESS_STATES[state] });
      this.#report.update(node, kindOf(state, isFedFromDisk), match, this.raft.log.end, this.#ports.nowMs());
    }
  }

  /** Tells the other threads, once a turn. */
  #publish(): void {
    this.#publishPeers();
    if (this.#hasOrdered) this.#tail.wake();
    if (this.#hasNews) this.#memory.raise(SIGNAL.COMMIT);
    this.#hasOrdered = false;
    this.#hasNews = false;
  }
}

function kindOf(state: ProgressState, isFedFromDisk: boolean): FeedKind {
  if (state === 'stuck') return 'stuck';
  return isFedFromDisk ? 'fromDisk' : 'usual';
}

/** The bytes of `chunks` behind the first `skip`. */
function skipBytes(chunks: readonly Uint8Array[], skip: number): readonly Uint8Array[] {
  if (skip === 0) return chunks;
  const rest: Uint8Array[] = [];
  let left = skip;
  for (const chunk of chunks) {
    if (left < chunk.length) rest.push(chunk.subarray(left));
    left = Math.max(0, left - chunk.length);
  }
  return rest;
}
