// Reads from the disk: whoever reads takes turns, by token where connections have one, then by connection, one read each, and none is begun for a connection that has no room to be sent what it brings.

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { COLD_READERS } from '../core/limits.ts';
import { MAX_READ_BYTES } from '../core/servingLimits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import { type Caller, partyOf, type Reading } from './caller.ts';
import { PartyQueue } from './partyQueue.ts';
import type { Segments } from './segments.ts';

export interface ColdEvents {
  /** What stands at the reading's place. The view is valid during the call. */
  read(reading: Reading, entries: Uint8Array): void;
  /** The reading is to be tried again at once: what it is about has come into tail memory. */
  again(reading: Reading): void;
  failed(reading: Reading, error: LogError): void;
  /** Whether the segment at `base` is not what the log says that it is: nobody is to have it from here. */
  isDifferent(base: number): boolean;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** Log bytes of a read that somebody wants. */
export interface Wanted {
  readonly from: number;
  readonly to: number;
}

export interface EntriesCopy {
  readonly bytes: Uint8Array;
  /** Where the last entry ends that was read. */
  readonly end: number;
}

/** A read for nobody's connection. */
interface CopyRead {
  readonly party: object;
  readonly run: () => Promise<void>;
}

const differentSentence = (base: number): string =>
  `the segment at log offset ${base} is valid on this node, and is not what the log says that it is: read it from another node`;

export class ColdReads {
  readonly #memory: TailMemory;
  readonly #segments: Segments;
  readonly #tasks: Pick<DiskTasks, 'readCold'>;
  readonly #events: ColdEvents;
  /** Connections with readings that wait for the disk and have room. */
  readonly #queue = new PartyQueue<Caller>(partyOf);
  /** Reads for nobody's connection, by whose they are, in turns; one at a time, so that connections always have a buffer. */
  readonly #copies = new PartyQueue<CopyRead>(({ party }) => party);
  #isCopying = false;
  readonly #freeBuffers = Array.from({ length: COLD_READERS }, (_, i) => i);
  /** Reads so far. */
  count = 0;

  constructor(memory: TailMemory, segments: Segments, tasks: Pick<DiskTasks, 'readCold'>, events: ColdEvents) {
    this.#memory = memory;
    this.#segments = segments;
    this.#tasks = tasks;
    this.#events = events;
  }

  /** Reads for `reading` when it is its connection's turn. */
  add(reading: Reading): void {
    reading.state = 'cold';
    reading.caller.readings.cold.add(reading);
    this.resume(reading.caller);
  }

  /** A connection has room, or may have. */
  resume(caller: Caller): void {
    if (caller.readings.cold.size === 0) return;
    this.#queue.add(caller);
    this.#start();
  }

  /** A connection has ended. */
  closed(caller: Caller): void {
    this.#queue.delete(caller);
  }

  /**
   * Reads whole entries, verifies them, and resolves to where they end and to a copy of the log bytes [wanted.from, wanted.to) of them, as far as they reach.
   * Those of one `party` have their turns together. Rejects with a LogError.
   */
  readCopy(range: ColdRange, wanted: Wanted, party: object): Promise<EntriesCopy> {
    return new Promise((resolve, reject) => {
      this.#copies.add({ party, run: async () => this.#copy(range, wanted).then(resolve, reject) });
      this.#start();
    });
  }

  /** Resolves to what `work` does with a buffer that is nobody's. */
  withBuffer<T>(work: (buffer: number) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#copies.add({ party: this, run: async () => this.#lend(work).then(resolve, reject) });
      this.#start();
    });
  }

  async #lend<T>(work: (buffer: number) => Promise<T>): Promise<T> {
    const buffer = this.#freeBuffers.pop();
    assert(buffer !== undefined, 'a copy is read where a buffer is free');
    try {
      return await work(buffer);
    } finally {
      this.#freeBuffers.push(buffer);
    }
  }

  async #copy(range: ColdRange, { from, to }: Wanted): Promise<EntriesCopy> {
    const buffer = this.#freeBuffers.pop();
    assert(buffer !== undefined, 'a copy is read where a buffer is free');
    try {
      this.count += 1;
      const bytes = await this.#tasks.readCold({ range, buffer });
      const at = this.#memory.map.coldAt(buffer) - range.from;
      const end = range.from + bytes;
      return { bytes: this.#memory.bytes.slice(at + from, at + Math.min(end, to)), end };
    } finally {
      this.#freeBuffers.push(buffer);
    }
  }

  #startCopy(): void {
    if (this.#isCopying || this.#freeBuffers.length === 0) return;
    const copy = this.#copies.shift();
    if (copy === undefined) return;
    this.#isCopying = true;
    const next = (): void => {
      this.#isCopying = false;
      this.#start();
    };
    copy.run().then(next, (thrown: unknown) => this.#events.broke(thrown));
  }

  #start(): void {
    this.#startCopy();
    while (this.#freeBuffers.length > 0) {
      const caller = this.#queue.shift();
      if (caller === undefined) return;
      const reading = this.#nextOf(caller);
      if (reading === undefined) continue;
      const buffer = this.#freeBuffers.pop();
      assert(buffer !== undefined, 'a connection has its turn where a buffer is free');
      caller.readings.cold.delete(reading);
      if (caller.readings.cold.size > 0) this.#queue.add(caller);
      this.#read(reading, buffer).catch((thrown: unknown) => this.#events.broke(thrown));
    }
  }

  /** The reading of a connection that is next, if there is room for it: for a second one only where nothing is unsent. */
  #nextOf(caller: Caller): Reading | undefined {
    const { cold, coldRunning } = caller.readings;
    const hasRoom = coldRunning === 0 ? caller.dataRoom > 0 : !caller.hasUnsent;
    return hasRoom ? cold.values().next().value : undefined;
  }

  async #read(reading: Reading, buffer: number): Promise<void> {
    const { caller } = reading;
    caller.readings.coldRunning += 1;
    try {
      const segment = this.#segments.find(reading.next);
      if (segment === undefined) {
        this.#events.again(reading);
        return;
      }
      if (this.#events.isDifferent(segment.base)) throw new LogError('DAMAGE', differentSentence(segment.base));
      const limit = Math.min(segment.end, this.#memory.commit);
      const maxBytes = Math.min(MAX_READ_BYTES, reading.creditBytes, caller.dataRoom);
      const range = { base: segment.base, from: reading.next, isBoundary: reading.isBoundary, limit, maxBytes };
      this.count += 1;
      const bytes = await this.#tasks.readCold({ range, buffer });
      // The reading may have been cancelled, or its caller closed, while the disk was read.
      if (reading.state === 'cold' && !caller.isClosed) {
        const at = this.#memory.map.coldAt(buffer);
        this.#events.read(reading, this.#memory.bytes.subarray(at, at + bytes));
      }
    } catch (thrown) {
      const error = thrown instanceof LogError ? thrown : new LogError('IO', String(thrown));
      if (reading.state === 'cold' && !caller.isClosed) this.#events.failed(reading, error);
    } finally {
      this.#freeBuffers.push(buffer);
      caller.readings.coldRunning -= 1;
      assert(caller.readings.coldRunning >= 0 && this.#freeBuffers.length <= COLD_READERS, 'reads that run are counted');
      if (!caller.isClosed) {
        this.resume(caller);
        caller.rested?.();
      }
      this.#start();
    }
  }
}
