// Did an earlier try of a conditional append succeed? What stands at its expected end, once that is committed, decides: only one append
// can ever begin there. Its own bytes are known by kind, size and payload; the term and the check are the log's. A batch is there whole or
// not at all: where only its beginning stands, another writer's stands.

import { ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { LEVEL_COMMITTED, type Receipt as WireReceipt } from '../protocol/client.ts';
import { BatchStream } from './batchStream.ts';
import type { Message } from './message.ts';
import type { Replicas } from './replicas.ts';
import type { Workspace } from './wasm.ts';

/** Compares whole entries of the log with own ones of as many bytes or more; returns how many bytes are the same entries. */
export function sameEntries(log: Uint8Array, own: Uint8Array): number {
  const logView = viewOf(log);
  const ownView = viewOf(own);
  let at = 0;
  while (at < log.length && at < own.length) {
    const kindSize = logView.getUint32(at + 4, true);
    if (kindSize !== ownView.getUint32(at + 4, true)) return at;
    const payloadEnd = at + ENTRY_HEADER_BYTES + (kindSize & 0xffffff);
    for (let i = at + ENTRY_HEADER_BYTES; i < payloadEnd; i++) if (log[i] !== own[i]) return at;
    at += (kindSize & 0xffffff) + ENTRY_OVERHEAD_BYTES;
  }
  return at;
}

/**
 * What became of a conditional append that may have been done, and whose new try was refused with `refusal`, a CONDITION_FAILED.
 * Its receipt when it stands in the log; otherwise the error, whose outcome is `unknown` where the log did not tell. Never rejects.
 */
export async function recheck(
  replicas: Replicas,
  workspace: Workspace,
  message: Message,
  refusal: LogError,
): Promise<WireReceipt | LogError> {
  const { expectedEnd, entriesAt, entryBytes } = message;
  const unclear = (why: string): LogError => new LogError(refusal.code, `${why} ${refusal.message}`, refusal.details, 'unknown');
  const end = refusal.details.end;
  if (typeof end !== 'number' || end < expectedEnd) {
    return unclear('An earlier try may still be on its way, and the log is shorter than it expects.');
  }
  const own = workspace.bytes.subarray(entriesAt, entriesAt + entryBytes);
  const stream = new BatchStream(replicas, workspace, {
    what: 'This read',
    from: expectedEnd,
    isBounded: false,
    limit: Number.POSITIVE_INFINITY,
    creditBytes: Math.max(4096, entryBytes),
    atLeast: expectedEnd + 1,
    signal: undefined,
  });
  try {
    let term = 0;
    for (let same = 0; same < own.length; ) {
      const { value: batch } = await stream.next();
      if (batch === undefined) return unclear('The log could not be read at the expected end.');
      if (term === 0) term = viewOf(batch.bytes).getUint32(0, true);
      const found = sameEntries(batch.bytes, own.subarray(same));
      same += found;
      if (found === batch.bytes.length || same === own.length) continue;
      return refusal;
    }
    return {
      requestId: message.requestId,
      term,
      offset: expectedEnd,
      end: expectedEnd + entryBytes,
      level: LEVEL_COMMITTED,
      nodes: 0,
    };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return unclear(`An earlier try may have been done, and the log could not be read at the expected end (${why}).`);
  } finally {
    await stream.return();
  }
}
