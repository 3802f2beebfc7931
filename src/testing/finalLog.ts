// The log as a node has it when all is over, entry by entry, with those that the log itself keeps.

import { createHash } from 'node:crypto';
import { type ConnectOptions, connect, LogError } from '../client/index.ts';
import { viewOf } from '../core/bytes.ts';
import { entryBytesOf, isData, kindSizeAt, payloadAt, termAt } from '../format/entry.ts';
import { type Fingerprint, fingerprintOf } from './recording.ts';

/** An entry at [offset, end) of the log. */
export interface FinalEntry {
  readonly offset: number;
  readonly end: number;
  readonly term: number;
  /** Undefined: an entry of the log itself. */
  readonly fingerprint: Fingerprint | undefined;
}

/** What the nodes are shown, where they ask. */
export type Shown = Pick<ConnectOptions, 'token'>;

export interface NodeLog {
  readonly entries: readonly FinalEntry[];
  /** Of all bytes up to the end that was asked for. */
  readonly digest: string;
}

/** All entries in `bytes`, which begin at `base`. */
function* walk(bytes: Uint8Array, base: number): Generator<FinalEntry> {
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const kindSize = kindSizeAt(view, at);
    const next = at + entryBytesOf(kindSize);
    const fingerprint = isData(kindSize) ? fingerprintOf(payloadAt(bytes, at, kindSize)) : undefined;
    yield { offset: base + at, end: base + next, term: termAt(view, at), fingerprint };
    at = next;
  }
}

/**
 * Reads [0, end) from the node at `url` and no other. `behind`: it does not have that within `timeoutMs`. `damaged`: it refuses to show
 * some of it, because its disk does not have what was written.
 */
export async function readNodeLog(url: string, end: number, shown: Shown, timeoutMs: number): Promise<NodeLog | 'behind' | 'damaged'> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    await using client = await connect(url, { ...shown, signal, discover: false, reconnect: { timeoutMs } });
    const entries: FinalEntry[] = [];
    const hash = createHash('sha256');
    if (end > 0) {
      for await (const { offset, bytes } of client.subscribe({ signal }).batches()) {
        const wanted = bytes.subarray(0, end - offset);
        hash.update(wanted);
        entries.push(...walk(wanted, offset));
        if (offset + bytes.length >= end) break;
      }
    }
    return { entries, digest: hash.digest('hex') };
  } catch (thrown) {
    if (signal.aborted || (thrown instanceof LogError && thrown.retryable)) return 'behind';
    if (thrown instanceof LogError && thrown.code === 'DAMAGED') return 'damaged';
    throw thrown;
  }
}
