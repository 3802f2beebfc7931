// Chains of APPENDs on a connection. The server knows one chain of each connection, the newest: a CHAINED append is the next link of it,
// whoever sent it. So a link is sent only where everything that was sent since its head belongs to the same chain.
//
//   on the wire:  head of W ─ link 1 ─ link 2 ─ a conditional append of somebody else ─╳─ link 3 of W would be a link of the other's chain

import { type ErrorCode, LogError } from '../core/errors.ts';
import type { Connection } from './connection.ts';
import { isNodesRefusal } from './retries.ts';

/** One head and its links, on one connection. Who has to begin again makes a new one. */
export class Chain {
  /** Links that were handed to the appender, the head among them. */
  submittedCount = 0;
  /** Links that were sent, the head among them. */
  sentCount = 0;
}

/** The place of an append in its chain: number 0 is the head. */
export interface ChainLink {
  readonly chain: Chain;
  readonly number: number;
}

/** Why a link was not sent: the connection's newest chain is another one by now. It had no effect; its writer begins a new chain. */
export const DISPLACED = new LogError('CHAIN_BROKEN', 'Another chain began on this connection before this append was sent.');

/** Which chain is the newest of the connection that appends are sent on. */
export class NewestChain {
  #connection: Connection | undefined;
  #chain: Chain | undefined;

  /** Notes that an append is sent on `connection` now. False when it must not be: it is a link, and would be taken for one of another chain. */
  send(
    connection: Connection,
    { link, isConditional }: { readonly link: ChainLink | undefined; readonly isConditional: boolean },
  ): boolean {
    if (link === undefined) {
      if (isConditional) this.#chain = undefined;
      return true;
    }
    const { chain, number } = link;
    if (number > 0 && (this.#connection !== connection || this.#chain !== chain || chain.sentCount !== number)) return false;
    this.#connection = connection;
    this.#chain = chain;
    chain.sentCount = number + 1;
    return true;
  }
}

/** Why a chain is over, when no server said so. */
export function brokenBy(why: string): LogError {
  return new LogError('CHAIN_BROKEN', why, {}, 'failed');
}

export function asLogError(thrown: unknown): LogError {
  return thrown instanceof LogError ? thrown : new LogError('PROTOCOL', String(thrown));
}

/** A message that others follow: servers send theirs without a full stop. */
export function asSentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

/** Up to where a writer's appends are in the log. */
export interface ChainEnd {
  readonly offset: number;
  /** Or it may be further. */
  readonly isExact: boolean;
}

function endSentence({ offset, isExact }: ChainEnd): string {
  return `This writer's appends are in the log ${isExact ? 'up to' : 'at least up to'} offset ${offset}.`;
}

/** The error of the append that ends a writer. `code` for `cause`'s: only the first append has a condition that its caller knows of. */
export function endingError(code: ErrorCode, cause: LogError, end: ChainEnd): LogError {
  const details = { ...cause.details, chainEnd: end.offset };
  return new LogError(code, `${asSentence(cause.message)} ${endSentence(end)}`, details, 'failed');
}

/** The error of those after it. */
export function laterError(cause: LogError | undefined, end: ChainEnd): LogError {
  const why = cause === undefined ? '' : ` ${asSentence(cause.message)}`;
  const sentence = `This append is not in the log, because an earlier one of its writer failed:${why} ${endSentence(end)}`;
  return new LogError('CHAIN_BROKEN', sentence, { chainEnd: end.offset }, 'failed');
}

/** The error of one that may be in the log. */
export function uncertainError(cause: LogError, end: ChainEnd): LogError {
  const sentence = `This append may be in the log, which did not tell: ${asSentence(cause.message)} Read the log from where this writer's appends end.`;
  return new LogError(cause.code, sentence, { ...cause.details, chainEnd: end.offset }, 'unknown');
}

/** The error of a link that can never be in the log: another entry `isTaken` its place, at `from`, or its `term` is over. The log ends at `end`. */
export function neverError(
  isTaken: boolean,
  { from, term, end }: { readonly from: number; readonly term: number; readonly end: number },
): LogError {
  const why = isTaken
    ? `Another entry is in the log, at or after ${from}, where the next of this writer was to be.`
    : `Term ${term}, in which this writer's appends were received, is over.`;
  return new LogError('CONDITION_FAILED', why, { offset: end, end });
}

/** Why a writer takes no more appends. */
export class Refusal {
  /** Undefined while it takes them. The first one stays. */
  cause: LogError | undefined;
  /** One error for all that come in one tick: whoever never awaits makes a great many. */
  #told: LogError | undefined;

  /** What a later append is told, when the writer's appends are in the log up to `end`. */
  tell(cause: LogError, end: ChainEnd): LogError {
    if (cause.code === 'CLOSED') return cause;
    if (this.#told === undefined) {
      this.#told = laterError(cause, end);
      queueMicrotask(() => {
        this.#told = undefined;
      });
    }
    return this.#told;
  }
}

/** Whether a link that had no effect for this reason can be the head of a new chain, which begins at `end`. */
export function mayGoOn(cause: LogError, end: number, isUnsent: boolean): boolean {
  if (cause === DISPLACED || cause.code === 'QUEUE_FULL') return true;
  // Not sent, though it was time: no leader was found for as long as there may be none.
  if (isUnsent) return false;
  // Another term began, with no entries of anybody.
  if (cause.code === 'CHAIN_BROKEN') return typeof cause.details.end === 'number' && cause.details.end <= end;
  return isNodesRefusal(cause) || cause.code === 'CONNECTION_LOST';
}
