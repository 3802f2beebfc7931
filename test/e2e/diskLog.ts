// A node's own log as its directory has it, read without any node: whether everything is there that receipts said it has, and whether all
// directories have the same.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { History } from '../../src/history/types.ts';
import { listSegments } from '../../src/storage/layout.ts';
import { segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { type LogEntry, validBytes, walkEntries } from '../server/support/entries.ts';
import { idOf } from './payload.ts';

const KIND_DATA = 0;
/** With more than this the first few say it all. */
const MAX_PROBLEMS = 5;

/** The valid entries of each segment file, in order, up to the first that is not. */
function segmentsOf(directory: string): { readonly base: number; readonly bytes: Uint8Array }[] {
  if (!existsSync(directory)) return [];
  return listSegments(new NodeDisk(), directory).map((base) => {
    const bytes = readFileSync(join(directory, segmentName(base))).subarray(SEGMENT_HEADER_BYTES);
    return { base, bytes: bytes.subarray(0, validBytes(bytes, base)) };
  });
}

/**
 * What receipts that named `node` promised and its directory does not have, in sentences. What `isExcused` says it need not have is not
 * looked for. The node must not run.
 */
export function missingFromDisk(
  node: ClusterNode,
  { appends }: Pick<History, 'appends'>,
  isExcused: (node: number, offset: number, firstBase: number) => boolean = () => false,
): string[] {
  const entries = new Map<number, LogEntry>();
  const segments = segmentsOf(node.data);
  const first = segments[0]?.base ?? Number.POSITIVE_INFINITY;
  for (const { base, bytes } of segments) for (const entry of walkEntries(bytes, base)) entries.set(entry.offset, entry);
  const problems: string[] = [];
  for (const { ids, invoked, result } of appends) {
    if (result.kind !== 'ok' || result.nodes?.includes(node.id) !== true || invoked < node.wipedAtMs) continue;
    if (isExcused(node.id, result.offset, first)) continue;
    let at = result.offset;
    for (const id of ids) {
      const entry = entries.get(at);
      const isThere = entry?.term === result.term && entry.kind === KIND_DATA && idOf(entry.payload) === id;
      if (!isThere) {
        const has = entry === undefined ? 'nothing' : `an entry of term ${entry.term}`;
        problems.push(
          `dishonest receipt: node ${node.id} was said to have entry ${id} of term ${result.term} at ${at}, and has ${has} there`,
        );
        break;
      }
      at = entry.end;
    }
    if (problems.length === MAX_PROBLEMS) break;
  }
  return problems;
}

/** A digest of [start, end) as a directory has it; says how far it goes when that is less. */
function digestDisk(directory: string, start: number, end: number): string {
  const hash = createHash('sha256');
  let at = start;
  for (const { base, bytes } of segmentsOf(directory)) {
    if (base + bytes.length <= start) continue;
    if (base > at || at >= end) break;
    const part = bytes.subarray(at - base, end - base);
    hash.update(part);
    at += part.length;
  }
  return at === end ? hash.digest('hex') : `only [${start}, ${at})`;
}

/** Where the directories of stopped nodes differ in [start, end), in sentences. */
export function compareDisks(nodes: readonly Pick<ClusterNode, 'id' | 'data'>[], start: number, end: number): string[] {
  const digests = nodes.map((node) => digestDisk(node.data, start, end));
  return nodes.flatMap((node, i) =>
    digests[i] === digests[0]
      ? []
      : [`the directories of nodes ${nodes[0]?.id} and ${node.id} differ in [${start}, ${end}): ${digests[0]} and ${digests[i]}`],
  );
}
