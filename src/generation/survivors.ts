// What the directories of a cluster that has lost its majority say of themselves, a line each, and which one of them is to go on. A line is one word for a
// shell, so that it can be carried from machine to machine by hand.

import { ENTRY_HEADER_BYTES, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { crc32 } from '../core/crc32.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE, STANDINGS, type Standing } from '../core/ids.ts';
import { MAX_LOG_OFFSET, MAX_NODE_ID, MAX_TERM, STATE_HEAD_BYTES } from '../core/limits.ts';
import type { Generation } from '../format/controlEntries.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { hasOthers } from '../format/identity.ts';
import { readState } from '../format/stateEntry.ts';
import { beforeStart, type Identity, readIdentity } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { type DirectoryFacts, examineDirectory } from '../storage/offline.ts';
import type { Damage } from '../storage/segmentImage.ts';

/** What one directory says of itself. */
export interface Survivor {
  readonly nodeId: number;
  readonly instance: string;
  readonly clusterId: string;
  /** Id of the log's generation, 16 hexadecimal digits, and its number: each begins one higher than the one that it goes on from. Zeros for a log of level 0. */
  readonly generation: string;
  readonly generationNumber: number;
  /** The highest term that the node has heard of. */
  readonly term: number;
  /** Term of its last entry; 0 for none. */
  readonly lastTerm: number;
  /** Log offset at which its log ends. */
  readonly end: number;
  /** Log offset up to which it knows the log to be committed, perhaps more is. */
  readonly commit: number;
  readonly standing: Standing;
  /** Whether the cluster began with it. */
  readonly isFounder: boolean;
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
  ['number', isNumber(0, MAX_LOG_OFFSET)],
  ['term', isNumber(0, MAX_TERM)],
  ['last', isNumber(0, MAX_TERM)],
  ['end', isNumber(0, MAX_LOG_OFFSET)],
  ['commit', isNumber(0, MAX_LOG_OFFSET)],
  ['standing', (text) => standingOf(text) !== undefined],
  ['founder', (text) => text === 'yes' || text === 'no'],
];

function standingOf(text: string | undefined): Standing | undefined {
  return STANDINGS.find((standing) => standing === text);
}

function checkOf(text: string): string {
  return crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0');
}

/** The line of a directory. */
export function lineOf(survivor: Survivor): string {
  const { nodeId, instance, clusterId, generation, generationNumber, term, lastTerm, end, commit, standing, isFounder } = survivor;
  const founder = isFounder ? 'yes' : 'no';
  const values = [nodeId, instance, clusterId, generation, generationNumber, term, lastTerm, end, commit, standing, founder];
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
  const [node = '', instance = '', clusterId = '', generation = '', number, term, last, end, commit, given, founder] = values;
  const standing = standingOf(given);
  if (standing === undefined || founder === undefined) throw refuse('does not say all');
  return {
    nodeId: Number(node),
    instance,
    clusterId,
    generation,
    generationNumber: Number(number),
    term: Number(term),
    lastTerm: Number(last),
    end: Number(end),
    commit: Number(commit),
    standing,
    isFounder: founder === 'yes',
  };
}

/** A sealed segment whose header page alone is damaged: its index has all that the page said, and a recovery writes it anew. */
function isHeaderAlone({ file, position }: Damage, { segments }: DirectoryFacts): boolean {
  const segment = segments.find((each) => each.file === file);
  return position === 0 && segment?.state === 'sealed' && segment.damage.length === 1;
}

/**
 * What `directory`, on which no node runs, says of itself, after a look at every entry. Changes nothing. Throws LogErrors: USAGE where there is nothing that
 * could be recovered (a mirror, a node alone, an empty log, a recovery that is under way), DAMAGE, NOT_A_DATA_DIRECTORY, NEWER_FORMAT, IO.
 */
export function survivorIn(disk: Disk, directory: string, onProgress?: (doneBytes: number, totalBytes: number) => void): Survivor {
  const refuse = (sentence: string): LogError => new LogError('USAGE', `${directory} ${sentence}; nothing was changed`);
  const before = readIdentity(disk, directory);
  if (before?.mirror !== undefined) throw refuse(`is a mirror: loglog promote ${directory} makes it a log of its own`);
  // In the middle of that it is neither what it was nor what it is to be.
  if (before?.recovery !== undefined)
    throw refuse(`is being recovered, which did not come to its end: loglog recover apply ${directory} goes on`);
  if (before !== undefined && !hasOthers(before))
    throw refuse('belongs to a node alone, which has no majority to lose: start it with loglog serve');
  const facts = examineDirectory(disk, directory, { everyEntry: true, ...(onProgress === undefined ? {} : { onProgress }) });
  const damage = facts.damage.find((each) => !isHeaderAlone(each, facts));
  const { identity, vote } = facts;
  if (damage !== undefined || identity === undefined || vote === undefined) {
    const { sentence, file, position } = damage ?? { sentence: `${directory} does not say whose it is`, file: directory, position: 0 };
    const again = 'a start mends some headers, indexes and pages: start its node once, stop it, and show again';
    const wayOut = `${again}; if that says the same, leave this directory out, and keep it, or restore a backup`;
    throw new LogError('DAMAGE', `${sentence}; nothing was changed; ${wayOut}`, { file, position });
  }
  if (facts.end === facts.start) throw refuse('has no entry of the log: it says nothing, and there is nothing to recover in it');
  const generation = generationIn(disk, facts);
  return {
    nodeId: identity.nodeId,
    instance: identity.instance,
    clusterId: identity.clusterId,
    generation: generation.id,
    generationNumber: generation.number,
    term: vote.currentTerm,
    lastTerm: lastTermIn(facts, identity),
    end: facts.end,
    commit: Math.min(facts.commit, facts.end),
    standing: identity.standing,
    isFounder: identity.isFounder,
  };
}

/** Term of the last entry of what a directory has, or of the one before its start; 0 for none. */
export function lastTermIn({ segments }: DirectoryFacts, identity: Identity): number {
  return (segments.flatMap(({ terms }) => terms).at(-1) ?? beforeStart(identity)).term;
}

const NO_GENERATION: Generation = { number: 0, id: NO_INSTANCE };

/** The generation that the log itself says: each segment begins with what says it. Zeros of a log that has none. */
export function generationIn(disk: Disk, { segments }: DirectoryFacts): Generation {
  const last = segments.findLast(({ base, end }) => end > base);
  if (last === undefined) return NO_GENERATION;
  const head = new Uint8Array(STATE_HEAD_BYTES);
  const file = disk.openRead(last.file);
  let bytes: number;
  try {
    bytes = disk.read(file, head, SEGMENT_HEADER_BYTES);
  } finally {
    disk.close(file);
  }
  if (bytes < ENTRY_HEADER_BYTES) return NO_GENERATION;
  const view = viewOf(head.subarray(0, bytes));
  const size = payloadBytesOf(kindSizeAt(view, 0));
  if (kindOf(kindSizeAt(view, 0)) !== KIND_STATE || ENTRY_HEADER_BYTES + size > bytes) return NO_GENERATION;
  return readState(view, ENTRY_HEADER_BYTES, size)?.generation ?? NO_GENERATION;
}

/** Which of two logs has more of what may be committed: by the last term, then the end (Raft, 5.4.1). Of two that have the same, that of the smaller id. */
function compare(a: Survivor, b: Survivor): number {
  return b.lastTerm - a.lastTerm || b.end - a.end || a.nodeId - b.nodeId || (a.instance < b.instance ? -1 : 1);
}

/** Why lines of two generations say nothing together; undefined: they are of one, as far as they say. A log of level 0 has none, and may be raised since. */
function faultOfGenerations(lines: readonly Survivor[]): string | undefined {
  const [one, ...others] = lines
    .filter(({ generation }) => generation !== NO_INSTANCE)
    .sort((a, b) => a.generationNumber - b.generationNumber);
  const other = others.findLast(({ generation }) => generation !== one?.generation);
  if (one === undefined || other === undefined) return undefined;
  const which = `the line of node ${one.nodeId} is of generation ${one.generationNumber} of the log (${one.generation}), that of node ${other.nodeId} of generation ${other.generationNumber} (${other.generation})`;
  if (one.generationNumber < other.generationNumber)
    return `${which}: leave out the lines of generation ${one.generationNumber}, the older one`;
  return `${which}: both were begun from the same one, and nothing says which is to go on: leave out the lines of one of them`;
}

/** Which one of `survivors` is to go on, and by whom. Throws a LogError `USAGE` where they are not of one log. */
export function longestOf(survivors: readonly Survivor[]): Survivor {
  const lines = new Map(survivors.map((survivor) => [lineOf(survivor), survivor]));
  const sorted = [...lines.values()].sort(compare);
  const [first, ...others] = sorted;
  if (first === undefined) throw new LogError('USAGE', 'there is no line to choose by');
  const refuse = (other: Survivor, what: string): LogError =>
    new LogError('USAGE', `the lines of node ${first.nodeId} and of node ${other.nodeId} are ${what}; nothing was changed`);
  for (const other of others)
    if (other.clusterId !== first.clusterId) throw refuse(other, `of two clusters, ${first.clusterId} and ${other.clusterId}`);
  const fault = faultOfGenerations(sorted);
  if (fault !== undefined) throw new LogError('USAGE', `${fault}; nothing was changed`);
  const instances = new Map<string, Survivor>();
  for (const each of sorted) {
    const before = instances.get(each.instance);
    if (before !== undefined) {
      const what = `the lines of node ${before.nodeId} and of node ${each.nodeId} are of one directory, or of copies of it`;
      throw new LogError('USAGE', `${what}: give each directory once, with its newest line; nothing was changed`);
    }
    instances.set(each.instance, each);
  }
  return first;
}
