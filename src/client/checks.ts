// The checks of what callers of the client pass, and the defaults where they pass nothing. A TypeError says what is wrong, a RangeError what the range is.

import { MAX_LAST_ENTRIES } from '../core/clientLimits.ts';
import { faultOfProducer } from '../core/producers.ts';
import { badAddressWithoutSecrets, secretIn } from '../core/secrets.ts';
import { MAX_CREDIT_BYTES } from '../core/servingLimits.ts';
import { type LogId, placeIn } from './bookmark.ts';
import { describe } from './describe.ts';
import type { OnEvent } from './events.ts';
import { checkTls, PLAIN_FETCHES } from './nodes/tls.ts';
import { checkToken } from './nodes/token.ts';
import { CATCH_UP_OPTIONS, CONNECT_OPTIONS, checkOptions, RECONNECT_OPTIONS } from './optionNames.ts';
import type { Ack, ConnectOptions, OnTrimmed, ReadOptions, Reads, Settings, Uploads } from './options.ts';
import { type Hosts, NO_HOSTS } from './read/catchUp.ts';
import { SegmentSource } from './segments/source.ts';
import { checkTime } from './times.ts';

const MIB = 1024 * 1024;

export const DEFAULT_CREDIT_BYTES = 4 * MIB;
/** As much as a message of several appends may ever have. */
const MAX_BATCH_BYTES = 256 * 1024;
export const MAX_TIMER_MS = 0x7fff_ffff;

/** Returns `value` when it is a whole number in [min, max]; TypeError or RangeError otherwise, which name it and the range. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  }
  return value;
}

/** What is neither true nor false could mean either. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${describe(value)}`);
  return value;
}

/** A term of the log: 1 to 2^32 − 1. */
export function checkTerm(name: string, value: unknown): number {
  return checkInteger(name, value, 1, 0xffff_ffff);
}

/** Where a reading begins; undefined: at the start. */
export function checkFrom(log: LogId, value: unknown): number | 'end' | undefined {
  if (value === undefined || value === 'start') return undefined;
  return value === 'end' ? value : placeIn(log, 'from', value);
}

/** Where a reading begins in time, Unix ms; undefined: `since` is not given. TypeError beside another option that says where to begin. */
export function checkSince({ from, since, last }: Pick<ReadOptions, 'from' | 'since' | 'last'>): number | undefined {
  if (since === undefined) return undefined;
  const other = from !== undefined ? 'from' : last !== undefined ? 'last' : undefined;
  if (other !== undefined) throw new TypeError(`since and ${other} exclude each other: both say where to begin; leave one out`);
  return checkTime('since', since);
}

/** How many of the last entries; undefined: `last` is not given. TypeError beside another option that says where to begin, or how many to read. */
export function checkLast({ from, last, limit }: Pick<ReadOptions, 'from' | 'last' | 'limit'>): number | undefined {
  if (last === undefined) return undefined;
  const other = from !== undefined ? 'from' : limit !== undefined ? 'limit' : undefined;
  if (other !== undefined)
    throw new TypeError(`last and ${other} exclude each other: last says where to begin and how much there is; leave one out`);
  return checkInteger('last', last, 1, MAX_LAST_ENTRIES);
}

export function checkAck(value: unknown): Ack {
  if (value === 'received' || value === 'committed') return value;
  throw new TypeError(`ack must be 'received' or 'committed', not ${describe(value)}`);
}

export function checkReads(value: unknown): Reads {
  if (value === 'any' || value === 'leader') return value;
  throw new TypeError(`reads must be 'any' or 'leader', not ${describe(value)}`);
}

function checkUploads(value: unknown): Uploads {
  if (value === 'auto' || value === 'on' || value === 'off') return value;
  throw new TypeError(`uploads must be 'auto', 'on' or 'off', not ${describe(value)}`);
}

export function checkAtLeast(log: LogId, value: unknown): number {
  return value === undefined ? 0 : placeIn(log, 'atLeast', value);
}

export function checkOnTrimmed(value: unknown): OnTrimmed {
  if (value === undefined) return 'fail';
  if (value === 'fail' || value === 'skip') return value;
  throw new TypeError(`onTrimmed must be fail or skip, not ${describe(value)}`);
}

export function checkCredit(value: unknown): number {
  return value === undefined ? DEFAULT_CREDIT_BYTES : checkInteger('creditBytes', value, 4096, MAX_CREDIT_BYTES);
}

export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw new TypeError(`signal must be an AbortSignal, not ${describe(value)}`);
}

/** Hosts of sealed segments; none where the option is not given. */
export function checkCatchUp(value: unknown): Hosts {
  if (value === undefined) return NO_HOSTS;
  checkOptions('catchUp', value, CATCH_UP_OPTIONS, { called: 'catchUp' });
  const { urls, verify = 'seals' } = value as { urls?: unknown; verify?: unknown };
  if (verify !== 'seals' && verify !== 'checks') throw new TypeError(`catchUp.verify must be 'seals' or 'checks', not ${describe(verify)}`);
  return { sources: sourcesOf(urls), bySeals: verify === 'seals' };
}

function sourcesOf(urls: unknown): SegmentSource[] {
  const given: unknown[] = Array.isArray(urls) ? urls : [urls];
  if (given.length === 0) throw new TypeError('catchUp.urls needs at least one address, such as https://segments.example.com');
  return given.map((one) => {
    const text = one instanceof URL ? one.href : one;
    if (typeof text !== 'string') throw new TypeError(`an address of catchUp.urls must be a string, not ${describe(text)}`);
    if (!/^(https?|wss?):\/\//i.test(text) || !URL.canParse(text))
      throw new TypeError(
        `an address of catchUp.urls must be like https://segments.example.com, not ${describe(badAddressWithoutSecrets(text))}`,
      );
    return new SegmentSource(text);
  });
}

function checkClusterId(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && /^[0-9a-f]{32}$/.test(value))) return value;
  throw new TypeError(`clusterId must be 32 hexadecimal digits, not ${describe(value)}`);
}

function checkOnEvent(value: unknown): OnEvent | undefined {
  if (value === undefined || typeof value === 'function') return value as OnEvent | undefined;
  throw new TypeError(`onEvent must be a function, not ${describe(value)}`);
}

/** Fills in defaults and checks every option. */
export function resolveSettings(options: ConnectOptions): Settings {
  checkOptions('connect', options, CONNECT_OPTIONS);
  const { reconnect = {} } = options;
  checkOptions('connect’s reconnect', reconnect, RECONNECT_OPTIONS, { called: 'reconnect' });
  const minDelayMs = checkInteger('reconnect.minDelayMs', reconnect.minDelayMs ?? 50, 1, MAX_TIMER_MS);
  return {
    ack: checkAck(options.ack ?? 'committed'),
    reads: checkReads(options.reads ?? 'any'),
    maxInFlightBytes: checkInteger('maxInFlightBytes', options.maxInFlightBytes ?? 8 * MIB, 64 * 1024, 256 * MIB),
    maxQueuedBytes: checkInteger('maxQueuedBytes', options.maxQueuedBytes ?? 128 * MIB, 0, Number.MAX_SAFE_INTEGER),
    lingerMs: checkInteger('lingerMs', options.lingerMs ?? 0, 0, 60_000),
    batchBytes: checkInteger('batchBytes', options.batchBytes ?? MAX_BATCH_BYTES, 1024, MAX_BATCH_BYTES),
    connectTimeoutMs: checkInteger('connectTimeoutMs', options.connectTimeoutMs ?? 5000, 1, MAX_TIMER_MS),
    minDelayMs,
    maxDelayMs: Math.max(minDelayMs, checkInteger('reconnect.maxDelayMs', reconnect.maxDelayMs ?? 2000, 1, MAX_TIMER_MS)),
    timeoutMs: checkInteger('reconnect.timeoutMs', reconnect.timeoutMs ?? 30_000, 0, MAX_TIMER_MS),
    clusterId: checkClusterId(options.clusterId),
    token: checkToken(options.token),
    tls: checkTls(options.tls),
    fetches: PLAIN_FETCHES,
    discover: options.discover === undefined || checkBoolean('discover', options.discover),
    uploads: checkUploads(options.uploads ?? 'auto'),
    producer: checkProducer(options.producer),
    onEvent: checkOnEvent(options.onEvent),
  };
}

function checkProducer(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw new TypeError(`producer must be a string, not ${describe(value)}`);
  const fault = faultOfProducer(value);
  if (fault !== undefined) throw new RangeError(`producer cannot be ${describe(value)}: ${fault}`);
  return value;
}

/** The addresses to try, checked: at least one, each `ws:` or `wss:`. */
export function checkUrls(value: unknown): string[] {
  const urls: unknown[] = Array.isArray(value) ? value : [value];
  if (urls.length === 0) throw new TypeError('connect needs at least one address, such as ws://127.0.0.1:7070');
  return urls.map((url) => {
    const text = url instanceof URL ? url.href : url;
    if (typeof text !== 'string') throw new TypeError(`an address must be a string, not ${describe(text)}`);
    if (!/^wss?:\/\//i.test(text) || !URL.canParse(text)) {
      throw new TypeError(`an address must be like ws://127.0.0.1:7070, not ${describe(badAddressWithoutSecrets(text))}`);
    }
    if (text.includes('#')) {
      throw new TypeError(`an address has no fragment: take away what follows the # of ${describe(badAddressWithoutSecrets(text))}`);
    }
    const secret = secretIn(text);
    if (secret !== undefined) throw new TypeError(`an address ${secret}: ${describe(badAddressWithoutSecrets(text))}`);
    // Spaces become %20, without which it could not be told where the address ends.
    return text.includes('?') ? new URL(text).href : text;
  });
}
