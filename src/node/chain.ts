// What an append asks of the log before it is ordered: that no data stands at or after an offset (the head of a chain), or that nothing but
// the append before it in its chain was appended last (a link). docs/PROTOCOL.md, "Conditional" and "Chains", say why it is so.
//
// Every append of a chain gets its number when it arrives, before anything is checked. So one that is refused at the door, or held, breaks
// those after it and none before it, whatever became of it. Only success moves a chain; there is nothing to reset.

import type { ErrorCode } from '../core/errors.ts';
import { APPEND_CHAINED, APPEND_CONDITIONAL, type Request } from '../protocol/client.ts';

/** An append's place in a chain, and what a head asks for. */
export interface Condition {
  readonly chain: Chain;
  /** 1: the head. */
  readonly number: number;
  /** Head: no data may stand at or after this offset, and the log must reach it. */
  readonly expectedEnd: number;
  /** Head: the leader's term; 0: any. */
  readonly expectedTerm: number;
}

/** The log as it stands when an append is to be ordered. */
export interface LogState {
  readonly term: number;
  /** End of the last data entry. */
  readonly dataEnd: number;
  readonly tail: number;
}

/** Why an append is not ordered, as an ERROR says it. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly offset: number;
  readonly sentence: string;
}

/** A chain of appends of one connection. */
export class Chain {
  #arrived = 0;
  /** The last append of the chain that was ordered: its number, the term, and its end. */
  #done = 0;
  #term = 0;
  #end = 0;

  /** The head has arrived. */
  head(expectedEnd: number, expectedTerm: number): Condition {
    return this.#next(expectedEnd, expectedTerm);
  }

  /** The next link has arrived. */
  link(): Condition {
    return this.#next(0, 0);
  }

  #next(expectedEnd: number, expectedTerm: number): Condition {
    this.#arrived += 1;
    return { chain: this, number: this.#arrived, expectedEnd, expectedTerm };
  }

  /** The append of this number was ordered. */
  succeeded(number: number, term: number, end: number): void {
    this.#done = number;
    this.#term = term;
    this.#end = end;
  }

  /** Why the link of this number must not be ordered; undefined when it may. */
  refusalOf(number: number, { term, dataEnd }: LogState): Refusal | undefined {
    const broken = (sentence: string): Refusal => ({
      code: 'CHAIN_BROKEN',
      offset: dataEnd,
      sentence: `${sentence}: look in the log where this chain ends, then begin a new one`,
    });
    if (this.#done !== number - 1) return broken(`append ${number - 1} of this chain was not done, so number ${number} was not either`);
    if (this.#term !== term)
      return broken(`append ${number - 1} of this chain was ordered in term ${this.#term}, and term ${term} has begun`);
    if (this.#end !== dataEnd) {
      return broken(`after append ${number - 1} of this chain, which ends at offset ${this.#end}, came other data: it ends at ${dataEnd}`);
    }
    return undefined;
  }
}

/** The condition of an append that has just arrived on a connection, whose newest chain is `connection.chain`; undefined when it has none. */
export function conditionOf(
  connection: { chain: Chain | undefined },
  { flags, offset, b }: Pick<Request, 'flags' | 'offset' | 'b'>,
): Condition | undefined {
  if ((flags & APPEND_CONDITIONAL) !== 0) {
    connection.chain = new Chain();
    return connection.chain.head(offset, b);
  }
  return (flags & APPEND_CHAINED) !== 0 ? connection.chain?.link() : undefined;
}

/** Why an append with this condition must not be ordered now; undefined when it may. */
export function refusalOf(condition: Condition, log: LogState): Refusal | undefined {
  const { chain, number, expectedEnd, expectedTerm } = condition;
  if (number > 1) return chain.refusalOf(number, log);
  const { term, dataEnd, tail } = log;
  const failed = (sentence: string): Refusal => ({
    code: 'CONDITION_FAILED',
    offset: dataEnd > expectedEnd ? dataEnd : tail,
    sentence,
  });
  if (dataEnd > expectedEnd) return failed(`the log has data up to offset ${dataEnd}, after the expected end ${expectedEnd}`);
  if (tail < expectedEnd) return failed(`the log ends at offset ${tail}, before the expected end ${expectedEnd}`);
  if (expectedTerm !== 0 && expectedTerm !== term)
    return failed(`this node leads in term ${term}, not in the expected term ${expectedTerm}`);
  return undefined;
}
