// Which nodes the log says it has, at a start: the set in force at the commit bound, and all later ones, each of which a truncation may bring back. They are in the
// state entry of the segment that holds the bound, and in the control entries from there on. As a rule that is the open segment, which is in memory.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import type { Directory } from '../core/members.ts';
import { MAX_READ_BYTES } from '../core/servingLimits.ts';
import { UNTOLD } from '../format/controlFold.ts';
import { type NodesAt, nodeChanges } from '../format/nodeChanges.ts';
import type { LogState } from '../format/stateEntry.ts';
import { LogFold } from '../memory/logFold.ts';
import type { StorageContext } from './context.ts';
import { RECOVERY_SLOT } from './openSegment.ts';
import { SegmentReader } from './segmentReader.ts';

/** What a log says of its nodes where it was found. */
export interface FoundNodes {
  /** Ends ascending: the one in force at the commit bound, if there is one, and all later ones. */
  readonly configurations: readonly NodesAt[];
  /** Directories that were removed before the first of them. */
  readonly removed: readonly Directory[];
  /** The log is empty, and begins where another one was: what it says is with its first entry. */
  readonly isUnknown: boolean;
}

const NOTHING: FoundNodes = { configurations: [], removed: [], isUnknown: false };

/** Entries of a segment that stand in memory. */
interface Piece {
  readonly view: DataView;
  readonly at: number;
  readonly bytes: number;
  readonly offset: number;
}

interface Segment {
  readonly base: number;
  readonly end: number;
  readonly isSealed: boolean;
}

/** A log as recovery found it. */
interface FoundLog {
  readonly start: number;
  readonly end: number;
  readonly commit: number;
  readonly sealed: readonly { readonly base: number; readonly end: number }[];
  readonly openBase: number | undefined;
}

/**
 * What the log that was recovered says of its nodes. The state of the log at its end is in memory, as recovery leaves it, and so is the open segment. Throws a LogError
 * `DAMAGE` where a sealed segment is damaged that may not be committed yet: which nodes there are is in it.
 */
export function foundNodes(context: StorageContext, log: FoundLog): FoundNodes {
  const { identity, memory } = context;
  // A log of before generations that was trimmed or restored begins anywhere; who was told to begin anew, and has ids of a set in node.json, knows its generation (DurableNotes).
  if (log.start === log.end) return { ...NOTHING, isUnknown: identity.startTerm > 0 && identity.generation !== undefined };
  if (new LogFold(memory).level < MEMBERS_LEVEL) return NOTHING;
  const segments = segmentsFrom(log);
  let state: LogState = UNTOLD;
  const configurations: NodesAt[] = [];
  let removed: readonly Directory[] = [];
  for (const piece of pieces(context, segments)) {
    const isFirst = piece.offset === segments[0]?.base;
    const { changes, state: next } = nodeChanges(state, piece.view, piece.at, piece.bytes, piece.offset);
    state = next;
    const [head, ...rest] = changes;
    if (isFirst && head?.removed !== undefined) {
      // The head only repeats what was said before the segment, all of which is committed.
      ({ removed } = head);
      configurations.push({ end: piece.offset, members: head.members }, ...rest);
    } else configurations.push(...changes);
  }
  return { configurations, removed, isUnknown: false };
}

/** The segments from the one on that holds the commit bound, or the last that has entries. */
function segmentsFrom({ sealed, openBase, end, commit }: FoundLog): readonly Segment[] {
  const all: Segment[] = sealed.map((segment) => ({ base: segment.base, end: segment.end, isSealed: true }));
  if (openBase !== undefined && openBase < end) all.push({ base: openBase, end, isSealed: false });
  const first = all.findLastIndex(({ base }) => base <= commit);
  return all.slice(Math.max(0, first));
}

function* pieces({ disk, directory, memory }: StorageContext, segments: readonly Segment[]): Generator<Piece> {
  const { map } = memory;
  const view = viewOf(memory.bytes);
  for (const { base, end, isSealed } of segments) {
    if (!isSealed) {
      yield { view, at: map.slotAt(RECOVERY_SLOT) + SEGMENT_HEADER_BYTES, bytes: end - base, offset: base };
      continue;
    }
    const reader = new SegmentReader(disk, directory, memory);
    try {
      for (let from = base; from < end; ) {
        const bytes = reader.read({ base, from, isBoundary: true, limit: end, maxBytes: MAX_READ_BYTES }, 0);
        yield { view, at: map.coldAt(0), bytes, offset: from };
        from += bytes;
      }
    } finally {
      reader.close();
    }
  }
}
