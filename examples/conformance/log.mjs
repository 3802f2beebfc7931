// The log that the played nodes share: its entries, and what a real one would say of itself by entries of its own.

import * as wire from './wire.mjs';

/** The time at which a played log begins, Unix ms; its state entry says so. */
export const BEGIN_MS = 1_760_936_591_360;
export const GENERATION = '0123456789abcdef';

/** The payload of the state entry of a log of level 1, at its beginning: docs/FORMAT.md has these bytes. */
const STATE = Buffer.from(
  [
    `0100000018000000${'00'.repeat(24)}`,
    '0300000008000000000000009a010000',
    '050000000400000001000000',
    `06000000100000000100000000000000${GENERATION}`,
  ].join(''),
  'hex',
);

export class Log {
  /** First offset that readers see, and first one that a node still has on its disk. */
  start = 0;
  first = 0;
  entries = [];
  policy = { bytes: 0, age: 0, consumers: 0 };
  level = 1;
  newest = 2;
  /** Records of tokens, by their ids in hexadecimal digits. */
  tokens = new Map();
  consumers = { fences: 0, rows: new Map() };
  /** Of producers, by name: `{ session, instance, sequence, places }`. */
  sessions = new Map();
  /** What was uploaded, by id: by the node that has it, its bytes. */
  uploads = new Map();
  /** What is sealed: `{ base, end }`. */
  segments = [];
  #watchers = new Set();

  constructor() {
    this.add({ kind: wire.CONTROL_KINDS.state, payload: STATE }, { kind: wire.CONTROL_KINDS.noOp, payload: Buffer.alloc(8) });
  }

  get end() {
    return this.entries.at(-1)?.end ?? 0;
  }

  get dataEnd() {
    return this.entries.findLast(({ kind }) => kind === 0)?.end ?? 0;
  }

  get data() {
    return this.entries.filter(({ kind }) => kind === 0).map(({ payload }) => payload.toString());
  }

  /** Adds entries, one after the other. Returns where they are. */
  add(...added) {
    const offset = this.end;
    for (const { term = 1, kind = 0, continued = false, payload } of added) {
      const at = this.end;
      const bytes = wire.stored({ term, kind, continued, payload }, at);
      this.entries.push({ kind, offset: at, end: at + bytes.length, payload, bytes });
    }
    for (const watcher of this.#watchers) watcher();
    return { offset, end: this.end };
  }

  /** A time entry, from which on it is `timeMs`. */
  addTime(timeMs) {
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64LE(BigInt(timeMs));
    return this.add({ kind: wire.CONTROL_KINDS.time, payload });
  }

  /** The log's time before `offset`, and 0 at the beginning, whose first entry says it. */
  timeBefore(offset) {
    if (offset === 0) return 0;
    const said = this.entries.findLast(({ kind, end }) => kind === wire.CONTROL_KINDS.time && end <= offset);
    return said === undefined ? BEGIN_MS : Number(said.payload.readBigUInt64LE(0));
  }

  /** Where the log's time reaches `timeMs`. */
  find(timeMs) {
    if (timeMs <= BEGIN_MS) return this.start;
    const said = this.entries.find(({ kind, payload }) => kind === wire.CONTROL_KINDS.time && Number(payload.readBigUInt64LE(0)) >= timeMs);
    return said?.offset ?? this.end;
  }

  /** Bytes from `offset` on, of whole entries: at least one, and no more than `most` bytes of further ones. */
  bytesFrom(offset, most) {
    const parts = [];
    let size = 0;
    for (const entry of this.entries) {
      if (entry.offset < offset) continue;
      if (size > 0 && size + entry.bytes.length > most) break;
      parts.push(entry.bytes);
      size += entry.bytes.length;
    }
    return Buffer.concat(parts);
  }

  /** All bytes of [base, end), where entries begin and end. */
  bytesOf({ base, end }) {
    return Buffer.concat(this.entries.filter((entry) => entry.offset >= base && entry.end <= end).map(({ bytes }) => bytes));
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
