// A sealed segment over HTTP: verified as it comes, resumed where the connection was lost, never more than it may be.

import { SEGMENT_RETRY_MAX_MS, SEGMENT_RETRY_MS, SEGMENT_STALL_MS, SEGMENT_TRIES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { offAbort, onAbort } from '../aborts.ts';
import type { Workspace } from '../wasm.ts';
import { EntryVerifier } from './entryVerifier.ts';
import type { ListedSegment } from './list.ts';
import { abortedDownload, Interrupted, Patience, type SegmentSource } from './source.ts';

/** Whole, verified entries at a log offset. */
export interface LogBytes {
  readonly offset: number;
  /** May be a view of more; it stays as it is. */
  readonly bytes: Uint8Array;
}

export interface DownloadedBytes extends LogBytes {
  /** Term of the last entry. */
  readonly lastTerm: number;
  /** The log's time after the last entry, as this and what came before of the segment says it, Unix ms; 0: nothing does. */
  readonly saidMs: number;
}

export interface SegmentRequest {
  readonly source: SegmentSource;
  readonly segment: ListedSegment;
  readonly workspace: Workspace;
  /** An entry boundary in the segment; its beginning if not given. */
  readonly from?: number;
  /** Term of the entry before `from`; 0, if not given: not known. */
  readonly minTerm?: number;
  readonly signal?: AbortSignal | undefined;
  /** Tries in a row that may bring nothing; SEGMENT_TRIES if not given. */
  readonly tries?: number;
  /** How long nothing may come, in milliseconds; SEGMENT_STALL_MS if not given. */
  readonly stallMs?: number;
  /** Over `stallMs` of waiting for it, the source must bring as much as this on average; 0 if not given. */
  readonly minBytesPerSecond?: number;
}

/**
 * The log bytes [from, end) of a segment, in order. No more is asked of the source than is taken here. A connection that is lost is made again
 * as long as that brings anything. Throws LogErrors: OFFSET_TRIMMED, BEHIND (the source does not have it), UNREACHABLE, DAMAGED (what came is not
 * valid; `details.offset`), PROTOCOL, ABORTED. What was yielded before is valid all the same.
 */
export async function* downloadSegment(request: SegmentRequest): AsyncGenerator<DownloadedBytes, void, void> {
  const download = new Download(request);
  try {
    while (!download.isWhole) {
      const part = await download.next();
      if (part.bytes.length > 0) yield part;
    }
    download.checkEnd();
  } finally {
    download.drop();
  }
}

class Download {
  readonly #request: SegmentRequest;
  readonly #verifier: EntryVerifier;
  /** Of what came first: what comes after a loss must be of the same. */
  #etag: string | undefined;
  #failures = 0;
  #patience: Patience | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** How long was waited for the source since its pace was looked at, in milliseconds, and the bytes that this has brought. */
  #waitedMs = 0;
  #broughtBytes = 0;
  /** Bytes before those that are wanted, where the source answers with all although a part was asked for. */
  #skip = 0;

  constructor(request: SegmentRequest) {
    this.#request = request;
    this.#verifier = new EntryVerifier(request.workspace, request.from ?? request.segment.base, request.minTerm);
  }

  get isWhole(): boolean {
    return this.#verifier.received >= this.#request.segment.end;
  }

  /** What the next piece of the body has verified: nothing, where it was lost, or is a part of an entry. */
  async next(): Promise<DownloadedBytes> {
    const { offset } = this.#verifier;
    this.#checkFault();
    try {
      const bytes = this.#take(await this.#read());
      return { offset, bytes, lastTerm: this.#verifier.lastTerm, saidMs: this.#verifier.saidMs };
    } catch (thrown) {
      this.drop();
      if (!(thrown instanceof Interrupted)) throw thrown;
      await this.#pause(thrown);
      return { offset, bytes: new Uint8Array(0), lastTerm: this.#verifier.lastTerm, saidMs: this.#verifier.saidMs };
    }
  }

  /** Gives up the connection, if there is one. */
  drop(): void {
    void this.#reader?.cancel().catch(() => undefined);
    this.#patience?.end();
    this.#reader = undefined;
    this.#patience = undefined;
  }

  /** Throws unless all that came is whole entries and batches. */
  checkEnd(): void {
    this.#checkFault();
    const { offset, batchEnd, received } = this.#verifier;
    if (offset !== received) throw this.#damage(offset, 'goes on past the end of its segment');
    if (batchEnd !== offset) throw this.#damage(batchEnd, 'begins a batch that is not complete in its segment');
  }

  async #read(): Promise<Uint8Array> {
    const sinceMs = performance.now();
    this.#reader ??= await this.#open();
    const { value, done } = (await this.#patience?.within(this.#reader.read())) ?? { value: undefined, done: true };
    if (done || value === undefined) throw new Interrupted('it ended early');
    this.#checkPace(performance.now() - sinceMs, value.length);
    return value;
  }

  /** Who sends a byte now and then holds a reader up as well as who sends none. */
  #checkPace(waitedMs: number, bytes: number): void {
    const { source, segment, stallMs = SEGMENT_STALL_MS, minBytesPerSecond = 0 } = this.#request;
    this.#waitedMs += waitedMs;
    this.#broughtBytes += bytes;
    if (this.#waitedMs < stallMs) return;
    const pace = (this.#broughtBytes * 1000) / this.#waitedMs;
    if (pace < minBytesPerSecond) {
      const sentence = `${source.shown} sends the segment ${segment.path} at ${Math.round(pace)} bytes a second; ${minBytesPerSecond} are the least.`;
      throw new LogError('UNREACHABLE', sentence, { offset: this.#verifier.offset });
    }
    this.#waitedMs = 0;
    this.#broughtBytes = 0;
  }

  async #open(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const { source, segment, signal, stallMs } = this.#request;
    const at = this.#verifier.received - segment.base;
    // Without `if-range`, for which a browser would ask the host first, whether pages may send it; the tag is compared below.
    const headers: Record<string, string> = at === 0 ? {} : { range: `bytes=${at}-` };
    this.#patience = new Patience(signal, stallMs);
    const answer = await source.get(segment.path, headers, this.#patience);
    const etag = answer.headers.get('etag') ?? undefined;
    if (this.#etag !== undefined && etag !== this.#etag) throw this.#protocol('changed while it was read');
    // A weak one does not say that the bytes are the same.
    this.#etag = etag?.startsWith('"') ? etag : undefined;
    this.#skip = answer.status === 206 ? 0 : at;
    if (answer.status === 206) this.#checkRange(answer.headers.get('content-range') ?? '', at);
    if (answer.body === null) throw new Interrupted('it sent nothing');
    return answer.body.getReader();
  }

  #checkRange(range: string, at: number): void {
    const { base, end } = this.#request.segment;
    const [, from, , size] = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(range) ?? [];
    if (Number(from) !== at) throw this.#protocol(`came from byte ${from ?? '?'} on, where ${at} was asked for`);
    if (size !== '*' && Number(size) !== end - base) throw this.#protocol(`has ${size} bytes, where ${end - base} were listed`);
  }

  #take(piece: Uint8Array): Uint8Array {
    const wanted = piece.subarray(Math.min(this.#skip, piece.length));
    this.#skip -= piece.length - wanted.length;
    // Only what was not there yet is progress.
    if (wanted.length > 0) this.#failures = 0;
    const { base, end } = this.#request.segment;
    if (this.#verifier.received + wanted.length > end) throw this.#protocol(`has more than the ${end - base} bytes that were listed`);
    return this.#verifier.push(wanted);
  }

  #checkFault(): void {
    const { fault } = this.#verifier;
    if (fault !== undefined) throw this.#damage(fault.offset, fault.what);
  }

  async #pause({ message, waitMs }: Interrupted): Promise<void> {
    const { source, segment, signal, tries = SEGMENT_TRIES } = this.#request;
    this.#failures += 1;
    if (this.#failures >= tries) {
      const sentence = `${source.shown} does not give the segment ${segment.path}: ${message}; tried ${tries} times.`;
      throw new LogError('UNREACHABLE', sentence, { offset: this.#verifier.offset });
    }
    await pause(Math.max(waitMs, Math.min(SEGMENT_RETRY_MAX_MS, SEGMENT_RETRY_MS * 2 ** (this.#failures - 1))), signal);
  }

  #protocol(what: string): LogError {
    const { source, segment } = this.#request;
    return new LogError('PROTOCOL', `The segment ${segment.path} of ${source.shown} ${what}.`, {}, 'failed');
  }

  #damage(offset: number, what: string): LogError {
    const { source, segment } = this.#request;
    const sentence = `The entry at offset ${offset}, in the segment ${segment.path} of ${source.shown}, ${what}. Read it from another node, and run "loglog verify" on that one.`;
    return new LogError('DAMAGED', sentence, { offset });
  }
}

function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) reject(abortedDownload(signal));
    };
    const timer = setTimeout(() => {
      if (signal !== undefined) offAbort(signal, abort);
      resolve();
    }, delayMs);
    if (signal?.aborted === true) abort();
    else if (signal !== undefined) onAbort(signal, abort);
  });
}
