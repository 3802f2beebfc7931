// A leader's work in one term (dissertation, 3.5, 3.6, 3.10, 6.2, 6.4): what the others have, what is committed, whether a majority still
// listens, who is to take over. It exists only while the node leads.

import { assert } from '../core/assert.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import type { ChangeRefusal } from '../core/memberChanges.ts';
import type { Configuration } from '../core/members.ts';
import { differsAtStart, placeOfAgreement } from './agreement.ts';
import { Changes } from './changes.ts';
import type { Core } from './core.ts';
import type { Admit, AppendRequest, AppendResponse, NodeId } from './messages.ts';
import { Progress } from './progress.ts';
import { advanceCommit, majorityDurable } from './quorum.ts';
import { Reads } from './reads.ts';
import { Transfer } from './transfer.ts';

/** What a node is due: whole entries from `from` on, not past `limit`, about `maxBytes` of them and at least one. */
export interface Due {
  readonly from: number;
  /** Where the entries of one term end, or the log. */
  readonly limit: number;
  readonly maxBytes: number;
}

/** A commit that no entries carry to the others is told to them after this long. */
const COMMIT_NOTICE_MS = 5;

export class Leadership {
  readonly #core: Core;
  readonly peers = new Map<NodeId, Progress>();
  readonly #sinceMs: number;
  readonly #reads = new Reads();
  #round = 0;
  /** When the last rounds began, by their numbers modulo its length. */
  readonly #roundStartsMs = new Float64Array(16);
  /** All others are to hear from this leader at the end of this turn. */
  #roundDue = true;
  #heartbeatAtMs: number;
  /** When to see whether a majority listens and the disk moves: reads start rounds, but must not put this off. */
  #checkAtMs: number;
  #commitNoticeAtMs = Number.POSITIVE_INFINITY;
  /** End of this term's no-op; nothing is committed before it is (3.6.2). Infinity until it is in the log. */
  #termStartEnd = Number.POSITIVE_INFINITY;
  readonly transfer: Transfer;
  /** Of the set of nodes. */
  readonly changes: Changes;

  constructor(core: Core) {
    this.#core = core;
    this.#followMembers();
    this.#sinceMs = core.nowMs;
    this.#heartbeatAtMs = core.nowMs;
    this.#checkAtMs = core.nowMs + core.settings.heartbeatMs;
    this.transfer = new Transfer(core, this.peers, () => {
      this.#roundDue = true;
    });
    this.changes = new Changes(core, this.peers, this.transfer);
  }

  /** Whoever is in the set is fed, and nobody else. */
  #followMembers(): void {
    const { members, log, acknowledged } = this.#core;
    const { others } = members;
    for (const node of this.peers.keys()) if (!others.includes(node)) this.peers.delete(node);
    for (const node of others) if (!this.peers.has(node)) this.peers.set(node, new Progress(log.end, acknowledged.get(node)));
  }

  /** The configuration that was asked for is in the log, which ends at `end`: it is in force. */
  configured(end: number): void {
    this.changes.configured(end);
    this.#followMembers();
    this.#roundDue = true;
    this.#advanceCommit();
  }

  /** Why the set of nodes cannot be changed to `configuration` now, or undefined where that was begun. See Changes. */
  configure(configuration: Configuration): ChangeRefusal | undefined {
    return this.changes.begin(configuration, this.#ownTermIsCommitted);
  }

  /** The same, and nothing is begun. */
  refusalOf(configuration: Configuration): ChangeRefusal | undefined {
    return this.changes.refusal(configuration, this.#ownTermIsCommitted);
  }

  /** Whether this term's no-op is in the log, so that entries may follow it. */
  get hasBegun(): boolean {
    return this.#termStartEnd !== Number.POSITIVE_INFINITY;
  }

  /** When {@link tick} has something to do, on the core's clock. */
  get deadlineMs(): number {
    return Math.min(this.#heartbeatAtMs, this.#checkAtMs, this.#commitNoticeAtMs, this.transfer.deadlineMs, this.changes.deadlineMs);
  }

  /** This term's no-op ends at `end`. */
  begun(end: number): void {
    this.#termStartEnd = end;
    this.#advanceCommit();
  }

  /**
   * Time passed. Returns false when the leader resigns: a majority has not been heard from for an election timeout (CheckQuorum, 6.2), or this
   * node hangs or no longer counts, and one that has all it has did not take over when it was asked to.
   */
  tick(): boolean {
    const { nowMs, settings } = this.#core;
    if (nowMs >= this.#heartbeatAtMs) this.#roundDue = true;
    if (nowMs >= this.#checkAtMs) {
      this.#checkAtMs = nowMs + settings.heartbeatMs;
      if (!this.#hasQuorum(nowMs - settings.electionTimeoutMs)) return false;
      this.transfer.look();
    }
    if (nowMs >= this.#commitNoticeAtMs) {
      this.#commitNoticeAtMs = Number.POSITIVE_INFINITY;
      for (const [node, progress] of this.peers) if (progress.sentCommit < this.#announcedCommit) this.#heartbeat(node, progress);
    }
    return this.transfer.tick() && this.changes.tick();
  }

  /** The end of a turn: sends what all others are to hear, once. */
  flush(): void {
    if (this.#reads.needsRound && this.#ownTermIsCommitted) this.#roundDue = true;
    if (!this.#roundDue) this.#tellReaders();
    else this.#startRound();
  }

  /**
   * Tells those who have somebody waiting for it that all is committed. While more is under way, the entries that come next tell of what is
   * committed by then; under load they come all the time.
   */
  #tellReaders(): void {
    const commit = this.#announcedCommit;
    if (commit < this.#core.log.end) return;
    for (const [node, progress] of this.peers) if (progress.awaitsCommit && progress.sentCommit < commit) this.#heartbeat(node, progress);
  }

  #startRound(): void {
    this.#roundDue = false;
    this.#round += 1;
    this.#roundStartsMs[this.#round % this.#roundStartsMs.length] = this.#core.nowMs;
    if (this.#ownTermIsCommitted) this.#reads.start(this.#core.commit, this.#round);
    this.#heartbeatAtMs = this.#core.nowMs + this.#core.settings.heartbeatMs;
    for (const [node, progress] of this.peers) this.#heartbeat(node, progress);
    this.#confirmReads();
  }

  /** The own disk has come further. */
  durableMoved(): void {
    this.#advanceCommit();
  }

  /** An answer to a heartbeat or to entries. */
  answered(from: NodeId, message: AppendResponse): void {
    const progress = this.peers.get(from);
    if (progress === undefined) return;
    progress.contactMs = this.#core.nowMs;
    // What was overtaken says what the node was, not what it is: as before it counted.
    const isLate = message.round < progress.ackedRound;
    if (!isLate && progress.isVoter && !message.isVoter) progress.reset(this.#core.log.end);
    if (!message.accepted) this.#watchForOldCopy(from, progress, message);
    if (!isLate) progress.said(message);
    if (progress.isOldCopy) progress.isVoter = progress.mayLead = false;
    // A round that has not begun proves nothing.
    if (message.round <= this.#round) this.#heard(progress, message.round);
    if (message.accepted) this.#accepted(progress, message);
    else this.#rejected(from, progress, message);
    this.#advanceCommit();
    this.#confirmReads();
    this.#maybeAdmit(from, progress, message);
    this.transfer.maybeAsk();
  }

  /** A round was answered; how long it took is known of the last ones. */
  #heard(progress: Progress, round: number): void {
    if (round <= progress.ackedRound) return;
    progress.ackedRound = round;
    const startMs = this.#roundStartsMs[round % this.#roundStartsMs.length] ?? 0;
    if (this.#round - round < this.#roundStartsMs.length) progress.heard(this.#core.nowMs - startMs, this.#core.nowMs);
  }

  /** What `to` is due now; undefined when it has all, or has not answered for what is on its way. */
  due(to: NodeId): Due | undefined {
    const progress = this.peers.get(to);
    if (progress?.state !== 'replicate') return undefined;
    const { log, settings, durable } = this.#core;
    const room = settings.windowBytes - (progress.next - progress.match);
    // A `new` node votes only for the founder, so it must never hold entries that the founder could lose in a power cut.
    const end = progress.mayLead ? log.end : Math.min(log.end, durable);
    if (progress.next >= end || room <= 0) return undefined;
    const limit = Math.min(end, log.endOf(log.at(progress.next).term));
    return { from: progress.next, limit, maxBytes: Math.min(settings.maxAppendBytes, room) };
  }

  /** The shell sends [next, end) to `to`, from the segment at `base`; returns the message that goes before the bytes. */
  sending(to: NodeId, end: number, base: number): AppendRequest {
    const progress = this.peers.get(to);
    assert(progress?.state === 'replicate', 'entries go to a node that they are due to');
    const { log, currentTerm } = this.#core;
    const prevOffset = progress.next;
    assert(end > prevOffset && end <= log.end, 'what is sent is in the log');
    progress.next = end;
    progress.sentCommit = this.#announcedCommit;
    const before = log.before(prevOffset);
    const entries = log.at(prevOffset);
    return {
      kind: 'appendRequest',
      term: currentTerm,
      round: this.#round,
      prevTerm: before.term,
      prevOffset,
      prevLeader: before.leader,
      entriesTerm: entries.term,
      entriesLeader: entries.leader,
      end,
      base,
      commit: this.#announcedCommit,
    };
  }

  /** The log begins later than before: whoever still lacks what is gone cannot be fed. */
  trimmed(): void {
    for (const progress of this.peers.values()) if (progress.state === 'replicate') this.#maybeStuck(progress);
  }

  /** A node's connection is new, or a read for it failed: what was on its way may be lost. */
  reconnected(node: NodeId): void {
    const progress = this.peers.get(node);
    if (progress === undefined) return;
    if (progress.state === 'replicate') progress.probe(Math.max(progress.match, Math.min(progress.verified, progress.next)));
    this.#heartbeat(node, progress);
  }

  /** A node's id has another disk: whatever it had acknowledged no longer counts. */
  forget(node: NodeId): void {
    this.peers.get(node)?.reset(this.#core.log.end);
  }

  /** Asks for a linearizable commit; the answer is an effect, or goes to `from`. */
  readIndex(id: number, from: NodeId): void {
    this.#reads.add(id, from);
  }

  /** The node leads no longer: what was asked of the leader is answered. */
  end(): void {
    this.#remember();
    for (const { id, from } of this.#reads.drain()) this.#answerRead(id, from, undefined);
    this.transfer.end();
  }

  /** What the others have of what is committed: this node knows better than they do if one of them comes back without it. */
  #remember(): void {
    const { acknowledged, commit } = this.#core;
    for (const [node, { match }] of this.peers) acknowledged.set(node, Math.max(acknowledged.get(node) ?? 0, Math.min(match, commit)));
  }

  get #ownTermIsCommitted(): boolean {
    return this.#core.commit >= this.#termStartEnd;
  }

  /** A leader tells its commit only once it has committed in its own term: until then it does not know how far its log is. */
  get #announcedCommit(): number {
    return this.#ownTermIsCommitted ? this.#core.commit : 0;
  }

  #hasQuorum(sinceMs: number): boolean {
    if (this.#sinceMs > sinceMs) return true;
    let heard = this.#core.members.isSelfVoter ? 1 : 0;
    for (const [node, { isVoter, contactMs }] of this.peers) if (isVoter && this.#isVoter(node) && contactMs >= sinceMs) heard += 1;
    return this.#core.members.isMajority(heard);
  }

  /** Whether a node counts by the set; whether it does with what its disk has now, it says itself. */
  #isVoter(node: NodeId): boolean {
    return this.#core.members.isVoter(node);
  }

  /** What each node that counts has reached, itself among them: `own` of this one, 0 of those that cannot be counted now. */
  #ofVoters(own: number, reached: (progress: Progress) => number): number[] {
    const { isSelfVoter, otherVoters, voterCount } = this.#core.members;
    const values = isSelfVoter ? [own] : [];
    for (const node of otherVoters) {
      const progress = this.peers.get(node);
      values.push(progress?.isVoter && this.#isVoter(node) ? reached(progress) : 0);
    }
    assert(values.length === voterCount, 'every voter is counted once');
    return values;
  }

  #heartbeat(to: NodeId, progress: Progress): void {
    const { log, currentTerm } = this.#core;
    const prevOffset = Math.max(progress.next, log.start);
    progress.sentCommit = this.#announcedCommit;
    const before = log.before(prevOffset);
    // Only who knows that its own log is the committed one may have another one dropped.
    const begins = progress.state === 'stuck' && this.#ownTermIsCommitted;
    this.#core.send(to, {
      ...(begins ? { begins } : {}),
      kind: 'appendRequest',
      term: currentTerm,
      round: this.#round,
      prevTerm: before.term,
      prevOffset,
      prevLeader: before.leader,
      entriesTerm: 0,
      entriesLeader: NO_INSTANCE,
      end: prevOffset,
      base: 0,
      commit: this.#announcedCommit,
    });
  }

  #accepted(progress: Progress, { offset, durable }: AppendResponse): void {
    // Nobody has verified what this leader does not have: a message like that is not from this cluster's code.
    if (offset > this.#core.log.end || durable > offset) return;
    progress.agreed(offset, durable, this.#round);
    if (progress.state === 'replicate') {
      progress.next = Math.max(progress.next, offset);
    } else {
      progress.state = 'replicate';
      progress.next = Math.max(offset, progress.match);
    }
    // It may have answered to what was sent to it before that was trimmed.
    this.#maybeStuck(progress);
  }

  /**
   * A node that had acknowledged more than it has now runs on an old copy of its disk, whatever it says of itself. Otherwise it would never
   * be fed, because what was acknowledged is not sent again, and its vote would count although it has forgotten whom it gave it to.
   */
  #watchForOldCopy(node: NodeId, progress: Progress, message: AppendResponse): void {
    const had = progress.hadAt(message);
    const has = placeOfAgreement(this.#core.log, message);
    // A node that keeps its disk never leads the search for the place of agreement to before what it had.
    if (message.rejected < had || has >= had) return;
    const { log, commit, acknowledged } = this.#core;
    acknowledged.set(node, Math.max(acknowledged.get(node) ?? 0, Math.min(had, commit)));
    progress.reset(Math.max(message.rejected, log.start));
    progress.admitAt = Math.max(had, commit);
    progress.isOldCopy = message.isVoter;
    this.#core.emit({ kind: 'lostData', node, had, has });
  }

  /**
   * Goes back over whole terms, to where the logs may agree (KIP-101, KIP-279, KIP-595), and over one of the same number that another leader
   * wrote.
   */
  #rejected(from: NodeId, progress: Progress, message: AppendResponse): void {
    const { rejected } = message;
    // An answer to what was sent before the place of agreement was found says nothing any more.
    if (rejected <= progress.match && progress.match > 0) return;
    if (progress.state !== 'replicate' && rejected !== Math.max(progress.next, this.#core.log.start)) return;
    const { log } = this.#core;
    const next = Math.max(progress.match, placeOfAgreement(this.#core.log, message));
    // What was only in its memory may have gone with a crash.
    progress.verified = Math.min(progress.verified, next);
    if (next < log.start || differsAtStart(log, message)) {
      progress.state = 'stuck';
      progress.next = log.start;
      return;
    }
    const isNews = next !== progress.next || progress.state === 'replicate';
    progress.probe(next);
    // The same place again: it is not ready. The next heartbeat asks again.
    if (isNews) this.#heartbeat(from, progress);
  }

  /** What `progress` needs next was trimmed here. */
  #maybeStuck(progress: Progress): void {
    const { start } = this.#core.log;
    if (progress.next >= start) return;
    progress.state = 'stuck';
    progress.next = start;
  }

  #advanceCommit(): void {
    const { durable, commit } = this.#core;
    const ends = this.#ofVoters(durable, ({ match }) => match);
    const next = advanceCommit(commit, ends, this.#termStartEnd);
    if (next <= commit) return;
    this.#core.commitTo(next);
    this.changes.committed();
    if (this.peers.size > 0 && this.#commitNoticeAtMs === Number.POSITIVE_INFINITY)
      this.#commitNoticeAtMs = this.#core.nowMs + COMMIT_NOTICE_MS;
  }

  #confirmReads(): void {
    const rounds = this.#ofVoters(this.#round, ({ ackedRound }) => ackedRound);
    for (const { id, from, index } of this.#reads.confirm(majorityDurable(rounds))) this.#answerRead(id, from, index);
  }

  #answerRead(id: number, from: NodeId, index: number | undefined): void {
    if (from === 0) {
      this.#core.emit({ kind: 'readIndexDone', id, index });
      return;
    }
    const { currentTerm } = this.#core;
    this.#core.send(from, { kind: 'readIndexResponse', term: currentTerm, id, ok: index !== undefined, index: index ?? 0 });
  }

  /**
   * A node that had lost its disk counts again once it knows every term it may have voted in, and has all that may have been committed with
   * its help: no more than was committed when it first answered without its disk.
   */
  #maybeAdmit(to: NodeId, progress: Progress, { isVoter, hasHeardAll }: AppendResponse): void {
    if (isVoter && progress.isOldCopy) this.#core.send(to, { kind: 'admit', term: this.#core.currentTerm, standing: 'returned' });
    if (isVoter || !this.#ownTermIsCommitted) return;
    progress.admitAt ??= this.#core.commit;
    if (progress.match < progress.admitAt) return;
    progress.isOldCopy = false;
    if (!hasHeardAll) return;
    const admit: Admit = { kind: 'admit', term: this.#core.currentTerm, standing: 'voter' };
    this.#core.send(to, admit);
  }
}
