// The part of a node that writes a log, without a server in front of it. The threads' code is what the build made, so all of it comes
// from there.

import { expect } from 'vitest';
import { segmentCapacityBytes } from '../../../dist/src/core/capacities.js';
import { SPARE_SEGMENTS } from '../../../dist/src/core/limits.js';
import { SIGNAL, SLOT } from '../../../dist/src/memory/map.js';
import { Tail } from '../../../dist/src/memory/tail.js';
import { TailMemory } from '../../../dist/src/memory/tailMemory.js';
import { Segments } from '../../../dist/src/node/segments.js';
import { type Identity, writeVote } from '../../../dist/src/storage/dataDirectory.js';
import { NodeDisk } from '../../../dist/src/storage/nodeDisk.js';
import { RECOVERY_SLOT } from '../../../dist/src/storage/openSegment.js';
import type { RecoveredLog } from '../../../dist/src/storage/recovery.js';
import { Pools } from '../../../dist/src/threads/pools.js';

const SEGMENT_BYTES = 65536;
/** The instance of the leader whose entries {@link Writers} get. */
export const LEADER = 'a1a1a1a1a1a1a1a1';
/** Log bytes that fit into a segment of {@link Writers}. */
export const CAPACITY = segmentCapacityBytes(SEGMENT_BYTES);

export class Writers {
  readonly directory: string;
  readonly memory: TailMemory;
  readonly pools: Pools;
  readonly segments: Segments;
  readonly tail: Tail;
  readonly failures: Error[] = [];
  #wake: () => void = () => undefined;

  constructor(directory: string, identity: Identity) {
    this.directory = directory;
    this.memory = TailMemory.create({ segmentBytes: SEGMENT_BYTES, slots: 3 });
    const failed = (error: Error): void => {
      this.failures.push(error);
      this.#wake();
    };
    this.pools = new Pools({ directory, identity, shared: this.memory.shared, fsync: true, spin: 'auto' }, this.memory, {
      died: failed,
      short: failed,
    });
    this.segments = new Segments(this.memory, this.pools, {
      sealed: () => this.#wake(),
      noSpare: (_spare, error) => failed(error),
      opened: () => undefined,
      mayAllocate: () => true,
      failed,
    });
    this.tail = new Tail(this.memory, (slot) => this.segments.open(slot, false));
  }

  async start(): Promise<RecoveredLog> {
    // A node has a vote before it has a segment.
    writeVote(new NodeDisk(), this.directory, { currentTerm: 1, votedFor: 0, commit: 0 });
    const recovered = await this.pools.recover();
    await this.segments.start(recovered);
    this.tail.start(recovered.end, recovered.dataEnd, recovered.openBase === undefined ? undefined : RECOVERY_SLOT);
    if (recovered.openBase !== undefined) this.segments.open(RECOVERY_SLOT, true);
    return recovered;
  }

  /** Appends what the leader with this instance has; waits for a slot when none is free. */
  async append(bytes: Uint8Array, term: number, leader = LEADER): Promise<void> {
    for (;;) {
      const { tail, openSlot } = this.memory;
      const openBase = openSlot < 0 ? tail : this.memory.slotWord(openSlot, SLOT.BASE);
      const base = tail - openBase + bytes.length <= CAPACITY ? openBase : tail;
      const sealed = new Promise<void>((wake) => {
        this.#wake = wake;
      });
      const status = this.tail.appendReplicated([bytes], bytes.length, term, base, Date.now());
      this.tail.wake();
      if (status === 'ordered') {
        this.memory.lastEntry = { term, leader };
        return;
      }
      expect(status).toBe('full');
      await sealed;
      expect(this.failures).toEqual([]);
    }
  }

  /** Files that were made ahead. */
  get spares(): readonly string[] {
    return new NodeDisk().list(this.directory).filter((name) => name.startsWith('spare'));
  }

  /** Waits until no file is being made ahead. */
  async allocated(): Promise<void> {
    while (this.spares.length < SPARE_SEGMENTS) await new Promise((wake) => setImmediate(wake));
  }

  async stop(): Promise<void> {
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) this.memory.raise(signal);
    await this.segments.stop();
    await this.pools.close();
    expect(this.failures).toEqual([]);
  }
}
