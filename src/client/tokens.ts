// Tokens: listed, made and revoked by whoever leads. A token is made here, and no node is told its secret: only whoever asked for it has it.

import {
  encodeToken,
  faultOfToken,
  isTokenId,
  maxQuota,
  NO_QUOTAS,
  QUOTA_NAMES,
  type Quotas,
  SCOPE_NAMES,
  type Scope,
  scopeNames,
  scopesFrom,
  TOKEN_RANDOM_BYTES,
  type TokenRecord,
  tokenIdOf,
} from '../core/access.ts';
import { toHex } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { MAX_TIME_MS } from '../core/limits.ts';
import type { AccessChange } from '../format/access.ts';
import type { TokensAnswer } from '../protocol/tokens.ts';
import { type AskLeaderPorts, askLeader } from './askLeader.ts';
import { checkInteger, MAX_TIMER_MS } from './checks.ts';
import { describe } from './describe.ts';
import { CREATE_TOKEN_OPTIONS, checkOptions, QUOTA_OPTIONS, TOKEN_OPTIONS } from './optionNames.ts';
import type { CreateTokenOptions, TokenOptions } from './options.ts';

/** What a log says of a token. */
export interface LogToken {
  /** The part of the token after `loglog_`, 11 characters: no secret. */
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Unix milliseconds, by the clock of whoever made it. */
  readonly createdMs: number;
  /** Unix milliseconds from which on no node takes it; null: never. */
  readonly expiresMs: number | null;
  /** Its own; what is not there, the nodes' options say. */
  readonly quotas: Partial<Quotas>;
}

/** A token that was just made. */
export interface NewToken extends LogToken {
  /** The token. Nobody else has it, and nobody can find it out. */
  readonly token: string;
}

/** A new token, and what the log is to keep of it. */
export interface MadeToken {
  readonly token: string;
  readonly record: TokenRecord;
}

export interface TokensQuestion {
  readonly change: AccessChange | undefined;
  readonly timeoutMs: number;
}

const NO_CONTEXT =
  'this page has no crypto.subtle, because it is not a secure context: make tokens in a page from https, or with loglog token create';

/** What people see of a record. */
export function shownToken({ id, name, scopes, createdMs, expiresMs, quotas }: TokenRecord): LogToken {
  const own = QUOTA_NAMES.filter((quota) => quotas[quota] > 0).map((quota) => [quota, quotas[quota]]);
  return {
    id,
    name,
    scopes: scopeNames(scopes),
    createdMs,
    expiresMs: expiresMs === 0 ? null : expiresMs,
    quotas: Object.fromEntries(own) as Partial<Quotas>,
  };
}

/** Makes a token as `options` say. Throws TypeErrors and RangeErrors for what cannot be meant, UNSUPPORTED in a page that may not hash. */
export async function makeToken(options: CreateTokenOptions, nowMs: number): Promise<MadeToken> {
  checkOptions('createToken', options, CREATE_TOKEN_OPTIONS);
  const { name, scopes: names, expiresMs = null, quotas = {} } = options;
  if (typeof name !== 'string') throw new TypeError(`name is a string, not ${describe(name)}`);
  if (!Array.isArray(names)) throw new TypeError(`scopes is an array of names, not ${describe(names)}`);
  const scopes = scopesFrom(names);
  if (scopes === undefined) throw new RangeError(`scopes are some of ${SCOPE_NAMES.join(', ')}, at least one, not ${describe(names)}`);
  if (expiresMs !== null) checkInteger('expiresMs', expiresMs, 1, MAX_TIME_MS);
  if (expiresMs !== null && expiresMs <= nowMs) throw new RangeError('expiresMs is in the past: the token would never be taken');
  if (globalThis.crypto?.subtle === undefined) throw new LogError('UNSUPPORTED', NO_CONTEXT, {}, 'failed');
  const token = encodeToken(globalThis.crypto.getRandomValues(new Uint8Array(TOKEN_RANDOM_BYTES)));
  const hash = toHex(new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))));
  const record = {
    id: tokenIdOf(token) ?? '',
    hash,
    name,
    scopes,
    createdMs: nowMs,
    expiresMs: expiresMs ?? 0,
    quotas: quotasOf(quotas),
  };
  const fault = faultOfToken(record);
  if (fault !== undefined) throw new RangeError(`a token cannot be made so: ${fault}`);
  return { token, record };
}

function quotasOf(given: Partial<Quotas>): Quotas {
  checkOptions('createToken', given, QUOTA_OPTIONS, { called: 'quotas' });
  const quotas: { -readonly [Name in keyof Quotas]: number } = { ...NO_QUOTAS };
  for (const quota of QUOTA_NAMES) {
    const value = given[quota];
    if (value !== undefined) quotas[quota] = checkInteger(quota, value, 1, maxQuota(quota));
  }
  return quotas;
}

/** The id that `revokeToken` is given: as it is, or as a part of the token. Throws a TypeError for what is neither. */
export function givenTokenId(text: string): string {
  if (typeof text !== 'string') throw new TypeError(`revokeToken takes the id of a token, not ${describe(text)}`);
  const id = isTokenId(text) ? text : tokenIdOf(text);
  // Not what it is: it may be a secret with a typing error.
  if (id === undefined) throw new TypeError('revokeToken takes the id of a token, 11 characters, or the token');
  return id;
}

export function timeoutOf(called: string, options: TokenOptions, defaultMs: number): number {
  checkOptions(called, options, TOKEN_OPTIONS);
  return checkInteger('timeoutMs', options.timeoutMs ?? defaultMs, 1, MAX_TIMER_MS);
}

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export function askTokens(ports: AskLeaderPorts, { change, timeoutMs }: TokensQuestion): Promise<TokensAnswer> {
  const what = change === undefined ? 'the list of tokens' : 'the change of tokens';
  return askLeader(ports, { what, timeoutMs, ask: (connection) => connection.questions.tokens(change) });
}
