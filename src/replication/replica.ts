// The shell around the consensus core: carries out its effects on tail memory and on the ports, in order, and feeds the other nodes. The
// raft thread and the simulator run this same code. Every method is one turn: the time is set, the core is told, its effects are done.

import { toHex, viewOf } from '../core/bytes.ts';
import type { EntryTerm } from '../core/ids.ts';
import type { ChangeRefusal, MemberChange } from '../core/memberChanges.ts';
import { type AccessChange, accessPayload, readAccess } from '../format/access.ts';
import type { Seal } from '../format/controlEntries.ts';
import { DISK_CRITICAL, SIGNAL, STATE, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { NodeId, PeerMessage } from '../raft/messages.ts';
import { Raft } from '../raft/raft.ts';
import type { MendedLog } from '../storage/mender.ts';
import { joinBytes } from './chunks.ts';
import { CoreClock } from './clock.ts';
import { DigestReport } from './digestReport.ts';
import { DurableNotes } from './durableNotes.ts';
import type { SegmentRange } from './feed.ts';
import { Feeder } from './feeder.ts';
import { Fetches, type FetchQuestion } from './fetches.ts';
import { MainThreadWatch } from './mainThreadWatch.ts';
import { NodesOfLog } from './nodesOfLog.ts';
import { Office } from './office.ts';
import { Performer } from './performer.ts';
import type { ReplicaPorts } from './ports.ts';
import type { ReplicaOptions } from './replicaOptions.ts';
import { keysIn, Staged } from './staged.ts';
import { TimeGuard } from './timeGuard.ts';
import { TurnState } from './turnState.ts';

export class Replica {
  readonly raft: Raft;
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #feeder: Feeder;
  readonly #fetches: Fetches;
  readonly #staged: Staged;
  readonly #report: DigestReport;
  readonly #ports: ReplicaPorts;
  readonly #clock: CoreClock;
  readonly #mainThread: MainThreadWatch;
  readonly #nodes: NodesOfLog;
  readonly #timeGuard: TimeGuard;
  readonly #turnState = new TurnState();
  readonly #office: Office;
  readonly #performer: Performer;
  readonly #notes: DurableNotes;
  #isInTurn = false;

  constructor({ settings, state, memory, tail, sealed, policy, newLevel, peers, trustsClock, hang, ports }: ReplicaOptions) {
    this.raft = new Raft(settings, state);
    this.#memory = memory;
    this.#tail = tail;
    this.#feeder = new Feeder(this.raft, memory, sealed, ports, (input) => this.#maybeTurn(input));
    this.#fetches = new Fetches(this.raft, memory, this.#feeder.feed, ports, (input) => this.#maybeTurn(input));
    this.#ports = ports;
    this.#nodes = new NodesOfLog(this.raft, tail.fold, memory, peers);
    this.#timeGuard = new TimeGuard({ self: settings.id, voters: () => this.raft.members.voters, trustsClock, fold: tail.fold, ports });
    this.#staged = new Staged(ports);
    this.#report = new DigestReport(ports);
    tail.fold.onSeal = (seal, by) => ports.seal(seal, by);
    tail.fold.onAccess = (news, by) => ports.access(news, by);
    const turn = this.#turnState;
    const { raft } = this;
    const nodes = this.#nodes;
    const office = new Office({ raft, memory, tail, nodes, ports, turn, founding: { policy, level: newLevel } });
    const [feeder, staged, timeGuard] = [this.#feeder, this.#staged, this.#timeGuard];
    this.#office = office;
    this.#performer = new Performer({ raft, memory, tail, office, feeder, staged, nodes, timeGuard, ports, turn });
    this.#notes = new DurableNotes({ raft, memory, fold: tail.fold, nodes, ports });
    this.#clock = new CoreClock(ports.nowMs(), settings.heartbeatMs);
    this.#mainThread = new MainThreadWatch(memory, this.raft, ports, hang);
    memory.lastEntry = this.raft.log.last;
    memory.setWord(WORD.COMMIT, this.raft.commit);
    this.#performer.publishStanding();
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
      if (message.term > this.raft.currentTerm && !isRehearsal && this.raft.believes(message)) this.#office.close();
      this.#turnState.body = body;
      this.#memory.peers.set(from, { contactMs: this.#ports.wallMs() });
      if ('clockMs' in message && message.clockMs !== undefined) this.#timeGuard.heard(from, message.clockMs);
      this.raft.step(from, message);
      if (message.kind === 'appendRequest' && message.term === this.raft.currentTerm) this.#memory.heardLeader(message.commit);
      if (message.kind !== 'appendResponse') return;
      this.#feeder.answered(from, message);
      this.#heardOfRoom(from);
    });
    this.#turnState.body = [];
  }

  /** The main thread orders nothing while too few nodes have room for it. */
  #heardOfRoom(from: NodeId): void {
    const isFull = this.raft.leadership?.peers.get(from)?.isFull === true;
    if (isFull === this.#memory.peers.isFull(from)) return;
    this.#memory.peers.set(from, { isFull });
    this.#turnState.hasRoleNews = true;
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
    this.#office.close();
    this.#turnState.isDead = true;
  }

  /** A part of a large message came: its sender lives. */
  receiving(from: NodeId, message: PeerMessage): void {
    this.#turn(() => this.raft.receiving(from, message));
  }

  /** The main thread has ordered entries. */
  logMoved(): void {
    if (this.#office.isUnderWay) this.#turn(() => this.#office.takeOrdered());
  }

  /** The disk has caught up further. */
  durableMoved(): void {
    this.#turn(() => this.#office.takeDurable());
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
    this.#turn(() => this.#office.orderDue());
  }

  /** Another node said in a greeting which term it is in. `isHeard`, `isFounder`: see `Raft.greeted`. */
  greeted(from: NodeId, term: number, isHeard: boolean, isFounder: boolean): void {
    this.#turn(() => {
      if (term > this.raft.currentTerm) this.#office.close();
      this.raft.greeted(from, term, isHeard, isFounder);
    });
  }

  /** Another node is about to greet: why its term is not believed, or undefined. See `Raft.doubts`. */
  doubts(from: NodeId, term: number, counts: boolean, instance: string): string | undefined {
    let sentence: string | undefined;
    this.#turn(() => {
      // A majority that greets with such terms ends this node's leadership.
      if (term > this.raft.currentTerm) this.#office.close();
      sentence = this.raft.doubts(from, term, counts, instance);
      if (sentence !== undefined) this.#performer.warn(from, sentence);
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

  /** The founder, another node, greeted from its directory `instance`, and goes by `nodes`. */
  founderGreeted(node: NodeId, instance: string, nodes: readonly NodeId[]): void {
    this.#nodes.founderGreeted({ id: node, instance }, nodes);
  }

  /** Nodes that this one's list names, and that whoever leads is to add as they come. */
  get awaited(): readonly NodeId[] {
    return this.#nodes.awaited;
  }

  /** The link to a node is up. */
  connected(node: NodeId): void {
    this.#memory.peers.set(node, { isConnected: true });
    this.#turn(() => {
      this.raft.reconnected(node);
      this.#feeder.reconnected(node);
      this.#staged.reconnected(node);
      this.#report.reconnected(node);
      this.#turnState.hasRoleNews = true;
    });
  }

  disconnected(node: NodeId): void {
    this.#memory.peers.set(node, { isConnected: false });
    this.#turn(() => {
      this.#fetches.disconnected(node);
      this.#turnState.hasRoleNews = true;
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
      if (this.#memory.word32(STATE.SOLE) !== 0) this.#office.takeDurable();
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
      if (!isDryRun) this.#office.takeCommitBack();
      refusal = this.#nodes.begin(change, isDryRun);
      // Only one that is begun has the place of the one that is under way.
      if (refusal === undefined && !isDryRun) this.#office.changing(id);
      else if (id !== 0) this.#ports.nodesChanged(id, refusal === undefined ? { end: 0 } : { refusal });
    });
    return refusal;
  }

  /** Within a turn there is no need for another one. */
  #maybeTurn(input: () => void): void {
    if (this.#isInTurn) input();
    else this.#turn(input);
  }

  #turn(input: () => void): void {
    if (this.#turnState.isDead) return;
    this.#isInTurn = true;
    try {
      this.#takeTurn(input);
    } finally {
      this.#isInTurn = false;
    }
    if (!this.#turnState.hasTakenBack || this.#turnState.isDead) return;
    this.#turnState.hasTakenBack = false;
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
        this.#performer.perform(effect);
        if (this.#turnState.isDead) return;
      }
    }
    if (this.raft.leadership !== undefined) this.#timeGuard.look();
    this.#office.openIfDue();
    const feedAtMs = this.#feeder.run();
    const fetchAtMs = this.#fetches.run();
    this.#publish();
    const leader = this.raft.role === 'follower' ? this.raft.leader : 0;
    this.#staged.announce(leader, this.raft.currentTerm);
    this.#report.tell(leader, this.raft.currentTerm);
    this.#ports.wakeAt(Math.min(this.#clock.realOf(this.raft.deadlineMs), feedAtMs, fetchAtMs, this.#mainThread.nextMs));
  }

  /** Has the set of nodes become what it should be, step by step, while this node leads. */
  #lookAtNodes(nowMs: number): void {
    if (!this.#nodes.isDue(nowMs)) return;
    const next = this.#nodes.next();
    if (next === undefined) return;
    this.#office.takeCommitBack();
    // Why it cannot be now is of no matter: it is looked at again.
    this.raft.configure(next);
  }

  /** Tells the other threads, once a turn. */
  #publish(): void {
    const turn = this.#turnState;
    if (this.#notes.note(turn.hasCommitted || turn.hasRoleNews)) turn.hasRoleNews = true;
    this.#feeder.publish();
    const nodes = this.#nodes.news();
    if (nodes !== undefined) this.#ports.nodes(nodes);
    if (turn.hasOrdered) this.#tail.wake();
    if (turn.hasCommitted) this.#memory.committed();
    if (turn.hasRoleNews) this.#memory.raise(SIGNAL.ROLE);
    turn.hasOrdered = false;
    turn.hasCommitted = false;
    turn.hasRoleNews = false;
  }
}
