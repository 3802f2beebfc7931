// The nodes that the log says at its end, in shared memory: whoever owns the log's end sets them, as part of the log's state (logFold.ts).

import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { MAX_CONFIGURATION_BYTES, MAX_REMOVED_NODES } from '../core/limits.ts';
import {
  configurationPayload,
  DIRECTORY_BYTES,
  type LogMembers,
  NO_MEMBERS,
  readConfiguration,
  readRemoved,
  removedBytes,
} from '../format/configuration.ts';
import { NODES } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

/** The nodes that stand in memory: for the owner of the log's end. */
export function nodesIn(memory: TailMemory): LogMembers {
  const { nodesAt } = memory.map;
  const bytes = memory.word(nodesAt + NODES.MEMBERS_BYTES);
  if (bytes === 0) return NO_MEMBERS;
  const view = viewOf(memory.bytes);
  const members = readConfiguration(view, nodesAt + NODES.MEMBERS, bytes);
  const removed = readRemoved(view, nodesAt + NODES.REMOVED, memory.word(nodesAt + NODES.REMOVED_BYTES));
  assert(members !== undefined && removed !== undefined, 'the nodes of a log were right when they were folded');
  return { members, removed };
}

/** Writes them, but for their lengths, which it returns with their addresses: they are to change in one moment. */
export function putNodes(memory: TailMemory, { members, removed }: LogMembers): readonly (readonly [number, number])[] {
  const { nodesAt } = memory.map;
  const payload = members.length === 0 ? new Uint8Array(0) : configurationPayload(members);
  const gone = removedBytes(removed);
  assert(
    payload.length <= MAX_CONFIGURATION_BYTES && gone.length <= MAX_REMOVED_NODES * DIRECTORY_BYTES,
    'the nodes of a log have a bound',
  );
  memory.copyIn(payload, nodesAt + NODES.MEMBERS);
  memory.copyIn(gone, nodesAt + NODES.REMOVED);
  return [
    [nodesAt + NODES.MEMBERS_BYTES, payload.length],
    [nodesAt + NODES.REMOVED_BYTES, gone.length],
  ];
}
