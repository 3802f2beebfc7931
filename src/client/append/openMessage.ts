// The message that appends are copied into until it is sealed: full, or at the end of the tick, or because what comes next must stand alone.

import { ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import type { Hello } from '../../protocol/greeting.ts';
import { SLOT_BYTES, type Workspace } from '../wasm.ts';
import type { Arena } from './arena.ts';
import { HEAD_BYTES, Message, type Operation, type Reject, type Resolve, writeEntries } from './message.ts';

export class OpenMessage {
  readonly #workspace: Workspace;
  readonly #arena: Arena;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #message: Message | undefined;
  /** Where the next entry goes, and how far a plain append may write; limit 0: not at all. */
  #at = 0;
  #limit = 0;

  constructor(workspace: Workspace, arena: Arena) {
    this.#workspace = workspace;
    this.#arena = arena;
    this.#bytes = workspace.bytes;
    this.#view = workspace.view;
  }

  /** Of its entries. */
  get entryBytes(): number {
    return this.#message === undefined ? 0 : this.#at - this.#message.entriesAt;
  }

  /** How many callers wait for it. */
  get callCount(): number {
    return this.#message === undefined ? 0 : this.#message.rejects.length;
  }

  /** Whether there is one, empty or not. */
  get isBegun(): boolean {
    return this.#message !== undefined;
  }

  is(message: Message): boolean {
    return message === this.#message;
  }

  /** Whether {@link put} may take a payload of this size. */
  fits(payloadBytes: number): boolean {
    return this.#at + payloadBytes + ENTRY_OVERHEAD_BYTES <= this.#limit;
  }

  /** Copies in a plain append that {@link fits}. */
  put(payload: Uint8Array, resolve: Resolve, reject: Reject): void {
    const message = this.#message;
    if (message === undefined) return;
    const at = this.#at;
    const { length } = payload;
    this.#view.setUint32(at + 4, length, true);
    this.#bytes.set(payload, at + ENTRY_HEADER_BYTES);
    this.#at = at + length + ENTRY_OVERHEAD_BYTES;
    message.resolves.push(resolve);
    message.rejects.push(reject);
  }

  /** Whether an operation may join the others in it. */
  takes({ isAlone, flags, entryBytes }: Operation): boolean {
    const message = this.#message;
    return message !== undefined && !isAlone && message.flags === flags && this.#at + entryBytes <= message.limit;
  }

  /** Opens a message of up to `limitBytes` of entries, or more when `first` is larger. False when there is no memory for it. */
  begin(limitBytes: number, first: Operation): boolean {
    const run = this.#arena.reserve(HEAD_BYTES + first.entryBytes);
    if (run === undefined) return false;
    this.#message = new Message(run, limitBytes, first);
    this.#at = this.#message.entriesAt;
    return true;
  }

  /** Copies in an operation that {@link takes}, or with which it was begun. */
  place(operation: Operation): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#at = writeEntries(this.#workspace, this.#at, operation.payloads);
    message.rejects.push(operation.reject);
    if (operation.resolveBatch === undefined) message.resolves.push(operation.resolve);
    operation.message = message;
  }

  /** Lets plain appends with `flags` write up to `maxBytes` of entries, no further than the message goes; with other flags, not at all. */
  limitTo(maxBytes: number, flags: number): void {
    const message = this.#message;
    const isPlain = message !== undefined && message.flags === flags;
    this.#limit = isPlain ? Math.min(message.limit, message.entriesAt + maxBytes) : 0;
  }

  /** Takes out what an operation put in. */
  remove(operation: Operation): void {
    if (this.#message !== undefined) this.#at = this.#message.remove(operation, this.#at, this.#workspace);
  }

  /** Closes the message, and gives it out; an empty one is dropped. */
  seal(): Message | undefined {
    const message = this.#message;
    this.#message = undefined;
    this.#limit = 0;
    if (message === undefined) return undefined;
    message.end = this.#at;
    if (message.entryBytes === 0) {
      this.#arena.release(message.run);
      return undefined;
    }
    message.run.used = message.end;
    return message;
  }
}

const MIN_MESSAGE_BYTES = 16 * 1024;

/** Most bytes of entries that appends share a message for, with a server of these limits. */
export function messageBytesOf({ windowBytes, maxBatchBytes }: Pick<Hello, 'windowBytes' | 'maxBatchBytes'>): number {
  // Several messages must fit the window, or sending and answering would take turns.
  const pipelined = Math.max(MIN_MESSAGE_BYTES, Math.floor(windowBytes / 4));
  return Math.min(SLOT_BYTES - HEAD_BYTES, maxBatchBytes, pipelined);
}
