// What is true in a simulation, as the checker has seen it come about: the bytes of every term, as its leader wrote them, and the bytes
// that are committed.

import { ENTRY_HEADER_BYTES, KIND_TRIM } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { leastPosition } from '../../src/format/consumers.ts';
import { readTrim, type TrimEntry } from '../../src/format/controlEntries.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { logTimeIn } from '../../src/format/logTime.ts';
import { type LogEntry, OWN_ENTRY } from '../../src/history/types.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { ConsumerModel } from './consumers.ts';
import { walkEntries } from './payloads.ts';
import { RetentionModel } from './retentionModel.ts';
import { SessionModel } from './sessionModel.ts';
import { TokenModel } from './tokens.ts';
import { promise } from './violation.ts';

/** Bytes that grow at their end; they begin at log offset `start`. */
class GrowingBytes {
  readonly start: number;
  #bytes = new Uint8Array(4096);
  #length = 0;

  constructor(start: number) {
    this.start = start;
  }

  get end(): number {
    return this.start + this.#length;
  }

  append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A view of [from, to). */
  view(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from - this.start, to - this.start);
  }
}

/** A term, and the log offset at which it begins or ends. */
interface TermPlace {
  readonly term: number;
  readonly offset: number;
}

interface TermBytes {
  readonly prevTerm: number;
  readonly bytes: GrowingBytes;
}

/** Term of the entry before `offset`; 0 when there is none. */
export function termBefore(starts: readonly TermPlace[], offset: number): number {
  for (let i = starts.length - 1; i >= 0; i -= 1) {
    const start = starts[i];
    if (start !== undefined && start.offset < offset) return start.term;
  }
  return 0;
}

function keyOf(term: number, instance: string): string {
  return `${term} ${instance}`;
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

export class Ledger {
  /** By term and the instance of its leader. */
  readonly #terms = new Map<string, TermBytes>();
  readonly #leaders = new Map<number, { readonly node: NodeId; readonly instance: string }>();
  readonly #committed: GrowingBytes;
  readonly #starts: TermPlace[] = [];
  /** Up to where the leader of each term has committed. */
  readonly #ends: TermPlace[] = [];
  #trimStart: number;
  /** Ends of entries that say the log's time. */
  readonly #times: { readonly end: number; readonly timeMs: number }[] = [];
  readonly retention = new RetentionModel();
  readonly tokens = new TokenModel();
  readonly consumers = new ConsumerModel();
  readonly sessions = new SessionModel();

  /** The log begins at `start` on all nodes; what was there before is nobody's any more. */
  constructor(start: number) {
    this.#committed = new GrowingBytes(start);
    this.#trimStart = start;
  }

  /** Where the log begins. */
  get start(): number {
    return this.#committed.start;
  }

  /** Where the log begins by the trims that are committed. */
  get trimStart(): number {
    return this.#trimStart;
  }

  /** End of what is committed. */
  get end(): number {
    return this.#committed.end;
  }

  /** Term of the last committed entry. */
  get lastTerm(): number {
    return this.#starts.at(-1)?.term ?? 0;
  }

  /** How many terms had a leader. */
  get electedTerms(): number {
    return this.#leaders.size;
  }

  /** `node` leads in `term`; its data directory has `instance`. */
  elected(node: NodeId, instance: string, term: number): void {
    const other = this.#leaders.get(term)?.node;
    promise(other === undefined || other === node, 'election safety', () => `nodes ${other} and ${node} both lead in term ${term}`);
    this.#leaders.set(term, { node, instance });
  }

  /** Whether a data directory with `instance` led in `term`: one did, or, before the simulation, two. */
  hasLed(instance: string, term: number): boolean {
    return this.#leaders.get(term)?.instance === instance || this.#terms.has(keyOf(term, instance));
  }

  /** Before the simulation, and behind nothing else, the node with `instance` led in `term`, perhaps as one of two, and wrote `bytes` at `from`. */
  wrote(instance: string, term: number, from: number, bytes: Uint8Array): void {
    const known = { prevTerm: 0, bytes: new GrowingBytes(from) };
    known.bytes.append(bytes);
    this.#terms.set(keyOf(term, instance), known);
  }

  /** `node` has entries of `term`, led by `instance`, at [from, from + bytes.length), behind one of `prevTerm`. */
  has(node: NodeId, term: number, instance: string, prevTerm: number, from: number, bytes: Uint8Array): void {
    const leader = this.#leaders.get(term)?.node;
    let known = this.#terms.get(keyOf(term, instance));
    const isLeader = leader === node;
    if (known === undefined) {
      promise(
        isLeader,
        'log matching',
        () => `node ${node} has entries of term ${term} at ${from}, whose leader (${leader ?? 'none'}) has written none`,
      );
      known = { prevTerm, bytes: new GrowingBytes(from) };
      this.#terms.set(keyOf(term, instance), known);
    }
    const { start, end } = known.bytes;
    if (prevTerm !== term) {
      promise(
        start === from && known.prevTerm === prevTerm,
        'log matching',
        () =>
          `on node ${node} term ${term} begins at ${from} behind term ${prevTerm}, but it began at ${start} behind term ${known.prevTerm}`,
      );
    }
    const overlap = Math.max(0, Math.min(bytes.length, end - from));
    promise(
      from <= end && from >= start && isSame(bytes.subarray(0, overlap), known.bytes.view(from, from + overlap)),
      'log matching',
      () => `node ${node} has other bytes of term ${term} in [${from}, ${from + bytes.length}) than its leader wrote`,
    );
    if (overlap === bytes.length) return;
    promise(
      isLeader,
      'log matching',
      () => `node ${node} has entries of term ${term} up to ${from + bytes.length}, but its leader wrote up to ${end}`,
    );
    known.bytes.append(bytes.subarray(overlap));
  }

  /** `node`, leader of `leaderTerm` or of none, says that [from, from + bytes.length) is committed. Returns whether that is news. */
  commits(node: NodeId, leaderTerm: number | undefined, from: number, bytes: Uint8Array): boolean {
    const overlap = Math.min(bytes.length, this.end - from);
    promise(
      overlap >= 0 && isSame(bytes.subarray(0, overlap), this.#committed.view(from, from + overlap)),
      'committed bytes',
      () => `node ${node} takes other bytes in [${from}, ${from + overlap}) for committed than were committed there`,
    );
    if (overlap === bytes.length) return false;
    promise(
      leaderTerm !== undefined,
      'committed bytes',
      () => `node ${node} takes [${this.end}, ${from + bytes.length}) for committed, which no leader has committed`,
    );
    const news = bytes.subarray(overlap);
    let goesOn = false;
    walkEntries(news, from + overlap, ({ term, offset }, isContinued) => {
      if (term !== this.lastTerm) {
        promise(!goesOn, 'whole batches', () => `the batch before offset ${offset} is committed in part`);
        this.#starts.push({ term, offset });
      }
      goesOn = isContinued;
    });
    promise(!goesOn, 'whole batches', () => `node ${node} takes a part of a batch for committed, up to ${from + bytes.length}`);
    this.#committed.append(news);
    this.#takeControl(news, from + overlap);
    if (this.#ends.at(-1)?.term === leaderTerm) this.#ends.pop();
    this.#ends.push({ term: leaderTerm, offset: this.end });
    return true;
  }

  /** The log's time before `offset`, as what is committed says it; 0: nothing does. */
  timeBefore(offset: number): number {
    return this.#times.findLast(({ end }) => end <= offset)?.timeMs ?? 0;
  }

  /** Looks at the trims and times in `news`, which is committed at `from`. */
  #takeControl(news: Uint8Array, from: number): void {
    const view = viewOf(news);
    walkEntries(news, from, ({ offset, end }) => {
      const kindSize = kindSizeAt(view, offset - from);
      const timeMs = logTimeIn(view, offset - from, kindSize);
      if (timeMs > 0) this.#times.push({ end, timeMs });
      this.retention.take(view, offset - from, kindSize, offset);
      this.tokens.take(view, offset - from, kindSize, offset);
      this.consumers.take(view, offset - from, kindSize, offset);
      this.sessions.take(view, offset - from, kindSize, offset);
      if (kindOf(kindSize) !== KIND_TRIM) return;
      const trim = readTrim(view, offset - from + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize));
      promise(trim !== undefined && trim.start <= offset, 'trims', () => `the trim at ${offset} is none that a leader orders`);
      this.#checkTrim(trim, offset);
      this.retention.trimmed(trim.start, this.#batchEndAfter(trim.start), offset, this.#trimStart, leastPosition(this.consumers.table));
      this.#trimStart = Math.max(this.#trimStart, trim.start);
    });
  }

  /** A log begins between two batches, and its trim says where data ends before that. */
  #checkTrim({ start, dataEnd }: TrimEntry, at: number): void {
    let own = this.start;
    let isBetween = start === this.start;
    walkEntries(this.#committed.view(this.start, start), this.start, ({ end, id }, isContinued) => {
      if (id !== OWN_ENTRY) own = end;
      isBetween = end === start && !isContinued;
    });
    promise(isBetween, 'trims', () => `the trim at ${at} lets the log begin at ${start}, which is not between two batches`);
    promise(dataEnd === own, 'trims', () => `the trim at ${at} says that data ends at ${dataEnd} before ${start}, not at ${own}`);
  }

  /** Where the batch ends that begins at `start`. */
  #batchEndAfter(start: number): number {
    let end = Number.POSITIVE_INFINITY;
    walkEntries(this.#committed.view(start, this.end), start, (entry, isContinued) => {
      if (end === Number.POSITIVE_INFINITY && !isContinued) end = entry.end;
    });
    return end;
  }

  /** A view of what is committed before `to`. */
  committedBefore(to: number): Uint8Array {
    return this.#committed.view(this.start, to);
  }

  /** Whether `bytes` are what is committed at `from`. */
  isCommitted(from: number, bytes: Uint8Array): boolean {
    return from + bytes.length <= this.end && isSame(bytes, this.#committed.view(from, from + bytes.length));
  }

  /** Whether a log whose terms begin at `starts`, and which ends at `end`, has all that is committed before `committed`. */
  isIn(starts: readonly TermPlace[], end: number, committed = this.end): boolean {
    return end >= committed && termBefore(starts, committed) === termBefore(this.#starts, committed);
  }

  /** End of what was committed in terms before `term`: its leader must have that. */
  endBefore(term: number): number {
    return this.#ends.findLast((end) => end.term < term)?.offset ?? this.start;
  }

  /** A view of what is committed. */
  committedBytes(): Uint8Array {
    return this.#committed.view(this.start, this.end);
  }

  entries(): LogEntry[] {
    const entries: LogEntry[] = [];
    walkEntries(this.committedBytes(), this.start, (entry) => entries.push(entry));
    return entries;
  }
}
