// How a leader hands its office over (dissertation, 3.10): when it is told to, and when its own disk or main thread hangs, or its disk is full.

import { assert } from '../core/assert.ts';
import type { Core } from './core.ts';
import type { NodeId } from './messages.ts';
import type { Progress } from './progress.ts';

/** A leader whose disk is full, and from whom nobody has taken over when asked to, asks again after so many election timeouts: elections that fail cost, too. */
const FULL_AGAIN_ELECTIONS = 10;

/** One that is under way. */
interface UnderWay {
  readonly to: NodeId;
  /** Until then the successor is asked only once all is committed. */
  readonly patienceMs: number;
  readonly deadlineMs: number;
  /** No append is let in any more, and what was let in is known: the log's end is final. */
  isPaused: boolean;
  asked: boolean;
}

export class Transfer {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<NodeId, Progress>;
  /** All others are to be asked how far they are, at the end of this turn. */
  readonly #needRound: () => void;
  #underWay: UnderWay | undefined;
  /** Own disk: how far it was durable, and since when it has not moved. */
  #seenDurable: number;
  #durableAtMs: number;
  /** With a full disk the office is not offered to another node before this. */
  #fullOfferAtMs = 0;

  constructor(core: Core, peers: ReadonlyMap<NodeId, Progress>, needRound: () => void) {
    this.#core = core;
    this.#peers = peers;
    this.#needRound = needRound;
    this.#seenDurable = core.durable;
    this.#durableAtMs = core.nowMs;
  }

  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  /** When {@link tick} has something to do, on the core's clock. */
  get deadlineMs(): number {
    const underWay = this.#underWay;
    if (underWay === undefined) return Number.POSITIVE_INFINITY;
    return underWay.asked || this.#core.nowMs >= underWay.patienceMs ? underWay.deadlineMs : underWay.patienceMs;
  }

  /** Begins one, to the node that is furthest where none is named; false when no other one is heard from, or one to another node is under way. */
  begin(to?: NodeId): boolean {
    if (this.#underWay !== undefined) return to === undefined || to === this.#underWay.to;
    const successor = to ?? this.#furthest();
    if (successor === undefined || !this.#canSucceed(successor)) return false;
    this.#beginTo(successor);
    return true;
  }

  #furthest(): NodeId | undefined {
    let best: NodeId | undefined;
    for (const [node, { match }] of this.#peers) {
      if (!this.#canSucceed(node)) continue;
      if (best === undefined || match > (this.#peers.get(best)?.match ?? 0)) best = node;
    }
    return best;
  }

  /** Looks, now and then, whether this node is one that should lead. */
  look(): void {
    this.#watchDisk();
    if (this.#core.isHung) this.begin();
    else if (this.#core.isFull) this.#leaveToRoom();
  }

  /** Time passed. Returns false when a leader that hangs resigns, because one that has all it has did not take over when it was asked to. */
  tick(): boolean {
    this.maybeAsk();
    const underWay = this.#underWay;
    if (underWay === undefined || this.#core.nowMs < underWay.deadlineMs) return true;
    assert(underWay.isPaused, 'the gate is closed in the turn that asks for it');
    // A leader that hangs stays while nobody could do better: it feeds the others, so that one of them can.
    if (this.#core.isHung && underWay.asked && this.#canSucceed(underWay.to)) return false;
    this.#underWay = undefined;
    this.#core.emit({ kind: 'pause', paused: false });
    this.#core.emit({ kind: 'transferDone', ok: false });
    return true;
  }

  /** The shell has let no appends in since a moment ago, and has told what it had let in. */
  paused(): void {
    if (this.#underWay !== undefined) this.#underWay.isPaused = true;
    this.maybeAsk();
  }

  /**
   * The log's end is final once appends are paused: the successor is asked to take over as soon as it has all of it, and all of it is committed, so that
   * no append that was ordered here is left undecided. Not for ever: a majority whose disks hang may commit under another leader only.
   */
  maybeAsk(): void {
    const underWay = this.#underWay;
    if (underWay === undefined || !underWay.isPaused || underWay.asked) return;
    const { log, commit, nowMs } = this.#core;
    if (this.#peers.get(underWay.to)?.verified !== log.end) return;
    if (commit < log.end && nowMs < underWay.patienceMs) return;
    underWay.asked = true;
    this.#core.send(underWay.to, { kind: 'timeoutNow', term: this.#core.currentTerm });
  }

  /** The node leads no longer. */
  end(): void {
    if (this.#underWay !== undefined) this.#core.emit({ kind: 'transferDone', ok: true });
    this.#underWay = undefined;
  }

  #beginTo(to: NodeId): void {
    const { nowMs, settings, members } = this.#core;
    const { electionTimeoutMs } = settings;
    this.#underWay = {
      to,
      patienceMs: nowMs + electionTimeoutMs / 2,
      deadlineMs: nowMs + electionTimeoutMs,
      // Its gate is closed since then. It must ask in this very turn: once the others hear that this set is committed, they follow it no more.
      isPaused: members.leavesSelfOut,
      asked: false,
    };
    // Who has all is asked once the gate is closed; the answers to this round tell of the others.
    this.#needRound();
    this.#core.emit({ kind: 'pause', paused: true });
  }

  /** A disk that hangs must not keep the office for ever (hashicorp/raft#683, etcd#13527). */
  #watchDisk(): void {
    const { nowMs, durable, log, settings } = this.#core;
    if (durable !== this.#seenDurable || durable === log.end) {
      this.#seenDurable = durable;
      this.#durableAtMs = nowMs;
    } else if (nowMs - this.#durableAtMs >= settings.diskTimeoutMs) {
      this.#durableAtMs = nowMs;
      this.begin();
    }
  }

  /**
   * A leader whose disk is full takes no appends, so nobody would notice that its disk hangs, either: one leads better that has room, if that has the whole
   * log, and if there is a majority that has room. No office swings by this: it goes to a node that has room only, and whether a disk is full has a
   * hysteresis of its own.
   */
  #leaveToRoom(): void {
    const { nowMs, settings, log, members } = this.#core;
    if (nowMs < this.#fullOfferAtMs || this.#underWay !== undefined) return;
    let withRoom = 0;
    let successor: NodeId | undefined;
    for (const [node, { isVoter, isFull, contactMs, verified }] of this.#peers) {
      if (!isVoter || !members.isVoter(node) || isFull || contactMs < nowMs - settings.electionTimeoutMs) continue;
      withRoom += 1;
      if (verified === log.end && this.#canSucceed(node)) successor ??= node;
    }
    if (successor === undefined || !members.isMajority(withRoom)) return;
    this.#fullOfferAtMs = nowMs + FULL_AGAIN_ELECTIONS * settings.electionTimeoutMs;
    this.#beginTo(successor);
  }

  /** Whether a node that could lead is heard from, and fed. */
  #canSucceed(node: NodeId): boolean {
    const progress = this.#peers.get(node);
    const { nowMs, settings, members } = this.#core;
    if (progress === undefined || !progress.mayLead || progress.isHung || !members.isVoter(node)) return false;
    return progress.contactMs >= nowMs - settings.electionTimeoutMs && progress.state === 'replicate';
  }
}
