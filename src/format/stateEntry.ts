// The state of the log, as the entry has it with which a segment begins: all that the control entries before it say. docs/FORMAT.md, "State".
//
//   sections: 0 u16 type │ 2 u16 zero │ 4 u32 length │ 8 value; types ascend

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { type EntryTerm, NO_TERM } from '../core/ids.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { CONSUMERS_LEVEL, LOG_LEVEL, MEMBERS_LEVEL, SESSIONS_LEVEL } from '../core/levels.ts';
import { MAX_LOG_OFFSET, MAX_TERM } from '../core/limits.ts';
import { configurationBytes } from '../core/members.ts';
import { isAccessTable } from './access.ts';
import {
  configurationPayload,
  DIRECTORY_BYTES,
  type LogMembers,
  NO_MEMBERS,
  readConfiguration,
  readRemoved,
  removedBytes,
} from './configuration.ts';
import { isConsumersTable } from './consumers.ts';
import {
  type Generation,
  isOfLevel,
  isSamePolicy,
  NO_POLICY,
  NO_SEAL,
  NO_TRIM,
  type Policy,
  policyBytes,
  readPolicy,
  readSealed,
  readTime,
  readTrim,
  type Seal,
  TIME_PAYLOAD_BYTES,
  TRIM_PAYLOAD_BYTES,
  type TrimEntry,
  writePolicy,
  writeSealed,
  writeTime,
  writeTrim,
} from './controlEntries.ts';
import { isSessionTable } from './sessions.ts';

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

const isTrimmed = ({ start }: TrimEntry): boolean => start > 0;
const isSealed = ({ end }: Seal): boolean => end > 0;

const isPolicy = (policy: Policy): boolean => !isSamePolicy(policy, NO_POLICY);

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
