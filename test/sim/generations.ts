// Of which generation a node says that its log is, durably and to all others: what a voter has committed says so.

import { ENTRY_HEADER_BYTES, KIND_STATE } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { NO_INSTANCE, type Standing } from '../../src/core/ids.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { readState } from '../../src/format/stateEntry.ts';
import { WORD } from '../../src/memory/map.ts';
import { forEachPiece } from './pieces.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';

/** A node of this standing is about to make durable that its log is of `generation`. */
export function checkGeneration(process: Process, standing: Standing, generation: string): void {
  const { id, memory } = process;
  const { commit } = memory;
  promise(standing === 'voter', 'log state', () => `node ${id} says that its log is of generation ${generation}, and is ${standing}`);
  let said = NO_INSTANCE;
  forEachPiece(process, memory.word(WORD.BASE), commit, (from, bytes, base) => {
    const view = viewOf(bytes);
    const kindSize = kindSizeAt(view, 0);
    if (from !== base || kindOf(kindSize) !== KIND_STATE) return;
    said = readState(view, ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.generation.id ?? said;
  });
  promise(
    said === generation,
    'log state',
    () => `node ${id} says that its log is of generation ${generation}, and what it has committed, up to ${commit}, says ${said}`,
  );
}
