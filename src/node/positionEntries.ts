// Which of the requests about consumers that wait become the next position entry: in their order, each name once, what fits.

import { LogError } from '../core/errors.ts';
import { MAX_NAMES_PER_POSITION_ENTRY, MAX_POSITION_PAYLOAD_BYTES } from '../core/limits.ts';
import {
  CONSUMERS_HEADER_BYTES,
  type ConsumerChange,
  consumerAt,
  consumerChangeBytes,
  growthAt,
  placeOfConsumer,
} from '../format/consumers.ts';

/** The table at the log's end, and its bounds. */
export interface ConsumersAtEnd {
  readonly table: Uint8Array;
  /** Where the record that has a fence stands in it. */
  placeOf(fence: number): number | undefined;
  /** Bytes that the table may have, and consumers. */
  readonly mostBytes: number;
  readonly mostConsumers: number;
  readonly count: number;
  /** Up to where the log is committed, and where it ends. */
  readonly commit: number;
  readonly tail: number;
}

/** What becomes of a request: it is in the entry; the log says it already; it waits for the next entry, or for the commit; or why it cannot be. */
export type Verdict = 'ordered' | 'said' | 'later' | LogError;

export interface PositionPlan {
  readonly verdicts: readonly Verdict[];
  /** None: there is nothing to order. */
  readonly changes: readonly ConsumerChange[];
}

const FENCED =
  'another process has taken the name of this consumer, or it was reset or removed: what this one commits changes nothing any more, and the other one goes on';

const fenced = (): LogError => new LogError('FENCED', FENCED, {}, 'failed');

/** Plans the next entry. */
export function planPositions(requests: readonly ConsumerChange[], log: ConsumersAtEnd): PositionPlan {
  const plan = new Plan(log);
  const verdicts = requests.map((request) => plan.judge(request));
  return { verdicts, changes: plan.changes };
}

class Plan {
  readonly #log: ConsumersAtEnd;
  /** Names that a claim, a reset or a removal of this entry has. */
  readonly #names = new Set<string>();
  /** By fence: where its commit stands in {@link changes}. */
  readonly #commits = new Map<number, number>();
  readonly changes: ConsumerChange[] = [];
  #payloadBytes = 0;
  /** No more goes in: what comes after is not even looked at. */
  #isFull = false;
  /** Requests whose names were looked for, each along the whole table. */
  #lookedFor = 0;
  #tableBytes: number;
  #count: number;

  constructor(log: ConsumersAtEnd) {
    this.#log = log;
    this.#tableBytes = log.table.length;
    this.#count = log.count;
  }

  judge(request: ConsumerChange): Verdict {
    if (this.#isFull) return 'later';
    return request.what === 'commit' ? this.#judgeCommit(request) : this.#judgeName(request);
  }

  #judgeName(request: Exclude<ConsumerChange, { what: 'commit' }>): Verdict {
    const { table } = this.#log;
    if (this.#names.has(request.name) || this.#lookedFor === MAX_NAMES_PER_POSITION_ENTRY) return 'later';
    this.#lookedFor += 1;
    const place = placeOfConsumer(table, request.name);
    const isThere = place.bytes > 0;
    if (request.what === 'remove' && !isThere) return 'said';
    const early = request.what === 'reset' && request.position !== undefined ? this.#beforeCommit(request.position) : undefined;
    if (early !== undefined) return early;
    // The first of a table brings its header, too.
    const growth = growthAt(table, place, request) - (table.length === 0 && this.#tableBytes > 0 ? CONSUMERS_HEADER_BYTES : 0);
    const refusal = isThere ? undefined : this.#refuseMore(growth);
    if (refusal !== undefined) return refusal;
    if (!this.#take(request)) return 'later';
    this.#names.add(request.name);
    this.#tableBytes += growth;
    if (!isThere) this.#count += 1;
    return 'ordered';
  }

  #judgeCommit(request: Extract<ConsumerChange, { what: 'commit' }>): Verdict {
    const { fence, position } = request;
    const at = this.#log.placeOf(fence);
    if (at === undefined) return fenced();
    const early = this.#beforeCommit(position);
    if (early !== undefined) return early;
    const record = consumerAt(this.#log.table, at);
    // Whoever comes after a claim of the same entry is fenced by it.
    if (this.#names.has(record.name)) return 'later';
    if (record.position !== undefined && position <= record.position) return 'said';
    const planned = this.#commits.get(fence);
    if (planned !== undefined) {
      const before = this.changes[planned];
      if (before?.what === 'commit' && before.position < position) this.changes[planned] = request;
      return 'ordered';
    }
    if (!this.#take(request)) return 'later';
    this.#commits.set(fence, this.changes.length - 1);
    return 'ordered';
  }

  /** What becomes of a place that is not committed, as far as this node knows: a leader that has just begun may know less than who read there. */
  #beforeCommit(position: number): Verdict | undefined {
    const { commit, tail } = this.#log;
    if (position <= commit) return undefined;
    if (position <= tail) return 'later';
    const sentence = `offset ${position} is beyond the end of the log, which is ${commit}: no consumer can have handled what is before it`;
    return new LogError('OFFSET_BEYOND_END', sentence, { end: commit });
  }

  #refuseMore(growth: number): LogError | undefined {
    const { mostBytes, mostConsumers } = this.#log;
    const count = this.#count;
    if (count >= mostConsumers) {
      const sentence = `the log has ${count} named consumers, as many as its nodes take (--max-consumers): remove some that nobody uses, or keep this one's position in a store of its own`;
      return new LogError('TOO_MANY_CONSUMERS', sentence, { count, most: mostConsumers });
    }
    if (this.#tableBytes + growth <= mostBytes) return undefined;
    const sentence = `the log has ${count} named consumers, and its state has no room for another one: all of them have at most ${Math.max(0, mostBytes)} bytes, a part of a quarter of a segment; remove some that nobody uses, or keep this one's position in a store of its own`;
    return new LogError('TOO_MANY_CONSUMERS', sentence, { count, most: mostBytes });
  }

  /** Takes a change into the entry; false: it is full. */
  #take(change: ConsumerChange): boolean {
    const bytes = consumerChangeBytes(change);
    this.#isFull = this.#payloadBytes + bytes > MAX_POSITION_PAYLOAD_BYTES;
    if (this.#isFull) return false;
    this.#payloadBytes += bytes;
    this.changes.push(change);
    return true;
  }
}
