// The shell around the consensus core: carries out its effects on tail memory and on the ports, in order, and feeds the other nodes. The
// raft thread and the simulator run this same code. Every method is one turn: the time is set, the core is told, its effects are done.

import { KIND_CONFIGURATION, KIND_NOOP } from '../../assembly/layout.ts';
import { unreachable } from '../core/assert.ts';
import { toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { doesCount, type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import type { ChangeOutcome, ChangeRefusal, MemberChange } from '../core/memberChanges.ts';
import { hasDirectory } from '../core/members.ts';
import type { Peer } from '../core/peers.ts';
import { type AccessChange, accessPayload, readAccess } from '../format/access.ts';
import { configurationPayload } from '../format/configuration.ts';
import { newGeneration, type Policy, type Seal } from '../format/controlEntries.ts';
import { noOpPayload } from '../format/noOp.ts';
import { Gate } from '../memory/gate.ts';
import { DISK_CRITICAL, ROLE_CANDIDATE, ROLE_FOLLOWER, ROLE_LEADER, SIGNAL, STATE, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { RaftSettings } from '../raft/core.ts';
import type { Effect, RaftRole } from '../raft/effects.ts';
import type { AppendRequest, NodeId, PeerMessage, RaftMessage } from '../raft/messages.ts';
import { Raft, type RaftState } from '../raft/raft.ts';
import type { MendedLog } from '../storage/mender.ts';
import { joinBytes } from './chunks.ts';
import { CoreClock } from './clock.ts';
import { DigestReport } from './digestReport.ts';
import type { SegmentRange } from './feed.ts';
import { Feeder } from './feeder.ts';
import { Fetches, type FetchQuestion } from './fetches.ts';
import { type HangTimes, MainThreadWatch } from './mainThreadWatch.ts';
import { describeNodes, NodesOfLog, REMOVED_SENTENCE } from './nodesOfLog.ts';
import { oldCopySentence, RETURNED_SENTENCE } from './oldCopySentences.ts';
import type { ReplicaPorts } from './ports.ts';
import { RareLog } from './rareLog.ts';
import { ReplicatedEntries } from './replicatedEntries.ts';
import { keysIn, Staged } from './staged.ts';
import { TimeGuard } from './timeGuard.ts';

export interface ReplicaOptions {
  readonly settings: RaftSettings;
  readonly state: RaftState;
  readonly memory: TailMemory;
  /** The log's end; it is this replica's while the gate is closed. */
  readonly tail: Tail;
  readonly sealed: readonly SegmentRange[];
  /** What the log keeps, and its level, where this node begins it. */
  readonly policy: Policy;
  readonly newLevel: number;
  /** Where the nodes of the cluster are reached, as this one was given them; empty: it is alone. */
  readonly peers: readonly Peer[];
  /** A node alone goes by its clock, whatever that does. */
  readonly trustsClock: boolean;
  /** A node whose main thread does not answer for so long must not lead; see {@link MainThreadWatch}. */
  readonly hang: HangTimes;
  readonly ports: ReplicaPorts;
}

const ROLES: Readonly<Record<RaftRole, number>> = {
  follower: ROLE_FOLLOWER,
  preCandidate: ROLE_CANDIDATE,
  candidate: ROLE_CANDIDATE,
  leader: ROLE_LEADER,
};

const NOT_LEADING: ChangeRefusal = { code: 'NOT_LEADER', sentence: 'this node leads no longer: the set of nodes was not changed' };
const OVERTAKEN: ChangeRefusal = {
  code: 'CHANGE_IN_PROGRESS',
  sentence: 'before there was room for it in the log, what this change of nodes needs was no longer so: try again',
};

export class Replica {
  readonly raft: Raft;
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #gate: Gate;
  readonly #feeder: Feeder;
  readonly #fetches: Fetches;
  readonly #entries: ReplicatedEntries;
  readonly #staged: Staged;
  readonly #report: DigestReport;
  readonly #ports: ReplicaPorts;
  readonly #rareLog: RareLog;
  readonly #clock: CoreClock;
  readonly #mainThread: MainThreadWatch;
  readonly #founding: { readonly policy: Policy; readonly level: number };
  readonly #nodes: NodesOfLog;
  readonly #timeGuard: TimeGuard;
  #gateIsOpen = false;
  /** The body of the message being handled. */
  #body: readonly Uint8Array[] = [];
  /** Term whose no-op waits for room. */
  #noopDue = 0;
  /** A change of the set of nodes waits for room. */
  #isConfigurationDue = false;
  /** Number of the question that asked for that change, or for the one that comes next; 0: nobody waits for it. */
  #changeId = 0;
  /** In this turn: role, leader, term, standing or a link changed, or the gate opened. */
  #hasRoleNews = false;
  #hasCommitted = false;
  #hasOrdered = false;
  /** Generation that the log said at the last look, and its end when it said so first. */
  #generation = NO_INSTANCE;
  #generationEnd = 0;
  #isGenerationKnown = false;
  /** End of the set whose ids node.json has. */
  #notedNodes = -1;
  #isDead = false;
  #isInTurn = false;
  /** In this turn: the commit was taken back from the writers. */
  #hasTakenBack = false;

  constructor({ settings, state, memory, tail, sealed, policy, newLevel, peers, trustsClock, hang, ports }: ReplicaOptions) {
    this.raft = new Raft(settings, state);
    this.#memory = memory;
    this.#tail = tail;
    this.#gate = new Gate(memory);
    this.#feeder = new Feeder(this.raft, memory, sealed, ports, (input) => this.#maybeTurn(input));
    this.#fetches = new Fetches(this.raft, memory, this.#feeder.feed, ports, (input) => this.#maybeTurn(input));
    this.#ports = ports;
    this.#founding = { policy, level: newLevel };
    this.#nodes = new NodesOfLog(this.raft, tail.fold, memory, peers);
    this.#timeGuard = new TimeGuard({ self: settings.id, voters: () => this.raft.members.voters, trustsClock, fold: tail.fold, ports });
    this.#rareLog = new RareLog(ports);
    this.#staged = new Staged(ports);
    this.#report = new DigestReport(ports);
    tail.fold.onSeal = (seal, by) => ports.seal(seal, by);
    tail.fold.onAccess = (news, by) => ports.access(news, by);
    this.#entries = new ReplicatedEntries(memory, tail, ports, this.#rareLog, this.#staged);
    this.#clock = new CoreClock(ports.nowMs(), settings.heartbeatMs);
    this.#mainThread = new MainThreadWatch(memory, this.raft, ports, hang);
    memory.lastEntry = this.raft.log.last;
    memory.setWord(WORD.COMMIT, this.raft.commit);
    this.#publishStanding();
    memory.setWord(WORD.TERM, this.raft.currentTerm);
  }

  /** The log's level. */
  get level(): number {
    return this.#tail.fold.level;
  }

  /** Whether the main thread does not answer, also of a node alone. */
  get isMainHung(): boolean {
    return this.#mainThread.isHung;
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
    if (message.kind === 'announce') {
      this.#turn(() => this.#feeder.announced(from, message.term, body));
      return;
    }
    if (message.kind === 'forget') {
      // In one term only its leader says so.
      this.#turn(() => (message.term === this.raft.currentTerm ? this.#staged.unneeded(keysIn(body)) : undefined));
      return;
    }
    if (message.kind === 'segmentDigest') {
      // Of what is committed: whatever its term is, it is true or it is not.
      this.#ports.digest(from, { base: message.base, end: message.end, digest: body.map((part) => toHex(part)).join('') });
      return;
    }
    if (message.kind === 'askAccess') {
      const payload = joinBytes(body);
      this.#ports.askedAccess(from, readAccess(viewOf(payload), 0, payload.length));
      return;
    }
    if (message.kind === 'fetch') {
      this.#turn(() => this.#fetches.asks(from, message));
      return;
    }
    if (message.kind === 'fetched') {
      this.#turn(() => this.#fetches.answered(from, message, body));
      return;
    }
    this.#turn(() => {
      const isRehearsal = (message.kind === 'voteRequest' || message.kind === 'voteResponse') && message.isPreVote;
      // It may end this node's leadership: what clients were let in before must be part of the log by then.
      if (message.term > this.raft.currentTerm && !isRehearsal && this.raft.believes(message)) this.#closeGate();
      this.#body = body;
      this.#memory.peers.set(from, { contactMs: this.#ports.wallMs() });
      if ('clockMs' in message && message.clockMs !== undefined) this.#timeGuard.heard(from, message.clockMs);
      this.raft.step(from, message);
      if (message.kind === 'appendRequest' && message.term === this.raft.currentTerm) this.#memory.heardLeader(message.commit);
      if (message.kind !== 'appendResponse') return;
      this.#feeder.answered(from, message);
      this.#heardOfRoom(from);
    });
    this.#body = [];
  }

  /** The main thread orders nothing while too few nodes have room for it. */
  #heardOfRoom(from: NodeId): void {
    const isFull = this.raft.leadership?.peers.get(from)?.isFull === true;
    if (isFull === this.#memory.peers.isFull(from)) return;
    this.#memory.peers.set(from, { isFull });
    this.#hasRoleNews = true;
  }

  /** The main thread stages uploads in this memory. */
  staging(shared: SharedArrayBuffer): void {
    this.#staged.attach(shared);
  }

  /** These of its rows hold uploads whole. */
  staged(rows: readonly number[]): void {
    this.#turn(() => this.#staged.staged(rows));
  }

  /** Asks whoever leads for a change of tokens; nothing where nobody does, or the link is full. */
  askAccess(change: AccessChange): void {
    this.#turn(() => {
      const leader = this.raft.role === 'follower' ? this.raft.leader : 0;
      if (leader === 0 || !this.#ports.canSend(leader)) return;
      const payload = accessPayload(change);
      this.#ports.send(leader, { kind: 'askAccess', term: this.raft.currentTerm, bytes: payload.length }, payload);
    });
  }

  /** What this node has found a sealed segment to be. */
  report(seal: Seal): void {
    this.#turn(() => this.#report.set(seal));
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
    if (this.#gateIsOpen || this.#noopDue !== 0) this.#turn(() => this.#takeOrdered());
  }

  /** The disk has caught up further. */
  durableMoved(): void {
    this.#turn(() => this.#takeDurable());
  }

  #takeDurable(): void {
    // The end is read after the durable end: it is never below it.
    const { durable } = this.#memory;
    this.#takeOrdered();
    this.raft.durableMoved(Math.min(durable, this.raft.log.end));
  }

  /** Others may have a say in what is committed, or this node leads no longer: the writers do not move the commit any more, and this thread hears of the disk again. */
  #takeCommitBack(): void {
    if (this.#memory.word32(STATE.SOLE) === 0) return;
    this.#memory.takeCommitBack();
    this.#takeDurable();
    this.#hasTakenBack = true;
  }

  /** A `truncate` was carried out: the log ends at `end`, durably. */
  truncated(end: number): void {
    this.#feeder.truncated(end);
    this.#turn(() => {
      this.raft.truncated(end);
      this.#memory.lastEntry = this.raft.log.last;
    });
  }

  /** A `beginAt` was carried out: the log is empty, and begins at `start`. */
  emptied(start: number): void {
    this.#feeder.trimmed(start);
    this.#turn(() => {
      this.raft.emptied(start);
      this.#memory.lastEntry = this.raft.log.last;
    });
  }

  /** Whether others are being asked for what is damaged of the log. */
  mending(isUnderWay: boolean): void {
    this.#turn(() => this.raft.mending(isUnderWay));
  }

  /** What was damaged of the log is right again, in memory and on disk. */
  mended({ terms, end, commit, configurations }: MendedLog): void {
    this.#turn(() => {
      this.raft.mended(terms, end, commit, configurations);
      this.#memory.lastEntry = this.raft.log.last;
    });
  }

  /**
   * The log is to begin at `base`, in front of a segment; all before it is committed. `save`, told whose the entry before it is, makes that
   * durable before it returns. Not called any more once this replica has ended.
   */
  trim(base: number, save: (before: EntryTerm) => void): void {
    // Alone, the writers commit without this thread: it may not have heard how far.
    this.durableMoved();
    this.#turn(() => {
      save(this.raft.log.before(base));
      this.raft.trimmed(base);
      this.#feeder.trimmed(base);
    });
  }

  /** A segment is sealed: it can be read from disk, and its slot may be free. */
  sealed(segment: SegmentRange): void {
    this.#feeder.sealed(segment);
    this.#turn(() => this.#orderDue());
  }

  /** Another node said in a greeting which term it is in. `isHeard`, `isFounder`: see `Raft.greeted`. */
  greeted(from: NodeId, term: number, isHeard: boolean, isFounder: boolean): void {
    this.#turn(() => {
      if (term > this.raft.currentTerm) this.#closeGate();
      this.raft.greeted(from, term, isHeard, isFounder);
    });
  }

  /** Another node is about to greet: why its term is not believed, or undefined. See `Raft.doubts`. */
  doubts(from: NodeId, term: number, counts: boolean, instance: string): string | undefined {
    let sentence: string | undefined;
    this.#turn(() => {
      // A majority that greets with such terms ends this node's leadership.
      if (term > this.raft.currentTerm) this.#closeGate();
      sentence = this.raft.doubts(from, term, counts, instance);
      if (sentence !== undefined) this.#warn(from, sentence);
    });
    return sentence;
  }

  /** This node found out that its directory is an old copy. */
  returned(): void {
    this.#turn(() => this.raft.returned());
  }

  /** The link to a node leads to the data directory `instance`. */
  met(node: NodeId, instance: string): void {
    this.#turn(() => this.raft.met(node, instance));
  }

  /** The link to a node is up. */
  connected(node: NodeId): void {
    this.#memory.peers.set(node, { isConnected: true });
    this.#turn(() => {
      this.raft.reconnected(node);
      this.#feeder.reconnected(node);
      this.#staged.reconnected(node);
      this.#report.reconnected(node);
      this.#hasRoleNews = true;
    });
  }

  disconnected(node: NodeId): void {
    this.#memory.peers.set(node, { isConnected: false });
    this.#turn(() => {
      this.#fetches.disconnected(node);
      this.#hasRoleNews = true;
    });
  }

  /** The process of a node has ended; see `Raft.gone`. */
  gone(node: NodeId): void {
    this.#turn(() => this.raft.gone(node));
  }

  /** The sealed segments at `bases`, and no other ones, are not here what the log says: nobody gets them from here. */
  different(bases: readonly number[]): void {
    this.#feeder.feed.different(bases);
  }

  /** Asks another node for entries to heal with; the port `fetched` has its answer. */
  fetch(question: FetchQuestion): void {
    this.#turn(() => this.#fetches.ask(question));
  }

  /** The link to a node takes entries again. Nothing during a turn: each turn ends with a look at what can be sent. */
  drained(): void {
    this.#maybeTurn(() => undefined);
  }

  /** Hands leadership over; the port `transferDone` says how it went. */
  transfer(to?: NodeId): void {
    this.#turn(() => this.raft.transfer(to));
  }

  /** Asks for a linearizable commit; the port `readIndexDone` has it. */
  readIndex(id: number): void {
    this.#turn(() => {
      // Where the writers commit, this thread may not have heard how far.
      if (this.#memory.word32(STATE.SOLE) !== 0) this.#takeDurable();
      this.raft.readIndex(id);
    });
  }

  /**
   * Changes the set of nodes that the log says, or with `isDryRun` only looks whether that could be. Returns why it cannot be, or not now; undefined: it is begun,
   * and decided when it is committed. With an `id`, the port `nodesChanged` says what became of it: once it is in the log, or will not be.
   */
  changeNodes(change: MemberChange, { id = 0, isDryRun = false } = {}): ChangeRefusal | undefined {
    let refusal: ChangeRefusal | undefined;
    this.#turn(() => {
      if (!isDryRun) this.#takeCommitBack();
      refusal = this.#nodes.begin(change, isDryRun);
      // Only one that is begun has the place of the one that is under way.
      if (refusal === undefined && !isDryRun) this.#changeId = id;
      else if (id !== 0) this.#ports.nodesChanged(id, refusal === undefined ? { end: 0 } : { refusal });
    });
    return refusal;
  }

  #answerChange(outcome: ChangeOutcome): void {
    if (this.#changeId !== 0) this.#ports.nodesChanged(this.#changeId, outcome);
    this.#changeId = 0;
  }

  /** Within a turn there is no need for another one. */
  #maybeTurn(input: () => void): void {
    if (this.#isInTurn) input();
    else this.#turn(input);
  }

  #turn(input: () => void): void {
    if (this.#isDead) return;
    this.#isInTurn = true;
    try {
      this.#takeTurn(input);
    } finally {
      this.#isInTurn = false;
    }
    if (!this.#hasTakenBack || this.#isDead) return;
    this.#hasTakenBack = false;
    this.#ports.followLog();
  }

  #takeTurn(input: () => void): void {
    this.raft.awaitsCommit = this.#memory.word32(STATE.COMMIT_AWAITED) !== 0;
    this.raft.isFull = this.#memory.word32(STATE.DISK_LEVEL) === DISK_CRITICAL;
    const nowMs = this.#ports.nowMs();
    this.raft.advanceTo(this.#clock.advance(nowMs, this.raft.deadlineMs));
    this.#mainThread.look(nowMs);
    input();
    this.#lookAtNodes(nowMs);
    for (let effects = this.raft.ready(); effects.length > 0; effects = this.raft.ready()) {
      for (const effect of effects) {
        this.#perform(effect);
        if (this.#isDead) return;
      }
    }
    if (this.raft.leadership !== undefined) this.#timeGuard.look();
    this.#setGate();
    const feedAtMs = this.#feeder.run();
    const fetchAtMs = this.#fetches.run();
    this.#publish();
    const leader = this.raft.role === 'follower' ? this.raft.leader : 0;
    this.#staged.announce(leader, this.raft.currentTerm);
    this.#report.tell(leader, this.raft.currentTerm);
    this.#ports.wakeAt(Math.min(this.#clock.realOf(this.raft.deadlineMs), feedAtMs, fetchAtMs, this.#mainThread.nextMs));
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'saveVote':
        this.#ports.saveVote({ currentTerm: effect.currentTerm, votedFor: effect.votedFor, commit: this.#memory.commitBound });
        break;
      case 'saveStanding':
        this.#ports.saveStanding(effect.standing);
        if (effect.standing === 'returned') this.#ports.log('warn', RETURNED_SENTENCE);
        this.#publishStanding();
        this.#hasRoleNews = true;
        break;
      case 'send':
        this.#ports.send(effect.to, this.#withClock(effect.message));
        break;
      case 'role':
        this.#roleChanged(effect.role, effect.currentTerm, effect.leader);
        break;
      case 'beginTerm':
        this.#memory.setWord(WORD.TOLD_COMMIT, 0);
        this.#noopDue = effect.term;
        this.#timeGuard.begin();
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
      case 'beginAt':
        this.#ports.beginAt(effect.start, effect.before);
        break;
      case 'commit':
        // Receipts say which nodes have an entry: that must be known before it counts as committed.
        this.#feeder.publish();
        this.#memory.liftWord(WORD.COMMIT, effect.commit);
        this.#hasCommitted = true;
        if (this.#nodes.isSole) this.#memory.leaveCommitToWriters();
        break;
      case 'readIndexDone':
        this.#ports.readIndexDone(effect.id, effect.index);
        break;
      case 'transferDone':
        this.#ports.transferDone(effect.ok);
        break;
      case 'distrust':
        this.#warn(effect.node, effect.sentence);
        this.#ports.cut(effect.node, 'it tells a term that is not believed');
        break;
      case 'warn':
        this.#warn(this.raft.settings.id, effect.sentence);
        break;
      case 'lostData':
        this.#ports.log('warn', oldCopySentence(effect.node, effect.had, effect.has));
        this.#hasRoleNews = true;
        break;
      case 'fatal':
        this.#die(effect.sentence);
        break;
      case 'configure':
        this.#isConfigurationDue = true;
        this.#configure();
        break;
      case 'removed':
        this.#ports.log('warn', REMOVED_SENTENCE);
        break;
      default:
        unreachable(effect);
    }
  }

  /** Answers say what this node's clock shows. */
  #withClock(message: RaftMessage): RaftMessage {
    if (message.kind !== 'appendResponse' && message.kind !== 'voteResponse') return message;
    return { ...message, clockMs: Math.max(0, Math.floor(this.#ports.wallMs())) };
  }

  #publishStanding(): void {
    this.#memory.peers.set(this.raft.settings.id, { isVoter: doesCount(this.raft.standing) });
  }

  /** Says something about `node`, unless something was said about it in the last minute. */
  #warn(node: NodeId, sentence: string): void {
    this.#rareLog.say('warn', `node ${node}`, sentence);
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
      this.#timeGuard.end();
      this.#noopDue = 0;
      this.#isConfigurationDue = false;
      this.#answerChange({ refusal: NOT_LEADING });
      const wasSole = memory.word32(STATE.SOLE) !== 0;
      this.#takeCommitBack();
      const endedTerm = memory.word(WORD.OPEN_TERM);
      if (endedTerm !== 0) {
        // Before the office is given up for all to see: what was committed in it, so that its appends can be answered.
        memory.setWord(WORD.ENDED_TERM, 0);
        // Where the writers committed, the core does not know how far: up to what is durable, as long as it led.
        memory.setWord(WORD.ENDED_COMMIT, wasSole ? Math.max(this.raft.commit, this.raft.durable) : this.raft.commit);
        memory.setWord(WORD.ENDED_TERM, endedTerm);
        memory.setWord(WORD.OPEN_TERM, 0);
      }
      this.#feeder.clear();
    }
    // Who leads next hears anew how much room the others have.
    for (const node of this.raft.members.others) memory.peers.set(node, { isFull: false });
    memory.setWord(WORD.TERM, currentTerm);
    memory.setWord32(STATE.ROLE, ROLES[role]);
    memory.setWord32(STATE.LEADER_ID, leader);
    this.#hasRoleNews = true;
  }

  /** Takes the log's end back from the main thread; what it had ordered until then is part of the log. */
  #closeGate(): void {
    if (!this.#gateIsOpen) return;
    this.#gate.closeSync();
    this.#gateIsOpen = false;
    this.raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);
  }

  /** Lets appends in while this node leads, its term has begun, and nobody is to take over. */
  #setGate(): void {
    const { leadership } = this.raft;
    if (this.#gateIsOpen || leadership === undefined || !leadership.hasBegun || leadership.transfer.isUnderWay) return;
    // It would take the room that a change of the nodes waits for.
    if (this.#isConfigurationDue) return;
    this.#memory.setWord(WORD.OPEN_TERM, this.raft.currentTerm);
    this.#gate.open();
    this.#gateIsOpen = true;
    this.#hasRoleNews = true;
  }

  #takeOrdered(): void {
    if (this.#gateIsOpen) this.raft.appended(this.raft.currentTerm, this.#memory.tail);
    else this.#orderDue();
  }

  /** Puts what waits for room at the log's end. */
  #orderDue(): void {
    this.#beginTerm();
    this.#configure();
  }

  /** Puts the no-op of a new term at the log's end, as soon as there is room. */
  #beginTerm(): void {
    if (this.#noopDue === 0) return;
    const { instance, random } = this.raft.settings;
    const { policy, level } = this.#founding;
    const isFirst = this.raft.log.end === 0;
    if (isFirst && this.#tail.fold.level === 0)
      this.#tail.fold.found(newGeneration(1, random), policy, level, level < MEMBERS_LEVEL ? [] : this.#nodes.founding);
    const founded = isFirst ? this.#nodes.founded : [];
    const status = this.#tail.appendOwn(KIND_NOOP, noOpPayload(instance), this.#noopDue, this.#ports.wallMs());
    if (status !== 'ordered') return;
    this.#noopDue = 0;
    this.#hasOrdered = true;
    this.raft.begun(this.#tail.end, founded);
    this.#memory.lastEntry = this.raft.log.last;
  }

  /** Puts the set of nodes that the core was asked for at the log's end, as soon as there is room, if it still may come. */
  #configure(): void {
    if (!this.#isConfigurationDue || this.#noopDue !== 0) return;
    // What was ordered until now counts by the set of before.
    this.#closeGate();
    const members = this.raft.configurationDue;
    if (members !== undefined) {
      const { currentTerm } = this.raft;
      if (this.#tail.appendOwn(KIND_CONFIGURATION, configurationPayload(members), currentTerm, this.#ports.wallMs()) !== 'ordered') return;
      this.#hasOrdered = true;
      // The core knows what it asked for.
      this.#nodes.said();
      this.raft.configured(this.#tail.end);
      this.#memory.lastEntry = this.raft.log.last;
      this.#ports.log('info', `the nodes are ${describeNodes(members)} from offset ${this.#tail.end} on, once that is committed`);
      this.#answerChange({ end: this.#tail.end });
    } else this.#answerChange({ refusal: OVERTAKEN });
    this.#isConfigurationDue = false;
  }

  /** Has the set of nodes become what it should be, step by step, while this node leads. */
  #lookAtNodes(nowMs: number): void {
    if (!this.#nodes.isDue(nowMs)) return;
    const next = this.#nodes.next();
    if (next === undefined) return;
    this.#takeCommitBack();
    // Why it cannot be now is of no matter: it is looked at again.
    this.raft.configure(next);
  }

  /** Puts what a leader sent at the log's end: the bytes of the message in hand from log offset `from` on. */
  #store(message: AppendRequest, from: number): void {
    const outcome = this.#entries.store(message, from, this.#body, this.raft.log.lastTerm);
    if (outcome === 'stored') this.#hasOrdered = true;
    this.raft.stored(message, outcome, this.#nodes.said());
  }

  /** Which generation the log is of is durable, and told, once all that says it is committed and this node counts: until then it may pass through those before. */
  #noteGeneration(): void {
    const memory = this.#memory;
    if (this.#isGenerationKnown) return;
    // One that began anew says nothing before its first entry, whatever it said before.
    const id = this.#tail.fold.level === 0 ? NO_INSTANCE : memory.generationId;
    if (id !== this.#generation) {
      this.#generation = id;
      this.#generationEnd = memory.tail;
    }
    if (id === NO_INSTANCE || memory.commit < this.#generationEnd) return;
    // A `new` node counts, but what it is fed may pass through earlier generations; it is a voter when it has all that was committed.
    if (this.raft.standing !== 'voter') return;
    // Where the log says who is in it, one that joins is no stranger from the first set on that it passes: its own generation has itself.
    const { members, settings } = this.raft;
    if (members.latest !== undefined && !hasDirectory(members.committedSet, settings)) return;
    this.#ports.saveGeneration(id);
    memory.knownGeneration = id;
    this.#isGenerationKnown = true;
    this.#hasRoleNews = true;
  }

  /** Once it is committed, and on this node's disk, which nodes the log has, node.json has their ids in place of the list that this directory was given: a copy. */
  #noteNodes(): void {
    const { committedEnd, committedSet } = this.raft.members;
    // By a generation a start knows that the log may have said more than it has; until then ids in node.json would count (FoundNodes.isUnknown).
    if (!this.#isGenerationKnown || committedEnd === this.#notedNodes || committedEnd > this.raft.durable || !this.#nodes.isListless)
      return;
    this.#notedNodes = committedEnd;
    const { id } = this.raft.settings;
    const others = committedSet.map((member) => member.id).filter((each) => each !== id);
    this.#ports.saveNodes(others.length === 0 ? null : [...others, id].sort((a, b) => a - b));
  }

  /** Tells the other threads, once a turn. */
  #publish(): void {
    this.#noteNodes();
    if (this.#hasCommitted || this.#hasRoleNews) this.#noteGeneration();
    this.#feeder.publish();
    const nodes = this.#nodes.news();
    if (nodes !== undefined) this.#ports.nodes(nodes);
    if (this.#hasOrdered) this.#tail.wake();
    if (this.#hasCommitted) this.#memory.committed();
    if (this.#hasRoleNews) this.#memory.raise(SIGNAL.ROLE);
    this.#hasOrdered = false;
    this.#hasCommitted = false;
    this.#hasRoleNews = false;
  }
}
