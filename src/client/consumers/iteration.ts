// One iteration of a consumer: the entries of a reading, handed out one after the other, each noted when it is. An entry costs one promise more than in a subscription.

import type { Entry } from '../read/entries.ts';

/** What an iteration asks of its consumer. */
export interface IterationOwner {
  /** Begins at the position; ends the iteration before. Throws why there can be none. */
  begin(iteration: Iteration): AsyncIterator<Entry>;
  /** Throws why there can be no more. */
  check(): void;
  /** Where the first entry of a name that has no position yet is to be handed out: resolves when its place is kept. Never rejects: {@link check} tells. */
  founding(entry: Entry): Promise<void> | undefined;
}

type Result = IteratorResult<Entry, undefined>;

const DONE: Result = { done: true, value: undefined };

export class Iteration implements AsyncIterator<Entry, undefined> {
  readonly #owner: IterationOwner;
  #entries: AsyncIterator<Entry> | undefined;
  #isOver = false;
  /** Calls of `next` without an answer, and the last of them: later ones queue behind it, so that what they get is not handed out before what came first. */
  #waitingCount = 0;
  #turn: Promise<Result> | undefined;
  /** Up to where entries were handed out. */
  given: number | undefined;
  readonly #step = (): Promise<Result> => this.#nextEntry();
  readonly #onResult = (result: Result): Result | Promise<Result> => {
    if (result.done === true) return this.#end();
    const founding = this.#owner.founding(result.value);
    return founding === undefined ? this.#handOut(result) : founding.then(() => this.#handOut(result));
  };
  readonly #onError = (thrown: unknown): never => {
    this.#waitingCount -= 1;
    this.#isOver = true;
    throw thrown;
  };

  constructor(owner: IterationOwner) {
    this.#owner = owner;
  }

  next(): Promise<Result> {
    const turn = this.#waitingCount === 0 ? undefined : this.#turn;
    this.#waitingCount += 1;
    this.#turn = turn === undefined ? this.#nextEntry() : turn.then(this.#step, this.#step);
    return this.#turn;
  }

  async return(): Promise<Result> {
    this.#isOver = true;
    await this.#entries?.return?.();
    return DONE;
  }

  #nextEntry(): Promise<Result> {
    try {
      if (this.#isOver) return this.#ended();
      this.#entries ??= this.#owner.begin(this);
    } catch (thrown) {
      return Promise.reject(thrown).catch(this.#onError);
    }
    return this.#entries.next().then(this.#onResult, this.#onError);
  }

  #handOut(result: Result): Result {
    if (this.#isOver || result.done === true) return this.#end();
    this.#waitingCount -= 1;
    try {
      this.#owner.check();
    } catch (thrown) {
      this.#isOver = true;
      throw thrown;
    }
    this.given = result.value.nextOffset;
    return result;
  }

  /** What ended it may be a failure. */
  #end(): Result {
    this.#waitingCount -= 1;
    this.#isOver = true;
    this.#owner.check();
    return DONE;
  }

  async #ended(): Promise<Result> {
    return this.#end();
  }
}
