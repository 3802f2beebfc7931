// Appends on their way from the socket to their acknowledgement: ordered at once, or held while tail memory is full or the gate is
// closed for a moment; answered when ordered (`received`) or when committed. The writer is woken once, and each connection
// answered once, in a turn of the event loop. A node that does not lead refuses them.

import { assert } from '../core/assert.ts';
import { type ErrorCode, LogError } from '../core/errors.ts';
import { LAST_OFFSET_RESERVE_BYTES, MAX_LOG_OFFSET } from '../core/limits.ts';
import { HELD_APPEND_BYTES, HELD_APPENDS_PER_TURN, HELD_BYTES_PER_TURN, MAX_PENDING_APPENDS } from '../core/servingLimits.ts';
import type { Gate } from '../memory/gate.ts';
import { Lone } from '../memory/lone.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { LEVEL_COMMITTED, LEVEL_RECEIVED } from '../protocol/client.ts';
import {
  type AppendCounters,
  type AppendPorts,
  type AppendRequest,
  type ClusterView,
  FIRST_APPEND_SECONDS,
  notLeader,
  notLeaderCode,
} from './appendPorts.ts';
import { refusalOfBatch, refusalOfSession, SHUTTING_DOWN } from './appendRefusals.ts';
import { AppendRows } from './appendRows.ts';
import type { Appender } from './caller.ts';
import { type Refusal, refusalOf } from './chain.ts';
import { HeldAppends, heldCostOf } from './heldAppends.ts';
import { PowerHistogram } from './histogram.ts';
import { Leaving } from './leaving.ts';
import { type Repeat, type RepeatPlace, Repeats } from './repeats.ts';
import { keep, release } from './unacknowledged.ts';

export class Appends {
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #gate: Gate;
  readonly #cluster: ClusterView;
  readonly #maxPayloadBytes: number;
  /** Ordered, oldest first: the place of each is the log offset at which it ends. */
  readonly #pending = new AppendRows<Appender>();
  readonly #held = new HeldAppends();
  /** Appends of sessions that were sent again, and are in the log already. */
  readonly #repeats: Repeats;
  readonly #leaving = new Leaving();
  #isRetryPlanned = false;
  /** The node stops: appends are refused from then on. */
  isDraining = false;
  /** Why nothing is ordered or acknowledged any more; empty: it is. */
  #failure = '';
  /** Why there is no room on the disks for what is not ordered yet; empty: there is. */
  #diskFull = '';
  /** Appends that were refused because the node stops. */
  refusedWhileDraining = 0;
  /** Sessions with receipts to send. */
  #answered: Appender[] = [];
  #isTurnPlanned = false;
  readonly #lone: Lone;
  readonly #awaitCommit: () => void;
  readonly #ordered: (caller: Appender, bytes: number, id: Uint8Array | undefined) => void;
  readonly #writeAtOnce: () => boolean;
  readonly #loop: AppendPorts['loop'];
  /** Term of everything in `#pending`. */
  #term = 0;
  /** Appends whose senders were told that it is not known whether they stay in the log. */
  undecidedCount = 0;
  readonly #committedLevel: number;
  readonly counters: AppendCounters = { entries: 0, batches: 0, bytes: 0 };
  readonly latency = new PowerHistogram(FIRST_APPEND_SECONDS, 18);

  constructor(ports: AppendPorts) {
    const { memory, tail, gate, loop } = ports;
    this.#memory = memory;
    this.#tail = tail;
    this.#lone = new Lone(memory);
    this.#gate = gate;
    this.#cluster = ports.cluster;
    this.#loop = loop;
    this.#maxPayloadBytes = ports.maxPayloadBytes;
    this.#committedLevel = ports.committedLevel ?? LEVEL_COMMITTED;
    this.#awaitCommit = ports.awaitCommit;
    this.#ordered = ports.ordered ?? (() => undefined);
    this.#writeAtOnce = ports.writeAtOnce ?? (() => false);
    this.#repeats = new Repeats({
      ...ports.repeats,
      memory,
      gate,
      fold: tail.fold,
      loop,
      acknowledge: (repeat, place, isCommitted) => this.#acknowledgeRepeat(repeat, place, isCommitted),
      refuse: ({ caller, requestId, bytes }, code, sentence, mayHaveHappened) => {
        release(caller, 1, bytes);
        caller.sendError(requestId, code, 0, sentence, mayHaveHappened);
      },
      answered: () => this.#flushAnswers(),
    });
  }

  /** Bytes of appends that wait for tail memory. */
  get heldBytes(): number {
    return this.#held.bytes;
  }

  /** Appends of sessions that were sent again here, and were in the log already. */
  get repeats(): number {
    return this.#repeats.taken;
  }

  /** Whether {@link settle} is to be called when the commit moves, or when room is made. */
  get awaitsCommit(): boolean {
    return !this.#held.isEmpty || this.#pending.size > 0 || this.#repeats.size > 0;
  }

  /** Whether all that was accepted is answered, and what was only received is committed, if this node can see to that. */
  get isSettled(): boolean {
    if (this.awaitsCommit) return false;
    return this.#leaderTerm === 0 || this.#memory.commit === this.#memory.tail;
  }

  /** Term in which this node leads; 0 when it does not. */
  get #leaderTerm(): number {
    return this.#memory.word(WORD.OPEN_TERM);
  }

  /** Why entries of the log's own are not ordered here; undefined: they are. */
  get refusal(): LogError | undefined {
    if (this.isDraining) return new LogError('SHUTTING_DOWN', this.#failure || SHUTTING_DOWN);
    return this.#leaderTerm === 0 ? new LogError(notLeaderCode(this.#cluster), notLeader(this.#cluster)) : undefined;
  }

  /** Takes an append whose size the caller's window allows. */
  accept(request: AppendRequest): void {
    if (this.#leaving.callers.has(request.caller)) return;
    if (this.isDraining) {
      this.refusedWhileDraining += 1;
      request.caller.sendError(request.requestId, 'SHUTTING_DOWN', 0, this.#failure || SHUTTING_DOWN);
      return;
    }
    if (this.#leaderTerm === 0) {
      request.caller.sendError(request.requestId, notLeaderCode(this.#cluster), 0, notLeader(this.#cluster));
      return;
    }
    if (this.#diskFull !== '') {
      request.caller.sendError(request.requestId, 'DISK_FULL', 0, this.#diskFull);
      return;
    }
    // An append that arrives while others are held queues behind them, so that order is kept.
    if (!this.#held.isEmpty || !this.#order(request)) this.#hold(request);
  }

  /** A slot became free: orders what was held, in its order, and no more of it in one turn than leaves the loop to the others. */
  retryHeld(): void {
    if (this.#failure !== '') return;
    let bytes = 0;
    for (let count = 0; count < HELD_APPENDS_PER_TURN && bytes < HELD_BYTES_PER_TURN; count += 1) {
      const request = this.#held.first();
      if (request === undefined) return;
      bytes += request.entries.length;
      if (!request.caller.isClosed && !this.#order(request)) return;
      if (this.#held.shift()) release(request.caller, 1, request.entries.length);
    }
    if (this.#isRetryPlanned || this.#held.isEmpty) return;
    this.#isRetryPlanned = true;
    this.#loop.afterTurn(() => {
      this.#isRetryPlanned = false;
      this.retryHeld();
    });
  }

  /** The caller is gone: what is held of it is not to be ordered. */
  closed(caller: Appender): void {
    this.#dropHeld(caller);
    this.#leaving.callers.delete(caller);
    assert(
      caller.unacknowledgedAppends <= this.#pending.size + this.#repeats.size,
      'only what was ordered of a caller that is gone waits for the commit',
    );
  }

  /** Answers every append that the commit has reached, and those that a lost leadership has decided. */
  settle(nowMs: number): void {
    if (this.#failure !== '') return;
    // The commit first: as long as this node leads, what it reaches was committed by this leader.
    const { commit } = this.#memory;
    if (this.#term !== 0 && this.#leaderTerm === this.#term) this.#settleUpTo(commit, nowMs);
    else this.#endTerm(nowMs);
    this.#flushAnswers();
    this.#leaving.endSettled();
    this.retryHeld();
  }

  /** From now on nothing is ordered, for this reason, what is held neither; empty: appends are taken again. */
  refuseAll(sentence: string): void {
    this.#diskFull = sentence;
    if (sentence !== '' && this.#failure === '') this.#refuseAllHeld('DISK_FULL', sentence);
  }

  /** The node stops: what it has not ordered by now it will not order. */
  drain(): void {
    this.isDraining = true;
    this.#refuseAllHeld('SHUTTING_DOWN', SHUTTING_DOWN);
  }

  /** The engine has failed: nothing is ordered or acknowledged any more. */
  fail(sentence: string): void {
    this.isDraining = true;
    this.#failure = sentence;
    this.#answered = [];
  }

  /** The node stops: what is still undecided stays so for its senders. Everything that was ordered has its answer when this returns. */
  giveUp(): void {
    this.drain();
    this.#giveUpPending('this node stops before it knows');
    this.#flushAnswers();
    this.#leaving.endSettled();
  }

  #refuseAllHeld(code: ErrorCode, sentence: string): void {
    for (let request = this.#held.first(); request !== undefined; request = this.#held.first()) {
      this.#held.shift();
      release(request.caller, 1, request.entries.length);
      this.#refuse(request, code, 0, sentence);
    }
  }

  #giveUpPending(reason: string): void {
    const pending = this.#pending;
    this.undecidedCount += pending.size;
    this.#repeats.giveUp(`${reason}: this append was ordered before, and may or may not end up in the log: send it again`);
    while (pending.size > 0) {
      const caller = pending.owner();
      const requestId = pending.requestId();
      const bytes = pending.bytes();
      pending.shift();
      release(caller, 1, bytes);
      caller.sendError(
        requestId,
        'NOT_LEADER',
        0,
        `${reason}: this append was ordered but not confirmed: it may or may not end up in the log`,
        true,
      );
    }
  }

  /** This node has lost the office in which the pending appends were ordered. Until then it knew what was committed; the rest may be yet. */
  #endTerm(nowMs: number): void {
    const endedTerm = this.#memory.word(WORD.ENDED_TERM);
    const commit = this.#memory.word(WORD.ENDED_COMMIT);
    if (endedTerm === this.#term && this.#memory.word(WORD.ENDED_TERM) === endedTerm) this.#settleUpTo(commit, nowMs);
    this.#giveUpPending(notLeader(this.#cluster));
    // What comes from another leader are not these appends.
    if (this.#lone.isOn) this.#lone.ordered(false);
    this.#term = this.#leaderTerm;
    if (this.#term === 0) this.#refuseAllHeld('NOT_LEADER', notLeader(this.#cluster));
  }

  #settleUpTo(commit: number, nowMs: number): void {
    const pending = this.#pending;
    this.#repeats.committed(commit);
    while (pending.size > 0 && pending.place() <= commit) {
      const end = pending.place();
      const caller = pending.owner();
      const requestId = pending.requestId();
      const first = end - pending.bytes();
      this.latency.observe((nowMs - pending.arrivedMs()) / 1000);
      pending.shift();
      release(caller, 1, end - first);
      this.#acknowledge(caller, requestId, this.#term, first, end, this.#committedLevel, this.#nodesWith(end));
    }
  }

  /** Bit i: node i + 1 has everything before `end` on its disk. */
  #nodesWith(end: number): number {
    const { self, others } = this.#cluster;
    let nodes = this.#memory.durable >= end ? 1 << (self - 1) : 0;
    for (const id of others) if (this.#memory.peers.match(id) >= end) nodes |= 1 << (id - 1);
    return nodes >>> 0;
  }

  /** Orders one request and books its answer. False when it must wait: tail memory is full, or the gate is closed. */
  #order(request: AppendRequest): boolean {
    if (!this.#gate.enter()) return false;
    try {
      const term = this.#leaderTerm;
      if (term !== this.#term) this.#endTerm(request.arrivedMs);
      // Its answers may have been more than it could take.
      if (request.caller.isClosed) return true;
      return this.#orderInside(request, term);
    } finally {
      this.#gate.leave();
    }
  }

  #orderInside(request: AppendRequest, term: number): boolean {
    const { caller, requestId, condition, session, entries, entryCount, upload } = request;
    const end = this.#memory.tail;
    if (session !== undefined && this.#isRepeated(request)) return true;
    const refusal = this.#refusalOf(request, term, end);
    if (refusal !== undefined) {
      this.#refuse(request, refusal.code, refusal.offset, refusal.sentence);
      return true;
    }
    if (end + request.entries.length > MAX_LOG_OFFSET - LAST_OFFSET_RESERVE_BYTES) {
      this.#refuse(request, 'UNSUPPORTED', end, 'this log has come to the last offset that it can address, 2^53 - 1');
      return true;
    }
    if (this.#pending.size >= MAX_PENDING_APPENDS) return false;
    const isOneBatch = condition !== undefined;
    const nowMs = this.#loop.wallMs();
    const status = this.#tail.append(entries, entryCount, term, this.#maxPayloadBytes, nowMs, isOneBatch, upload, session);
    if (status === 'full') return false;
    // Also for a refused batch: it may have closed a slot, whose writer must learn of it.
    this.#planTurn();
    if (status === 'refused') {
      const { code, offset, sentence } = refusalOfBatch(this.#tail, request.entryCount);
      this.#refuse(request, code, offset, sentence);
      return true;
    }
    this.#ordered(caller, request.entries.length, request.upload?.id);
    condition?.chain.succeeded(condition.number, term, this.#tail.end);
    this.counters.entries += this.#tail.count;
    this.counters.batches += 1;
    this.counters.bytes += request.entries.length;
    if (request.received) {
      this.#acknowledge(caller, requestId, term, this.#tail.first, this.#tail.end, LEVEL_RECEIVED, 0);
    } else {
      keep(caller, request.entries.length);
      this.#pending.push(caller, requestId, request.entries.length, this.#tail.end, request.arrivedMs);
    }
    return true;
  }

  /** Whether an append of a session is in the log already: then it gets the receipt that it had, or would have had. */
  #isRepeated({ caller, requestId, entries, received, session }: AppendRequest): boolean {
    const last = session && this.#tail.fold.producers.lastOf(session.session);
    if (session === undefined || last === undefined || session.sequence > last.sequence) return false;
    this.#planTurn();
    keep(caller, entries.length);
    this.#repeats.take({ caller, requestId, bytes: entries.length, received, ...session });
    return true;
  }

  /** Why a request must not be ordered now; undefined: it may. */
  #refusalOf({ condition, session }: AppendRequest, term: number, tail: number): Refusal | undefined {
    const ofSession = session && refusalOfSession(this.#tail.fold.producers, session);
    return ofSession ?? (condition && refusalOf(condition, { term, dataEnd: this.#memory.dataEnd, tail }));
  }

  #acknowledgeRepeat({ caller, requestId, bytes }: Repeat, place: RepeatPlace | undefined, isCommitted: boolean): void {
    release(caller, 1, bytes);
    const { term, first, end } = place ?? { term: 0, first: 0, end: 0 };
    const level = isCommitted ? this.#committedLevel : LEVEL_RECEIVED;
    this.#acknowledge(caller, requestId, term, first, end, level, isCommitted && place !== undefined ? this.#nodesWith(end) : 0);
  }

  #refuse(request: AppendRequest, code: ErrorCode, offset: number, sentence: string): void {
    request.caller.sendError(request.requestId, code, offset, sentence);
  }

  /** What is held of `caller` will not be ordered. */
  #dropHeld(caller: Appender): void {
    const { count, entryBytes } = this.#held.drop(caller);
    release(caller, count, entryBytes);
  }

  #hold(request: AppendRequest): void {
    const { caller, requestId } = request;
    const cost = heldCostOf(request);
    while (this.#held.bytes + cost > HELD_APPEND_BYTES) {
      // Whoever has least of what waits must not pay for whoever has most.
      const payer = this.#held.payer(caller, cost);
      if (payer === undefined) {
        this.#leaving.overload(caller, requestId);
        return;
      }
      this.#dropHeld(payer.caller);
      this.#leaving.overload(payer.caller, payer.requestId);
    }
    keep(caller, request.entries.length);
    this.#held.push(request);
    this.#awaitCommit();
  }

  #acknowledge(caller: Appender, requestId: number, term: number, first: number, end: number, level: number, nodes: number): void {
    if (caller.isClosed) return;
    if (caller.addReceipt(requestId, term, first, end, level, nodes)) this.#answered.push(caller);
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    this.#loop.afterTurn(() => this.endTurn());
  }

  /**
   * Once a loop iteration, after all ready sockets were read: one wake-up for all that was ordered in it. Called earlier by what would else
   * come before it.
   */
  endTurn(): void {
    if (!this.#isTurnPlanned) return;
    this.#isTurnPlanned = false;
    // The others' disks are further away than this node's own.
    if (this.#cluster.others.length > 0) this.#memory.raise(SIGNAL.ORDERED);
    // Also where nobody waits for the commit: those threads need not hurry, however many come.
    this.#lone.ordered(this.#pending.size === 1 && this.#held.isEmpty);
    // An append that is alone, while appends come one at a time, may be durable already.
    if (!this.#lone.isOn || !this.#writeAtOnce()) this.#tail.wake();
    if (this.awaitsCommit) this.#awaitCommit();
    this.#flushAnswers();
  }

  #flushAnswers(): void {
    if (this.#answered.length === 0) return;
    const answered = this.#answered;
    this.#answered = [];
    for (const caller of answered) caller.flushReceipts();
  }
}
