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
//   state   stateEntry.ts

import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { CONSUMERS_LEVEL, LOG_LEVEL } from '../core/levels.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';

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

export const isSamePolicy = (left: Policy, right: Policy): boolean =>
  left.bytes === right.bytes && left.ageMs === right.ageMs && left.consumerBytes === right.consumerBytes;

/** Bytes of the payload of a policy entry. */
export function policyBytes({ consumerBytes }: Policy): number {
  return consumerBytes === undefined ? POLICY_PAYLOAD_BYTES : WAITING_POLICY_PAYLOAD_BYTES;
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

/** Whether a log of `level` may have that policy. */
export function isOfLevel({ consumerBytes }: Policy, level: number): boolean {
  return consumerBytes === undefined || level >= CONSUMERS_LEVEL;
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
