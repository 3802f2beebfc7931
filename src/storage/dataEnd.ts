// Where the last data entry of sealed segments ends, for a log whose last entries are all the log's own: backwards over index points.
// Checks are verified: an entry whose kind was damaged must not pass for one of the log's own. What is not valid counts as data.

import { INDEX_INTERVAL_BYTES, RESULT_BYTES_AT, RESULT_DATA_END_AT, RESULT_SIZE_BYTES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import { decodeSegmentIndex } from '../format/segmentIndex.ts';
import { WORD } from '../memory/map.ts';
import { compileServerWasm, instantiateServerWasm } from '../memory/wasm.ts';
import type { StorageContext } from './context.ts';
import { readFile } from './disk.ts';
import { indexName, segmentName } from './names.ts';

const PAGE_BYTES = 65536;
const RESULT_AT = 1024;
const STEP_AT = RESULT_AT + RESULT_SIZE_BYTES;
/** From one index point to the next: an interval, and the entry that crosses its end. One that is longer ends with data: no other entry is so large. */
const MAX_STEP_BYTES = INDEX_INTERVAL_BYTES + 1024 * 1024;

/** Says where the last data entry ends in the log bytes that `read` puts into a buffer; undefined when there is none. */
type Walk = (offset: number, bytes: number, read: (into: Uint8Array) => number) => number | undefined;

let kept: Walk | undefined;

/** A walk in memory of its own, one a thread: the node's is in use. */
function makeWalk(): Walk {
  const pages = Math.ceil((STEP_AT + MAX_STEP_BYTES) / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const wasm = instantiateServerWasm(compileServerWasm(), memory);
  const view = new DataView(memory.buffer);
  return (offset, bytes, read) => {
    const isRead = bytes <= MAX_STEP_BYTES && read(new Uint8Array(memory.buffer, STEP_AT, bytes)) === bytes;
    // Without a limit: before one, the walk would stop at an entry whose damaged size goes beyond it, and call that complete.
    const isWhole = isRead && wasm.verify(STEP_AT, bytes, offset, 1, RESULT_AT) === WALK_COMPLETE;
    if (!isWhole || view.getUint32(RESULT_AT + RESULT_BYTES_AT, true) !== bytes) return offset + bytes;
    const dataEnd = view.getUint32(RESULT_AT + RESULT_DATA_END_AT, true);
    return dataEnd === 0 ? undefined : offset + dataEnd;
  };
}

/**
 * End of the last data entry in the `sealed` segments, which are ascending and join; the log's start when they have none. Never too low;
 * too high where a file is damaged.
 */
export function lastDataEnd(context: StorageContext, sealed: readonly { readonly base: number; readonly end: number }[]): number {
  for (let i = sealed.length - 1; i >= 0; i -= 1) {
    const segment = sealed[i];
    const found = segment === undefined ? undefined : dataEndIn(context, segment.base, segment.end);
    if (found !== undefined) return found;
  }
  return Math.max(context.identity.start, context.memory.word(WORD.BASE));
}

/** The same for one segment; undefined when it has no data. */
function dataEndIn({ disk, directory }: StorageContext, base: number, end: number): number | undefined {
  kept ??= makeWalk();
  const walk = kept;
  const points = readPoints(disk, `${directory}/${indexName(base)}`);
  if (points === undefined) return end;
  const file = disk.openRead(`${directory}/${segmentName(base)}`);
  try {
    let stepEnd = positionOf(end, base);
    for (let i = points.length - 1; i >= 0; i -= 1) {
      const position = points[i] ?? 0;
      const found = walk(offsetOf(position, base), stepEnd - position, (into) => disk.read(file, into, position));
      if (found !== undefined) return found;
      stepEnd = position;
    }
    return undefined;
  } finally {
    disk.close(file);
  }
}

/** The index points in an index file; undefined when it is damaged. */
function readPoints(disk: StorageContext['disk'], path: string): Uint32Array | undefined {
  try {
    return decodeSegmentIndex(readFile(disk, path), path).points;
  } catch (thrown) {
    if (thrown instanceof LogError && thrown.code === 'DAMAGE') return undefined;
    throw thrown;
  }
}
