// Records what the clients of a test do and are told. A client stays what it is: its methods are the same, and are watched.

import { createHash } from 'node:crypto';
import type { AppendOptions, BatchReceipt, LogClient, Reading, ReadOptions, Receipt, Writer } from '../client/index.ts';
import { LogError } from '../core/errors.ts';
import { type AppendCall, type Complete, HistoryRecorder } from '../history/recorder.ts';
import type { AppendResult } from '../history/types.ts';

/** Stands for a payload: two have the same exactly when they are equal. */
export type Fingerprint = string;

export function fingerprintOf(payload: unknown): Fingerprint {
  const hash = createHash('sha1');
  // What is no payload is refused by the client itself.
  return (typeof payload === 'string' || payload instanceof Uint8Array ? hash.update(payload) : hash).digest('base64');
}

/** An entry as an iteration handed it out. */
export interface SeenEntry {
  readonly offset: number;
  readonly end: number;
  readonly term: number;
  readonly fingerprint: Fingerprint;
  readonly completed: number;
}

/** One iteration over a part of the log. */
export interface SeenReading {
  readonly client: number;
  readonly subscription: number;
  readonly invoked: number;
  /** Where it was to begin; undefined: at the end, wherever that was. */
  readonly from: number | undefined;
  readonly entries: SeenEntry[];
}

/** What a call's failure says of an append. */
function failureOf(thrown: unknown): AppendResult {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  // Whatever is no LogError was refused as a mistake of the caller's.
  return { kind: thrown instanceof LogError ? thrown.outcome : 'failed', why };
}

/** A conditional append whose answer was lost may be found by reading the log, which does not say who had it. */
function resultOf({ offset, end, term, nodes }: Receipt): AppendResult {
  return { kind: 'ok', offset, end, term, nodes: nodes.length === 0 ? undefined : nodes };
}

export class Recording {
  readonly recorder = new HistoryRecorder(() => performance.now());
  /** Of the payload of each entry by its id. */
  readonly fingerprints: Fingerprint[] = [];
  readonly readings: SeenReading[] = [];
  #clients = 0;
  #chains = 0;

  /** From now on all that `client` does is recorded; what it has not done when `ended` is aborted is given up. */
  watch(client: LogClient, ended: AbortSignal): void {
    const id = ++this.#clients;
    this.#watchAppends(client, id, ended);
    this.#watchEnds(client, id);
    for (const name of ['read', 'subscribe'] as const) {
      const begin = client[name].bind(client);
      client[name] = (options = {}) =>
        this.#watchReading(id, options.from, begin({ ...options, signal: anyOf(options.signal, ended) }), name);
    }
    const { writer } = client;
    client.writer = (options) => {
      const made = writer.call(client, options);
      const level = options.ack ?? 'committed';
      this.#watchWriter(made, id, offsetOf(options.expectedEnd), level);
      return made;
    };
  }

  #watchAppends(client: LogClient, id: number, ended: AbortSignal): void {
    const { append, appendBatch } = client;
    const callOf = (options: AppendOptions): Pick<AppendCall, 'client' | 'level' | 'expectedEnd' | 'session'> => ({
      client: id,
      level: options.ack ?? 'committed',
      expectedEnd: offsetOf(options.expectedEnd),
      session: sessionOf(id),
    });
    client.append = (payload, options = {}) =>
      this.#append([payload], callOf(options), () => append.call(client, payload, { ...options, signal: anyOf(options.signal, ended) }));
    client.appendBatch = (payloads, options = {}) => {
      // It may be one that can be walked only once.
      const list = [...payloads];
      return this.#append(list, callOf(options), () =>
        appendBatch.call(client, list, { ...options, signal: anyOf(options.signal, ended) }),
      );
    };
  }

  #watchWriter(writer: Writer, id: number, expectedEnd: number | undefined, level: 'received' | 'committed'): void {
    const chain = ++this.#chains;
    let number = 0;
    const call = (): Pick<AppendCall, 'client' | 'level' | 'expectedEnd' | 'chain' | 'session'> => {
      number += 1;
      const link = { id: chain, number, isResumed: true };
      return { client: id, level, expectedEnd: number === 1 ? expectedEnd : undefined, chain: link, session: sessionOf(id) };
    };
    const { append, appendBatch, writeWith } = writer;
    writer.append = (payload) => this.#append([payload], call(), () => append.call(writer, payload));
    // What is written has no promise for its caller, and one for the record.
    writer.write = (payload) => {
      let taken: { readonly hasRoom: boolean } | { readonly thrown: unknown } = { hasRoom: false };
      const write = (resolve: (receipt: Receipt) => void, reject: (thrown: unknown) => void): void => {
        try {
          taken = { hasRoom: writeWith.call(writer, payload, resolve, reject) };
        } catch (thrown) {
          taken = { thrown };
          reject(thrown);
        }
      };
      this.#append([payload], call(), () => new Promise<Receipt>(write)).catch(() => undefined);
      if ('thrown' in taken) throw taken.thrown;
      return taken.hasRoom;
    };
    writer.appendBatch = (payloads) => {
      const list = [...payloads];
      return this.#append(list, call(), () => appendBatch.call(writer, list));
    };
  }

  async #append<R extends Receipt | BatchReceipt>(
    payloads: readonly unknown[],
    call: Omit<AppendCall, 'ids'>,
    append: () => Promise<R>,
  ): Promise<R> {
    const ids = payloads.map((payload) => this.fingerprints.push(fingerprintOf(payload)) - 1);
    const complete: Complete = this.recorder.append({ ...call, ids });
    try {
      const receipt = await append();
      complete(resultOf(receipt));
      return receipt;
    } catch (thrown) {
      complete(failureOf(thrown));
      throw thrown;
    }
  }

  #watchEnds(client: LogClient, id: number): void {
    const { end } = client;
    client.end = async (options = {}) => {
      const invoked = this.recorder.now();
      const answer = await end.call(client, options);
      const { linearizable = false, atLeast } = options;
      this.#tellEnd(id, invoked, answer.end, linearizable, offsetOf(atLeast));
      return answer;
    };
  }

  #tellEnd(client: number, invoked: number, commit: number, isLinearizable: boolean, atLeast: number | undefined): void {
    this.recorder.end({ client, node: 'of the library', session: sessionOf(client), invoked, isLinearizable, atLeast, commit });
  }

  #watchReading(client: number, from: ReadOptions['from'], reading: Reading, kind: 'read' | 'subscribe'): Reading {
    const begin = (): SeenReading => {
      const seen: SeenReading = {
        client,
        subscription: this.readings.length,
        invoked: this.recorder.now(),
        from: from === 'end' ? undefined : from === 'start' ? 0 : (offsetOf(from) ?? 0),
        entries: [],
      };
      this.readings.push(seen);
      return seen;
    };
    const take = (seen: SeenReading, entry: { offset: number; nextOffset: number; term: number; payload: Uint8Array }): void => {
      const { offset, nextOffset: end, term, payload } = entry;
      seen.entries.push({ offset, end, term, fingerprint: fingerprintOf(payload), completed: this.recorder.now() });
    };
    const ended = ({ invoked }: SeenReading): void => {
      // What a bounded read passed over was committed, and all that this client had written or seen.
      if (kind === 'read' && reading.position > 0) this.#tellEnd(client, invoked, reading.position, false, undefined);
    };
    return {
      get position() {
        return reading.position;
      },
      get bookmark() {
        return reading.bookmark;
      },
      [Symbol.asyncDispose]: () => reading[Symbol.asyncDispose](),
      async *[Symbol.asyncIterator]() {
        const seen = begin();
        for await (const entry of reading) {
          take(seen, entry);
          yield entry;
        }
        ended(seen);
      },
      async *batches() {
        const seen = begin();
        for await (const batch of reading.batches()) {
          for (const entry of batch) take(seen, entry);
          yield batch;
        }
        ended(seen);
      },
    };
  }
}

/** The offset that an option means; the client has checked it, or refuses it. */
function offsetOf(place: AppendOptions['expectedEnd']): number | undefined {
  return typeof place === 'string' ? Number(place.slice(place.lastIndexOf('@') + 1)) : place;
}

/** What one client was told never goes back, and counts what it wrote. */
function sessionOf(client: number): string {
  return `client ${client}`;
}

function anyOf(given: AbortSignal | undefined, ended: AbortSignal): AbortSignal {
  return given === undefined ? ended : AbortSignal.any([given, ended]);
}
