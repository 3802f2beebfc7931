// The log's bytes for a copy of it, with its own entries, from the beginning of a segment on: what nodes keep counts, also before the log's start. A copy
// knows the log from before, so it looks at each node before it takes anything of it.

import type { LogError } from '../../core/errors.ts';
import { DEFAULT_CREDIT_BYTES } from '../checks.ts';
import type { Connection } from '../nodes/connection.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import type { SegmentSource } from '../segments/source.ts';
import type { Workspace } from '../wasm.ts';
import { BatchStream } from './batchStream.ts';
import type { Batch } from './entries.ts';

export interface CopyOptions {
  /** An entry's boundary. OFFSET_TRIMMED says, in `details.start`, where what is kept begins. */
  readonly from: number;
  /** Hosts of sealed segments. */
  readonly catchUp: readonly SegmentSource[];
  readonly signal: AbortSignal;
  /** Looks at a node before anything is taken of it, on each connection. What it rejects with, a LogError, ends the copy, unless it is the node's own matter. */
  readonly admit: (connection: Connection) => Promise<void>;
}

/** Follows the log without end. Throws LogErrors as a subscription does, and those of `admit`. */
export function copyLog(readNodes: ReadNodes, workspace: Workspace, options: CopyOptions): AsyncIterableIterator<Batch> {
  return new BatchStream(readNodes, workspace, {
    what: 'This subscription',
    isBounded: false,
    limit: Number.POSITIVE_INFINITY,
    creditBytes: DEFAULT_CREDIT_BYTES,
    skipsTrimmed: false,
    // Each node is asked how far the log is: one that ends earlier is told from one that is behind.
    atLeast: 0,
    ...options,
    // Nodes of the log itself.
    catchUp: { sources: options.catchUp, bySeals: false },
  });
}

/** The entry that begins at `offset`, as a node has it, not verified. Undefined when the connection was lost before. Rejects with the node's error. */
export function entryAt(connection: Connection, offset: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    if (connection.isLost) {
      resolve(undefined);
      return;
    }
    // The first entry comes whatever the credit.
    const id = connection.subscribe(
      offset,
      1,
      {
        data: (_from, _commit, bytes) => {
          if (bytes.length === 0) return;
          connection.cancel(id);
          resolve(bytes);
        },
        failed: (error: LogError) => reject(error),
        lost: () => resolve(undefined),
      },
      { isKept: true },
    );
  });
}
