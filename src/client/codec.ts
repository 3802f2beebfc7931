// A log of values in place of bytes: each is encoded as it is appended, and decoded as it is read.

import { LogError } from '../core/errors.ts';
import type { Payload } from './append/payload.ts';
import type { LogClient } from './client.ts';
import { describe } from './describe.ts';
import { checkOptions } from './optionNames.ts';
import type { AppendOptions, BatchReceipt, ReadOptions, Receipt, SubscribeOptions } from './options.ts';
import type { Entry } from './read/entries.ts';
import type { Reading } from './read/reading.ts';

/** How values become payloads, and payloads values. */
export interface Codec<T> {
  /** What is appended for `value`; throws for one that cannot be. */
  encode(value: T): Payload;
  /** The value of a payload, whose bytes may be kept; throws for what is none. */
  decode(payload: Uint8Array): T;
}

/** `json`: anything that JSON has; `text`: strings, as UTF-8; `bytes`: payloads as they are. */
export type CodecName = 'json' | 'text' | 'bytes';

/** An entry with what its payload means. */
export interface TypedEntry<T> extends Entry {
  readonly value: T;
}

/** The entries of a range of the log, with their values. Every iteration reads it anew, from the same place. */
export interface TypedReading<T> extends AsyncIterable<TypedEntry<T>>, AsyncDisposable {
  /** As of a {@link Reading}: everything before this offset was handed out. An entry that is not of the codec was not: it begins here. */
  readonly position: number;
  readonly bookmark: string;
  /** As of a {@link Reading}. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Made by {@link typedLog}. What it has not, the log below it has. */
export interface TypedLog<T> {
  /** Appends one value. Rejects with TypeError for one that cannot be encoded, else as `log.append`. */
  append(value: T, options?: AppendOptions): Promise<Receipt>;
  /** Appends several values, all or none. Rejects as `append`, and as `log.appendBatch`. */
  appendBatch(values: Iterable<T>, options?: AppendOptions): Promise<BatchReceipt>;
  /** As `log.read`; the iteration throws a LogError MALFORMED at an entry that is not of the codec: `details.offset`, and `details.nextOffset` to go on after it. */
  read(options?: ReadOptions): TypedReading<T>;
  /** As `log.subscribe`, and as {@link read}. */
  subscribe(options?: SubscribeOptions): TypedReading<T>;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const LONE_SURROGATE = /\p{Surrogate}/u;

const text: Codec<unknown> = {
  encode(value) {
    if (typeof value !== 'string') throw new TypeError(`a text must be a string, not ${describe(value)}`);
    // UTF-8 has nothing for one half of a pair: another text would be in the log.
    if (LONE_SURROGATE.test(value)) throw new TypeError('a text must be Unicode, and this one has half of a surrogate pair');
    return value;
  },
  decode: (payload) => utf8.decode(payload),
};

const CODECS: Readonly<Record<CodecName, Codec<unknown>>> = {
  text,
  json: {
    encode(value) {
      const encoded: string | undefined = JSON.stringify(value);
      // Of undefined, a function or a symbol.
      if (encoded === undefined) throw new TypeError(`JSON has nothing for ${describe(value)}`);
      return encoded;
    },
    decode: (payload) => JSON.parse(utf8.decode(payload)),
  },
  bytes: {
    encode(value) {
      if (value instanceof Uint8Array) return value;
      throw new TypeError(`bytes must be a Uint8Array, not ${describe(value)}`);
    },
    decode: (payload) => payload,
  },
};

function codecOf(given: unknown): Codec<unknown> {
  if (typeof given === 'string' && Object.hasOwn(CODECS, given)) return CODECS[given as CodecName];
  if (typeof given === 'object' && given !== null && 'encode' in given && 'decode' in given) {
    if (typeof given.encode === 'function' && typeof given.decode === 'function') return given as Codec<unknown>;
  }
  throw new TypeError(`codec must be 'json', 'text', 'bytes' or an object with encode and decode, not ${describe(given)}`);
}

function decoded(codec: Codec<unknown>, entry: Entry): unknown {
  try {
    return codec.decode(entry.payload);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const { offset, nextOffset } = entry;
    throw new LogError('MALFORMED', `The entry at offset ${offset} is not of this codec: ${why}`, { offset, nextOffset }, 'failed', {
      cause: thrown,
    });
  }
}

class CodedReading implements TypedReading<unknown> {
  readonly #log: LogClient;
  readonly #reading: Reading;
  readonly #codec: Codec<unknown>;
  /** Where an entry begins that is not of the codec, and ended the iteration that began last. */
  #stoppedAt: number | undefined;

  constructor(log: LogClient, reading: Reading, codec: Codec<unknown>) {
    this.#log = log;
    this.#reading = reading;
    this.#codec = codec;
  }

  get position(): number {
    return this.#stoppedAt ?? this.#reading.position;
  }

  get bookmark(): string {
    return this.#stoppedAt === undefined ? this.#reading.bookmark : this.#log.bookmark(this.#stoppedAt);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#reading[Symbol.asyncDispose]();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<TypedEntry<unknown>> {
    this.#stoppedAt = undefined;
    for await (const entry of this.#reading) {
      const { offset, nextOffset, term, timeMs, payload } = entry;
      yield { offset, nextOffset, term, timeMs, payload, value: this.#decoded(entry) };
    }
  }

  #decoded(entry: Entry): unknown {
    try {
      return decoded(this.#codec, entry);
    } catch (thrown) {
      this.#stoppedAt = entry.offset;
      throw thrown;
    }
  }
}

class CodedLog implements TypedLog<unknown> {
  readonly #log: LogClient;
  readonly #codec: Codec<unknown>;

  constructor(log: LogClient, codec: Codec<unknown>) {
    this.#log = log;
    this.#codec = codec;
  }

  async append(value: unknown, options?: AppendOptions): Promise<Receipt> {
    return this.#log.append(this.#codec.encode(value), options);
  }

  async appendBatch(values: Iterable<unknown>, options?: AppendOptions): Promise<BatchReceipt> {
    // A text is a list of its letters, and no batch.
    if (typeof values !== 'object' || values === null || !(Symbol.iterator in values))
      throw new TypeError(`a batch must be a list of values, not ${describe(values)}`);
    return this.#log.appendBatch(
      Array.from(values, (value) => this.#codec.encode(value)),
      options,
    );
  }

  read(options?: ReadOptions): TypedReading<unknown> {
    return new CodedReading(this.#log, this.#log.read(options), this.#codec);
  }

  subscribe(options?: SubscribeOptions): TypedReading<unknown> {
    return new CodedReading(this.#log, this.#log.subscribe(options), this.#codec);
  }
}

/**
 * `log` with values in place of payloads: `typedLog<Order>(log, { codec: 'json' })`. The types are the program's word: nothing checks that JSON has
 * the shape of `T`; a codec of one's own can. Throws TypeError for a codec that is none.
 */
export function typedLog(log: LogClient, options: { readonly codec: 'text' }): TypedLog<string>;
export function typedLog(log: LogClient, options: { readonly codec: 'bytes' }): TypedLog<Uint8Array>;
export function typedLog<T>(log: LogClient, options: { readonly codec: 'json' | Codec<T> }): TypedLog<T>;
export function typedLog(log: LogClient, options: { readonly codec: unknown }): unknown {
  checkOptions('typedLog', options, ['codec']);
  return new CodedLog(log, codecOf(options.codec));
}
