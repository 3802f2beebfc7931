// A follower's work (dissertation, 3.5): whether its log and the leader's are the same, what is put at its end, what is cut, how far the
// leader's commit may be taken. The counterpart of Leadership; it lives as long as the node, because a cut outlasts the leader it is for.
//
//   start       commit         verified               end
//     ├───────────┼──────────────┼── perhaps the same ──┤
//                    the leader has the same

import { assert, unreachable } from '../core/assert.ts';
import { doesCount, type EntryTerm, isSameTerm, NO_TERM } from '../core/ids.ts';
import type { Core, LogDamage } from './core.ts';
import type { ConfigurationAt } from './membership.ts';
import type { AppendRequest, AppendResponse, NodeId } from './messages.ts';

/** What became of the bytes that a `store` effect named. */
export type StoreOutcome =
  /** They are in the log. */
  | 'stored'
  /** No memory is free until the disk has caught up: the leader will send them again. */
  | 'full'
  /** They belong to another segment than the open one, which must be reopened first. */
  | 'misplaced'
  /** They are not what the message says: damaged on their way. */
  | 'refused'
  /** The message only refers to them, and they are not here: the leader will send them. */
  | 'missing';

/** Whose the entry before a request's is. */
function prevOf({ prevTerm: term, prevLeader: leader }: AppendRequest): EntryTerm {
  return { term, leader };
}

/** Whose a request's entries are. */
function entriesOf({ entriesTerm: term, entriesLeader: leader }: AppendRequest): EntryTerm {
  return { term, leader };
}

function hintOf({ term: hintTerm, leader: hintLeader }: EntryTerm): Pick<AppendResponse, 'hintTerm' | 'hintLeader'> {
  return { hintTerm, hintLeader };
}

/** Whether one log can have an entry of `next` after one of `last`. */
function mayFollow(last: EntryTerm, next: EntryTerm): boolean {
  return next.term > last.term || isSameTerm(last, next);
}

function nameOf({ term, leader }: EntryTerm): string {
  return `term ${term}, led by instance ${leader}`;
}

/** Less than any offset. */
const NOTHING = -1;

export class Following {
  readonly #core: Core;
  /** What is known to be the same as this leader's log; NOTHING until the two were compared. */
  #verified = NOTHING;
  /** The commit that this term's leader told last. */
  #leaderCommit = 0;
  /** The leader's last round, which reports of a flush repeat. */
  #round = 0;
  /** Set while the log is being cut there. */
  #truncating: number | undefined;
  /** Where the log is about to begin anew. */
  #beginning: { readonly start: number; readonly before: EntryTerm } | undefined;
  /** Entries could not be taken in this round: none are until a later one, or until the disk has come further. */
  #fullInRound: number | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Whether the log is being cut, so that nothing can be stored. */
  get isTruncating(): boolean {
    return this.#truncating !== undefined || this.#beginning !== undefined;
  }

  /** Whether all is on disk that the leader has told to be committed, in its own term. */
  get hasAllCommitted(): boolean {
    const { log, durable } = this.#core;
    return this.#leaderCommit > log.start && Math.min(this.#verified, durable) >= this.#leaderCommit;
  }

  /** There is another leader, or none: how far the logs agree is not known any more. */
  leaderChanged(): void {
    this.#verified = NOTHING;
    this.#fullInRound = undefined;
  }

  /** What leaders of earlier terms have told no longer counts. */
  termChanged(): void {
    this.leaderChanged();
    this.#round = 0;
    this.#leaderCommit = 0;
  }

  /** The leader of this term has sent `request`. */
  take(request: AppendRequest): void {
    // The last one, not the largest: what is absurd in one frame must not outlast it.
    this.#round = request.round;
    if (this.#fullInRound !== this.#round) this.#fullInRound = undefined;
    if (this.#core.damage !== undefined && !this.#isOverDamage(request, this.#core.damage)) return;
    const isReady = !this.isTruncating && this.#fullInRound === undefined;
    if (request.begins === true && !this.isTruncating && this.#maybeBegin(request)) return;
    if (isReady && this.#matches(request)) this.#compare(request);
    else this.#reject(request.prevOffset, prevOf(request));
  }

  /** Tells the leader of an earlier term that it no longer leads. */
  refuse(from: NodeId, { prevOffset }: AppendRequest): void {
    const { log } = this.#core;
    this.#respond(from, { accepted: false, offset: log.end, durable: 0, ...hintOf(log.last), rejected: prevOffset, isMissing: false });
  }

  /** The bytes of a `store` effect are at the log's end, or why not. The flush that follows answers the leader. */
  stored(request: AppendRequest, outcome: StoreOutcome, configurations: readonly ConfigurationAt[]): void {
    const { log, currentTerm, members } = this.#core;
    if (outcome === 'stored') {
      log.extend(request.entriesTerm, request.entriesLeader, request.end);
      members.appended(configurations);
    }
    // What an earlier leader sent says nothing about the log of the one that leads now.
    if (request.term !== currentTerm || this.#verified === NOTHING) return;
    switch (outcome) {
      case 'stored':
        this.#verified = Math.max(this.#verified, request.end);
        this.#advanceCommit(request.commit);
        break;
      case 'misplaced':
        this.#truncate(log.end, request);
        break;
      case 'full':
      case 'refused':
        this.#fullInRound = this.#round;
        this.#reject(request.end, entriesOf(request));
        break;
      case 'missing':
        this.#reject(request.end, entriesOf(request), true);
        break;
      default:
        unreachable(outcome);
    }
  }

  /** The disk has come further: the leader counts on hearing of it. */
  flushed(): void {
    if (this.#verified === NOTHING) return;
    this.#fullInRound = undefined;
    this.#maybeComeOfAge();
    this.#accept();
  }

  /** The log was cut at `end`, as a `truncate` effect asked; all before it is durable. */
  truncated(end: number): void {
    assert(end === this.#truncating, 'the log is cut where it was asked to be');
    this.#truncating = undefined;
    this.#core.log.truncate(end);
    this.#core.members.truncated(end);
    this.#core.setDurable(end);
    this.flushed();
  }

  /** The log begins anew at `start`, empty, as a `beginAt` effect asked. */
  emptied(start: number): void {
    const beginning = this.#beginning;
    assert(beginning?.start === start, 'the log begins where it was asked to');
    this.#beginning = undefined;
    this.#verified = NOTHING;
    this.#core.log.beginAt(start, beginning.before);
    this.#core.members.beganAnew();
    this.#core.setDurable(start);
    this.#core.commitTo(start);
  }

  /**
   * The leader has trimmed all before a place that this log does not come to, or comes to with other entries. What is not committed here gives way; then it
   * begins there. What it acknowledged counts for nothing that is not before that place. Whether anything is to be done.
   */
  #maybeBegin(request: AppendRequest): boolean {
    const { prevOffset: start } = request;
    const { log, commit } = this.#core;
    const before = prevOf(request);
    // A late copy: this log was there already, and has more by now.
    if (start <= commit || before.term === 0) return false;
    if (log.end >= start) {
      if (isSameTerm(log.before(start), before)) return false;
      this.#truncate(Math.max(commit, this.#verified), request);
      return true;
    }
    this.#beginning = { start, before };
    this.#core.emit({ kind: 'beginAt', start, before });
    this.#reject(start, before);
    return true;
  }

  /**
   * What the disk has after its damage goes, as soon as a leader has shown that it has all that was ever committed here: by a commit of its own term.
   * Returns whether the request can be taken; if not, it was answered.
   */
  #isOverDamage(request: AppendRequest, { bound, isMending }: LogDamage): boolean {
    if (isMending || request.commit === 0 || request.commit < bound) {
      this.#reject(request.prevOffset, prevOf(request));
      return false;
    }
    this.#core.giveUpDamaged();
    if (request.begins === true) return true;
    this.#truncate(this.#core.log.end, request);
    return false;
  }

  /** Whether this log has the entry that ends at `prevOffset`, or nothing has to be had there. */
  #matches(request: AppendRequest): boolean {
    const { prevOffset } = request;
    const { log, commit } = this.#core;
    if (prevOffset > log.end) return false;
    // What was trimmed here was committed, and every leader has all that is committed (3.4).
    if (prevOffset < log.start) return true;
    const own = log.before(prevOffset);
    const prev = prevOf(request);
    if (isSameTerm(own, prev)) return true;
    if (prevOffset <= commit) this.#stop(`an entry before offset ${prevOffset}, which is committed here,`, prev, own);
    return false;
  }

  /** Two logs in which different entries are committed: one of the two nodes must not go on. */
  #stop(what: string, leaders: EntryTerm, own: EntryTerm): void {
    this.#core.emit({ kind: 'fatal', sentence: `the leader has ${what} of ${nameOf(leaders)}, and this node has one of ${nameOf(own)}` });
  }

  /** The logs agree up to `prevOffset`: what is new goes to the log's end, what is in its way is cut. */
  #compare(request: AppendRequest): void {
    const { log } = this.#core;
    const { prevOffset, end } = request;
    const entries = entriesOf(request);
    // What was trimmed here was committed: the leader had the same.
    let from = Math.max(prevOffset, log.start);
    if (from < end && from < log.end) {
      // Bytes of one leader's term are the same wherever they are: it wrote them once. So they differ where term or leader do.
      if (isSameTerm(log.at(from), entries)) from = Math.min(end, log.endOf(entries.term));
    } else if (from < end && !mayFollow(log.last, entries)) {
      // They begin before this log does, and what was trimmed here was committed.
      this.#stop(`an entry after offset ${from}, up to which all is committed here,`, entries, log.last);
      return;
    }
    this.#verified = Math.max(this.#verified, from);
    if (from >= end) {
      this.#advanceCommit(request.commit);
      this.#accept();
    } else if (from < log.end) {
      this.#truncate(from, request);
    } else {
      this.#core.emit({ kind: 'store', message: request, from });
    }
  }

  /** Not further than what is known to be the same as the leader's (copycat#265, ra#508, cockroach#36353). */
  #advanceCommit(leaderCommit: number): void {
    this.#leaderCommit = leaderCommit;
    const commit = Math.min(this.#leaderCommit, this.#verified);
    if (commit > this.#core.commit) this.#core.commitTo(commit);
    this.#maybeComeOfAge();
  }

  /**
   * What stands before an entry of this term was in its leader's log when it was elected, and so was all that was ever committed: who has
   * such an entry on disk has all of that. To wait for the leader's commit would be too long: if the founder lost an entry that new nodes
   * have, they could neither vote for it nor lead.
   */
  #maybeComeOfAge(): void {
    const { standing, log, durable, currentTerm } = this.#core;
    if (standing !== 'new') return;
    const end = Math.min(this.#verified, durable);
    if (end > log.start && log.termBefore(end) === currentTerm) this.#core.comeOfAge();
  }

  #truncate(offset: number, request: AppendRequest): void {
    const { commit, durable } = this.#core;
    if (offset < commit) {
      this.#stop(`at offset ${offset}, below this node's commit ${commit}, an entry`, entriesOf(request), this.#core.log.at(offset));
      return;
    }
    assert(this.#verified <= offset, 'what is the same as the leader has is not cut');
    this.#truncating = offset;
    // What is being cut must not count, even if the disk gets it yet.
    this.#core.setDurable(Math.min(durable, offset));
    this.#core.emit({ kind: 'truncate', offset });
    this.#reject(request.end, entriesOf(request));
  }

  #accept(): void {
    const { durable, leader } = this.#core;
    const offset = this.#verified;
    this.#respond(leader, {
      accepted: true,
      offset,
      durable: Math.min(durable, offset),
      ...hintOf(NO_TERM),
      rejected: 0,
      isMissing: false,
    });
  }

  /**
   * What follows `rejected`, of or after `leaders`, was not taken. Says where the logs may agree: at the end of a term that both may have,
   * never below the commit. `isMissing`: it is an upload that is not there.
   */
  #reject(rejected: number, leaders: EntryTerm, isMissing = false): void {
    const { log, commit, leader } = this.#core;
    let place = Math.min(rejected, this.#truncating ?? log.end, log.end);
    if (!mayFollow(log.before(place), leaders)) place = log.endShared(leaders);
    const offset = Math.max(place, commit);
    this.#respond(leader, { accepted: false, offset, durable: 0, ...hintOf(log.before(offset)), rejected, isMissing });
  }

  #respond(
    to: NodeId,
    answer: Pick<AppendResponse, 'accepted' | 'offset' | 'durable' | 'hintTerm' | 'hintLeader' | 'rejected' | 'isMissing'>,
  ): void {
    const { currentTerm, standing, knowsItsVotes, awaitsCommit, isHung, isFull } = this.#core;
    const round = this.#round;
    this.#core.send(to, {
      kind: 'appendResponse',
      term: currentTerm,
      round,
      isVoter: doesCount(standing),
      mayLead: standing === 'voter',
      hasHeardAll: knowsItsVotes,
      awaitsCommit,
      isHung,
      isFull,
      ...answer,
    });
  }
}
