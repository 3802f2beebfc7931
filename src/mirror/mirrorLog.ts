// A mirror's log: what came of its source is put at its end, as a follower does it with what its leader sends, and as the source has it: the same
// segments, terms and entries of the log's own. All that comes is committed at the source, so what is durable here is committed here.

import { ENTRY_HEADER_BYTES, KIND_STATE, WALK_NEWER_KIND, WALK_TOO_LARGE } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { segmentCapacityBytes } from '../core/capacities.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { MAX_TERM } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { faultOfOrder } from '../format/controlFaults.ts';
import { entryBytesOf, isContinued, kindOf, kindSizeAt, payloadBytesOf, termAt } from '../format/entry.ts';
import { leaderOfTerm } from '../format/noOp.ts';
import { type LogState, readState } from '../format/stateEntry.ts';
import { newerKind } from '../format/version.ts';
import { HotReader } from '../memory/hotReader.ts';
import { SIGNAL, SLOT, WORD } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { MirrorParts } from '../node/mirrorPort.ts';
import type { RaftEvents } from '../node/raftPort.ts';
import { TermTable } from '../raft/termTable.ts';
import { beforeStart, type Identity, type MirrorSource, saveMirror, saveRemoved, saveStart, writeVote } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';

/** What became of bytes of the source: so many were stored, and why not more; `full`: no slot is free until the disk has caught up. */
export interface Stored {
  readonly bytes: number;
  readonly why: 'full' | LogError | undefined;
}

/** Entries that are put into the log in one step: of one term and one segment. */
interface Piece {
  readonly end: number;
  readonly term: number;
  /** Whether they begin a segment. */
  readonly isHead: boolean;
}

/** The state in the entry that `bytes` begin with, whole and verified; undefined when they begin with another one. */
export function headState(bytes: Uint8Array): LogState | undefined {
  const view = viewOf(bytes);
  const kindSize = kindSizeAt(view, 0);
  return kindOf(kindSize) === KIND_STATE ? readState(view, ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) : undefined;
}

/** The error for what a source sent, and did not have to. */
export function notTheLog(offset: number, what: string): LogError {
  const sentence = `What the source sent at offset ${offset} ${what}. Nothing of it was stored; look at the source with loglog verify.`;
  return new LogError('DAMAGED', sentence, { offset });
}

export class MirrorLog {
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #hot: HotReader;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #events: Pick<RaftEvents, 'log'>;
  readonly #terms: TermTable;
  #identity: Identity;
  /** Leader of the term that the entries begin which are being put into the log. */
  #leader = NO_INSTANCE;

  constructor({ memory, directory, recovered, config }: MirrorParts, events: Pick<RaftEvents, 'openSegment' | 'seal' | 'access' | 'log'>) {
    const { identity, start, end, terms, lastTerm, commit } = recovered;
    this.#memory = memory;
    this.#tail = new Tail(memory, (slot) => events.openSegment(slot));
    this.#tail.fold.onSeal = (seal, by) => events.seal(seal, by);
    this.#tail.fold.onAccess = (news, by) => events.access(news, by);
    this.#hot = new HotReader(memory);
    this.#disk = diskOf(config.fsync);
    this.#directory = directory;
    this.#events = events;
    this.#identity = identity;
    this.#terms = new TermTable(start, end, terms, beforeStart(identity));
    this.#saveTerm(lastTerm, commit);
    memory.lastEntry = this.#terms.last;
    memory.setWord(WORD.TERM, lastTerm);
    memory.leaveCommitToWriters();
    memory.raise(SIGNAL.COMMIT);
  }

  get end(): number {
    return this.#memory.tail;
  }

  get source(): MirrorSource {
    return this.#identity.mirror ?? { generation: NO_INSTANCE, segmentBytes: 0 };
  }

  /** The log's time at its end, Unix ms; 0 while it has none. */
  get timeMs(): number {
    return this.#tail.fold.timeMs;
  }

  /** Makes durable what the source says of its log, and was not known. */
  saveSource(change: Partial<MirrorSource>): void {
    this.#identity = saveMirror(this.#disk, this.#directory, this.#identity, { ...this.source, ...change });
    this.#memory.raise(SIGNAL.ROLE);
  }

  /** The last entry, and its bytes, if it is in memory. */
  lastEntry(): { readonly offset: number; readonly bytes: Uint8Array } | undefined {
    const { end } = this;
    const slot = end > this.#terms.start ? this.#hot.slotOf(end - 1) : -1;
    if (slot < 0) return undefined;
    const base = this.#memory.slotWord(slot, SLOT.BASE);
    const offset = this.#hot.beginningOf(slot, end - 1);
    return { offset, bytes: this.#memory.slotBytes(slot, positionOf(offset, base), positionOf(end, base)).slice() };
  }

  /** Puts whole, verified batches at the log's end, as many as there is room for, and as are what a source has. */
  store(bytes: Uint8Array): Stored {
    const view = viewOf(bytes);
    let at = 0;
    let why: Stored['why'];
    while (at < bytes.length && why === undefined) {
      const piece = this.#nextPiece(view, at);
      why = piece instanceof LogError ? piece : this.#put(bytes.subarray(at, piece.end), piece);
      if (why === undefined && !(piece instanceof LogError)) at = piece.end;
    }
    if (at > 0) this.#tail.wake();
    return { bytes: at, why };
  }

  /** The entries from `at` on that go in together; or why those are not what a source has. */
  #nextPiece(view: DataView, at: number): Piece | LogError {
    const term = termAt(view, at);
    const isState = kindOf(kindSizeAt(view, at)) === KIND_STATE;
    if (term > MAX_TERM) return notTheLog(this.end, `is of term ${term}, and terms end at ${MAX_TERM}`);
    const room = this.#roomBytes;
    let batchEnd = at;
    let next = at;
    while (next < view.byteLength) {
      const kindSize = kindSizeAt(view, next);
      const end = next + entryBytesOf(kindSize);
      if (next > at && (termAt(view, next) !== term || kindOf(kindSize) === KIND_STATE)) break;
      // A log of level 0 does not say where its segments begin.
      if (this.#tail.fold.level === 0 && !isState && batchEnd > at && end - at > room) break;
      const wrong = this.#wrongControl(view, next, kindSize, this.end + (next - at));
      if (wrong !== undefined) return wrong;
      next = end;
      if (!isContinued(kindSize)) batchEnd = end;
    }
    if (batchEnd === at) return notTheLog(this.end, 'is a batch that does not end in its segment and term');
    const isHead = isState || this.#memory.openSlot < 0 || (this.#tail.fold.level === 0 && batchEnd - at > room);
    return { end: batchEnd, term, isHead };
  }

  /** What an entry of the log's own at log offset `offset` says of what is not before it. */
  #wrongControl(view: DataView, at: number, kindSize: number, offset: number): LogError | undefined {
    const fault = faultOfOrder(view, at, kindSize, offset);
    return fault === undefined ? undefined : notTheLog(offset, fault);
  }

  /** Bytes that fit into the open segment. */
  get #roomBytes(): number {
    const { openSlot, map, tail } = this.#memory;
    const capacity = segmentCapacityBytes(map.shape.segmentBytes);
    return openSlot < 0 ? capacity : capacity - (tail - this.#memory.slotWord(openSlot, SLOT.BASE));
  }

  #put(bytes: Uint8Array, { term, isHead }: Piece): Stored['why'] {
    const memory = this.#memory;
    const { end } = this;
    const { last } = this.#terms;
    if (term < last.term) return notTheLog(end, `is of term ${term}, and the entry before it of term ${last.term}`);
    const base = isHead ? end : memory.slotWord(memory.openSlot, SLOT.BASE);
    const told = isHead ? headState(bytes) : undefined;
    const difference = told && this.#tail.fold.differenceFrom(told);
    // Which of the two is wrong nobody can say here.
    if (difference !== undefined)
      return new LogError('DAMAGE', `${difference}: one of the two has a wrong copy of the log; nothing of it was stored`);
    this.#leader = last.leader;
    const begins =
      term === last.term
        ? undefined
        : (view: DataView, at: number, to: number): boolean => {
            this.#leader = leaderOfTerm(view, at, to);
            if (this.#leader !== NO_INSTANCE) this.#saveTerm(term);
            return this.#leader !== NO_INSTANCE;
          };
    const before = this.#shown;
    const status = this.#tail.appendReplicated([bytes], bytes.length, term, base, Date.now(), begins);
    if (status === 'full') return 'full';
    if (status !== 'ordered') return this.#refusal(end, bytes.length);
    this.#terms.extend(term, this.#leader, this.end);
    memory.lastEntry = { term, leader: this.#leader };
    memory.setWord(WORD.TERM, term);
    if (this.#shown !== before) memory.raise(SIGNAL.ROLE);
    const { fold } = this.#tail;
    if (fold.difference !== undefined) this.#events.log('error', fold.difference);
    fold.difference = undefined;
    return undefined;
  }

  /** Entries of a term without it in `vote` would pass for those of a node that has lost its vote. */
  #saveTerm(currentTerm: number, commit = this.#memory.commitBound): void {
    writeVote(this.#disk, this.#directory, { currentTerm, votedFor: 0, commit });
  }

  /** What clients are told anew when it changes. */
  get #shown(): string {
    return `${this.#memory.word(WORD.TERM)} ${this.#memory.generationId}`;
  }

  #refusal(end: number, bytes: number): LogError {
    const { badStatus, badAt, badKindSize } = this.#tail;
    if (badStatus === WALK_NEWER_KIND) return newerKind('in what the source sent', end + badAt, badKindSize);
    if (badStatus !== WALK_TOO_LARGE) return notTheLog(end + badAt, 'is not what a leader writes there');
    const { segmentBytes } = this.#memory.map.shape;
    return new LogError(
      'USAGE',
      `a segment of the source goes on at least up to offset ${end + bytes}, more than segments of ${segmentBytes} bytes have room for, which is what its nodes said`,
    );
  }

  /** It is durable when this returns that the log begins at `base`, in front of a segment; all before it is committed. */
  trim(base: number): void {
    if (base <= this.#identity.start) return;
    this.#identity = saveStart(this.#disk, this.#directory, this.#identity, base, this.#terms.before(base));
    this.#terms.trim(base);
  }

  /** All segments before `base` are gone. */
  removed(base: number): void {
    if (base === this.#identity.start) this.#identity = saveRemoved(this.#disk, this.#directory, this.#identity);
  }

  /** It is durable when this returns that the log begins anew at `base`, past its end, after an entry of `before`, with nothing. */
  emptying(base: number, before: EntryTerm): void {
    this.#identity = saveStart(this.#disk, this.#directory, this.#identity, base, before, true);
  }

  /** That was carried out. */
  emptied(base: number, before: EntryTerm): void {
    this.#terms.beginAt(base, before);
    this.#memory.lastEntry = before;
    this.removed(base);
    this.#memory.liftWord(WORD.COMMIT, base);
    this.#memory.raise(SIGNAL.COMMIT);
  }
}
