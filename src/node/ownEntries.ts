// Entries of the log's own that the leader's main thread orders: they pass the gate as appends do, but not their queue. What is on the disk is
// not asked for: trims make room.

import { KIND_TRIM } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { LAST_OFFSET_RESERVE_BYTES, MAX_LOG_OFFSET } from '../core/limits.ts';
import { type TrimEntry, trimPayload } from '../format/controlEntries.ts';
import type { Gate } from '../memory/gate.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';

export interface OwnEntryPorts {
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly gate: Gate;
  wallMs(): number;
}

export class OwnEntries {
  readonly #ports: OwnEntryPorts;

  constructor(ports: OwnEntryPorts) {
    this.#ports = ports;
  }

  /**
   * Orders a trim, unless one that trims as much is ordered already. Returns the leader's term; undefined: not now, because there is no room in memory, or this
   * node does not lead. Throws a LogError `UNSUPPORTED` where the log can have none.
   */
  trim(trim: TrimEntry): number | undefined {
    const { memory, tail, gate } = this.#ports;
    if (!gate.enter()) return undefined;
    try {
      const term = memory.word(WORD.OPEN_TERM);
      if (tail.fold.level === 0) throw new LogError('UNSUPPORTED', 'this log is of level 0, and has no trims: raise its level first');
      if (tail.fold.trim.start >= trim.start) return term;
      const status = this.#order(KIND_TRIM, trimPayload(trim), term);
      return status === 'ordered' ? term : undefined;
    } finally {
      gate.leave();
    }
  }

  #order(kind: number, payload: Uint8Array, term: number): ReturnType<Tail['appendOwn']> {
    const { memory, tail, wallMs } = this.#ports;
    if (memory.tail + payload.length > MAX_LOG_OFFSET - LAST_OFFSET_RESERVE_BYTES) {
      throw new LogError('UNSUPPORTED', 'this log has come to the last offset that it can address, 2^53 - 1');
    }
    const status = tail.appendOwn(kind, payload, term, wallMs());
    memory.raise(SIGNAL.ORDERED);
    tail.wake();
    return status;
  }
}
