// What node.json says, and its check: whose log a data directory is, where the log starts, and what the node may do in its cluster. A wrong
// value here would delete segments or let a node vote that must not, so all of it stands under one check. docs/FORMAT.md, "node.json".

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE, STANDINGS, type Standing } from '../core/ids.ts';
import { MAX_NODE_ID, MAX_TERM } from '../core/limits.ts';
import { checkOfFields, hasOwnCheck } from './fieldsCheck.ts';
import { FORMAT_VERSION, OLDEST_FORMAT, refuseOtherFormat } from './version.ts';

/** A log that begins another generation, in place: what it is to be. Of a mirror that becomes a log of its own, and of a node that is recovered. */
export interface Promotion {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly instance: string;
  /** Id of the generation that it begins. */
  readonly generationId: string;
  /** Its first. */
  readonly term: number;
  /** Log offset at which the log of before ends. */
  readonly end: number;
  /** What it begins with is in the log. */
  readonly hasBegun: boolean;
}

/** The log that a directory is a mirror of. */
export interface MirrorSource {
  /** Its generation, 16 hexadecimal digits; zeros while that was not known, or of a log that has none. */
  readonly generation: string;
  /** Size of segment that its nodes have room for. */
  readonly segmentBytes: number;
  /** It follows no more. */
  readonly promotion?: Promotion;
}

/** Who a data directory belongs to. */
export interface Identity {
  /** 32 hexadecimal digits, drawn when the log was made; in every segment and message between nodes. */
  readonly clusterId: string;
  readonly nodeId: number;
  /** Secret seed of the durable marks' checks. */
  readonly markSeed: bigint;
  /** Log offset at which the log starts: 0 until it is trimmed. A segment before the first one found is then not missing. */
  readonly start: number;
  /** Term of the last entry before `start`; 0 while `start` is 0. */
  readonly startTerm: number;
  /** Instance of that term's leader; all zero while `start` is 0. */
  readonly startLeader: string;
  /** Segments with a base in [removeFrom, start) are being removed by a trim; equal to `start` when none are. */
  readonly removeFrom: number;
  /** The log begins at `start` with nothing: all segments there are go, and none need be there. Only while they go. */
  readonly isEmpty?: true;
  /** 16 hexadecimal digits, drawn when this directory was made: a node that comes back with another one has lost its disk. */
  readonly instance: string;
  /**
   * Generation of the log, 16 hexadecimal digits: once a voter has what says it, committed; what a node that joins is fed may pass through earlier ones. Absent
   * before, and where the log says none.
   */
  readonly generation?: string;
  readonly standing: Standing;
  /**
   * Only with the standing `damaged`: the one that the node has again once its disk has everything that was on it. Without it something was given up, and
   * only a leader can say when the node counts.
   */
  readonly beforeDamage?: 'voter' | 'new';
  /** Whether the cluster began with this directory. */
  readonly isFounder: boolean;
  /** Ids of all nodes of the cluster, ascending; null while this directory never had a list. */
  readonly nodes: readonly number[] | null;
  /** Only a mirror's: no node of a cluster runs on it. */
  readonly mirror?: MirrorSource;
  /** Only while the node, whose cluster has lost its majority, is made a cluster of its own: no node runs on it. */
  readonly recovery?: Promotion;
  /** On the founder: the instances of the nodes that it admitted, by node id. */
  readonly known: Readonly<Record<number, string>>;
}

/** The command that was cut short in a directory, and is to be run on it again before anything else; undefined: none. */
export function unfinishedRun({ recovery, mirror }: Pick<Identity, 'recovery' | 'mirror'>): 'recover apply' | 'promote' | undefined {
  if (recovery !== undefined) return 'recover apply';
  return mirror?.promotion === undefined ? undefined : 'promote';
}

/** The same as it stands in the file, `format` and `check` aside. */
type Stored = Omit<Identity, 'markSeed'> & { readonly markSeed: string };

const isHex = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);

const isNodeId = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_NODE_ID;

const isOffset = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

function isNodes(value: unknown): value is readonly number[] | null {
  return (
    value === null || (Array.isArray(value) && value.length > 0 && value.every((id, i) => isNodeId(id) && (i === 0 || id > value[i - 1])))
  );
}

function isKnown(value: unknown): value is Readonly<Record<number, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([id, instance]) => /^[1-9]\d?$/.test(id) && isNodeId(Number(id)) && isHex(instance, 16))
  );
}

function isMirror(value: unknown): value is MirrorSource | undefined {
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { generation, segmentBytes, promotion, ...more } = value as Record<string, unknown>;
  return isHex(generation, 16) && isOffset(segmentBytes) && Object.keys(more).length === 0 && isPromotion(promotion);
}

function isPromotion(value: unknown): value is Promotion | undefined {
  if (value === undefined) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { clusterId, nodeId, instance, generationId, term, end, hasBegun, ...more } = value as Record<string, unknown>;
  const hasIds = isHex(clusterId, 32) && isNodeId(nodeId) && isHex(instance, 16) && isHex(generationId, 16);
  const hasPlace = isOffset(term) && term > 0 && term <= MAX_TERM && isOffset(end);
  return hasIds && hasPlace && typeof hasBegun === 'boolean' && Object.keys(more).length === 0;
}

/** What each field may say, in the order in which the check covers them. */
const FIELDS: { readonly [Name in keyof Stored]: (value: unknown) => value is Stored[Name] } = {
  clusterId: (value) => isHex(value, 32),
  nodeId: isNodeId,
  markSeed: (value) => isHex(value, 16),
  start: isOffset,
  startTerm: (value): value is number => isOffset(value) && value <= MAX_TERM,
  startLeader: (value) => isHex(value, 16),
  removeFrom: isOffset,
  isEmpty: (value): value is true | undefined => value === undefined || value === true,
  instance: (value) => isHex(value, 16),
  generation: (value): value is string | undefined => value === undefined || isHex(value, 16),
  standing: (value): value is Standing => (STANDINGS as readonly unknown[]).includes(value),
  beforeDamage: (value): value is 'voter' | 'new' | undefined => value === undefined || value === 'voter' || value === 'new',
  isFounder: (value) => typeof value === 'boolean',
  nodes: isNodes,
  mirror: isMirror,
  recovery: isPromotion,
  known: isKnown,
};

/** The fields under the check, in the check's order: the same for the same values, however the file is laid out. */
function checkedFields(stored: Stored): Record<string, unknown> {
  const fields: Record<string, unknown> = { format: FORMAT_VERSION };
  for (const name of Object.keys(FIELDS) as (keyof Stored)[]) fields[name] = stored[name];
  return fields;
}

/** Whether another node has, or had, a part in the log: then the set of nodes is what it was, and the log is nobody's alone. */
export function isShared({ isFounder, known }: Pick<Identity, 'isFounder' | 'known'>): boolean {
  return !isFounder || Object.keys(known).length > 0;
}

/**
 * Whether there are other nodes, which have what this one has lost. A directory that came to a log of others has no list of them until it has caught up with that, or
 * as long as the log has no generation: then it is its coming that says so.
 */
export function hasOthers({ nodes, mirror, generation, isFounder, known }: Identity): boolean {
  if (mirror !== undefined) return false;
  return nodes === null ? generation === undefined && isShared({ isFounder, known }) : nodes.length > 1;
}

/** The text of node.json. What could not be read back is a bug. */
export function encodeIdentity(identity: Identity): Uint8Array {
  const stored = { ...identity, markSeed: identity.markSeed.toString(16).padStart(16, '0') };
  const wrong = firstWrong(stored);
  assert(wrong === undefined && contradiction(identity) === undefined, 'an identity has valid fields');
  const fields = checkedFields(stored);
  return new TextEncoder().encode(`${JSON.stringify({ ...fields, check: checkOfFields(fields) }, null, 2)}\n`);
}

/** What no writer of ours would write, although each field alone is valid. */
function contradiction(stored: Omit<Stored, 'markSeed'>): string | undefined {
  const { start, startTerm, startLeader, removeFrom, standing, beforeDamage } = stored;
  if (beforeDamage !== undefined && standing !== 'damaged') return `has what it was before a damage, but the standing ${standing}`;
  if (removeFrom > start) return `removes segments from offset ${removeFrom} on, past its start ${start}`;
  const isTrimmed = start > 0;
  if (isTrimmed === startTerm > 0 && isTrimmed === (startLeader !== NO_INSTANCE)) return undefined;
  return `starts at offset ${start} after an entry of term ${startTerm} and instance ${startLeader}: all three are zero, or none is`;
}

function isStored(fields: Readonly<Record<string, unknown>>): fields is Readonly<Record<string, unknown>> & Stored {
  return firstWrong(fields) === undefined;
}

/** Name of the first field without a valid value. */
function firstWrong(fields: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, isValid] of Object.entries(FIELDS)) if (!isValid(fields[name])) return name;
  return undefined;
}

/**
 * Reads node.json. Throws a LogError that names `file`: `NEWER_FORMAT`, `OLDER_FORMAT`, or `DAMAGE` when a field is not valid, is unknown, or
 * when the check is not that of the fields.
 */
export function decodeIdentity(bytes: Uint8Array, file: string): Identity {
  const damage = (what: string): LogError => {
    const sentence = `${file} ${what}: it says which log this directory belongs to and where it starts, so nothing was changed`;
    return new LogError('DAMAGE', `${sentence}; restore the file from a backup of this directory`, { file, position: 0 });
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw damage('is not JSON');
  }
  const all = (parsed ?? {}) as Record<string, unknown>;
  const { format, check, ...fields } = all;
  // A wrong digit of the format is damage, as any other. Formats before 3 had no check.
  const isWhole = hasOwnCheck(all) || (Number(format) < OLDEST_FORMAT && check === undefined);
  if (typeof format === 'number' && isWhole) refuseOtherFormat(format, file);
  if (format !== FORMAT_VERSION) throw damage('lacks a valid format');
  if (!isStored(fields)) throw damage(`lacks a valid ${firstWrong(fields)}`);
  const unknown = Object.keys(fields).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) throw damage(`has a field of no meaning, ${JSON.stringify(unknown)}`);
  const stored: Stored = fields;
  const expected = checkOfFields(checkedFields(stored));
  if (!isHex(check, 16)) throw damage('lacks a valid check');
  if (check !== expected) throw damage('does not match its check, so it was damaged, or edited by hand');
  const wrongTogether = contradiction(stored);
  if (wrongTogether !== undefined) throw damage(wrongTogether);
  return { ...stored, markSeed: BigInt(`0x${stored.markSeed}`) };
}
