// Reads from the disk: connections take turns, one read each, and none is begun for a connection that has no room to be sent what it brings.

import { LogError } from '../core/errors.ts';
import { COLD_READERS, MAX_READ_BYTES } from '../core/limits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Pools } from '../threads/pools.ts';
import type { Segments } from './segments.ts';
import type { Reading, Session } from './session.ts';

export interface ColdEvents {
  /** What stands at the reading's place. The view is valid during the call. */
  read(reading: Reading, entries: Uint8Array): void;
  /** The reading is to be tried again at once: what it is about has come into tail memory. */
  again(reading: Reading): void;
  failed(reading: Reading, error: LogError): void;
}

export class ColdReads {
  readonly #memory: TailMemory;
  readonly #segments: Segments;
  readonly #pools: Pools;
  readonly #events: ColdEvents;
  /** Connections with readings that wait for the disk and have room. */
  readonly #queue = new Set<Session>();
  readonly #freeBuffers = Array.from({ length: COLD_READERS }, (_, i) => i);
  /** Reads so far. */
  count = 0;

  constructor(memory: TailMemory, segments: Segments, pools: Pools, events: ColdEvents) {
    this.#memory = memory;
    this.#segments = segments;
    this.#pools = pools;
    this.#events = events;
  }

  /** Reads for `reading` when it is its connection's turn. */
  add(reading: Reading): void {
    reading.state = 'cold';
    reading.session.readings.cold.add(reading);
    this.resume(reading.session);
  }

  /** A connection has room, or may have. */
  resume(session: Session): void {
    if (session.readings.cold.size === 0) return;
    this.#queue.add(session);
    this.#start();
  }

  /** A connection has ended. */
  closed(session: Session): void {
    this.#queue.delete(session);
  }

  #start(): void {
    // A set gives what was added during the walk, too.
    for (const session of this.#queue) {
      const buffer = this.#freeBuffers.pop();
      if (buffer === undefined) return;
      this.#queue.delete(session);
      const reading = this.#nextOf(session);
      if (reading === undefined) {
        this.#freeBuffers.push(buffer);
        continue;
      }
      session.readings.cold.delete(reading);
      if (session.readings.cold.size > 0) this.#queue.add(session);
      void this.#read(reading, buffer);
    }
  }

  /** The reading of a connection that is next, if there is room for it: for a second one only where nothing is unsent. */
  #nextOf(session: Session): Reading | undefined {
    const { cold, coldRunning } = session.readings;
    const hasRoom = coldRunning === 0 ? session.dataRoom > 0 : !session.hasUnsent;
    return hasRoom ? cold.values().next().value : undefined;
  }

  async #read(reading: Reading, buffer: number): Promise<void> {
    const { session } = reading;
    session.readings.coldRunning += 1;
    try {
      const segment = this.#segments.find(reading.next);
      if (segment === undefined) {
        this.#events.again(reading);
        return;
      }
      const limit = Math.min(segment.end, this.#memory.commit);
      const maxBytes = Math.min(MAX_READ_BYTES, reading.creditBytes, session.dataRoom);
      const range = { base: segment.base, from: reading.next, isBoundary: reading.isBoundary, limit, maxBytes };
      this.count += 1;
      const bytes = await this.#pools.readCold({ range, buffer });
      // The reading may have been cancelled, or its session closed, while the disk was read.
      if (reading.state === 'cold' && !session.isClosed) {
        const at = this.#memory.map.coldAt(buffer);
        this.#events.read(reading, this.#memory.bytes.subarray(at, at + bytes));
      }
    } catch (thrown) {
      const error = thrown instanceof LogError ? thrown : new LogError('IO', String(thrown));
      if (reading.state === 'cold' && !session.isClosed) this.#events.failed(reading, error);
    } finally {
      this.#freeBuffers.push(buffer);
      session.readings.coldRunning -= 1;
      if (!session.isClosed) this.resume(session);
      this.#start();
    }
  }
}
