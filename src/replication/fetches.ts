// Committed bytes that nodes ask of each other to heal their own segments: both ends of that on the raft thread. It is no part of Raft, needs
// no leader, and changes nothing of any log: what was committed is the same on all nodes.
//
// Who asks has one question open. Who answers reads its own disk for one node at a time, at a pace, and keeps one question for each node.

import type { LogError } from '../core/errors.ts';
import { HEAL_BYTES_PER_SECOND } from '../core/limits.ts';
import { FEED_READERS, MAX_APPEND_BYTES } from '../core/peerLimits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { MAX_PEER_BODY_BYTES } from '../protocol/peerChecks.ts';
import type { Fetch, Fetched, NodeId } from '../raft/messages.ts';
import type { Raft } from '../raft/raft.ts';
import { isDamage } from '../storage/examiner.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import type { Feed } from './feed.ts';
import type { ReplicaPorts } from './ports.ts';

/** What the main thread wants: entries from `from` on, none at `end` or past it, of node `to`. */
export interface FetchQuestion {
  readonly id: number;
  readonly to: NodeId;
  readonly from: number;
  readonly end: number;
  /** Of the open segment. */
  readonly isOpen?: boolean;
}

type FetchPorts = Pick<ReplicaPorts, 'nowMs' | 'canSend' | 'send' | 'readCold' | 'fetched' | 'damaged' | 'cut'>;

export class Fetches {
  readonly #raft: Raft;
  readonly #memory: TailMemory;
  readonly #feed: Pick<Feed, 'cold' | 'hot' | 'release' | 'isDifferent'>;
  readonly #ports: FetchPorts;
  /** Runs something as a turn of the replica. */
  readonly #turn: (input: () => void) => void;
  #asked: FetchQuestion | undefined;
  /** Questions of other nodes, one of each: the last. */
  readonly #waiting = new Map<NodeId, Fetch>();
  #isReading = false;
  /** When the next one may be answered. */
  #readyAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    raft: Raft,
    memory: TailMemory,
    feed: Pick<Feed, 'cold' | 'hot' | 'release' | 'isDifferent'>,
    ports: FetchPorts,
    turn: (input: () => void) => void,
  ) {
    this.#raft = raft;
    this.#memory = memory;
    this.#feed = feed;
    this.#ports = ports;
    this.#turn = turn;
  }

  /** Asks another node. The port `fetched` has its answer, unless another question comes before it. */
  ask(question: FetchQuestion): void {
    const { id, to, from, end, isOpen } = question;
    this.#asked = undefined;
    if (!this.#ports.canSend(to)) {
      this.#ports.fetched(id, { outcome: 'unreachable' });
      return;
    }
    this.#asked = question;
    this.#ports.send(to, { kind: 'fetch', term: this.#raft.currentTerm, id, from, end, ...(isOpen === true ? { isOpen } : {}) });
  }

  /** A node answers. What was not asked, or not of that node, is dropped. */
  answered(node: NodeId, { id, from, end, isDamaged }: Fetched, body: readonly Uint8Array[]): void {
    const asked = this.#asked;
    if (asked?.id !== id || asked.to !== node) return;
    this.#asked = undefined;
    if (from !== asked.from || end > asked.end) {
      this.#ports.cut(node, 'it answers with other entries than it was asked for');
      this.#ports.fetched(id, { outcome: 'missing' });
      return;
    }
    let at = this.#memory.map.coldAt(this.#memory.map.healBuffer);
    for (const piece of body) {
      this.#memory.copyIn(piece, at);
      at += piece.length;
    }
    if (end > from) this.#ports.fetched(id, { outcome: 'entries', bytes: end - from });
    else this.#ports.fetched(id, { outcome: isDamaged ? 'damaged' : 'missing' });
  }

  /** The link to a node is down: its answer will not come, and it waits for none. */
  disconnected(node: NodeId): void {
    this.#waiting.delete(node);
    const asked = this.#asked;
    if (asked?.to !== node) return;
    this.#asked = undefined;
    this.#ports.fetched(asked.id, { outcome: 'unreachable' });
  }

  /** A node asks. */
  asks(node: NodeId, message: Fetch): void {
    this.#waiting.set(node, message);
  }

  /** Answers what waits. Returns when to come back at the latest. */
  run(): number {
    if (this.#isReading) return Number.POSITIVE_INFINITY;
    for (const [node, message] of this.#waiting) {
      if (this.#readyAtMs > this.#ports.nowMs()) return this.#readyAtMs;
      this.#waiting.delete(node);
      if (!this.#ports.canSend(node)) continue;
      const isDifferent = this.#feed.isDifferent(message.from);
      if (message.isOpen === true && !isDifferent && this.#sendHot(node, message)) break;
      const range = message.isOpen === true ? this.#openRangeOf(message) : this.#rangeOf(message);
      if (range === undefined || isDifferent) {
        this.#refuse(node, message, isDifferent);
        continue;
      }
      this.#isReading = true;
      this.#ports.readCold(range, FEED_READERS, (result) => this.#turn(() => this.#send(node, message, result)));
      break;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** What to read; undefined: there is no sealed and committed segment that ends where who asks takes it to, and holds `from`. */
  #rangeOf({ from, end }: Fetch): ColdRange | undefined {
    const range = this.#feed.cold({ from, limit: this.#memory.commitBound, maxBytes: MAX_APPEND_BYTES });
    if (range === undefined || range.limit !== end) return undefined;
    // Whole entries are enough; and a place that is none must not look like damage here.
    return { ...range, isBoundary: from === range.base, wholeBatches: false };
  }

  /** The same for who lacks a part of an open segment: of whatever segment holds `from` here, as far as it is committed. */
  #openRangeOf({ from, end }: Fetch): ColdRange | undefined {
    const limit = Math.min(end, this.#memory.commitBound);
    const range = from < limit ? this.#feed.cold({ from, limit, maxBytes: MAX_APPEND_BYTES }) : undefined;
    return range === undefined ? undefined : { ...range, isBoundary: from === range.base };
  }

  /** Answers who lacks a part of an open segment from memory, with what is committed. Returns whether it could. */
  #sendHot(node: NodeId, { id, from, end }: Fetch): boolean {
    const limit = Math.min(end, this.#memory.commitBound);
    const chunk = from < limit ? this.#feed.hot({ from, limit, maxBytes: MAX_APPEND_BYTES }) : undefined;
    if (chunk === undefined) return false;
    const { bytes } = chunk;
    this.#isReading = true;
    this.#readyAtMs = this.#ports.nowMs() + (1000 * bytes.length) / HEAL_BYTES_PER_SECOND;
    const term = this.#raft.currentTerm;
    this.#ports.send(node, { kind: 'fetched', term, id, from, end: from + bytes.length, isDamaged: false }, bytes, () => {
      this.#feed.release(chunk);
      this.#isReading = false;
      this.#turn(() => undefined);
    });
    return true;
  }

  #refuse(node: NodeId, { id, from }: Fetch, isDamaged: boolean): void {
    this.#ports.send(node, { kind: 'fetched', term: this.#raft.currentTerm, id, from, end: from, isDamaged });
  }

  #send(node: NodeId, message: Fetch, result: number | LogError): void {
    const { id, from } = message;
    // It may have been found out while the disk was read.
    const isDifferent = this.#feed.isDifferent(from);
    if (typeof result !== 'number' || result > MAX_PEER_BODY_BYTES || isDifferent) {
      this.#isReading = false;
      const isDamaged = isDamage(result);
      if (isDamaged) this.#ports.damaged(from, result);
      this.#refuse(node, message, isDamaged || isDifferent);
      return;
    }
    const at = this.#memory.map.coldAt(this.#memory.map.fetchBuffer);
    const term = this.#raft.currentTerm;
    this.#readyAtMs = this.#ports.nowMs() + (1000 * result) / HEAL_BYTES_PER_SECOND;
    const body = this.#memory.bytes.subarray(at, at + result);
    // The buffer is free again when the link has taken all of it.
    this.#ports.send(node, { kind: 'fetched', term, id, from, end: from + result, isDamaged: false }, body, () => {
      this.#isReading = false;
      this.#turn(() => undefined);
    });
  }
}
