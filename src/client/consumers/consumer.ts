// A named consumer: a subscription that goes on where it left off, in another process too. What it has handled it commits; its position is kept in a store.
//
//   handed out ────────────────► position          commit(entry) ──► wanted ──(one save at a time)──► committed

import { LogError } from '../../core/errors.ts';
import { MAX_CONSUMER_NAME_BYTES } from '../../core/limits.ts';
import { AbortedError } from '../aborts.ts';
import { describe } from '../describe.ts';
import { CONSUMER_OPTIONS, checkOptions } from '../optionNames.ts';
import type { BookmarkText, ConsumerOptions, SubscribeOptions } from '../options.ts';
import type { Entry } from '../read/entries.ts';
import type { Reading } from '../read/reading.ts';
import { isMoving } from './beginning.ts';
import { Iteration } from './iteration.ts';
import type { PositionLease, PositionStore } from './store.ts';

/** The log of a consumer, as its client has it. */
export interface ConsumerLog {
  /** Throws why the client takes nothing more. */
  check(): void;
  subscribe(options: SubscribeOptions): Reading;
  bookmark(offset: number): BookmarkText;
  end(): Promise<{ readonly start: number; readonly end: number }>;
  /** The offset that a bookmark means in this log. */
  offsetOf(bookmark: BookmarkText): number;
  /** The offset that a beginning means now. */
  placeNow(options: SubscribeOptions): Promise<number>;
  /** Whether an entry begins or the log ends at `offset`, which is committed; true as well where that is trimmed. */
  isBoundary(offset: number): Promise<boolean>;
  /** Where positions are kept by default. */
  readonly store: PositionStore;
}

/** Throws TypeError or RangeError for what is no name of a consumer. */
export function checkName(name: unknown): void {
  if (typeof name !== 'string') throw new TypeError(`the name of a consumer must be a string, not ${describe(name)}`);
  const bytes = new TextEncoder().encode(name);
  const isText = new TextDecoder().decode(bytes) === name;
  if (bytes.length === 0 || bytes.length > MAX_CONSUMER_NAME_BYTES || !isText) {
    throw new RangeError(`the name of a consumer must be text of 1 to ${MAX_CONSUMER_NAME_BYTES} bytes of UTF-8, not ${describe(name)}`);
  }
}

function checkStore(store: unknown): asserts store is PositionStore {
  const isStore = typeof store === 'object' && store !== null && 'take' in store && typeof store.take === 'function';
  if (!isStore) throw new TypeError(`store must be where positions are kept, such as fileStore('positions'), not ${describe(store)}`);
}

/** A save that begins next, and whoever waits for it. */
class Save {
  readonly promise: Promise<void>;
  resolve: () => void = () => undefined;
  reject: (thrown: unknown) => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever does not wait for it hears of it from the iteration, and from close.
    void quiet(this.promise);
  }
}

/** A rejection of which whoever does not wait for it hears from the iteration, and from close. */
function refused(thrown: unknown): Promise<never> {
  return quiet(Promise.reject(thrown));
}

/** `promise`, whose rejection does not end the process where nobody waits for it. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** What was thrown, be it undefined. */
interface Failure {
  readonly thrown: unknown;
}

/**
 * The entries of a log from where this consumer, or one of its name before it, left off: made by `log.consumer({ name, store })`. Each entry is handed out
 * at least once, in order, whatever crashes; those that were handled but not yet committed when a process died are handed out again.
 *
 * One at a time has a name: a second one takes it over, and then the first one's commits and iterations fail as FENCED.
 */
export class Consumer implements AsyncIterable<Entry> {
  readonly name: string;
  readonly #log: ConsumerLog;
  /** Where a name begins that has no position. */
  readonly #beginning: SubscribeOptions;
  readonly #lease: PositionLease;
  #committed: number | undefined;
  /** What is to be committed; at least `#committed`. */
  #wanted = -1;
  /** That which began last. */
  #iteration: Iteration | undefined;
  /** Up to where those before it have handed out entries. */
  #givenBefore = -1;
  #isClosed = false;
  /** Waits for the save that begins next. */
  #next: Save | undefined;
  #saving: Promise<void> | undefined;
  /** The place of the first entry is being kept. */
  #founding: Promise<void> | undefined;
  /** Places whose entries are being looked for. */
  readonly #looking = new Set<Promise<void>>();
  #failure: Failure | undefined;

  /** @internal Applications call `log.consumer`. */
  constructor(name: string, log: ConsumerLog, beginning: SubscribeOptions, lease: PositionLease, committed: number | undefined) {
    this.name = name;
    this.#log = log;
    this.#beginning = beginning;
    this.#lease = lease;
    this.#committed = committed;
  }

  /** The log offset up to which everything is committed, durably; where nothing is yet, where the name began; undefined before that is known. */
  get committed(): number | undefined {
    return this.#committed;
  }

  /** The log offset up to which everything was handed out by the iteration that began last, or committed before it; undefined before the first entry of the name. */
  get position(): number | undefined {
    return this.#iteration?.given ?? this.#committed;
  }

  /**
   * Entries from the committed position on, until it is closed. A new iteration begins there again, with its first `next`, and ends the one before. Throws like `log.subscribe`, CLOSED, and FENCED
   * once another consumer has taken the name and a commit was refused for it, or the error of a commit that could not be kept.
   */
  [Symbol.asyncIterator](): AsyncIterator<Entry, undefined> {
    return new Iteration({
      begin: (iteration) => this.#begin(iteration),
      check: () => this.#check(),
      founding: (entry) => (this.#committed === undefined ? this.#found(entry) : undefined),
    });
  }

  /**
   * Everything up to `place` is handled: an entry, itself included, or an offset, which must be where an entry ends; by default all that the iteration which began last has handed out. Resolves when
   * that is kept. Calls are gathered while a save is on its way, so it may be called for each entry, and need not be awaited: what cannot be kept ends the iteration, too. A position never falls:
   * what is committed already resolves. Rejects with RangeError for what was not handed out, or is inside an entry; TypeError for what is no place; FENCED; CLOSED; or with the store's error.
   */
  commit(place: Pick<Entry, 'nextOffset'> | number | undefined = this.position): Promise<void> {
    if (this.#failure !== undefined) return refused(this.#failure.thrown);
    if (this.#isClosed) return refused(closed(this.name));
    // Nothing was handed out yet.
    if (place === undefined) return Promise.resolve();
    const offset = offsetIn(place);
    if (offset === undefined) return refused(new TypeError(`what is committed must be an entry or an offset, not ${describe(place)}`));
    const most = Math.max(this.#givenBefore, this.position ?? -1);
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > most) {
      const given = most < 0 ? 'nothing yet' : `what is before offset ${most}`;
      return refused(new RangeError(`consumer ${JSON.stringify(this.name)} was handed out ${given}: ${offset} cannot be committed`));
    }
    if (this.#committed !== undefined && offset <= this.#committed) return Promise.resolve();
    return typeof place === 'number' && offset !== this.position ? this.#look(offset) : this.#want(offset);
  }

  /** Bytes of the log that are committed there and not yet by this consumer; the log's own entries, such as the start of a term, count. Rejects like `log.end`. */
  async lag(): Promise<number> {
    const { start, end } = await this.#log.end();
    const { from } = this.#beginning;
    return Math.max(0, end - Math.max(start, this.#committed ?? (typeof from === 'number' ? from : start)));
  }

  /** Ends its iterations, and resolves when all that was to be committed is kept; rejects when that failed. The position stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#iteration?.return();
    await Promise.allSettled([this.#founding, ...this.#looking]);
    await this.#saving;
    this.#check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(iteration: Iteration): AsyncIterator<Entry> {
    this.#check();
    if (this.#isClosed) throw closed(this.name);
    const entries = this.#log.subscribe(this.#whereToBegin())[Symbol.asyncIterator]();
    this.#givenBefore = Math.max(this.#givenBefore, this.#iteration?.given ?? -1);
    void this.#iteration?.return();
    this.#iteration = iteration;
    return entries;
  }

  #whereToBegin(): SubscribeOptions {
    if (this.#committed === undefined) return this.#beginning;
    const { from: _, since: __, last: ___, ...rest } = this.#beginning;
    return { ...rest, from: this.#log.bookmark(this.#committed) };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  /** Keeps where the name begins. Never rejects. */
  #found({ offset }: Entry): Promise<void> {
    this.#founding ??= this.#keep(offset);
    return this.#founding;
  }

  /** Commits a place that the caller names by its number, once it is known that the next one can begin there. */
  #look(offset: number): Promise<void> {
    const looking = quiet(this.#lookFor(offset));
    this.#looking.add(looking);
    const done = (): void => void this.#looking.delete(looking);
    looking.then(done, done);
    return looking;
  }

  async #lookFor(offset: number): Promise<void> {
    if (!(await this.#log.isBoundary(offset)))
      throw new RangeError(`offset ${offset} is inside an entry: consumer ${JSON.stringify(this.name)} could not go on there`);
    this.#check();
    if (offset > (this.#committed ?? -1)) await this.#want(offset);
  }

  #want(offset: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, offset);
    this.#next ??= new Save();
    this.#saving ??= this.#save();
    return this.#next.promise;
  }

  /** Saves until nothing more is wanted. Never rejects. */
  async #save(): Promise<void> {
    // All commits of a tick are one.
    await Promise.resolve();
    for (let save = this.#takeNext(); save !== undefined; save = this.#takeNext()) {
      await this.#keep(this.#wanted);
      if (this.#failure === undefined) {
        save.resolve();
      } else {
        save.reject(this.#failure.thrown);
        this.#takeNext()?.reject(this.#failure.thrown);
      }
    }
    this.#saving = undefined;
  }

  /** Never rejects. */
  async #keep(offset: number): Promise<void> {
    try {
      await this.#lease.save(this.#log.bookmark(offset));
      this.#committed = offset;
    } catch (thrown) {
      this.#failure = { thrown };
      // Whoever waits for the next entry hears of it now.
      void this.#iteration?.return();
    }
  }

  #takeNext(): Save | undefined {
    const next = this.#next;
    this.#next = undefined;
    return next;
  }
}

function closed(name: string): LogError {
  return new LogError('CLOSED', `consumer ${JSON.stringify(name)} is closed`);
}

/** The offset that a commit means; undefined for what is no place. */
function offsetIn(place: unknown): number | undefined {
  if (typeof place === 'number') return place;
  if (typeof place !== 'object' || place === null || !('nextOffset' in place)) return undefined;
  return typeof place.nextOffset === 'number' ? place.nextOffset : undefined;
}

/** See `log.consumer`. */
export async function takeName(log: ConsumerLog, options: ConsumerOptions): Promise<Consumer> {
  checkOptions('A consumer', options, CONSUMER_OPTIONS);
  const { name, store = log.store, ...beginning } = options;
  checkName(name);
  checkStore(store);
  // What cannot be is refused before anybody loses the name.
  log.subscribe(beginning);
  const check = (): void => {
    log.check();
    if (beginning.signal?.aborted) throw new AbortedError('This consumer', 'before it had its name.', beginning.signal, 'failed');
  };
  check();
  const known = await store.position?.(name);
  if (known !== undefined && known !== null) log.offsetOf(known);
  const first = isMoving(beginning) && (known === undefined || known === null) ? await log.placeNow(beginning) : undefined;
  check();
  const lease = await store.take(name);
  if (typeof lease?.save !== 'function') throw new TypeError(`what store.take gives must have a save, unlike ${describe(lease)}`);
  let committed = lease.bookmark === undefined || lease.bookmark === null ? undefined : log.offsetOf(lease.bookmark);
  if (committed === undefined && isMoving(beginning)) {
    // It means another place each time: from now on it is this one.
    committed = first ?? (await log.placeNow(beginning));
    await lease.save(log.bookmark(committed));
  }
  return new Consumer(name, log, beginning, lease, committed);
}
