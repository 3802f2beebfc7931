// Mends the damaged open segment of a node with committed entries that another node has sent, in place: what they overwrite is damaged anyway, or is
// what they are. The steps, each a task of the disk:
//
//   patch  ──► entries that were verified at their place, written over the damage and synced; until all that follows is right, as far as it was durable
//   finish ──► the segment is looked at again as at a start, what a crash has torn is cut, and the log ends where it ended before the damage
//
// A crash between them leaves a segment that is damaged later, or not at all: its node does not count until its next start has found it whole.

import { WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { positionOf } from '../core/position.ts';
import { findMark } from '../format/durableMark.ts';
import { type NodesAt, nodeChanges } from '../format/nodeChanges.ts';
import { LogFold } from '../memory/logFold.ts';
import { SLOT, STATE, WORD } from '../memory/map.ts';
import { noWalk } from '../memory/memoryWords.ts';
import type { LogTerm, StorageContext } from './context.ts';
import { segmentName } from './names.ts';
import { judgeOpen, openTerms } from './openSegment.ts';
import { foldSegment, rewritePages, walkSegment } from './segmentLoader.ts';

export type MendRequest =
  /**
   * The heal buffer has `bytes` of entries from log offset `from` on; none before them is of a later term than `lastTerm`. All of them are committed. At least
   * what is before `durable` was durable here before the damage.
   */
  | { readonly step: 'patch'; readonly from: number; readonly bytes: number; readonly lastTerm: number; readonly durable: number }
  /** `bound`: everything before it was committed. */
  | { readonly step: 'finish'; readonly bound: number };

/** The log as it was before its damage: its end, what of it is committed, and where the terms of the open segment begin. */
export interface MendedLog {
  readonly end: number;
  readonly commit: number;
  readonly terms: readonly LogTerm[];
  /** Sets of nodes that it says after where it was damaged. */
  readonly configurations: readonly NodesAt[];
}

export type MendAnswer =
  /** All is right up to log offset `rightTo`, at least: it has the entries sent, whose last is of `lastTerm`, and what follows them. */
  | { readonly outcome: 'patched'; readonly rightTo: number; readonly lastTerm: number }
  | { readonly outcome: 'mended'; readonly log: MendedLog }
  /** What was sent is not right; or there is damage still. Nothing was changed. */
  | { readonly outcome: 'refused'; readonly sentence: string };

export function mend(context: StorageContext, request: MendRequest): MendAnswer {
  assert(context.memory.word32(STATE.DAMAGED) !== 0 && context.memory.openSlot >= 0, 'only what is damaged is mended');
  return request.step === 'patch' ? patch(context, request) : finish(context, request.bound);
}

/**
 * With its last piece the segment is whole, for this start and for all later ones: so it is not written unless nothing can be missing after it. The mark of the
 * last write says that, where the log then ends. Without it, or before it, there may have been more, which is as damaged: such a write is taken for a
 * torn one where nothing else is wrong, but not here.
 */
function patch(context: StorageContext, { from, bytes, lastTerm: minTerm, durable }: Extract<MendRequest, { step: 'patch' }>): MendAnswer {
  const { disk, directory, memory, identity } = context;
  const slot = memory.openSlot;
  const base = memory.slotWord(slot, SLOT.BASE);
  const at = memory.map.coldAt(memory.map.healBuffer);
  const result = memory.map.coldResultAt(memory.map.healBuffer);
  const position = positionOf(from, base);
  assert(from >= memory.tail && bytes <= memory.map.coldBytes, 'what was sent follows the log');
  const status = memory.wasm.verify(at, bytes, from, minTerm, result);
  const sent = memory.readResult(result, noWalk());
  if (bytes === 0 || status !== WALK_COMPLETE || sent.bytes !== bytes || position + bytes > memory.map.shape.segmentBytes)
    return { outcome: 'refused', sentence: `the entry at log offset ${from + sent.bytes} that it sent is not valid` };
  const { lastTerm } = sent;
  const file = disk.openWrite(`${directory}/${segmentName(base)}`);
  try {
    const fileBytes = Math.min(disk.size(file), memory.map.shape.segmentBytes);
    const past = Math.max(0, fileBytes - position - bytes);
    memory.wasm.verify(memory.map.slotAt(slot) + position + bytes, past, from + bytes, lastTerm, result);
    const rightTo = from + bytes + memory.readResult(result, noWalk()).bytes;
    const end = positionOf(rightTo, base);
    const mark = findMark(memory.slotBytes(slot, end, Math.max(end, fileBytes)), rightTo, identity.markSeed);
    if (rightTo >= durable && mark?.at !== rightTo)
      return {
        outcome: 'refused',
        sentence: `what this node wrote after log offset ${rightTo} may be damaged, too: only the leader knows`,
      };
    memory.slotBytes(slot, position, position + bytes).set(memory.bytes.subarray(at, at + bytes));
    rewritePages(context, file, slot, position, position + bytes);
    disk.dataSync(file);
    return { outcome: 'patched', rightTo, lastTerm };
  } finally {
    disk.close(file);
  }
}

/** No writer may run, and nothing may be appended. */
function finish(context: StorageContext, known: number): MendAnswer {
  const { disk, directory, memory } = context;
  const slot = memory.openSlot;
  const base = memory.slotWord(slot, SLOT.BASE);
  const path = `${directory}/${segmentName(base)}`;
  const file = disk.openWrite(path);
  try {
    const fileBytes = Math.min(disk.size(file), memory.map.shape.segmentBytes);
    const loaded = { path, file, fileBytes, dataEnd: undefined, ...walkSegment(context, slot, path, fileBytes) };
    const { end } = loaded;
    const judged = judgeOpen(context, base, loaded, known);
    const terms = openTerms(context, base, end);
    if (judged.damage !== undefined || terms.some(({ leader }) => leader === NO_INSTANCE)) {
      walkSegment(context, slot, path, positionOf(memory.tail, base));
      return { outcome: 'refused', sentence: judged.damage?.sentence ?? `${path}: nothing says who led in its last term` };
    }
    assert(end > memory.tail, 'a mended log goes on');
    const at = memory.map.slotAt(slot) + positionOf(memory.tail, base);
    const { changes } = nodeChanges(new LogFold(memory).state, viewOf(memory.bytes), at, end - memory.tail, memory.tail);
    const dataEnd = foldSegment(context, slot, path, end) ?? memory.dataEnd;
    judged.cutTail();
    memory.setWord32(STATE.DAMAGED, 0);
    memory.setWord(WORD.DURABLE, end);
    memory.setWord(WORD.DATA_END, dataEnd);
    memory.setWord(WORD.TAIL, end);
    return { outcome: 'mended', log: { end, commit: Math.min(judged.commit, end), terms, configurations: changes } };
  } finally {
    disk.close(file);
  }
}
