// Options whose names nobody knows are refused: a condition that is misspelt would be no condition.

import { QUOTA_NAMES } from '../core/access.ts';
import { describe } from './describe.ts';

export const APPEND_OPTIONS = ['ack', 'expectedEnd', 'expectedTerm', 'signal'] as const;
export const WRITER_OPTIONS = ['expectedEnd', 'expectedTerm', 'ack'] as const;
export const READ_OPTIONS = ['from', 'since', 'last', 'limit', 'atLeast', 'catchUp', 'signal'] as const;
export const SUBSCRIBE_OPTIONS = ['from', 'since', 'last', 'creditBytes', 'atLeast', 'catchUp', 'onTrimmed', 'signal'] as const;
export const READABLE_OPTIONS = [...new Set([...READ_OPTIONS, ...SUBSCRIBE_OPTIONS, 'follow'])];
export const CONSUMER_OPTIONS = ['name', 'store', 'from', 'since', 'last', 'creditBytes', 'catchUp', 'onTrimmed', 'signal'] as const;
export const CONSUMERS_OPTIONS = ['timeoutMs'] as const;
export const RESET_CONSUMER_OPTIONS = ['to', 'timeoutMs'] as const;
export const CATCH_UP_OPTIONS = ['urls', 'verify'] as const;
export const TRIM_OPTIONS = ['to', 'keepBytes', 'dryRun', 'timeoutMs'] as const;
export const RETENTION_OPTIONS = ['timeoutMs'] as const;
export const SET_RETENTION_OPTIONS = ['bytes', 'ageMs', 'consumerBytes', 'timeoutMs'] as const;
export const LEVEL_OPTIONS = ['timeoutMs'] as const;
export const FINALIZE_OPTIONS = ['timeoutMs', 'onWaiting'] as const;
export const TRANSFER_OPTIONS = ['to', 'dryRun', 'timeoutMs'] as const;
export const MEMBERS_OPTIONS = ['timeoutMs', 'signal'] as const;
export const CHANGE_MEMBERS_OPTIONS = ['dryRun', 'timeoutMs', 'signal', 'onProgress'] as const;
export const MEMBER_ADDRESS_OPTIONS = ['id', 'host', 'port', 'peerPort'] as const;
export const NEW_MEMBER_OPTIONS = [...MEMBER_ADDRESS_OPTIONS, 'learner'] as const;
export const TOKEN_OPTIONS = ['timeoutMs'] as const;
export const CREATE_TOKEN_OPTIONS = ['name', 'scopes', 'expiresMs', 'quotas', 'timeoutMs'] as const;
export const QUOTA_OPTIONS = QUOTA_NAMES;
export const END_OPTIONS = ['linearizable', 'atLeast', 'timeoutMs'] as const;
export const CLOSE_OPTIONS = ['timeoutMs'] as const;
export const TLS_OPTIONS = ['ca', 'cert', 'key', 'servername'] as const;
export const RECONNECT_OPTIONS = ['minDelayMs', 'maxDelayMs', 'timeoutMs'] as const;
export const CONNECT_OPTIONS = [
  'ack',
  'reads',
  'maxInFlightBytes',
  'maxQueuedBytes',
  'lingerMs',
  'batchBytes',
  'connectTimeoutMs',
  'reconnect',
  'discover',
  'clusterId',
  'token',
  'tls',
  'uploads',
  'producer',
  'onEvent',
  'signal',
] as const;

/** What decides whether an append may be done: there with a value, or not there. */
const CONDITIONS: readonly string[] = ['expectedEnd', 'expectedTerm'];

interface OptionHints {
  /** What the options are called for whoever gives them. Default: `options`. */
  readonly called?: string;
  /** Names that somebody may think of, and what has their meaning here. */
  readonly places?: Readonly<Record<string, string>>;
}

/** Throws TypeError when `options`, which `what` takes, is no object, has a name that is not one of `known`, or a condition without a value. */
export function checkOptions(
  what: string,
  options: unknown,
  known: readonly string[],
  { called = 'options', places = {} }: OptionHints = {},
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${called} must be an object, not ${Array.isArray(options) ? 'a list' : describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) {
      const meant = Object.hasOwn(places, name) ? places[name] : nearest(name, known);
      const hint = meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${meant}?`;
      throw new TypeError(`${what} has no option ${JSON.stringify(name)}; ${hint}`);
    }
    if (value === undefined && CONDITIONS.includes(name)) {
      throw new TypeError(`${name} is undefined: give an offset or term, or leave the option out to do without the condition`);
    }
  }
}

/** Throws TypeError when an append of a writer, whose options are the writer's own, is given any. */
export function checkNoOptions(given: readonly unknown[]): void {
  if (given.some((one) => one !== undefined)) throw new TypeError('an append of a writer takes no options: they are given to log.writer');
}

/** How much of a name has to be there before it may be the beginning of another one. */
const SHORTEST_BEGINNING = 3;

/**
 * A name that begins with the other is nearer than one that looks alike: `directory` means `dir`. Undefined where more than half of the name is
 * other letters: whoever is told the wrong name looks in the wrong place.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const begins = known.filter((one) => wanted.startsWith(one.toLowerCase()) || one.toLowerCase().startsWith(wanted));
  if (name.length >= SHORTEST_BEGINNING && begins.length > 0) return begins.reduce((best, one) => (one.length > best.length ? one : best));
  const distances = known.map((one) => distance(wanted, one.toLowerCase()));
  const least = Math.min(...distances);
  return least * 2 > name.length ? undefined : known[distances.indexOf(least)];
}

/** How many letters have to be put in, taken out or changed to make one of the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const change = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1);
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
