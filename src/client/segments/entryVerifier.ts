// Log bytes that come in pieces of any size, verified entry by entry as they come: from a sealed segment over HTTP, or from a file.

import { ENTRY_HEADER_BYTES, WALK_BAD_CHECK, WALK_COMPLETE } from '../../../assembly/layout.ts';
import { viewOf } from '../../core/bytes.ts';
import { MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { entryBytesAt, isContinued, kindSizeAt } from '../../format/entry.ts';
import { lastLogTime } from '../../format/logTime.ts';
import type { Workspace } from '../wasm.ts';

/** What is wrong with the entry at a log offset: `what` goes on a sentence that names it. */
export interface EntryFault {
  readonly offset: number;
  readonly what: string;
}

const NOTHING = new Uint8Array(0);

export class EntryVerifier {
  readonly #workspace: Workspace;
  /** Bytes of an entry that is not whole yet. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** So many bytes there must be before a next entry can be whole, or its size is known. */
  #neededBytes = ENTRY_HEADER_BYTES;
  #offset: number;
  #lastTerm: number;
  #batchEnd: number;
  #lastEntry: number | undefined;
  #entryCount = 0;
  #saidMs = 0;
  #fault: EntryFault | undefined;

  /** Begins at log offset `offset`, an entry boundary; no entry may have a term below `minTerm`. */
  constructor(workspace: Workspace, offset: number, minTerm = 0) {
    this.#workspace = workspace;
    this.#offset = offset;
    this.#batchEnd = offset;
    this.#lastTerm = minTerm;
  }

  /** Log offset after the last entry that was verified. */
  get offset(): number {
    return this.#offset;
  }

  /** Log offset after the last byte that came. */
  get received(): number {
    return this.#offset + this.#heldBytes;
  }

  /** Where the last batch ends that is whole; where this began while none is. */
  get batchEnd(): number {
    return this.#batchEnd;
  }

  /** Log offset of the last entry that was verified; undefined before the first. */
  get lastEntry(): number | undefined {
    return this.#lastEntry;
  }

  /** Entries that were verified, of all kinds. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** Term of the last entry that was verified, or the one that it began with. */
  get lastTerm(): number {
    return this.#lastTerm;
  }

  /** The log's time after what was verified, as the entries say it, Unix ms; 0: none of them does. */
  get saidMs(): number {
    return this.#saidMs;
  }

  /** The first entry that is not valid: nothing after it is verified. */
  get fault(): EntryFault | undefined {
    return this.#fault;
  }

  /** Takes the next bytes, which must not change. Returns the whole entries that are verified by now and were not returned yet; it may be a view. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#fault !== undefined) return NOTHING;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes < this.#neededBytes) return NOTHING;
    const all = this.#joined();
    const verified = this.#verify(all);
    const rest = all.subarray(verified);
    this.#held = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
    this.#neededBytes = rest.length < ENTRY_HEADER_BYTES ? ENTRY_HEADER_BYTES : entryBytesAt(viewOf(rest), 0);
    return all.subarray(0, verified);
  }

  #joined(): Uint8Array {
    const [first, ...more] = this.#held;
    if (first !== undefined && more.length === 0) return first;
    const all = new Uint8Array(this.#heldBytes);
    let at = 0;
    for (const one of this.#held) {
      all.set(one, at);
      at += one.length;
    }
    return all;
  }

  /** Verifies what is whole. Returns how many bytes that are. */
  #verify(all: Uint8Array): number {
    const view = viewOf(all);
    let from = 0;
    while (this.#fault === undefined) {
      const to = this.#wholeEnd(view, from);
      if (to === from) break;
      from += this.#verifyEntries(all.subarray(from, to));
    }
    return from;
  }

  /** End of the whole entries from `from` on that are verified at once. */
  #wholeEnd(view: DataView, from: number): number {
    const { byteLength } = view;
    let at = from;
    while (at + ENTRY_HEADER_BYTES <= byteLength) {
      const next = at + entryBytesAt(view, at);
      if (next > byteLength || next - from > MAX_ENTRY_BYTES) break;
      at = next;
    }
    return at;
  }

  #verifyEntries(entries: Uint8Array): number {
    const found = this.#workspace.verify(entries, this.#offset, this.#lastTerm);
    const view = viewOf(entries);
    for (let at = 0; at < found.bytes; ) {
      const next = at + entryBytesAt(view, at);
      this.#lastEntry = this.#offset + at;
      if (!isContinued(kindSizeAt(view, at))) this.#batchEnd = this.#offset + next;
      at = next;
    }
    if (found.control < found.bytes) this.#saidMs = Math.max(this.#saidMs, lastLogTime(view, found.control, found.bytes - found.control));
    this.#entryCount += found.entryCount;
    if (found.bytes > 0) this.#lastTerm = found.lastTerm;
    this.#offset += found.bytes;
    if (found.status !== WALK_COMPLETE || found.bytes !== entries.length) {
      const what = found.status === WALK_BAD_CHECK ? 'does not match its check' : 'is not a whole entry of the log';
      this.#fault = { offset: this.#offset, what };
    }
    return found.bytes;
  }
}
