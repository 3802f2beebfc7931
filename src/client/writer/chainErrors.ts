// Why a writer's chain is over, and what each of its appends is told of it.

import { assert } from '../../core/assert.ts';
import { type ErrorCode, LogError } from '../../core/errors.ts';
import { DISPLACED } from '../append/chains.ts';
import { isNodesRefusal } from '../append/retries.ts';
import { asSentence } from '../describe.ts';

/** Why a chain is over, when no server said so. */
export function brokenBy(why: string): LogError {
  return new LogError('CHAIN_BROKEN', why, {}, 'failed');
}

export function asLogError(thrown: unknown): LogError {
  return thrown instanceof LogError ? thrown : new LogError('PROTOCOL', String(thrown));
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
  /** What ended it, as its first append was told. */
  #failure: { readonly thrown: unknown } | undefined;
  #onFailure: ((thrown: unknown) => void) | undefined;
  /** One error for all that come in one tick: whoever never awaits makes a great many. */
  #told: LogError | undefined;

  /** Why an append is refused that comes after the first cause, or after `over`, why the client takes no more; the writer's appends are in the log up to `end`. */
  ofNext(over: LogError | undefined, end: ChainEnd): LogError {
    const cause = this.cause ?? over;
    assert(cause !== undefined, 'an append is refused for a cause');
    this.cause = cause;
    return cause === over ? cause : this.#tell(cause, end);
  }

  /** An append cannot be taken, for what was `thrown`. Later ones would be where it was to be. */
  endWith(thrown: unknown): unknown {
    this.cause = brokenBy(thrown instanceof Error ? thrown.message : String(thrown));
    this.failed(thrown);
    return thrown;
  }

  /** What ended it is told to who listens. */
  failed(thrown: unknown): void {
    this.#failure ??= { thrown };
    this.#onFailure?.(this.#failure.thrown);
  }

  /** Calls `listener` with what ended the writer, at once where something has; not where it was closed. There is one listener. */
  onFailure(listener: (thrown: unknown) => void): void {
    this.#onFailure = listener;
    if (this.#failure !== undefined) listener(this.#failure.thrown);
  }

  #tell(cause: LogError, end: ChainEnd): LogError {
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
