// A node without threads, clients or a clock of its own: it starts, orders, writes, rolls, seals and stops with the product's own
// functions in the product's own order (src/node/engine.ts, src/node/segments.ts), one call at a time.

import { ENTRY_OVERHEAD_BYTES, KIND_NOOP } from '../../assembly/layout.ts';
import { assert } from '../../src/core/assert.ts';
import { segmentCapacityBytes } from '../../src/core/capacities.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { positionOf } from '../../src/core/position.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { SIGNAL, SLOT, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { type AppendStatus, type ReplicatedStatus, Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { LogTerm, SealedSegment, StorageContext } from '../../src/storage/context.ts';
import {
  beforeStart,
  createIdentity,
  type Identity,
  readIdentity,
  readVote,
  saveRemoved,
  saveStart,
  type Vote,
  writeVote,
} from '../../src/storage/dataDirectory.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { LoneWriter } from '../../src/storage/loneWriter.ts';
import { spareName } from '../../src/storage/names.ts';
import { RECOVERY_SLOT } from '../../src/storage/openSegment.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import { removeSegments } from '../../src/storage/removal.ts';
import { type Pause, SegmentTask } from '../../src/storage/segmentTask.ts';
import { type Truncation, truncateLog } from '../../src/storage/truncation.ts';
import { termsOf } from './batches.ts';

/** Of what a trim removes, so much goes at once. */
const REMOVE_PIECE_BYTES = 24 * 1024;

export const DIRECTORY = '/data';
export const NODE_ID = 1;
/** Largest payload that fits into the segments of {@link smallMemory}. */
export const MAX_PAYLOAD_BYTES = segmentCapacityBytes(65536) - ENTRY_OVERHEAD_BYTES;

/** What a test wants to know as it happens. */
export interface NodeEvents {
  /** The identity that will be written, before it is. */
  identifying?(random: Uint8Array): void;
  identified?(identity: Identity): void;
  voting?(vote: Vote): void;
  voted?(vote: Vote): void;
  recovered?(log: RecoveredLog): void;
  /** Entries were ordered at [first, end) and stand in `bytes`. */
  ordered?(first: number, end: number, bytes: Uint8Array): void;
  /** The log is about to begin at `base` durably, and does. */
  trimming?(base: number): void;
  trimmed?(base: number): void;
  /** From here on only what is before `offset` is sure to survive. */
  truncating?(offset: number): void;
  /** The log ends at `offset`, and what was behind it never comes back. */
  truncated?(offset: number): void;
}

/** A task that writes a segment, and what it said last comes before its next step. */
interface Writer {
  readonly slot: number;
  readonly spare: string | undefined;
  readonly task: SegmentTask;
  pause: Pause;
}

/** Clears what a new process does not inherit: everything in tail memory below the slots. */
export function resetMemory(memory: TailMemory): void {
  clearShared(memory.bytes, memory.map.slotAt(0));
}

/** Sets the first `bytes` of shared memory, a multiple of 8, to zero: eight at a time, because V8 stores each element of it on its own. */
export function clearShared({ buffer }: Uint8Array, bytes: number): void {
  new Float64Array(buffer, 0, bytes / 8).fill(0);
}

/** The memory of a small node; the same one serves many nodes, one after the other. */
export function smallMemory(segmentBytes = 65536, slots = 3): TailMemory {
  return TailMemory.create({ segmentBytes, slots });
}

/** Reads who a directory belongs to, or makes it ours, as `openDirectory` of a node does. */
export function openIdentity(disk: Disk, random: Uint8Array, events: NodeEvents = {}): Identity {
  let identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) {
    events.identifying?.(random);
    identity = createIdentity(disk, DIRECTORY, random);
  }
  events.identified?.(identity);
  return identity;
}

export class TestNode {
  readonly context: StorageContext;
  readonly #memory: TailMemory;
  readonly #disk: Disk;
  readonly #events: NodeEvents;
  readonly tail: Tail;
  readonly #spares: string[] = [];
  readonly #writers: Writer[] = [];
  readonly #loneWriter: LoneWriter;
  readonly sealed: SealedSegment[] = [];
  readonly #terms: LogTerm[] = [];
  #nextSpare = 1;
  /** What node.json says. */
  #identity: Identity;
  #trimming: Generator<void, void> | undefined;
  #isLeader = false;
  #savedBound = 0;
  readonly vote: Vote;
  readonly recovered: RecoveredLog;
  /** The term that the node leads in, or the one that it follows in. */
  term: number;

  /** Starts a node up to and with its own vote; {@link begin} then orders its no-op. Clears `memory`. */
  constructor(disk: Disk, memory: TailMemory, random: Uint8Array, nowMs: () => number, events: NodeEvents = {}) {
    resetMemory(memory);
    this.#disk = disk;
    this.#memory = memory;
    this.#events = events;
    const identity = openIdentity(disk, random, events);
    this.context = { disk, directory: DIRECTORY, identity, memory, nowMs };
    this.#loneWriter = new LoneWriter(this.context);
    this.vote = readVote(disk, DIRECTORY);
    this.recovered = recover(this.context);
    events.recovered?.(this.recovered);
    this.#identity = this.recovered.identity;
    this.term = Math.max(this.vote.currentTerm, this.recovered.lastTerm) + 1;
    this.tail = new Tail(memory, (slot) => this.#opened(slot));
  }

  /** Votes for itself, takes over the log's end and orders the term's no-op. */
  begin(): void {
    this.#saveVote(NODE_ID);
    this.#takeOver();
    this.lead();
  }

  /** Takes over the log's end, and follows a leader of `term`. */
  follow(term: number): void {
    this.term = term;
    this.#saveVote(0);
    this.#takeOver();
  }

  /** Goes on in a higher term, as a follower, or as the leader, who orders a no-op. */
  changeTerm(term: number, leads: boolean): void {
    this.term = term;
    this.#saveVote(leads ? NODE_ID : 0);
    this.#memory.setWord(WORD.TERM, term);
    if (leads) this.lead();
  }

  /** Whether the term is the node's own. */
  get isLeader(): boolean {
    return this.#isLeader;
  }

  #saveVote(votedFor: number): void {
    this.#isLeader = false;
    const vote = { currentTerm: this.term, votedFor, commit: this.#memory.commitBound };
    this.#events.voting?.(vote);
    writeVote(this.#disk, DIRECTORY, vote);
    this.#savedBound = vote.commit;
    this.#events.voted?.(vote);
  }

  #takeOver(): void {
    this.sealed.push(...this.recovered.sealed);
    const { start, end, dataEnd, openBase } = this.recovered;
    this.#memory.setWord(WORD.BASE, start);
    this.#memory.setWord(WORD.START, start);
    this.#memory.setWord(WORD.TERM, this.term);
    this.#terms.push(...this.recovered.terms);
    this.#termsChanged();
    if (openBase === undefined) this.allocate();
    this.tail.start(end, dataEnd, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.#resume(RECOVERY_SLOT);
  }

  /** Orders the no-op of a term. */
  lead(): void {
    const { instance } = this.context.identity;
    const append = (): AppendStatus => this.tail.appendOwn(KIND_NOOP, noOpPayload(instance), this.term, this.context.nowMs());
    if (append() !== 'ordered') {
      this.settle();
      assert(append() === 'ordered', 'a settled node has a free slot');
    }
    this.#ordered();
    this.#isLeader = true;
  }

  #opened(slot: number): void {
    this.#start(slot, this.#spares.shift() ?? this.#newSpare());
  }

  #resume(slot: number): void {
    this.#start(slot, undefined);
  }

  #start(slot: number, spare: string | undefined): void {
    this.#writers.push({ slot, spare, task: new SegmentTask(this.context, slot, spare), pause: 'wait' });
  }

  #newSpare(): string {
    const name = spareName(this.#nextSpare);
    this.#nextSpare += 1;
    return name;
  }

  /** The raft thread's part: src/replication/replica.ts. */
  #termsChanged(): void {
    this.#memory.lastEntry = this.#terms.at(-1) ?? NO_TERM;
  }

  #ordered(): void {
    const { from: first, end } = this.tail;
    const slot = this.#memory.openSlot;
    const base = this.#memory.slotWord(slot, SLOT.BASE);
    const bytes = this.#memory.slotBytes(slot, positionOf(first, base), positionOf(end, base));
    const [begun] = termsOf(bytes, first, 1);
    if (begun !== undefined && begun.term !== this.#terms.at(-1)?.term) this.#terms.push(begun);
    this.#termsChanged();
    this.#events.ordered?.(first, end, bytes);
  }

  /** Orders a batch of framed entries. */
  append(entries: Uint8Array, entryCount: number): AppendStatus {
    const capacityBytes = segmentCapacityBytes(this.#memory.map.shape.segmentBytes);
    const status = this.tail.append(entries, entryCount, this.term, capacityBytes, this.context.nowMs());
    if (status === 'ordered') this.#ordered();
    return status;
  }

  /** Orders log bytes of `term` that a leader has in its segment at `base`. */
  appendReplicated(bytes: Uint8Array, term: number, base: number): ReplicatedStatus {
    // In pieces, as they come from a socket.
    const middle = Math.floor(bytes.length / 3);
    const chunks = [bytes.subarray(0, middle), bytes.subarray(middle)];
    const status = this.tail.appendReplicated(chunks, bytes.length, term, base, this.context.nowMs());
    if (status === 'ordered') this.#ordered();
    return status;
  }

  /** Base of the open segment; undefined when there is none. */
  get openBase(): number | undefined {
    const slot = this.#memory.openSlot;
    return slot < 0 ? undefined : this.#memory.slotWord(slot, SLOT.BASE);
  }

  /** Lets the writers finish and end, then cuts the log: src/node/segments.ts. */
  truncate(offset: number): Truncation {
    this.#endWriters();
    this.#events.truncating?.(offset);
    const truncation = truncateLog(this.context, offset);
    this.#events.truncated?.(offset);
    while ((this.#terms.at(-1)?.offset ?? -1) >= offset) this.#terms.pop();
    this.#termsChanged();
    const kept = this.sealed.filter(({ base }) => truncation.sealed.includes(base));
    this.sealed.splice(0, this.sealed.length, ...kept);
    this.#memory.addWord32(SIGNAL.STOP, -1);
    if (truncation.openBase !== undefined) this.#resume(this.#memory.openSlot);
    return truncation;
  }

  /** The next step of a trim of the running node: that of one that has begun, or of one to the last segment at or before `start`. */
  trim(start: number): void {
    this.#trimming ??= this.#trimTo(Math.min(start, this.#memory.commitBound - 1));
    if (this.#trimming.next().done === true) this.#trimming = undefined;
  }

  /** As src/node/trims.ts, segments.ts and replica.ts do it on three threads. */
  *#trimTo(start: number): Generator<void, void> {
    const { disk, memory } = this.context;
    const whole = this.sealed.toSorted((a, b) => a.base - b.base);
    let base = memory.word(WORD.BASE);
    for (const segment of whole) if (segment.base === base && segment.end <= start) base = segment.end;
    if (base === memory.word(WORD.BASE)) return;
    const before = this.#terms.findLast(({ offset }) => offset < base);
    this.#events.trimming?.(base);
    this.#identity = saveStart(disk, DIRECTORY, this.#identity, base, before ?? beforeStart(this.#identity));
    this.#events.trimmed?.(base);
    yield;
    memory.setWord(WORD.BASE, base);
    memory.setWord(WORD.START, base);
    const gone = whole.filter((segment) => segment.base < base).map((segment) => segment.base);
    this.sealed.splice(0, this.sealed.length, ...whole.filter((segment) => segment.base >= base));
    for (const [i, each] of gone.entries()) {
      const request = { bases: [each], pieceBytes: REMOVE_PIECE_BYTES, isLast: i === gone.length - 1 };
      while (removeSegments(this.context, request).gone === 0) yield;
      yield;
    }
    this.#identity = saveRemoved(disk, DIRECTORY, this.#identity);
  }

  /** All tasks finish what there is, and end. */
  #endWriters(): void {
    this.#memory.raise(SIGNAL.STOP);
    while (this.#writers.length > 0) {
      let moved = false;
      for (let index = this.#writers.length - 1; index >= 0; index -= 1) while (this.step(index)) moved = true;
      assert(moved, 'tasks that are to end do');
    }
  }

  /** Segments that have a writer: the open one, and closed ones that are not sealed yet. */
  get writers(): number {
    return this.#writers.length;
  }

  get spares(): number {
    return this.#spares.length;
  }

  allocate(): void {
    const name = this.#newSpare();
    allocateFile(this.#disk, DIRECTORY, name, this.#memory.map.shape.segmentBytes);
    this.#spares.push(name);
  }

  /** Whoever has ordered something writes it at once, where the writer rests. Returns whether it did. */
  writeAtOnce(): boolean {
    return this.#loneWriter.write();
  }

  /** One step of the task that is `index`-th in age, whether or not what it waits for has come. Returns whether it did anything. */
  step(index: number, timedOut = false): boolean {
    const writer = this.#writers[index];
    if (writer === undefined) return false;
    const didWait = writer.pause === 'wait';
    writer.pause = writer.task.step(timedOut);
    if (writer.pause === 'done') this.#ended(writer);
    return !didWait || writer.pause !== 'wait';
  }

  /** As src/node/segments.ts. */
  #ended(writer: Writer): void {
    const { slot, spare, task } = writer;
    const { outcome } = task;
    assert(outcome !== undefined, 'a task that is done has an outcome');
    this.#writers.splice(this.#writers.indexOf(writer), 1);
    if (outcome === 'unmade' && spare !== undefined) this.#spares.push(spare);
    if (outcome === 'unmade' || outcome === 'open') return;
    this.#memory.setSlotState(slot, SLOT_SEALED);
    this.sealed.push(outcome);
  }

  /** Lets the `index`-th task go on until its segment is sealed, if it is closed and made. */
  seal(index: number): boolean {
    const writer = this.#writers[index];
    if (writer === undefined || this.#memory.slotWord(writer.slot, SLOT.CLOSED_END) === 0) return false;
    while (this.step(index)) if (writer.pause === 'done') return true;
    return false;
  }

  /** Lets the `index`-th task go on until it waits, and then do what it does after a quiet moment. Returns whether that was anything. */
  mark(index: number): boolean {
    const writer = this.#writers[index];
    if (writer === undefined) return false;
    while (this.step(index)) if (writer.pause === 'done') return false;
    return writer.task.timeoutMs !== undefined && this.step(index, true) && this.step(index);
  }

  /** Makes durable all that is ordered, and seals all that is closed. */
  settle(): void {
    while (this.#memory.durable < this.#memory.tail || this.#writers.length > 1) {
      let moved = false;
      for (let index = this.#writers.length - 1; index >= 0; index -= 1) {
        while (this.step(index)) moved = true;
      }
      assert(moved, 'the writers of a node make progress');
    }
  }

  /** Stops as a node does at SIGTERM. */
  stop(): void {
    this.#endWriters();
  }

  get durable(): number {
    return this.#memory.durable;
  }

  /** The commit bound that is surely on disk, as far as this node put it there. */
  get bound(): number {
    const bounds = this.#writers.map(({ task }) => task.bound);
    return Math.max(this.recovered.commit, this.#savedBound, ...bounds);
  }
}
