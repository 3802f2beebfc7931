// Committed bytes of its source's log that a mirror asks for, to heal its own segments: what nodes of a cluster fetch of each other. Who asks verifies
// what comes, and compares the whole of it with what the mirror had.

import type { LogClient } from '../client/index.ts';
import type { Connection } from '../client/nodes/connection.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MAX_APPEND_BYTES } from '../core/peerLimits.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { entryBytesAt } from '../format/entry.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { FetchAnswer } from '../node/raftPort.ts';

export interface SourceFetchPorts {
  readonly memory: Pick<TailMemory, 'map' | 'copyIn'>;
  /** Undefined while there is none. */
  client(): LogClient | undefined;
  /** Of the source's log, as it was when the mirror looked last. */
  generation(): string;
  /** Aborted when the mirror ends. */
  readonly ended: AbortSignal;
}

export class SourceFetch {
  readonly #ports: SourceFetchPorts;
  /** Ends the question before. */
  #asked = new AbortController();

  constructor(ports: SourceFetchPorts) {
    this.#ports = ports;
  }

  /** Whole entries from `from` on, none at `end` or past it, in the heal buffer: see `RaftPort.fetch`. Never rejects. */
  async fetch(from: number, end: number): Promise<FetchAnswer> {
    this.#asked.abort();
    this.#asked = new AbortController();
    const { client, ended } = this.#ports;
    const log = client();
    const signal = AbortSignal.any([ended, this.#asked.signal]);
    if (log === undefined || ended.aborted) return { outcome: 'unreachable' };
    try {
      return await this.#take(log, from, end, signal);
    } catch (thrown) {
      if (!(thrown instanceof LogError) && !signal.aborted) throw thrown;
      if (!(thrown instanceof LogError)) return { outcome: 'unreachable' };
      if (thrown.code === 'DAMAGED') return { outcome: 'damaged' };
      return { outcome: MISSING.includes(thrown.code) ? 'missing' : 'unreachable' };
    }
  }

  async #take(log: LogClient, from: number, end: number, signal: AbortSignal): Promise<FetchAnswer> {
    const { memory } = this.#ports;
    const at = memory.map.coldAt(memory.map.healBuffer);
    let bytes = 0;
    // Not from hosts of sealed segments: a source that heals itself meanwhile does so when it is read.
    for await (const batch of log.copy({ from, catchUp: [], signal, admit: (node) => this.#admit(node) })) {
      const room = Math.min(memory.map.coldBytes - bytes, end - from - bytes);
      const taken = entriesWithin(batch.bytes, room);
      // The buffer is the next question's.
      if (signal.aborted) return { outcome: 'unreachable' };
      memory.copyIn(batch.bytes.subarray(0, taken), at + bytes);
      bytes += taken;
      if (taken < batch.bytes.length || bytes >= MAX_APPEND_BYTES || from + bytes === end) break;
    }
    return bytes === 0 ? { outcome: 'missing' } : { outcome: 'entries', bytes };
  }

  /** Takes nothing of a node whose log was begun anew. */
  #admit({ url, hello }: Connection): Promise<void> {
    const { generation = NO_INSTANCE } = hello.cluster ?? {};
    if (generation === this.#ports.generation()) return Promise.resolve();
    return Promise.reject(new LogError('OTHER_CLUSTER', `the log of ${withoutSecrets(url)} is of another generation`));
  }
}

/** Of these entries there are none, or not any more. */
const MISSING: readonly string[] = ['OFFSET_TRIMMED', 'OFFSET_BEYOND_END', 'OFFSET_NOT_BOUNDARY', 'OTHER_CLUSTER'];

/** Bytes of the first entries of `entries`, which are whole, that are at most `most` bytes. */
function entriesWithin(entries: Uint8Array, most: number): number {
  if (entries.length <= most) return entries.length;
  const view = viewOf(entries);
  let at = 0;
  for (let next = 0; next <= most; next += entryBytesAt(view, next)) at = next;
  return at;
}
