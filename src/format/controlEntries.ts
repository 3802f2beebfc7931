// What the log says about itself: the payloads of its control entries but the no-op (noOp.ts). docs/FORMAT.md, "Control entries", has each
// byte. Nothing here looks at checks: whoever decodes has verified the entry.
//
//   trim    0 u64 start │ 8 u64 data end before it
//   time    0 u64 Unix ms
//   seal    0 u64 base │ 8 u64 end │ 16 SHA-256 of the entries [base, end) │ 48 that of the seal before
//   level   0 u32 level that all nodes know
//   policy  0 u64 bytes to keep │ 8 u64 age to keep, ms        0: no bound │ where consumers are waited for: 16 u64 bytes
//   access  access.ts
//   position  consumers.ts
//   configuration  configuration.ts
//   session  sessions.ts
//   state   sections: 0 u16 type │ 2 u16 zero │ 4 u32 length │ 8 value; types ascend

import {
  ENTRY_HEADER_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_LEVEL,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { type EntryTerm, NO_TERM } from '../core/ids.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { CONSUMERS_LEVEL, LOG_LEVEL, MEMBERS_LEVEL, SESSIONS_LEVEL } from '../core/levels.ts';
import { MAX_LOG_OFFSET, MAX_TERM } from '../core/limits.ts';
import { configurationBytes } from '../core/members.ts';
import { isAccessTable, readAccess } from './access.ts';
import {
  configurationPayload,
  DIRECTORY_BYTES,
  type LogMembers,
  NO_MEMBERS,
  readConfiguration,
  readRemoved,
  removedBytes,
} from './configuration.ts';
import { isConsumersTable, readConsumerChanges } from './consumers.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from './entry.ts';
import { isSessionTable, readSession } from './sessions.ts';

/** Where the log starts since a trim. */
export interface TrimEntry {
  /** Log offset of the first entry that can be read: a boundary between batches. */
  readonly start: number;
  /** End of the last data entry at or before `start`: who has read up to there has missed nothing. */
  readonly dataEnd: number;
}

/** How much of the log is kept; 0: no bound. */
export interface Policy {
  readonly bytes: number;
  readonly ageMs: number;
  /** What named consumers have not committed is kept as long as it is among so many last bytes of the log; undefined: nobody is waited for. 1 or more. */
  readonly consumerBytes?: number;
}

/** What the entries of a segment are: by it, a copy is checked alone. */
export interface Seal {
  /** Log offsets: the segment's. */
  readonly base: number;
  readonly end: number;
  /** SHA-256 of the entries [base, end), as they stand in the log: 64 hexadecimal digits. */
  readonly digest: string;
}

/** A seal, as its entry has it. */
export interface SealEntry extends Seal {
  /** The digest of the seal before; zeros: there is none. */
  readonly before: string;
}

/** Which of the logs that went on from one. A restore makes another. */
export interface Generation {
  /** 1 for a new log. */
  readonly number: number;
  /** 16 hexadecimal digits, drawn with the number: two restores of one backup are two logs. */
  readonly id: string;
}

/** The state of the log at the base of a segment: what all entries before say, so that a suffix of whole segments is a complete log. */
export interface LogState {
  /** End of the last data entry before. */
  readonly dataEnd: number;
  /** Whose the entry before is. */
  readonly before: EntryTerm;
  /** Zeros while the log was never trimmed. */
  readonly trim: TrimEntry;
  /** The log's time, Unix ms: never falls along the log. */
  readonly timeMs: number;
  /** The last one; zeros while there was none. */
  readonly seal: Seal;
  readonly level: number;
  readonly generation: Generation;
  /** Zeros while none was set. */
  readonly policy: Policy;
  /** The tokens, as access.ts has them. */
  readonly access: Uint8Array;
  /** The named consumers, as consumers.ts has them. */
  readonly consumers: Uint8Array;
  /** The nodes: none while the log does not say which it has. */
  readonly nodes: LogMembers;
  /** The sessions of producers, as sessions.ts has them. */
  readonly sessions: Uint8Array;
}

/** A log that was never trimmed. */
export const NO_TRIM: TrimEntry = { start: 0, dataEnd: 0 };
/** No digest, before the first seal. */
export const NO_DIGEST = '0'.repeat(64);
/** A log of which no segment was sealed yet by an entry. */
export const NO_SEAL: Seal = { base: 0, end: 0, digest: NO_DIGEST };
/** A log of which nothing is removed automatically. */
export const NO_POLICY: Policy = { bytes: 0, ageMs: 0 };
const TWO_TO_32 = 0x1_0000_0000;

/** A generation with an id of its own; `random` gives numbers in [0, 1). */
export function newGeneration(number: number, random: () => number): Generation {
  const draw = (): string => (1 + Math.floor(random() * (TWO_TO_32 - 1))).toString(16).padStart(8, '0');
  return { number, id: draw() + draw() };
}

export const TRIM_PAYLOAD_BYTES = 16;
export const TIME_PAYLOAD_BYTES = 8;
export const SEAL_PAYLOAD_BYTES = 80;
export const SEAL_DIGEST_BYTES = 32;
export const POLICY_PAYLOAD_BYTES = 16;
/** Where consumers are waited for. */
export const WAITING_POLICY_PAYLOAD_BYTES = 24;
export const LEVEL_PAYLOAD_BYTES = 4;
const SECTION_HEADER_BYTES = 8;

const BEFORE = 1;
const TRIM = 2;
const TIME = 3;
const SEAL = 4;
const LEVEL = 5;
const GENERATION = 6;
const MEMBERS = 7;
const REMOVED = 8;
const POLICY = 9;
const SESSIONS = 10;
const CONSUMERS = 11;
const ACCESS = 12;
/** Bytes of the value of each section that has always as many; those of {@link VARIABLE} have as many as they need. Other types are a newer build's. */
const LENGTHS: Readonly<Record<number, number>> = {
  [BEFORE]: 24,
  [TRIM]: TRIM_PAYLOAD_BYTES,
  [TIME]: TIME_PAYLOAD_BYTES,
  [SEAL]: 48,
  [LEVEL]: 4,
  [GENERATION]: 16,
};
const VARIABLE: readonly number[] = [MEMBERS, REMOVED, POLICY, SESSIONS, CONSUMERS, ACCESS];

export const isSamePolicy = (left: Policy, right: Policy): boolean =>
  left.bytes === right.bytes && left.ageMs === right.ageMs && left.consumerBytes === right.consumerBytes;

const isTrimmed = ({ start }: TrimEntry): boolean => start > 0;
const isSealed = ({ end }: Seal): boolean => end > 0;
const isPolicy = (policy: Policy): boolean => !isSamePolicy(policy, NO_POLICY);
const policyBytes = ({ consumerBytes }: Policy): number =>
  consumerBytes === undefined ? POLICY_PAYLOAD_BYTES : WAITING_POLICY_PAYLOAD_BYTES;

/** Bytes of the payload of a state entry. */
export function stateBytes(state: Pick<LogState, 'trim' | 'seal' | 'policy' | 'access' | 'consumers' | 'nodes' | 'sessions'>): number {
  const types = [BEFORE, TIME, LEVEL, GENERATION];
  if (isTrimmed(state.trim)) types.push(TRIM);
  if (isSealed(state.seal)) types.push(SEAL);
  const { members, removed } = state.nodes;
  const { sessions, consumers, access, policy } = state;
  const tables = [sessions.length, consumers.length, access.length, isPolicy(policy) ? policyBytes(policy) : 0];
  const lengths = [members.length === 0 ? 0 : configurationBytes(members), removed.length * DIRECTORY_BYTES, ...tables];
  const variable = lengths.reduce((sum, length) => sum + (length === 0 ? 0 : SECTION_HEADER_BYTES + length), 0);
  return types.reduce((sum, type) => sum + SECTION_HEADER_BYTES + (LENGTHS[type] ?? 0), variable);
}

/** Writes the payload of a trim entry at `at`. */
export function writeTrim(view: DataView, at: number, { start, dataEnd }: TrimEntry): void {
  setOffset(view, at, start);
  setOffset(view, at + 8, dataEnd);
}

/** The trim in the payload at `at`; undefined when no trim is of that form. */
export function readTrim(view: DataView, at: number, bytes: number): TrimEntry | undefined {
  if (bytes !== TRIM_PAYLOAD_BYTES) return undefined;
  const start = getOffset(view, at);
  const dataEnd = getOffset(view, at + 8);
  return start <= MAX_LOG_OFFSET && dataEnd <= start ? { start, dataEnd } : undefined;
}

/** Writes base, end and digest of a seal at `at`. */
export function writeSealed(view: DataView, at: number, { base, end, digest }: Seal): void {
  setOffset(view, at, base);
  setOffset(view, at + 8, end);
  writeDigest(view, at + 16, digest);
}

/** The base, end and digest at `at`; undefined when they are no seal's. */
export function readSealed(view: DataView, at: number): Seal | undefined {
  const base = getOffset(view, at);
  const end = getOffset(view, at + 8);
  return base < end && end <= MAX_LOG_OFFSET ? { base, end, digest: readDigest(view, at + 16) } : undefined;
}

function writeDigest(view: DataView, at: number, digest: string): void {
  new Uint8Array(view.buffer, view.byteOffset + at, SEAL_DIGEST_BYTES).set(fromHex(digest));
}

function readDigest(view: DataView, at: number): string {
  return toHex(new Uint8Array(view.buffer, view.byteOffset + at, SEAL_DIGEST_BYTES));
}

/** Writes the payload of a seal entry at `at`. */
export function writeSeal(view: DataView, at: number, seal: SealEntry): void {
  writeSealed(view, at, seal);
  writeDigest(view, at + 48, seal.before);
}

/** The seal in the payload at `at`; undefined when no seal is of that form. */
export function readSeal(view: DataView, at: number, bytes: number): SealEntry | undefined {
  const sealed = bytes === SEAL_PAYLOAD_BYTES ? readSealed(view, at) : undefined;
  return sealed === undefined ? undefined : { ...sealed, before: readDigest(view, at + 48) };
}

/** Whether `next` may follow `last`: segments are sealed in their order, each once. */
export function maySeal(last: Seal, next: SealEntry): boolean {
  return next.base >= last.end && next.before === last.digest;
}

/** Writes the payload of a policy entry at `at`. */
export function writePolicy(view: DataView, at: number, { bytes, ageMs, consumerBytes }: Policy): void {
  setOffset(view, at, bytes);
  setOffset(view, at + 8, ageMs);
  if (consumerBytes !== undefined) setOffset(view, at + 16, consumerBytes);
}

/** The policy in the payload at `at`; undefined when no policy is of that form. */
export function readPolicy(view: DataView, at: number, length: number): Policy | undefined {
  if (length !== POLICY_PAYLOAD_BYTES && length !== WAITING_POLICY_PAYLOAD_BYTES) return undefined;
  const bytes = getOffset(view, at);
  const ageMs = getOffset(view, at + 8);
  if (bytes > MAX_LOG_OFFSET || ageMs > MAX_LOG_OFFSET) return undefined;
  if (length === POLICY_PAYLOAD_BYTES) return { bytes, ageMs };
  const consumerBytes = getOffset(view, at + 16);
  return consumerBytes >= 1 && consumerBytes <= MAX_LOG_OFFSET ? { bytes, ageMs, consumerBytes } : undefined;
}

/** The level in the payload at `at`; undefined when it is none that this build knows. */
export function readLevel(view: DataView, at: number, bytes: number): number | undefined {
  if (bytes !== LEVEL_PAYLOAD_BYTES) return undefined;
  const level = view.getUint32(at, true);
  return level >= 1 && level <= LOG_LEVEL ? level : undefined;
}

/** Writes the payload of a time entry at `at`. */
export function writeTime(view: DataView, at: number, timeMs: number): void {
  setOffset(view, at, timeMs);
}

/** The time in the payload at `at`; undefined when no time is of that form. */
export function readTime(view: DataView, at: number, bytes: number): number | undefined {
  if (bytes !== TIME_PAYLOAD_BYTES) return undefined;
  const timeMs = getOffset(view, at);
  return timeMs <= MAX_LOG_OFFSET ? timeMs : undefined;
}

/** Writes the payload of a state entry at `at`: {@link stateBytes}. The same state gives the same bytes. */
export function writeState(view: DataView, at: number, state: LogState): void {
  let next = at;
  const section = (type: number, write: (valueAt: number) => void, length = LENGTHS[type] ?? 0): void => {
    view.setUint16(next, type, true);
    view.setUint16(next + 2, 0, true);
    view.setUint32(next + 4, length, true);
    write(next + SECTION_HEADER_BYTES);
    next += SECTION_HEADER_BYTES + length;
  };
  section(BEFORE, (valueAt) => {
    setOffset(view, valueAt, state.dataEnd);
    view.setUint32(valueAt + 8, state.before.term, true);
    view.setUint32(valueAt + 12, 0, true);
    writeInstance(view, valueAt + 16, state.before.leader);
  });
  if (isTrimmed(state.trim)) section(TRIM, (valueAt) => writeTrim(view, valueAt, state.trim));
  section(TIME, (valueAt) => writeTime(view, valueAt, state.timeMs));
  if (isSealed(state.seal)) section(SEAL, (valueAt) => writeSealed(view, valueAt, state.seal));
  section(LEVEL, (valueAt) => view.setUint32(valueAt, state.level, true));
  section(GENERATION, (valueAt) => {
    view.setUint32(valueAt, state.generation.number, true);
    view.setUint32(valueAt + 4, 0, true);
    writeInstance(view, valueAt + 8, state.generation.id);
  });
  const bytes = (type: number, value: Uint8Array): void => {
    if (value.length > 0)
      section(type, (valueAt) => new Uint8Array(view.buffer, view.byteOffset + valueAt, value.length).set(value), value.length);
  };
  const { members, removed } = state.nodes;
  if (members.length > 0) bytes(MEMBERS, configurationPayload(members));
  bytes(REMOVED, removedBytes(removed));
  if (isPolicy(state.policy)) section(POLICY, (valueAt) => writePolicy(view, valueAt, state.policy), policyBytes(state.policy));
  bytes(SESSIONS, state.sessions);
  bytes(CONSUMERS, state.consumers);
  bytes(ACCESS, state.access);
}

/** Whether two states are the same: they have the same bytes. */
export function isSameState(left: LogState, right: LogState): boolean {
  const [one, other] = [statePayload(left), statePayload(right)];
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

function statePayload(state: LogState): Uint8Array {
  const bytes = new Uint8Array(stateBytes(state));
  writeState(viewOf(bytes), 0, state);
  return bytes;
}

/** The sections in the payload at `at`: where the value of each type is. Undefined when it is no state entry of this build's. */
function sectionsIn(view: DataView, at: number, bytes: number): Map<number, number> | undefined {
  const found = new Map<number, number>();
  let last = 0;
  let next = at;
  while (next < at + bytes) {
    if (at + bytes - next < SECTION_HEADER_BYTES) return undefined;
    const type = view.getUint16(next, true);
    const length = view.getUint32(next + 4, true);
    if (type <= last || view.getUint16(next + 2, true) !== 0) return undefined;
    if (VARIABLE.includes(type) ? length > at + bytes - next - SECTION_HEADER_BYTES : length !== LENGTHS[type]) return undefined;
    found.set(type, next + SECTION_HEADER_BYTES);
    last = type;
    next += SECTION_HEADER_BYTES + length;
  }
  return next === at + bytes ? found : undefined;
}

function readBefore(view: DataView, at: number): Pick<LogState, 'dataEnd' | 'before'> | undefined {
  const term = view.getUint32(at + 8, true);
  const before = term === 0 ? NO_TERM : { term, leader: readInstance(view, at + 16) };
  const dataEnd = getOffset(view, at);
  return dataEnd <= MAX_LOG_OFFSET && term <= MAX_TERM && view.getUint32(at + 12, true) === 0 ? { dataEnd, before } : undefined;
}

/** Whether a log of `level` may have that policy. */
export function isOfLevel({ consumerBytes }: Policy, level: number): boolean {
  return consumerBytes === undefined || level >= CONSUMERS_LEVEL;
}

/** Bytes of the section whose value is at `valueAt`. */
const sectionBytes = (view: DataView, valueAt: number): number => view.getUint32(valueAt - SECTION_HEADER_BYTES + 4, true);

/** The state in the payload at `at`; undefined when no build up to this one writes such a one. */
export function readState(view: DataView, at: number, bytes: number): LogState | undefined {
  const sections = sectionsIn(view, at, bytes);
  const [beforeAt, timeAt, levelAt, generationAt] = [BEFORE, TIME, LEVEL, GENERATION].map((type) => sections?.get(type));
  if (sections === undefined || beforeAt === undefined || timeAt === undefined || levelAt === undefined || generationAt === undefined) {
    return undefined;
  }
  const before = readBefore(view, beforeAt);
  const timeMs = readTime(view, timeAt, TIME_PAYLOAD_BYTES);
  const trimAt = sections.get(TRIM);
  const trim = trimAt === undefined ? NO_TRIM : readTrim(view, trimAt, TRIM_PAYLOAD_BYTES);
  const sealAt = sections.get(SEAL);
  const seal = sealAt === undefined ? NO_SEAL : readSealed(view, sealAt);
  const policyAt = sections.get(POLICY);
  const policy = policyAt === undefined ? NO_POLICY : readPolicy(view, policyAt, sectionBytes(view, policyAt));
  const access = tableIn(view, sections.get(ACCESS), isAccessTable);
  const level = view.getUint32(levelAt, true);
  const generation = { number: view.getUint32(generationAt, true), id: readInstance(view, generationAt + 8) };
  if (before === undefined || timeMs === undefined || trim === undefined || seal === undefined || policy === undefined) return undefined;
  const nodes = nodesIn(view, sections, level);
  const consumers = tableIn(view, sections.get(CONSUMERS), level < CONSUMERS_LEVEL ? isNoTable : isConsumersTable);
  const sessions = tableIn(view, sections.get(SESSIONS), level < SESSIONS_LEVEL ? isNoTable : isSessionTable);
  if (access === undefined || consumers === undefined || nodes === undefined || sessions === undefined) return undefined;
  if (level < 1 || level > LOG_LEVEL || generation.number < 1 || !isOfLevel(policy, level)) return undefined;
  return { ...before, trim, timeMs, seal, level, generation, policy, access, consumers, nodes, sessions };
}

type IsTable = (view: DataView, at: number, bytes: number) => boolean;

/** Logs below its level have no such table. */
const isNoTable: IsTable = () => false;

/** The table in the section whose value is at `at`, a copy: without bytes where there is no such section, undefined where `isTable` says that it is none. */
function tableIn(view: DataView, at: number | undefined, isTable: IsTable): Uint8Array | undefined {
  if (at === undefined) return new Uint8Array(0);
  const bytes = sectionBytes(view, at);
  return isTable(view, at, bytes) ? new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice() : undefined;
}

/** Where the payload of a state entry at `at` has its last seal and its table of tokens; each undefined where it has none, or is none. */
export interface StateParts {
  readonly sealAt: number | undefined;
  readonly accessAt: number | undefined;
  readonly accessBytes: number;
}

/** Where parts of the state entry's payload at `at` are. */
export function statePartsAt(view: DataView, at: number, bytes: number): StateParts {
  const sections = sectionsIn(view, at, bytes);
  const accessAt = sections?.get(ACCESS);
  const accessBytes = accessAt === undefined ? 0 : sectionBytes(view, accessAt);
  return { sealAt: sections?.get(SEAL), accessAt, accessBytes };
}

/** The nodes in sections 7 and 8; undefined when they are none, or a log of `level` says none. */
function nodesIn(view: DataView, sections: ReadonlyMap<number, number>, level: number): LogMembers | undefined {
  const [membersAt, removedAt] = [sections.get(MEMBERS), sections.get(REMOVED)];
  if (membersAt === undefined && removedAt === undefined) return NO_MEMBERS;
  if (membersAt === undefined || level < MEMBERS_LEVEL) return undefined;
  const lengthOf = (valueAt: number): number => sectionBytes(view, valueAt);
  const members = readConfiguration(view, membersAt, lengthOf(membersAt));
  const removed = removedAt === undefined ? [] : readRemoved(view, removedAt, lengthOf(removedAt));
  // An empty list is not written.
  const isWritten = removedAt === undefined || lengthOf(removedAt) > 0;
  return members === undefined || removed === undefined || !isWritten ? undefined : { members, removed };
}

/** The log's time, Unix ms, as the entry at byte `at` says it, whose word of kind and size is `kindSize`; 0: it says none. */
export function logTimeIn(view: DataView, at: number, kindSize: number): number {
  const kind = kindOf(kindSize);
  if (kind === KIND_TIME) return readTime(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) ?? 0;
  if (kind === KIND_STATE) return readState(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.timeMs ?? 0;
  return 0;
}

/** The log's time after the whole entries at [at, at + bytes), as they say it; 0: none of them does. */
export function lastLogTime(view: DataView, at: number, bytes: number): number {
  let timeMs = 0;
  for (let next = at; next < at + bytes; ) {
    const kindSize = kindSizeAt(view, next);
    if (kindOf(kindSize) >= KIND_TIME) timeMs = Math.max(timeMs, logTimeIn(view, next, kindSize));
    next += entryBytesOf(kindSize);
  }
  return timeMs;
}

/** Whether the payload at `at` of an entry of `kind` is what entries of that kind have; true for kinds that are not of this file. */
export function isWellFormed(view: DataView, at: number, kind: number, bytes: number): boolean {
  switch (kind & ~KIND_CONTINUED) {
    case KIND_CONFIGURATION:
      return readConfiguration(view, at, bytes) !== undefined;
    case KIND_TRIM:
      return readTrim(view, at, bytes) !== undefined;
    case KIND_TIME:
      return readTime(view, at, bytes) !== undefined;
    case KIND_STATE:
      return readState(view, at, bytes) !== undefined;
    case KIND_SEAL:
      return readSeal(view, at, bytes) !== undefined;
    case KIND_LEVEL:
      return readLevel(view, at, bytes) !== undefined;
    case KIND_POLICY:
      return readPolicy(view, at, bytes) !== undefined;
    case KIND_ACCESS:
      return readAccess(view, at, bytes) !== undefined;
    case KIND_SESSION:
      return readSession(view, at, bytes, (kind & KIND_CONTINUED) !== 0) !== undefined;
    case KIND_POSITION:
      return readConsumerChanges(view, at, bytes) !== undefined;
    default:
      return true;
  }
}

/** The payload of a trim entry. */
export function trimPayload(trim: TrimEntry): Uint8Array {
  const bytes = new Uint8Array(TRIM_PAYLOAD_BYTES);
  writeTrim(viewOf(bytes), 0, trim);
  return bytes;
}

/** The payload of a seal entry. */
export function sealPayload(seal: SealEntry): Uint8Array {
  const bytes = new Uint8Array(SEAL_PAYLOAD_BYTES);
  writeSeal(viewOf(bytes), 0, seal);
  return bytes;
}

/** The payload of a policy entry. */
export function policyPayload(policy: Policy): Uint8Array {
  const bytes = new Uint8Array(policyBytes(policy));
  writePolicy(viewOf(bytes), 0, policy);
  return bytes;
}

/** The payload of a level entry. */
export function levelPayload(level: number): Uint8Array {
  const bytes = new Uint8Array(LEVEL_PAYLOAD_BYTES);
  viewOf(bytes).setUint32(0, level, true);
  return bytes;
}
