// A named consumer: a subscription that goes on where it left off, in another process too. What it has handled it commits; its position is kept in a store.
//
//   handed out ────────────────► position          commit(entry) ──► wanted ──(one save at a time)──► committed

import { LogError } from '../../core/errors.ts';
import { describe } from '../describe.ts';
import { CONSUMER_OPTIONS, checkOptions } from '../optionNames.ts';
import type { BookmarkText, ConsumerOptions, SubscribeOptions } from '../options.ts';
import type { Entry } from '../read/entries.ts';
import type { Reading } from '../read/reading.ts';
import type { PositionLease } from './store.ts';

/** The log of a consumer, as its client has it. */
export interface ConsumerLog {
  subscribe(options: SubscribeOptions): Reading;
  bookmark(offset: number): BookmarkText;
  end(): Promise<{ readonly start: number; readonly end: number }>;
  /** The offset that a bookmark means in this log. */
  offsetOf(bookmark: BookmarkText): number;
}

/** Of what a name is made: 1 to 64 bytes of UTF-8. */
const MAX_NAME_BYTES = 64;

function checkConsumer({ name, store }: Pick<ConsumerOptions, 'name' | 'store'>): void {
  if (typeof name !== 'string') throw new TypeError(`the name of a consumer must be a string, not ${describe(name)}`);
  const bytes = new TextEncoder().encode(name);
  const isText = new TextDecoder().decode(bytes) === name;
  if (bytes.length === 0 || bytes.length > MAX_NAME_BYTES || !isText) {
    throw new RangeError(`the name of a consumer must be text of 1 to ${MAX_NAME_BYTES} bytes of UTF-8, not ${describe(name)}`);
  }
  const isStore = typeof store === 'object' && store !== null && typeof store.take === 'function';
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
    this.promise.catch(() => undefined);
  }
}

/** A rejection of which whoever does not wait for it hears from the iteration, and from close. */
function refused(thrown: unknown): Promise<never> {
  const promise = Promise.reject(thrown);
  promise.catch(() => undefined);
  return promise;
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
  #reading: Reading | undefined;
  /** Of the iteration that began last. */
  #entries: AsyncIterator<Entry> | undefined;
  /** Whether it has handed out an entry. */
  #hasGiven = false;
  #isClosed = false;
  /** Waits for the save that begins next. */
  #next: Save | undefined;
  #saving: Promise<void> | undefined;
  #failure: unknown;

  /** @internal Applications call `log.consumer`. */
  constructor(name: string, log: ConsumerLog, beginning: SubscribeOptions, lease: PositionLease) {
    this.name = name;
    this.#log = log;
    this.#beginning = beginning;
    this.#lease = lease;
    if (lease.bookmark !== undefined) this.#committed = log.offsetOf(lease.bookmark);
  }

  /** The log offset up to which everything is committed, durably; undefined before the first commit of the name. */
  get committed(): number | undefined {
    return this.#committed;
  }

  /** The log offset up to which everything was handed out by the iteration that began last, or committed before it; undefined before the first entry of the name. */
  get position(): number | undefined {
    return this.#hasGiven ? this.#reading?.position : this.#committed;
  }

  /**
   * Entries from the committed position on, until it is closed. A new iteration begins there again, and ends the one before. Throws like `log.subscribe`, CLOSED, and FENCED once another consumer
   * has taken the name, or the error of a commit that could not be kept.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<Entry, undefined> {
    this.#check();
    if (this.#isClosed) throw closed(this.name);
    this.#reading = this.#log.subscribe(this.#whereToBegin());
    const entries = this.#reading[Symbol.asyncIterator]();
    void this.#entries?.return?.();
    this.#entries = entries;
    this.#hasGiven = false;
    try {
      for (;;) {
        const { done, value } = await entries.next();
        this.#check();
        if (done === true) return undefined;
        if (this.#entries === entries) this.#hasGiven = true;
        yield value;
        this.#check();
      }
    } finally {
      await entries.return?.();
    }
  }

  /**
   * Everything up to `place` is handled: an entry, itself included, or an offset; by default all that was handed out. Resolves when that is kept. Calls are
   * gathered while a save is on its way, so it may be called for each entry, and need not be awaited: what cannot be kept ends the iteration, too. A position never falls: what is
   * committed already resolves. Rejects with RangeError for what was not handed out; FENCED; CLOSED; or with the store's error.
   */
  commit(place: Pick<Entry, 'nextOffset'> | number | undefined = this.position): Promise<void> {
    const refusal = this.#failure ?? (this.#isClosed ? closed(this.name) : undefined);
    if (refusal !== undefined) return refused(refusal);
    // Nothing was handed out yet.
    if (place === undefined) return Promise.resolve();
    const offset = typeof place === 'number' ? place : place.nextOffset;
    const most = this.position ?? -1;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > most) {
      const given = most < 0 ? 'nothing yet' : `what is before offset ${most}`;
      return Promise.reject(new RangeError(`consumer ${JSON.stringify(this.name)} was handed out ${given}: ${offset} cannot be committed`));
    }
    if (this.#committed !== undefined && offset <= this.#committed) return Promise.resolve();
    this.#wanted = Math.max(this.#wanted, offset);
    this.#next ??= new Save();
    this.#saving ??= this.#save();
    return this.#next.promise;
  }

  /** Bytes of the log that are committed there and not yet by this consumer. Rejects like `log.end`. */
  async lag(): Promise<number> {
    const { start, end } = await this.#log.end();
    return Math.max(0, end - Math.max(start, this.#committed ?? start));
  }

  /** Ends its iterations, and resolves when all that was to be committed is kept; rejects when that failed. The position stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#entries?.return?.();
    await this.#saving;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #whereToBegin(): SubscribeOptions {
    if (this.#committed === undefined) return this.#beginning;
    const { from: _, since: __, last: ___, ...rest } = this.#beginning;
    return { ...rest, from: this.#log.bookmark(this.#committed) };
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Saves until nothing more is wanted. Never rejects. */
  async #save(): Promise<void> {
    // All commits of a tick are one.
    await Promise.resolve();
    for (let save = this.#takeNext(); save !== undefined; save = this.#takeNext()) {
      const offset = this.#wanted;
      try {
        await this.#lease.save(this.#log.bookmark(offset));
        this.#committed = offset;
        save.resolve();
      } catch (thrown) {
        this.#failure = thrown;
        save.reject(thrown);
        this.#takeNext()?.reject(thrown);
        // Whoever waits for the next entry hears of it now.
        void this.#entries?.return?.();
      }
    }
    this.#saving = undefined;
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

/** See `log.consumer`. */
export async function takeName(log: ConsumerLog, options: ConsumerOptions): Promise<Consumer> {
  checkOptions('A consumer', options, CONSUMER_OPTIONS);
  checkConsumer(options);
  const { name, store, ...beginning } = options;
  // What cannot be meant is refused before anybody loses the name.
  log.subscribe(beginning);
  return new Consumer(name, log, beginning, await store.take(name));
}
