// The log of a server for the client's tests, in memory: its entries are stamped by the module that nodes use.

import { ENTRY_OVERHEAD_BYTES, KIND_CONTINUED, KIND_DATA, KIND_MASK, RESULT_COUNT_AT, WALK_COMPLETE } from '../../../assembly/layout.ts';
import { viewOf } from '../../../src/core/bytes.ts';
import { lastLogTime } from '../../../src/format/logTime.ts';
import { SERVER_WASM } from '../../../src/memory/wasm.generated.ts';
import { instantiateServerWasm } from '../../../src/memory/wasm.ts';

// result │ index points, unused here │ entries
const RESULT_AT = 64;
const POINTS_AT = 65_536;
const ENTRIES_AT = 131_072;
const MEMORY_PAGES = 320;
const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
const wasmBytes = Uint8Array.from(atob(SERVER_WASM), (character) => character.charCodeAt(0));
const wasm = instantiateServerWasm(new WebAssembly.Module(wasmBytes), memory);

/** One entry as it stands in a log. */
function logEntry(payload: Uint8Array | string, offset: number, term = 1, kind = KIND_DATA): Uint8Array {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const all = new Uint8Array(memory.buffer);
  all.set(bytes, ENTRIES_AT + 8);
  const length = wasm.stampOwn(ENTRIES_AT, term, kind, bytes.length, offset);
  return all.slice(ENTRIES_AT, ENTRIES_AT + length);
}

export class FakeLog {
  start = 0;
  /** Nothing beyond this is committed, whatever the node has. */
  maxCommit = Number.POSITIVE_INFINITY;
  /** Bytes of each entry, in order; the log begins at `start`. */
  readonly #entries: { offset: number; bytes: Uint8Array }[] = [];
  #end = 0;

  get end(): number {
    return this.#end;
  }

  /** Up to where clients are shown the log. */
  get commit(): number {
    return Math.min(this.#end, this.maxCommit);
  }

  /** End of the last data entry. */
  get dataEnd(): number {
    const last = this.#entries.findLast(({ bytes }) => ((bytes[7] ?? 0) & KIND_MASK) === KIND_DATA);
    return last === undefined ? this.start : last.offset + last.bytes.length;
  }

  isBoundary(offset: number): boolean {
    return offset === this.#end || this.#entries.some((entry) => entry.offset === offset);
  }

  /** Where the entry begins that has the byte at `offset`. */
  beginningOf(offset: number): number {
    return this.#entries.findLast((entry) => entry.offset <= offset)?.offset ?? this.start;
  }

  /** Adds one entry to the log without a client. */
  add(payload: Uint8Array | string, term = 1, kind = KIND_DATA): number {
    const bytes = logEntry(payload, this.#end, term, kind);
    this.#entries.push({ offset: this.#end, bytes });
    this.#end += bytes.length;
    return this.#end;
  }

  /** The log's time before `offset`; 0: nothing says it. */
  timeBefore(offset: number): number {
    const before = this.bytes(0, offset);
    return lastLogTime(viewOf(before), 0, before.length);
  }

  /** The log bytes from boundary to boundary. */
  bytes(from: number, to: number): Buffer {
    return Buffer.concat(this.#entries.filter(({ offset }) => offset >= from && offset < to).map(({ bytes }) => bytes));
  }

  /** Orders a producer's entries as a leader does: with its own check of theirs. */
  stamp(entries: Uint8Array, count: number, term: number, maxPayloadBytes: number): void {
    const all = new Uint8Array(memory.buffer);
    all.set(entries, ENTRIES_AT);
    const status = wasm.stamp(ENTRIES_AT, entries.length, term, this.#end, maxPayloadBytes, 0, 4096, POINTS_AT, RESULT_AT);
    const found = new DataView(memory.buffer).getUint32(RESULT_AT + RESULT_COUNT_AT, true);
    if (status !== WALK_COMPLETE || found !== count) throw new Error(`badly framed: status ${status}, ${found} of ${count} entries`);
    const stamped = all.slice(ENTRIES_AT, ENTRIES_AT + entries.length);
    const view = viewOf(stamped);
    for (let at = 0; at < stamped.length; ) {
      const end = at + (view.getUint32(at + 4, true) & 0xffffff) + ENTRY_OVERHEAD_BYTES;
      this.#entries.push({ offset: this.#end, bytes: stamped.subarray(at, end) });
      this.#end += end - at;
      at = end;
    }
  }

  /** Becomes a copy of another node's log, as a follower does: what it has beyond the other is cut. */
  follow(other: FakeLog): void {
    while (this.#end > other.#end) this.#end -= this.#entries.pop()?.bytes.length ?? 0;
    for (const entry of other.#entries) {
      if (entry.offset < this.#end) continue;
      this.#entries.push(entry);
      this.#end += entry.bytes.length;
    }
  }

  /** Whole entries from `from` on, at most `maxBytes` unless the first one is larger. */
  wholeEntries(from: number, maxBytes: number): Uint8Array {
    let index = this.#entries.findIndex(({ offset }) => offset === from);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let entry = this.#entries[index]; entry !== undefined; entry = this.#entries[++index]) {
      if (entry.offset >= this.commit || (parts.length > 0 && length + entry.bytes.length > maxBytes)) break;
      parts.push(entry.bytes);
      length += entry.bytes.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** The data payloads, as text, that are not the last ones of their batch. */
  continuedTexts(): string[] {
    return this.#entries
      .filter(({ bytes }) => bytes[7] === KIND_CONTINUED)
      .map(({ bytes }) => new TextDecoder().decode(bytes.slice(8, -4)));
  }

  /** All data payloads as text. */
  texts(): string[] {
    return this.#entries
      .filter(({ bytes }) => ((bytes[7] ?? 0) & KIND_MASK) === KIND_DATA)
      .map(({ bytes }) => new TextDecoder().decode(bytes.slice(8, -4)));
  }
}
