// Which nodes a log says it has, found in the files of a directory that no node runs on.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { type Configuration, votersOf } from '../core/members.ts';
import type { NodeSet } from '../core/nodeSet.ts';
import { UNTOLD } from '../format/controlFold.ts';
import { nodeChanges } from '../format/nodeChanges.ts';
import type { Identity } from './dataDirectory.ts';
import type { Disk } from './disk.ts';
import type { SegmentFacts } from './offlineSegment.ts';

/** The last set in the log with these segments, committed or not, as far as its last segment that has entries is right; empty: it says none. */
export function nodesInLog(disk: Disk, segments: readonly SegmentFacts[]): Configuration {
  const last = segments.findLast(({ base, end }) => end > base);
  if (last === undefined) return [];
  const { base, end, file: path } = last;
  const bytes = new Uint8Array(end - base);
  const file = disk.openRead(path);
  let read: number;
  try {
    read = disk.read(file, bytes, SEGMENT_HEADER_BYTES);
  } finally {
    disk.close(file);
  }
  if (read < bytes.length) return [];
  return nodeChanges(UNTOLD, viewOf(bytes), 0, bytes.length, base).state.nodes.members;
}

/** Ids of the nodes that count, by the log of a directory, or else by its node.json. One alone, where neither says any. */
export function votersOffline(disk: Disk, { nodeId, nodes }: Identity, segments: readonly SegmentFacts[]): NodeSet {
  const voters = votersOf(nodesInLog(disk, segments)).map(({ id }) => id);
  return voters.length > 0 ? voters : (nodes ?? [nodeId]);
}
