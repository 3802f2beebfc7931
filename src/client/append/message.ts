// One APPEND message, from its first entry to its receipt, in a run of the workspace: header and entries, and between them what it says of its upload.
//
//   no upload:  │ room for 40 │ header 24 │ entries …        uploaded:  │ room for 16 │ header 24 │ id, nodes 24 │ entries …
//   of a session:  │ room for 24 │ header 24 │ session, sequence 16 │ entries …    both:  │ header 24 │ id, nodes 24 │ session, sequence 16 │ entries …

import { ENTRY_HEADER_BYTES, ENTRY_KIND_SIZE_AT, ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { LogError } from '../../core/errors.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { dataKindSize, entryBytesAt, entryBytesOf, kindSizeAt, payloadAt, payloadBytesOf } from '../../format/entry.ts';
import {
  APPEND_CONDITIONAL,
  LEVEL_COMMITTED,
  LEVEL_RECEIVED,
  LEVEL_VOLATILE,
  MESSAGE_HEADER_BYTES,
  type Receipt as WireReceipt,
} from '../../protocol/client.ts';
import type { Hello } from '../../protocol/greeting.ts';
import { APPEND_SESSION_BYTES } from '../../protocol/sessions.ts';
import { APPEND_UPLOAD_BYTES } from '../../protocol/uploads.ts';
import type { BatchReceipt, Level, Receipt } from '../options.ts';
import type { Upload } from '../uploads/upload.ts';
import type { Workspace } from '../wasm.ts';
import type { Run } from './arena.ts';
import type { ChainLink } from './chains.ts';

/** What receipts say, by its number on the wire. */
const LEVELS: Readonly<Record<number, Level>> = { [LEVEL_COMMITTED]: 'committed', [LEVEL_VOLATILE]: 'volatile' };

export type Resolve = (receipt: Receipt) => void;
export type ResolveBatch = (receipt: BatchReceipt) => void;
export type Reject = (error: LogError) => void;

/** An append that did not fit the open message, or that asked for more than the defaults. */
export interface Operation {
  payloads: readonly Uint8Array[];
  /** Payloads and overhead. */
  readonly entryBytes: number;
  /** APPEND_RECEIVED, APPEND_CONDITIONAL, APPEND_CHAINED. */
  readonly flags: number;
  readonly expectedEnd: number;
  /** The only term in which it may be done; 0: any. */
  readonly expectedTerm: number;
  /** Set for an append of a {@link Writer}, which sends it again itself. */
  readonly link: ChainLink | undefined;
  /** Must be a message of its own: conditional, or a batch. */
  readonly isAlone: boolean;
  readonly resolve: Resolve;
  /** Set for a batch, which is settled as a whole; `resolve` is not called then. */
  readonly resolveBatch: ResolveBatch | undefined;
  readonly reject: Reject;
  /** Where it stands once it left the queue. */
  message: Message | undefined;
}

/** A plain append of one entry. */
export function plainOperation(payload: Uint8Array, flags: number, resolve: Resolve, reject: Reject): Operation {
  return {
    payloads: [payload],
    entryBytes: payload.length + ENTRY_OVERHEAD_BYTES,
    flags,
    expectedEnd: 0,
    expectedTerm: 0,
    link: undefined,
    isAlone: false,
    resolve,
    resolveBatch: undefined,
    reject,
    message: undefined,
  };
}

let lastMask = -1;
let lastNodes: readonly number[] = [];

/** Node ids of a receipt's bits. The array is shared by all receipts with the same nodes, so it is frozen. */
function nodesOf(mask: number): readonly number[] {
  if (mask !== lastMask) {
    const nodes: number[] = [];
    for (let bit = 0; bit < 32; bit++) if ((mask >>> bit) & 1) nodes.push(bit + 1);
    lastMask = mask;
    lastNodes = Object.freeze(nodes);
  }
  return lastNodes;
}

/** What receipts say for offset and end of what is in the log at a place that nobody knows any more. */
export const NO_PLACE = -1;

/** Whether a receipt says that an append is in the log, and not where: what was sent again is trimmed. */
const isPlaceless = ({ term, offset, end, level }: WireReceipt): boolean =>
  term === 0 && offset === 0 && end === 0 && level !== LEVEL_RECEIVED;

/** What a node says of that, and what is known of it where a session is over in which it was sent: it is committed, durably or not. */
export function placeless({ isDurable }: Pick<Hello, 'isDurable'>): WireReceipt {
  return { requestId: 0, term: 0, offset: 0, end: 0, level: isDurable ? LEVEL_COMMITTED : LEVEL_VOLATILE, nodes: 0 };
}

/** Room before the entries. */
export const HEAD_BYTES = MESSAGE_HEADER_BYTES + APPEND_UPLOAD_BYTES + APPEND_SESSION_BYTES;

export class Message {
  readonly run: Run;
  /** The entries are in [entriesAt, end) of the workspace. */
  readonly entriesAt: number;
  /** Valid once the message is sealed. */
  end: number;
  /** Entries may be added up to here. */
  readonly limit: number;
  readonly flags: number;
  readonly expectedEnd: number;
  readonly expectedTerm: number;
  readonly link: ChainLink | undefined;
  /** Settled as a whole when set; otherwise `resolves` has one function per entry. */
  readonly resolveBatch: ResolveBatch | undefined;
  readonly resolves: Resolve[] = [];
  readonly rejects: Reject[] = [];
  /** Undefined when followers get its entries from the leader. */
  upload: Upload | undefined;
  /** 0 until it is sent. */
  requestId = 0;
  /** Its place among all messages that were ever sent; 0 until then. Kept when it is sent again. */
  order = 0;
  /** Its place in the producer's session; 0: it was given none yet. */
  session = 0;
  sequence = 0;
  /** An earlier try may have been done. */
  isUncertain = false;
  /** Of a session: it was refused for good, when an earlier try may have been done. It is in the session by that try, or never will be. */
  isRefused = false;
  /** Its caller does not want it any more: it is not sent again. */
  isGivenUp = false;
  /** Calls of it that were rejected before it was settled, because their signals were aborted. */
  abortedCount = 0;
  readonly #batchCount: number;
  /** How often the log was asked what became of it. */
  recheckCount = 0;
  /** When trying again ends, of `performance.now()`; 0 before the first refusal. */
  retryUntilMs = 0;
  /** Why the last try came to nothing. */
  refusal: LogError | undefined;

  constructor(run: Run, limitBytes: number, first: Operation) {
    this.run = run;
    this.entriesAt = run.used + HEAD_BYTES;
    this.end = this.entriesAt;
    this.limit = Math.min(run.end, this.entriesAt + Math.max(limitBytes, first.entryBytes));
    this.flags = first.flags;
    this.expectedEnd = first.expectedEnd;
    this.expectedTerm = first.expectedTerm;
    this.link = first.link;
    this.resolveBatch = first.resolveBatch;
    this.#batchCount = first.payloads.length;
  }

  /** Whether it can be sent again although it may have been done: it is done at one place of the log only. */
  get isConditional(): boolean {
    return (this.flags & APPEND_CONDITIONAL) !== 0;
  }

  /** The payloads of a sealed message, as views that are good until it is settled. */
  payloads({ bytes, view }: Workspace): Uint8Array[] {
    const payloads: Uint8Array[] = [];
    for (let at = this.entriesAt; at < this.end; ) {
      const kindSize = kindSizeAt(view, at);
      payloads.push(payloadAt(bytes, at, kindSize));
      at += entryBytesOf(kindSize);
    }
    return payloads;
  }

  get entryBytes(): number {
    return this.end - this.entriesAt;
  }

  /** Makes one batch of its entries: of a session's append the log has all or nothing. */
  join({ view }: Workspace): void {
    for (let at = this.entriesAt; at < this.end; ) {
      const kindSize = kindSizeAt(view, at);
      const next = at + entryBytesOf(kindSize);
      view.setUint32(at + ENTRY_KIND_SIZE_AT, dataKindSize(payloadBytesOf(kindSize), next < this.end), true);
      at = next;
    }
  }

  /** Whether `receipt` is for as many bytes as the message holds, and of a level that is known: another one promises nothing. */
  matches(receipt: WireReceipt): boolean {
    if (receipt.level > LEVEL_VOLATILE) return false;
    if (this.sequence !== 0 && isPlaceless(receipt)) return true;
    return receipt.end - receipt.offset === this.entryBytes && receipt.term > 0 && Number.isSafeInteger(receipt.end);
  }

  /** Resolves every entry with its own place. Their sizes are read back from the workspace, where they still stand. */
  acknowledge(receipt: WireReceipt, { view }: Workspace): void {
    const { term, end } = receipt;
    const level = LEVELS[receipt.level] ?? 'received';
    const nodes = nodesOf(receipt.nodes);
    if (isPlaceless(receipt)) {
      this.#acknowledgePlaceless({ term, offset: NO_PLACE, end: NO_PLACE, level, nodes });
      return;
    }
    let offset = receipt.offset;
    let at = this.entriesAt;
    if (this.resolveBatch !== undefined) {
      const offsets: number[] = [];
      while (at < this.end) {
        const bytes = entryBytesAt(view, at);
        offsets.push(offset);
        offset += bytes;
        at += bytes;
      }
      this.resolveBatch({ term, offset: receipt.offset, end, offsets, level, nodes });
      return;
    }
    for (const resolve of this.resolves) {
      const bytes = entryBytesAt(view, at);
      resolve({ term, offset, end: offset + bytes, level, nodes });
      offset += bytes;
      at += bytes;
    }
  }

  #acknowledgePlaceless(receipt: Receipt): void {
    const offsets = Array.from({ length: this.#batchCount }, () => NO_PLACE);
    if (this.resolveBatch !== undefined) this.resolveBatch({ ...receipt, offsets });
    else for (const resolve of this.resolves) resolve(receipt);
  }

  /** Calls that wait for it. */
  get waitingCount(): number {
    return this.rejects.length - this.abortedCount;
  }

  /** How many entries it holds. */
  get entryCount(): number {
    return this.resolveBatch === undefined ? this.resolves.length : this.#batchCount;
  }

  /** Rejects every entry, with what is returned. When an earlier try may have been done, the failure of this one does not say that it was not. */
  fail(error: LogError): LogError {
    const isKnown = !this.isUncertain || error.outcome === 'unknown';
    const sentence = `An earlier try of this append may have been done; the last one was not: ${error.message}`;
    const told = isKnown ? error : new LogError(error.code, sentence, error.details, 'unknown');
    this.failFinally(told);
    return told;
  }

  /** Rejects every entry with an error that says all there is to know. */
  failFinally(error: LogError): void {
    for (const reject of this.rejects) reject(error);
  }

  /** Takes the entry or batch of `operation` out of a message that is not sent yet, which ends at `end`. Returns the new end. */
  remove(operation: Operation, end: number, { bytes, view }: Workspace): number {
    const index = this.rejects.indexOf(operation.reject);
    if (index < 0) return end;
    this.rejects.splice(index, 1);
    if (this.resolveBatch !== undefined) return this.entriesAt;
    this.resolves.splice(index, 1);
    let at = this.entriesAt;
    for (let i = 0; i < index; i++) at += entryBytesAt(view, at);
    bytes.copyWithin(at, at + operation.entryBytes, end);
    return end - operation.entryBytes;
  }
}

/**
 * Writes the kind-and-size words and payloads of an append's entries at `at`; checks and terms are `frame`'s. All but the last one say
 * that their batch goes on: the log has all of them, or none. Returns where the next append goes.
 */
export function writeEntries({ bytes, view }: Workspace, at: number, payloads: readonly Uint8Array[]): number {
  let next = at;
  let left = payloads.length;
  for (const payload of payloads) {
    left -= 1;
    view.setUint32(next + ENTRY_KIND_SIZE_AT, dataKindSize(payload.length, left > 0), true);
    bytes.set(payload, next + ENTRY_HEADER_BYTES);
    next += payload.length + ENTRY_OVERHEAD_BYTES;
  }
  return next;
}

export function tooLarge(payloadBytes: number, maxPayloadBytes: number): LogError {
  const sentence = `A payload of ${payloadBytes} bytes is more than the server's limit of ${maxPayloadBytes}. Split it.`;
  return new LogError('ENTRY_TOO_LARGE', sentence, { payloadBytes, maxPayloadBytes });
}

/** The errors of appends whose connection was lost: of those that may have been done, and of those that were not. */
export function lostErrors(url: string, reason: string): { unknown: LogError; failed: LogError } {
  const mayBe =
    `The connection to ${withoutSecrets(url)} was lost before this append was acknowledged (${reason}). It may be in the log or not: ` +
    'read the end of the log, or use expectedEnd, before you append it again.';
  const isNot = `The connection to ${withoutSecrets(url)} ended before this append was done (${reason}), so it had no effect. Append it again.`;
  return { unknown: new LogError('CONNECTION_LOST', mayBe), failed: new LogError('CONNECTION_LOST', isNot, {}, 'failed') };
}

export function batchTooLarge(batchBytes: number, maxBatchBytes: number): LogError {
  const sentence = `A batch of ${batchBytes} bytes of entries is more than the server's limit of ${maxBatchBytes}. Split it.`;
  return new LogError('ENTRY_TOO_LARGE', sentence, { batchBytes, maxBatchBytes });
}

/** What a server, and this client's memory, take at once. */
interface Limits {
  readonly maxPayloadBytes: number;
  readonly maxBatchBytes: number;
}

/** Bytes of the entry of a payload; ENTRY_TOO_LARGE for one that cannot be taken. */
export function entryBytesFor({ length }: Uint8Array, { maxPayloadBytes, maxBatchBytes }: Limits): number {
  if (length > maxPayloadBytes) throw tooLarge(length, maxPayloadBytes);
  const entryBytes = length + ENTRY_OVERHEAD_BYTES;
  if (entryBytes > maxBatchBytes) throw batchTooLarge(entryBytes, maxBatchBytes);
  return entryBytes;
}

/** Bytes of entries of a batch; ENTRY_TOO_LARGE for one that cannot be taken. */
export function batchBytesOf(payloads: readonly Uint8Array[], { maxPayloadBytes, maxBatchBytes }: Limits): number {
  let batchBytes = 0;
  for (const { length } of payloads) {
    if (length > maxPayloadBytes) throw tooLarge(length, maxPayloadBytes);
    batchBytes += length + ENTRY_OVERHEAD_BYTES;
  }
  if (batchBytes > maxBatchBytes) throw batchTooLarge(batchBytes, maxBatchBytes);
  return batchBytes;
}
