// The upload of one message: a copy of its entries, which followers are given before the leader. The message waits until those followers that are
// waited for have it, or are given up.
//
//   queued ──(room)──► under way ──(all have it, or are given up)──► over ──► the APPEND goes to the leader, with the id and who has it

import { FEATURE_UPLOADS, type Hello } from '../../protocol/greeting.ts';
import { type AppendUpload, UPLOAD_ID_BYTES } from '../../protocol/uploads.ts';
import type { Pace } from './pace.ts';

/** Who makes uploads, and looks after them. */
export interface UploadOwner {
  /** The message may go. */
  over(upload: Upload): void;
  /** Whether a process said on a connection of the owner's that it takes uploads. */
  isKnown(process: string): boolean;
  /** Its message is settled, or is another one by now. */
  released(upload: Upload): void;
}

export class Upload implements AppendUpload {
  readonly id: Uint8Array = globalThis.crypto.getRandomValues(new Uint8Array(UPLOAD_ID_BYTES));
  /** The same at all followers. */
  readonly requestId: number;
  /** A view of the message, good until {@link release}. */
  readonly entries: Uint8Array;
  readonly #owner: UploadOwner;
  #nodes = 0;
  /** Bits, as in {@link nodes}, of followers without which it is not over. */
  #waitedFor = 0;
  #bytesUnderWay = 0;
  #beganMs = 0;
  /** How long the first answer took; undefined before it. */
  #firstMs: number | undefined;
  #isBegun = false;
  #isOver = false;
  #isReleased = false;

  constructor(requestId: number, entries: Uint8Array, owner: UploadOwner) {
    this.requestId = requestId;
    this.entries = entries;
    this.#owner = owner;
  }

  get bytes(): number {
    return this.entries.length;
  }

  /** Bit i: node i + 1 has said UPLOADED. Does not change any more once {@link isOver}. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Nobody is waited for. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Whether an APPEND for the node that says `hello` names it. What a node takes it says late on a new connection, so its process may be known from another. */
  isNamedTo({ features, process }: Hello): boolean {
    return this.#nodes !== 0 && ((features & FEATURE_UPLOADS) !== 0 || this.#owner.isKnown(process));
  }

  /** It is sent now, and `waitedFor` are to answer. `bytesUnderWay`: of all uploads that are under way, this one among them. */
  begin(waitedFor: number, bytesUnderWay: number, nowMs: number): void {
    this.#isBegun = true;
    this.#waitedFor = waitedFor;
    this.#bytesUnderWay = bytesUnderWay;
    this.#beganMs = nowMs;
    this.#settle();
  }

  /** A follower has all of it. */
  answered(nodeId: number, nowMs: number, pace: Pace): void {
    const ms = nowMs - this.#beganMs;
    pace.answered(this.#bytesUnderWay, ms);
    if (this.#isOver) return;
    this.#firstMs ??= ms;
    this.#nodes |= bitOf(nodeId);
    this.giveUp(nodeId);
  }

  isWaitingFor(nodeId: number): boolean {
    return (this.#waitedFor & bitOf(nodeId)) !== 0;
  }

  /** A follower is not waited for any more. */
  giveUp(nodeId: number): void {
    this.#waitedFor &= ~bitOf(nodeId);
    this.#settle();
  }

  /** Until when it is waited for, of `performance.now()`: while nobody has answered, and then `lagMs`, told how long the first answer took, longer. */
  deadlineMs(pace: Pace, lagMs: (firstMs: number) => number): number {
    const first = this.#firstMs;
    return this.#beganMs + (first === undefined ? pace.silentMs(this.#bytesUnderWay) : first + lagMs(first));
  }

  /** Nothing of it is needed any more. May be called again. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#waitedFor = 0;
    this.#settle();
    this.#owner.released(this);
  }

  #settle(): void {
    if (this.#waitedFor !== 0 || this.#isOver) return;
    this.#isOver = true;
    this.#owner.over(this);
  }
}

/** A node's bit in masks of nodes. */
export function bitOf(nodeId: number): number {
  return 1 << (nodeId - 1);
}
