// What `read` and `subscribe` return: entries, or whole batches for who wants speed.

import { makeBookmark } from '../bookmark.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import type { Workspace } from '../wasm.ts';
import { BatchStream } from './batchStream.ts';
import type { Batch, Entry } from './entries.ts';
import type { StreamPlan } from './streamPlan.ts';

/** The entries of a range of the log. Every iteration reads it anew, from the same place. */
export interface Reading extends AsyncIterable<Entry>, AsyncDisposable {
  /** The same range as whole, verified batches: several times faster than entry by entry. */
  batches(): AsyncIterableIterator<Batch>;
  /**
   * Everything in the log before this offset was seen by the iteration that began last: its entries were handed out, and what the log
   * itself keeps between them (the start of a term and the like) was passed over. So it is the `expectedEnd` of an append that is to be
   * done only if nothing was appended that this iteration did not see, and the `from` to go on at. It is a committed position. Before
   * anything is known it is `from` if that is an offset, else 0.
   */
  readonly position: number;
  /**
   * The {@link position} as text to keep, in a file or a database, with the id of the log's cluster: what `from` takes to go on there. Unlike an
   * offset, it is refused where it means nothing, in another log.
   */
  readonly bookmark: string;
  /** Ends the iteration that began last, as leaving its loop does: for what is iterated by hand, or in several places. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What is being iterated. */
interface Iterated {
  readonly position: number;
  return(): Promise<unknown>;
}

/** Makes entries of batches. Within a batch an entry costs no wait, only its promise. */
class EntryStream implements AsyncIterableIterator<Entry> {
  readonly #batches: BatchStream;
  #entries: ReturnType<Batch['entries']> | undefined;
  /** Where the last batch was left; undefined before the first. */
  #left: number | undefined;
  /** Calls of `next` that wait for a batch, and the last of them: later ones queue behind it. */
  #waitingCount = 0;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #endTurn = (): void => {
    this.#waitingCount -= 1;
  };

  constructor(batches: BatchStream) {
    this.#batches = batches;
  }

  /** Up to where everything was handed out, or is the log's own. */
  get position(): number {
    return this.#entries?.position ?? this.#left ?? this.#batches.beginning;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Entry, undefined>> {
    if (this.#waitingCount === 0) {
      const value = this.#entries?.nextEntry();
      if (value !== undefined) return Promise.resolve({ done: false, value });
    }
    this.#waitingCount += 1;
    const result = this.#turn.then(() => this.#nextOfNextBatch());
    this.#turn = result.then(this.#endTurn, this.#endTurn);
    return result;
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#leave();
    return this.#batches.return();
  }

  async #nextOfNextBatch(): Promise<IteratorResult<Entry, undefined>> {
    for (;;) {
      const value = this.#entries?.nextEntry();
      if (value !== undefined) return { done: false, value };
      const batch = await this.#batches.next();
      if (batch.done) {
        this.#leave();
        return { done: true, value: undefined };
      }
      this.#entries = batch.value.entries();
    }
  }

  #leave(): void {
    this.#left = this.#entries?.position ?? this.#left;
    this.#entries = undefined;
  }
}

export function makeReading(readNodes: ReadNodes, workspace: Workspace, plan: StreamPlan): Reading {
  let last: Iterated = new BatchStream(readNodes, workspace, plan);
  const begin = <T extends Iterated>(stream: T): T => {
    last = stream;
    return stream;
  };
  return {
    batches: () => begin(new BatchStream(readNodes, workspace, plan)),
    [Symbol.asyncIterator]: () => begin(new EntryStream(new BatchStream(readNodes, workspace, plan))),
    get position() {
      return last.position;
    },
    get bookmark() {
      return makeBookmark(readNodes.log, last.position);
    },
    [Symbol.asyncDispose]: async () => {
      await last.return();
    },
  };
}
