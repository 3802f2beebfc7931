// Where the last entries of a log begin. An entry tells its size at its front only, so the log is read in ranges, each before the one that was read
// first, and each twice as long; a range that would begin inside an entry begins with it, because the node's refusal says where that is.
//
//   start ── … ──┤ 256 KiB ├── 128 KiB ──┤ 64 KiB ├ end        data entries are counted in each, until there are enough

import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { viewOf } from '../../core/bytes.ts';
import { LAST_FIRST_RANGE_BYTES, LAST_RANGE_BYTES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { entryBytesOf, isData, kindSizeAt } from '../../format/entry.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import type { Workspace } from '../wasm.ts';
import type { FindBeginning } from './streamPlan.ts';
import { walk } from './walk.ts';

/** The offsets of the last data entries that it was given, at most so many. */
class LastOffsets {
  readonly #offsets: Float64Array;
  #count = 0;

  constructor(room: number) {
    this.#offsets = new Float64Array(room);
  }

  add(offset: number): void {
    this.#offsets[this.#count % this.#offsets.length] = offset;
    this.#count += 1;
  }

  /** How many there are. */
  get length(): number {
    return Math.min(this.#count, this.#offsets.length);
  }

  /** The first of them, which is there. */
  get first(): number {
    return this.#offsets[(this.#count - this.length) % this.#offsets.length] ?? 0;
  }
}

/**
 * Finds where the last `count` data entries begin; where there are fewer, it is the start of the log. Needs 8 bytes of memory for each of them at most.
 * Looks through less than twice what stands from there on, one range of 64 KiB, and one entry.
 */
export function beginningOfLast(readNodes: ReadNodes, workspace: Workspace, count: number): FindBeginning {
  return async ({ start, end }, signal) => {
    let first = start;
    let missing = count;
    let to = end;
    for (let bytes = LAST_FIRST_RANGE_BYTES; to > first; bytes = Math.min(2 * bytes, LAST_RANGE_BYTES)) {
      const from = Math.max(first, to - bytes);
      let found: { readonly from: number; readonly offsets: LastOffsets };
      try {
        found = await lastIn(readNodes, workspace, { from, to, count: missing, signal });
      } catch (thrown) {
        const trimmedTo = thrown instanceof LogError && thrown.code === 'OFFSET_TRIMMED' ? thrown.details.start : undefined;
        // The log was trimmed meanwhile, or another node's begins later.
        if (typeof trimmedTo !== 'number' || trimmedTo <= from) throw thrown;
        first = trimmedTo;
        continue;
      }
      missing -= found.offsets.length;
      if (missing === 0) return found.offsets.first;
      to = found.from;
    }
    return Math.min(first, end);
  };
}

interface Range {
  readonly from: number;
  /** A boundary of the committed log. */
  readonly to: number;
  /** How many are wanted, at least 1. */
  readonly count: number;
  readonly signal: AbortSignal;
}

/** The last data entries of [from, to), where `from` may be inside an entry; and where the range begins. */
async function lastIn(
  readNodes: ReadNodes,
  workspace: Workspace,
  range: Range,
): Promise<{ readonly from: number; readonly offsets: LastOffsets }> {
  try {
    return { from: range.from, offsets: await lastFrom(readNodes, workspace, range) };
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'OFFSET_NOT_BOUNDARY') throw thrown;
    const { beginning } = thrown.details;
    if (typeof beginning !== 'number' || beginning >= range.from) throw thrown;
    return { from: beginning, offsets: await lastFrom(readNodes, workspace, { ...range, from: beginning }) };
  }
}

async function lastFrom(readNodes: ReadNodes, workspace: Workspace, { from, to, count, signal }: Range): Promise<LastOffsets> {
  const offsets = new LastOffsets(Math.min(count, Math.ceil((to - from) / ENTRY_OVERHEAD_BYTES)));
  await walk(readNodes, workspace, { from, to, signal }, (bytes, base) => {
    const view = viewOf(bytes);
    // What was appended since comes after `to`.
    for (let at = 0; at < bytes.length && base + at < to; ) {
      const kindSize = kindSizeAt(view, at);
      if (isData(kindSize)) offsets.add(base + at);
      at += entryBytesOf(kindSize);
    }
    return false;
  });
  return offsets;
}
