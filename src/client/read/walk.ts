// Reading of a range for the client's own purposes, some hundred kilobytes at a time.

import type { ReadNodes } from '../nodes/readNodes.ts';
import type { Workspace } from '../wasm.ts';
import { BatchStream } from './batchStream.ts';
import { NO_HOSTS } from './catchUp.ts';

/** Reads committed entries from `from` up to `to`, which is committed, or until `take` says that it is enough. */
export async function walk(
  readNodes: ReadNodes,
  workspace: Workspace,
  { from, to, signal }: { readonly from: number; readonly to: number; readonly signal: AbortSignal },
  take: (bytes: Uint8Array, base: number) => boolean,
): Promise<void> {
  const stream = new BatchStream(readNodes, workspace, {
    what: 'This read',
    from,
    isBounded: false,
    limit: Number.POSITIVE_INFINITY,
    skipsTrimmed: false,
    creditBytes: Math.min(256 * 1024, Math.max(4096, to - from)),
    atLeast: to,
    catchUp: NO_HOSTS,
    signal,
  });
  try {
    for (let next = from; next < to; ) {
      const { value: batch } = await stream.next();
      if (batch === undefined || take(batch.bytes, batch.offset)) return;
      next = batch.nextOffset;
    }
  } finally {
    await stream.return();
  }
}
