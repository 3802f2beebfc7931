// Clients that read. Strangers speak the protocol to one node each, so that it is known who said what; subscribers and those who ask for
// the end use the library over all nodes, as an application would.

import type { LogClient } from '../../../src/client/index.ts';
import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { until } from '../../../src/cluster/until.ts';
import type { LogEntry } from '../../../src/history/types.ts';
import { END_AT_LEAST, END_LINEARIZABLE } from '../../../src/protocol/client.ts';
import { walkEntries } from '../../server/support/entries.ts';
import { Closed, type RawClient, Refused } from '../../server/support/rawClient.ts';
import { identify } from '../payload.ts';
import { connectTo, isNetworkError } from './connecting.ts';
import type { LoadContext } from './context.ts';

const READ_BYTES = 16_384;
const READ_ENTRIES = 40;
const THINK_MS = 20;
const FAILURE_PAUSE_MS = 200;
const AT_LEAST_WAIT_MS = 2_000;

/** What a stranger may be refused with, when the node stops, does not lead, is behind, or finds no leader to ask. */
const EXPECTED_REFUSALS = new Set<string>(['SHUTTING_DOWN', 'NOT_LEADER', 'BEHIND', 'OFFSET_BEYOND_END', 'OFFSET_TRIMMED', 'OVERLOADED']);

/** Reads from one node, over connections of its own: all that one connection is told never goes back. */
export class Stranger {
  readonly id: number;
  readonly #node: ClusterNode;
  readonly #context: LoadContext;
  readonly #asksAtLeast: boolean;
  #connection: RawClient | undefined;
  #connectionCount = 0;

  constructor(id: number, node: ClusterNode, context: LoadContext, asksAtLeast: boolean) {
    this.id = id;
    this.#node = node;
    this.#context = context;
    this.#asksAtLeast = asksAtLeast;
  }

  /** Reads until the run ends. */
  async run(): Promise<void> {
    const { signal } = this.#context.ended;
    signal.addEventListener('abort', () => this.#connection?.socket.terminate());
    while (!signal.aborted) {
      try {
        this.#connection ??= await connectTo(this.#node.url);
        this.#connectionCount += 1;
        while (!signal.aborted) {
          await this.#ask(this.#connection);
          await this.#context.pause(THINK_MS);
        }
      } catch (thrown) {
        if (!(thrown instanceof Closed) && !isNetworkError(thrown))
          this.#context.problem(`reading from node ${this.#node.id}: ${String(thrown)}`);
        this.#connection?.socket.terminate();
        this.#connection = undefined;
        await this.#context.pause(FAILURE_PAUSE_MS);
      }
    }
    this.#connection?.socket.terminate();
  }

  async #ask(connection: RawClient): Promise<void> {
    const { random } = this.#context;
    try {
      if (random.oneIn(2)) await this.#read(connection);
      else await this.#end(connection, random.oneIn(2), this.#asksAtLeast && random.oneIn(4));
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      const { errors } = this.#context;
      errors.set(thrown.code, (errors.get(thrown.code) ?? 0) + 1);
      if (!EXPECTED_REFUSALS.has(thrown.code)) this.#context.problem(`node ${this.#node.id} refused a reader with ${thrown.message}`);
    }
  }

  async #end(connection: RawClient, isLinearizable: boolean, asks: boolean): Promise<void> {
    const { recorder, acknowledgedEnd } = this.#context;
    const atLeast = asks ? acknowledgedEnd : undefined;
    const flags = (isLinearizable ? END_LINEARIZABLE : 0) | (asks ? END_AT_LEAST : 0);
    const invoked = recorder.now();
    const { commit } = await connection.end(flags, atLeast ?? 0, asks ? AT_LEAST_WAIT_MS : 0);
    recorder.end({ ...this.#seen(invoked), isLinearizable, atLeast, commit });
  }

  async #read(connection: RawClient): Promise<void> {
    const { recorder } = this.#context;
    const from = this.#context.place();
    const invoked = recorder.now();
    const { bytes, commit, entries } = await connection.read(from, { maxBytes: READ_BYTES });
    const seen = identify(entries, (offset, end, term, id) => recorder.entry(offset, end, term, id));
    recorder.read({ ...this.#seen(invoked), from, to: from + bytes, entries: seen, commit });
  }

  #seen(invoked: number): { client: number; node: string; session: string; invoked: number } {
    return { client: this.id, node: String(this.#node.id), session: `${this.id}/${this.#connectionCount}`, invoked };
  }
}

/** Follows the log from its start, over whichever nodes live: each entry once, in order. */
export class Subscriber {
  readonly id: number;
  readonly #client: LogClient;
  readonly #context: LoadContext;
  /** Up to where entries came. */
  next = 0;

  constructor(id: number, client: LogClient, context: LoadContext) {
    this.id = id;
    this.#client = client;
    this.#context = context;
  }

  async run(): Promise<void> {
    const { signal } = this.#context.ended;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (thrown) {
        this.#context.failed(`subscription ${this.id}`, thrown);
        await this.#context.pause(FAILURE_PAUSE_MS);
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { recorder } = this.#context;
    const intern = (offset: number, end: number, term: number, id: number): LogEntry => recorder.entry(offset, end, term, id);
    const invoked = recorder.now();
    for await (const { offset, nextOffset, commit, bytes } of this.#client.subscribe({ from: this.next, signal }).batches()) {
      const entries = identify(walkEntries(bytes, offset), intern);
      const seen = { client: this.id, node: 'of the library', session: undefined, invoked };
      recorder.delivery({ ...seen, subscription: this.id, from: offset, to: nextOffset, entries, commit });
      this.next = nextOffset;
    }
  }

  /** Waits until everything below `end` has come. */
  async caughtUp(end: number, timeoutMs: number): Promise<void> {
    await until(
      () => `for subscription ${this.id} to come from ${this.next} to ${end}`,
      () => this.next >= end,
      timeoutMs,
    );
  }
}

/**
 * Asks for the end and reads through the library, over whichever nodes live. What one client is told never goes back, whoever tells it,
 * and counts what it wrote itself.
 */
export class Asker {
  readonly id: number;
  readonly #client: LogClient;
  readonly #context: LoadContext;
  readonly #session: string;

  constructor(id: number, client: LogClient, context: LoadContext, session = `library/${id}`) {
    this.id = id;
    this.#client = client;
    this.#context = context;
    this.#session = session;
  }

  /** Asks until the run ends. */
  async run(): Promise<void> {
    const { random } = this.#context;
    while (!this.#context.isEnded) {
      const kind = random.below(4);
      try {
        if (kind === 0) await this.#read();
        else await this.#end(kind > 1);
        await this.#context.pause(THINK_MS);
      } catch (thrown) {
        this.#context.failed(`the question of client ${this.id}`, thrown);
        await this.#context.pause(FAILURE_PAUSE_MS);
      }
    }
  }

  async #end(isLinearizable: boolean): Promise<void> {
    const { recorder } = this.#context;
    const invoked = recorder.now();
    const { end } = await this.#client.end({ linearizable: isLinearizable });
    recorder.end({ ...this.#seen(invoked), isLinearizable, atLeast: undefined, commit: end });
  }

  async #read(): Promise<void> {
    const { recorder } = this.#context;
    const from = this.#context.place();
    const intern = (offset: number, end: number, term: number, id: number): LogEntry => recorder.entry(offset, end, term, id);
    const invoked = recorder.now();
    for await (const { offset, nextOffset, commit, bytes } of this.#client.read({ from, limit: READ_ENTRIES }).batches()) {
      const entries = identify(walkEntries(bytes, offset), intern);
      recorder.read({ ...this.#seen(invoked), from: offset, to: nextOffset, entries, commit });
    }
  }

  #seen(invoked: number): { client: number; node: string; session: string; invoked: number } {
    return { client: this.id, node: 'of the library', session: this.#session, invoked };
  }
}
