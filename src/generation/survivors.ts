// What the directories of a cluster that has lost its majority say of themselves, a line each, and which one of them is to go on. A line is one word for a
// shell, so that it can be carried from machine to machine by hand.

import { ENTRY_HEADER_BYTES, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { crc32 } from '../core/crc32.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE, STANDINGS, type Standing } from '../core/ids.ts';
import { MAX_ACCESS_BYTES, MAX_LOG_OFFSET, MAX_NODE_ID, MAX_TERM } from '../core/limits.ts';
import { readState } from '../format/controlEntries.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { beforeStart } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { type DirectoryFacts, examineDirectory } from '../storage/offline.ts';

/** What one directory says of itself. */
export interface Survivor {
  readonly nodeId: number;
  readonly instance: string;
  readonly clusterId: string;
  /** Id of the log's generation, 16 hexadecimal digits; zeros for a log of level 0. */
  readonly generation: string;
  /** The highest term that the node has heard of. */
  readonly term: number;
  /** Term of its last entry; 0 for none. */
  readonly lastTerm: number;
  /** Log offset at which its log ends. */
  readonly end: number;
  /** Log offset up to which it knows the log to be committed, perhaps more is. */
  readonly commit: number;
  readonly standing: Standing;
}

const isHex =
  (digits: number) =>
  (text: string): boolean =>
    text.length === digits && /^[0-9a-f]+$/.test(text);

const isNumber =
  (min: number, max: number) =>
  (text: string): boolean =>
    /^(0|[1-9]\d*)$/.test(text) && Number(text) >= min && Number(text) <= max;

/** The parts of a line, in order: each its name, and what it may say. */
const PARTS: readonly (readonly [string, (text: string) => boolean])[] = [
  ['node', isNumber(1, MAX_NODE_ID)],
  ['instance', isHex(16)],
  ['cluster', isHex(32)],
  ['generation', isHex(16)],
  ['term', isNumber(0, MAX_TERM)],
  ['last', isNumber(0, MAX_TERM)],
  ['end', isNumber(0, MAX_LOG_OFFSET)],
  ['commit', isNumber(0, MAX_LOG_OFFSET)],
  ['standing', (text) => standingOf(text) !== undefined],
];

function standingOf(text: string | undefined): Standing | undefined {
  return STANDINGS.find((standing) => standing === text);
}

function checkOf(text: string): string {
  return crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0');
}

/** The line of a directory. */
export function lineOf({ nodeId, instance, clusterId, generation, term, lastTerm, end, commit, standing }: Survivor): string {
  const values = [nodeId, instance, clusterId, generation, term, lastTerm, end, commit, standing];
  const text = values.map((value, i) => `${PARTS[i]?.[0]}=${value}`).join(',');
  return `${text},check=${checkOf(text)}`;
}

/** What `line` says. Throws a LogError `USAGE` unless it is one that {@link lineOf} has made, whole. */
export function readLine(line: string): Survivor {
  const refuse = (what: string): LogError =>
    new LogError(
      'USAGE',
      `${JSON.stringify(line)} ${what}: it must be a line as loglog recover show prints it, copied as a whole; nothing was changed`,
    );
  const at = line.lastIndexOf(',check=');
  if (at < 0) throw refuse('has no check');
  if (line.slice(at + ',check='.length) !== checkOf(line.slice(0, at))) throw refuse('does not match its check');
  const parts = line.slice(0, at).split(',');
  const values = parts.map((part, i) => {
    const [name, isValid] = PARTS[i] ?? ['', () => false];
    const value = part.slice(name.length + 1);
    if (!part.startsWith(`${name}=`) || !isValid(value)) throw refuse(`has no valid ${name || 'part after the last one'}`);
    return value;
  });
  const [node = '', instance = '', clusterId = '', generation = '', term, last, end, commit, given] = values;
  const standing = standingOf(given);
  if (standing === undefined) throw refuse('does not say all');
  return {
    nodeId: Number(node),
    instance,
    clusterId,
    generation,
    term: Number(term),
    lastTerm: Number(last),
    end: Number(end),
    commit: Number(commit),
    standing,
  };
}

/**
 * What `directory`, on which no node runs, says of itself. Changes nothing. Throws LogErrors: USAGE where there is nothing that could be recovered (a mirror, a
 * node alone, an empty log, a recovery that is under way), DAMAGE, NOT_A_DATA_DIRECTORY, NEWER_FORMAT, IO.
 */
export function survivorIn(disk: Disk, directory: string): Survivor {
  const refuse = (sentence: string): LogError => new LogError('USAGE', `${directory} ${sentence}; nothing was changed`);
  const facts = examineDirectory(disk, directory, { everyEntry: false });
  const [damage] = facts.damage;
  const { identity, vote } = facts;
  if (identity?.mirror !== undefined) throw refuse(`is a mirror: loglog promote ${directory} makes it a log of its own`);
  // In the middle of that it is neither what it was nor what it is to be.
  if (identity?.recovery !== undefined)
    throw refuse('is being recovered, which did not come to its end: run loglog recover apply on it again');
  if (damage !== undefined || identity === undefined || vote === undefined) {
    const { sentence, file, position } = damage ?? { sentence: `${directory} does not say whose it is`, file: directory, position: 0 };
    const wayOut = 'a damaged directory cannot be recovered: leave it out, or restore a backup';
    throw new LogError('DAMAGE', `${sentence}; ${wayOut}`, { file, position });
  }
  if ((identity.nodes ?? []).length < 2) throw refuse('belongs to a node alone, which has no majority to lose: start it with loglog serve');
  if (facts.end === facts.start) throw refuse('has no entry of the log: it says nothing, and there is nothing to recover in it');
  return {
    nodeId: identity.nodeId,
    instance: identity.instance,
    clusterId: identity.clusterId,
    generation: generationIn(disk, facts),
    term: vote.currentTerm,
    lastTerm: (facts.segments.flatMap(({ terms }) => terms).at(-1) ?? beforeStart(identity)).term,
    end: facts.end,
    commit: Math.min(facts.commit, facts.end),
    standing: identity.standing,
  };
}

/** Enough of a file for a state entry, with all the tokens that there may be. */
const HEAD_BYTES = MAX_ACCESS_BYTES + 64 * 1024;

/** The generation that the log itself says: each segment begins with what says it. Zeros of a log that has none. */
function generationIn(disk: Disk, { segments }: DirectoryFacts): string {
  const last = segments.findLast(({ base, end }) => end > base);
  if (last === undefined) return NO_INSTANCE;
  const head = new Uint8Array(HEAD_BYTES);
  const file = disk.openRead(last.file);
  const bytes = disk.read(file, head, SEGMENT_HEADER_BYTES);
  disk.close(file);
  if (bytes < ENTRY_HEADER_BYTES) return NO_INSTANCE;
  const view = viewOf(head.subarray(0, bytes));
  const size = payloadBytesOf(kindSizeAt(view, 0));
  if (kindOf(kindSizeAt(view, 0)) !== KIND_STATE || ENTRY_HEADER_BYTES + size > bytes) return NO_INSTANCE;
  return readState(view, ENTRY_HEADER_BYTES, size)?.generation.id ?? NO_INSTANCE;
}

/** Which of two logs has more of what may be committed: by the last term, then the end (Raft, 5.4.1). Of two that have the same, that of the smaller id. */
function compare(a: Survivor, b: Survivor): number {
  return b.lastTerm - a.lastTerm || b.end - a.end || a.nodeId - b.nodeId || (a.instance < b.instance ? -1 : 1);
}

/** Which one of `survivors` is to go on, and by whom. Throws a LogError `USAGE` where they are not of one log. */
export function longestOf(survivors: readonly Survivor[]): Survivor {
  const lines = new Map(survivors.map((survivor) => [lineOf(survivor), survivor]));
  const [first, ...others] = [...lines.values()].sort(compare);
  if (first === undefined) throw new LogError('USAGE', 'there is no line to choose by');
  const refuse = (other: Survivor, what: string): LogError =>
    new LogError('USAGE', `the lines of node ${first.nodeId} and of node ${other.nodeId} are ${what}; nothing was changed`);
  for (const other of others) {
    if (other.clusterId !== first.clusterId) throw refuse(other, `of two clusters, ${first.clusterId} and ${other.clusterId}`);
    if (other.generation !== first.generation)
      throw refuse(other, `of two generations of the log, ${first.generation} and ${other.generation}: leave out the older one`);
    if (other.instance === first.instance)
      throw refuse(other, 'of one directory, or of copies of it: give each directory once, with its newest line');
  }
  return first;
}
