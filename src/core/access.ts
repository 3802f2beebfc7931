// Who may do what: scopes, tokens as they are shown once, and what the log keeps of them. A token is made by the program that asks for it; nodes are
// told its id and its hash, and never the token, until somebody shows it.
//
//   loglog_ │ id, 11 characters │ secret, 30 characters │ check, 6 characters          characters: 0-9 A-Z a-z, the digits of base 62, the highest first
//
// The id is 8 bytes, the secret 22, both drawn at random; the check is the CRC-32 of all characters before it. So what is no token is known without a
// look-up, and what leaks is found by whoever searches for such texts.

import { MAX_TOKEN_NAME_BYTES } from './accessLimits.ts';
import { crc32 } from './crc32.ts';
import { MAX_LOG_OFFSET } from './limits.ts';

/** What each scope allows, by its bit. `admin` includes all others: see {@link effectiveScopes}. */
export const SCOPES = {
  /** Entries, ends, offsets of times, segments over HTTP: so backups and mirrors, too. */
  read: 1,
  /** Positions of named consumers. */
  consume: 2,
  /** Appends, and uploads for them. */
  append: 4,
  /** Trims and the retention. */
  trim: 8,
  /** Members, transfers, levels, tokens; and everything else. */
  admin: 16,
  /** Metrics and pages over HTTP. */
  metrics: 32,
} as const;

export type Scope = keyof typeof SCOPES;

/** Names of the scopes, in the order of their bits. */
export const SCOPE_NAMES = Object.keys(SCOPES) as readonly Scope[];

/** The bits of all scopes. */
export const ALL_SCOPES = 63;

/** What a caller may use of the node at a time; 0: what the node's options say. */
export interface Quotas {
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Bytes of messages from the caller, each second. */
  readonly bytesInPerSecond: number;
  /** Bytes of messages to the caller, each second. */
  readonly bytesOutPerSecond: number;
  readonly subscriptions: number;
  /** Uploads that are announced or arriving and not appended yet. */
  readonly stagedUploads: number;
  /** Requests that wait: reads for new entries, and ends. */
  readonly waits: number;
}

/** Names of the quotas, in the order in which they are stored. */
export const QUOTA_NAMES = [
  'connections',
  'requestsPerSecond',
  'bytesInPerSecond',
  'bytesOutPerSecond',
  'subscriptions',
  'stagedUploads',
  'waits',
] as const satisfies readonly (keyof Quotas)[];

/** None of its own: the node's options hold. */
export const NO_QUOTAS: Quotas = {
  connections: 0,
  requestsPerSecond: 0,
  bytesInPerSecond: 0,
  bytesOutPerSecond: 0,
  subscriptions: 0,
  stagedUploads: 0,
  waits: 0,
};

/** What the log keeps of a token. */
export interface TokenRecord {
  /** As in the token's text: {@link TOKEN_ID_CHARACTERS} characters. */
  readonly id: string;
  /** SHA-256 of the token's text, all of it: 64 hexadecimal digits. */
  readonly hash: string;
  /** For people: 1 to 64 bytes of UTF-8, no control characters. */
  readonly name: string;
  /** Bits of {@link SCOPES}, at least one. */
  readonly scopes: number;
  /** Unix ms at which it was made, by the clock of its maker. */
  readonly createdMs: number;
  /** Unix ms from which on it is not taken any more; 0: never. */
  readonly expiresMs: number;
  readonly quotas: Quotas;
}

/** Who speaks on a connection. */
export interface Identity {
  /** `open`: the node asks nobody. */
  readonly kind: 'open' | 'token' | 'certificate';
  /** Of the token, or what names the certificate; '' for `open`. */
  readonly id: string;
  readonly name: string;
  /** All bits that it has, as {@link effectiveScopes} gives them: one mask decides a request. */
  readonly scopes: number;
  /** Unix ms; 0: never. */
  readonly expiresMs: number;
  readonly quotas: Quotas;
}

/** Whoever reaches a node that asks nobody. */
export const OPEN_IDENTITY: Identity = { kind: 'open', id: '', name: '', scopes: ALL_SCOPES, expiresMs: 0, quotas: NO_QUOTAS };

/** Who shows the token of `record`. */
export function identityOf({ id, name, scopes, expiresMs, quotas }: TokenRecord): Identity {
  return { kind: 'token', id, name, scopes: effectiveScopes(scopes), expiresMs, quotas };
}

/** The bits of `scopes`, and all of them where `admin` is among them. */
export function effectiveScopes(scopes: number): number {
  return (scopes & SCOPES.admin) !== 0 ? ALL_SCOPES : scopes & ALL_SCOPES;
}

/** The bits of scopes by their names; undefined where there is none, or one is no scope. */
export function scopesFrom(names: readonly string[]): number | undefined {
  let bits = 0;
  for (const name of names) {
    if (!Object.hasOwn(SCOPES, name)) return undefined;
    bits |= SCOPES[name as Scope];
  }
  return bits === 0 ? undefined : bits;
}

/** Names of the scopes that have a bit in `scopes`. */
export function scopeNames(scopes: number): Scope[] {
  return SCOPE_NAMES.filter((name) => (scopes & SCOPES[name]) !== 0);
}

const PREFIX = 'loglog_';
const ID_BYTES = 8;
const SECRET_BYTES = 22;
/** Characters of a token's id. */
export const TOKEN_ID_CHARACTERS = 11;
const SECRET_CHARACTERS = 30;
const CHECK_CHARACTERS = 6;
const CHECK_AT = PREFIX.length + TOKEN_ID_CHARACTERS + SECRET_CHARACTERS;
/** Characters of a token, each one byte. */
export const TOKEN_CHARACTERS = CHECK_AT + CHECK_CHARACTERS;
/** Random bytes that {@link encodeToken} takes: 64 bits of id, 176 of secret. */
export const TOKEN_RANDOM_BYTES = ID_BYTES + SECRET_BYTES;
/** Bytes of {@link TokenRecord.hash}. */
export const TOKEN_HASH_BYTES = 32;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = BigInt(DIGITS.length);

function encodeDigits(value: bigint, characters: number): string {
  let text = '';
  for (let rest = value; text.length < characters; rest /= BASE) text = DIGITS.charAt(Number(rest % BASE)) + text;
  return text;
}

/** Undefined where a character is no digit, or it is more than `bits` bits. */
function decodeDigits(text: string, bits: number): bigint | undefined {
  let value = 0n;
  for (const character of text) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) return undefined;
    value = value * BASE + BigInt(digit);
  }
  return value >> BigInt(bits) === 0n ? value : undefined;
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function checkOf(text: string): string {
  return encodeDigits(BigInt(crc32(Uint8Array.from(text, (character) => character.charCodeAt(0)))), CHECK_CHARACTERS);
}

/** A token of {@link TOKEN_RANDOM_BYTES} bytes from a source of secrets. */
export function encodeToken(random: Uint8Array): string {
  const text =
    PREFIX +
    encodeDigits(numberOf(random.subarray(0, ID_BYTES)), TOKEN_ID_CHARACTERS) +
    encodeDigits(numberOf(random.subarray(ID_BYTES, TOKEN_RANDOM_BYTES)), SECRET_CHARACTERS);
  return text + checkOf(text);
}

/** The id of a token; undefined where the text is none: another length, prefix or character, a wrong check. It may still be a token of nobody. */
export function tokenIdOf(text: string): string | undefined {
  if (text.length !== TOKEN_CHARACTERS || !text.startsWith(PREFIX)) return undefined;
  const id = text.slice(PREFIX.length, PREFIX.length + TOKEN_ID_CHARACTERS);
  const secret = text.slice(PREFIX.length + TOKEN_ID_CHARACTERS, CHECK_AT);
  if (!isTokenId(id) || decodeDigits(secret, SECRET_BYTES * 8) === undefined) return undefined;
  return checkOf(text.slice(0, CHECK_AT)) === text.slice(CHECK_AT) ? id : undefined;
}

/** Whether `text` can be the id of a token. */
export function isTokenId(text: string): boolean {
  return text.length === TOKEN_ID_CHARACTERS && decodeDigits(text, ID_BYTES * 8) !== undefined;
}

/** The id in the 8 bytes at `at`. */
export function readTokenId(view: DataView, at: number): string {
  return encodeDigits(view.getBigUint64(at), TOKEN_ID_CHARACTERS);
}

/** Writes an id to the 8 bytes at `at`: so ids ascend as their bytes do. */
export function writeTokenId(view: DataView, at: number, id: string): void {
  view.setBigUint64(at, decodeDigits(id, ID_BYTES * 8) ?? 0n);
}

/** A control character, or half of a pair. */
const NO_NAME = /\p{C}/u;

/** What is wrong with a record, in words; undefined: nothing. */
export function faultOfToken({ id, hash, name, scopes, createdMs, expiresMs, quotas }: TokenRecord): string | undefined {
  if (!isTokenId(id)) return `its id is not ${TOKEN_ID_CHARACTERS} characters that say 8 bytes`;
  if (!/^[0-9a-f]{64}$/.test(hash)) return 'its hash is not 64 hexadecimal digits';
  const nameBytes = new TextEncoder().encode(name).length;
  if (nameBytes < 1 || nameBytes > MAX_TOKEN_NAME_BYTES || NO_NAME.test(name)) {
    return `its name is not 1 to ${MAX_TOKEN_NAME_BYTES} bytes of UTF-8 without control characters`;
  }
  if (!Number.isInteger(scopes) || scopes < 1 || scopes > ALL_SCOPES) return `its scopes are not some of ${SCOPE_NAMES.join(', ')}`;
  if (!isWithin(createdMs, MAX_LOG_OFFSET) || !isWithin(expiresMs, MAX_LOG_OFFSET)) return 'its times are not Unix milliseconds';
  const wrong = QUOTA_NAMES.find((quota) => !isWithin(quotas[quota], maxQuota(quota)));
  return wrong === undefined ? undefined : `its quota ${wrong} is not a whole number from 0 to ${maxQuota(wrong)}`;
}

const isWithin = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;

const MAX_U32 = 0xffff_ffff;

/** The largest value of a quota: bytes are a u64 of the log, all others a u32. */
export function maxQuota(name: keyof Quotas): number {
  return name.startsWith('bytes') ? MAX_LOG_OFFSET : MAX_U32;
}
