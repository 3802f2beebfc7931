// Feeds the other nodes while this one leads: what is in tail memory at once, what is only on disk in pieces and at a pace.

import type { LogError } from '../core/errors.ts';
import { FEED_READERS } from '../core/peerLimits.ts';
import { PEER_CATCHING_UP, PEER_PROBING, PEER_REPLICATING, PEER_STUCK, PEER_UNKNOWN } from '../memory/map.ts';
import type { OrderedUpload } from '../memory/orderedUploads.ts';
import { uploadIdOf } from '../memory/staging.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { encodeReference } from '../protocol/peer.ts';
import { MAX_ANNOUNCE_IDS } from '../protocol/peerChecks.ts';
import type { Due } from '../raft/leadership.ts';
import type { AppendResponse, NodeId } from '../raft/messages.ts';
import type { Raft } from '../raft/raft.ts';
import { isDamage } from '../storage/examiner.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import { Digests } from './digests.ts';
import { Feed, type SegmentRange } from './feed.ts';
import { FeedReport } from './feedReport.ts';
import { LinkLoad } from './linkLoad.ts';
import { Pace } from './pace.ts';
import type { ReplicaPorts } from './ports.ts';
import { RareLog } from './rareLog.ts';
import { type Plan, References } from './references.ts';
import { idsOf, keysIn } from './staged.ts';

/** All of it as bytes. */
const BYTES: Plan = { kind: 'bytes', limit: Number.POSITIVE_INFINITY };

const STATES = { probe: PEER_PROBING, replicate: PEER_REPLICATING, stuck: PEER_STUCK } as const;

/** After a read that failed, its entries are tried again no sooner than this: the disk that has them damaged will hardly have changed. */
const RETRY_MS = 1_000;

/** So often a leader that must not feed a node what it has offers its office to one that may, at most: once in so many election timeouts. */
const OFFER_ELECTIONS = 60;

export class Feeder {
  readonly #raft: Raft;
  readonly #memory: TailMemory;
  readonly #ports: ReplicaPorts;
  readonly feed: Feed;
  readonly #report: FeedReport;
  readonly references: References;
  readonly #digests: Digests;
  readonly #linkLoad: LinkLoad;
  readonly #rareLog: RareLog;
  /** Runs something as a turn of the replica. */
  readonly #turn: (input: () => void) => void;
  /** Nodes whose entries are being read from disk. */
  readonly #reading = new Set<NodeId>();
  /** Those that were fed from disk last, and how fast each may be. */
  readonly #paces = new Map<NodeId, Pace>();
  readonly #freeBuffers = Array.from({ length: FEED_READERS }, (_, i) => i);
  /** When the first of the pauses that the last {@link run} met is over. */
  #wakeAtMs = Number.POSITIVE_INFINITY;
  /** The office is not offered to another node before this. */
  #offerAtMs = Number.NEGATIVE_INFINITY;

  constructor(raft: Raft, memory: TailMemory, sealed: readonly SegmentRange[], ports: ReplicaPorts, turn: (input: () => void) => void) {
    this.#raft = raft;
    this.#memory = memory;
    this.#ports = ports;
    this.feed = new Feed(memory, sealed);
    this.references = new References(memory);
    this.#linkLoad = new LinkLoad(memory);
    this.#digests = new Digests(this.feed, ports, raft.settings.maxAppendBytes);
    this.#report = new FeedReport((level, text) => ports.log(level, text));
    this.#rareLog = new RareLog(ports);
    this.#turn = turn;
  }

  /** A segment is sealed: it can be read from disk. */
  sealed(segment: SegmentRange): void {
    this.feed.sealed(segment);
  }

  /** The log was cut at `offset`. */
  truncated(offset: number): void {
    this.feed.truncated(offset);
  }

  /** Segments before `base` were trimmed. */
  trimmed(base: number): void {
    this.feed.trimmed(base);
  }

  /** This node leads no longer. */
  clear(): void {
    this.#paces.clear();
    this.#report.clear();
    this.references.clear();
    this.#linkLoad.clear();
  }

  /** A node that follows in `term` holds the uploads that `body` names. */
  announced(from: NodeId, term: number, body: readonly Uint8Array[]): void {
    if (this.#raft.leadership === undefined || term !== this.#raft.currentTerm) return;
    this.references.announced(from, keysIn(body), this.#ports.nowMs());
  }

  /** The link to a node is up. */
  reconnected(node: NodeId): void {
    this.references.reconnected(node);
  }

  /** A node has answered: what it was referred to is there, or is not. */
  answered(from: NodeId, { accepted, offset, rejected, isMissing }: AppendResponse): void {
    if (accepted) this.references.accepted(from, offset);
    else if (isMissing) this.references.missing(from, rejected, offset, this.#ports.nowMs());
  }

  /** Sends the others what they are due. Returns when to come back at the latest, on the ports' clock, if no other news comes. */
  run(): number {
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    const { leadership } = this.#raft;
    if (leadership === undefined) return this.#wakeAtMs;
    this.references.takeOrdered(this.#raft.currentTerm);
    this.#digests.startTurn();
    let heldTo = this.#raft.log.end;
    for (const [node, progress] of leadership.peers) {
      this.references.sentTo(node, progress.next);
      this.#feedNode(node);
      this.#tellUnneeded(node, progress.next);
      heldTo = Math.min(heldTo, progress.next, progress.verified);
    }
    this.references.heldTo(heldTo);
    this.#linkLoad.look(leadership, this.#ports.nowMs());
    return this.#wakeAtMs;
  }

  /** Shows in the control block how far the others are. */
  publish(): void {
    const { leadership } = this.#raft;
    if (leadership === undefined) return;
    const nowMs = this.#ports.nowMs();
    for (const [node, progress] of leadership.peers) {
      const { match, state, isOldCopy, contactMs } = progress;
      const hasAnswered = contactMs !== Number.NEGATIVE_INFINITY;
      const isFedFromDisk = state === 'replicate' && this.#paces.has(node);
      this.#memory.peers.set(node, {
        match: progress.hasAgreed ? match : null,
        isVoter: hasAnswered ? progress.isVoter : null,
        isOldCopy,
        state: !hasAnswered ? PEER_UNKNOWN : isFedFromDisk ? PEER_CATCHING_UP : STATES[state],
      });
      const kind = state === 'stuck' ? 'stuck' : isFedFromDisk ? 'fromDisk' : 'usual';
      this.#report.update(node, kind, match, this.#raft.log.end, nowMs);
    }
  }

  #feedNode(to: NodeId): void {
    if (this.#reading.has(to)) return;
    for (let due = this.#raft.due(to); due !== undefined && this.#ports.canSend(to); due = this.#raft.due(to)) {
      const mayRefer = !this.references.isEmpty && this.#ports.takesUploads(to);
      const plan = mayRefer ? this.references.plan(to, due, this.#ports.nowMs()) : BYTES;
      if (plan.kind === 'wait') {
        this.#wakeAtMs = Math.min(this.#wakeAtMs, plan.untilMs);
        return;
      }
      if (plan.kind === 'reference') {
        if (!this.#sendReference(to, plan.upload)) return;
        continue;
      }
      const part = plan.limit < due.limit ? { ...due, limit: plan.limit } : due;
      if (!this.#sendHot(to, part)) {
        this.#startCold(to, part);
        return;
      }
    }
  }

  /** All before `next` was sent to node `to`, or is in its log: what it still holds of that as uploads it may forget. */
  #tellUnneeded(to: NodeId, next: number): void {
    const { references } = this;
    references.sentTo(to, next);
    while (references.hasUnneeded(to) && this.#ports.takesUploads(to) && this.#ports.canSend(to)) {
      const keys = references.takeUnneeded(to, MAX_ANNOUNCE_IDS);
      this.#ports.send(to, { kind: 'forget', term: this.#raft.currentTerm, count: keys.length }, idsOf(keys));
    }
  }

  /** False: its digest needs another turn. */
  #sendReference(to: NodeId, upload: OrderedUpload): boolean {
    const found = this.#digests.of(upload);
    if (found === 'later') {
      this.#wakeAtMs = this.#ports.nowMs();
      return false;
    }
    const message = found === undefined ? undefined : this.#raft.leadership?.sending(to, upload.end, found.base);
    if (found === undefined || message === undefined) {
      this.references.drop(upload);
      return true;
    }
    const body = encodeReference({ id: uploadIdOf(upload.key), digest: found.digest, head: found.head });
    this.references.refer(to, upload);
    this.#ports.send(to, { ...message, referenceBytes: body.length }, body);
    return true;
  }

  #sendHot(to: NodeId, due: Due): boolean {
    const chunk = this.feed.hot(due);
    if (chunk === undefined) return false;
    const message = this.#raft.leadership?.sending(to, chunk.end, chunk.base);
    if (message === undefined) {
      this.feed.release(chunk);
      return true;
    }
    this.#paces.delete(to);
    this.#ports.send(to, message, chunk.bytes, () => this.feed.release(chunk));
    return true;
  }

  /** Has what is due read from its sealed segment; when none has it yet, the news of its seal comes here again. */
  #startCold(to: NodeId, due: Due): void {
    const nowMs = this.#ports.nowMs();
    const pace = this.#paces.get(to) ?? new Pace(nowMs, this.#raft.log.end);
    if (pace.readyAtMs > nowMs) {
      this.#wakeAtMs = Math.min(this.#wakeAtMs, pace.readyAtMs);
      return;
    }
    if (this.feed.isDifferent(due.from)) {
      this.#paces.set(to, pace);
      this.#withhold(to, due.from, pace);
      return;
    }
    const range = this.feed.cold(due);
    const buffer = range === undefined ? undefined : this.#freeBuffers.pop();
    if (range === undefined || buffer === undefined) return;
    this.#reading.add(to);
    this.#paces.set(to, pace);
    pace.start(nowMs);
    const { leadership } = this.#raft;
    this.#ports.readCold(range, buffer, (result) => {
      this.#reading.delete(to);
      // Much may have happened while the disk was read: in another term the log may have been cut.
      const isSame = this.#raft.leadership === leadership;
      this.#turn(() => this.#sendCold(to, range, buffer, result, isSame));
    });
  }

  /** What a node needs next is not here what the log says: whoever else could lead feeds it. */
  #withhold(to: NodeId, from: number, pace: Pace): void {
    const nowMs = this.#ports.nowMs();
    const why = 'the segment there is not what the log says on this node: another node must lead';
    this.#rareLog.say('error', `feed ${to}`, `cannot feed node ${to} from offset ${from}: ${why}`);
    pace.pause(nowMs + RETRY_MS);
    this.#wakeAtMs = Math.min(this.#wakeAtMs, pace.readyAtMs);
    const others = [...(this.#raft.leadership?.peers ?? [])].filter(([node, { isVoter }]) => node !== to && isVoter);
    if (nowMs < this.#offerAtMs || !others.some(([, { mayLead, match }]) => mayLead && match >= this.#raft.commit)) return;
    this.#offerAtMs = nowMs + OFFER_ELECTIONS * this.#raft.settings.electionTimeoutMs;
    this.#raft.transfer();
  }

  #sendCold(to: NodeId, { from, base }: ColdRange, buffer: number, result: number | LogError, isSame: boolean): void {
    // It may have been found out while the disk was read: the next turn says so.
    if (typeof result !== 'number' || this.feed.isDifferent(from)) {
      this.#freeBuffers.push(buffer);
      if (typeof result === 'number') return;
      // Trimmed meanwhile: its file may be gone.
      if (from < this.#raft.log.start) return;
      if (isDamage(result)) this.#ports.damaged(from, result);
      this.#rareLog.say('error', `feed ${to}`, `cannot feed node ${to} from offset ${from}: ${result.message}`);
      this.#paces.get(to)?.pause(this.#ports.nowMs() + RETRY_MS);
      return;
    }
    const isDue = isSame && this.#raft.due(to)?.from === from;
    const message = isDue ? this.#raft.leadership?.sending(to, from + result, base) : undefined;
    if (message === undefined) {
      this.#freeBuffers.push(buffer);
      return;
    }
    const at = this.#memory.map.feedAt(buffer);
    this.#ports.send(to, message, this.#memory.bytes.subarray(at, at + result), () => {
      this.#freeBuffers.push(buffer);
      this.#paces.get(to)?.finish(this.#ports.nowMs(), result, this.#raft.log.end);
      this.#turn(() => undefined);
    });
  }
}
