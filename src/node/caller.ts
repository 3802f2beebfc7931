// Whoever asks a node: a session on a socket, a program in the same process, a simulated client. What the node knows of it, and what it needs
// of it to answer.

import type { ErrorCode } from '../core/errors.ts';
import type { Chain } from './chain.ts';
import type { Deadline } from './deadlines.ts';
import type { HeapNode } from './heap.ts';
import type { Uploader } from './uploadPorts.ts';

/** What {@link Appends} keeps with a caller, and needs to answer it. */
export interface Appender {
  /** Bytes of entries received and not acknowledged yet. */
  unacknowledgedBytes: number;
  /** APPEND requests received and not acknowledged yet. */
  unacknowledgedAppends: number;
  /** It is gone, or is about to be: nothing more is done for it. */
  readonly isClosed: boolean;
  /** Adds a receipt to the message that {@link flushReceipts} sends. Returns whether it is the first one in it. */
  addReceipt(requestId: number, term: number, offset: number, end: number, level: number, nodes: number): boolean;
  /** Sends all collected receipts in one message. */
  flushReceipts(): void;
  /** Refuses one request; `mayHaveHappened`: what it asked for may have been done, or may yet. */
  sendError(requestId: number, code: ErrorCode, offset: number, sentence: string, mayHaveHappened?: boolean): void;
  /** Answers with a fatal error and ends the caller. Nothing that it asked for after the request is done. */
  fail(requestId: number, code: ErrorCode, sentence: string): void;
}

/** Whoever asks a node for anything. */
export interface Caller extends Appender, Uploader {
  /** The newest chain of conditional appends; undefined until there is one. */
  chain: Chain | undefined;
  /** END requests that wait for their answer. */
  readonly ends: Set<WaitingEnd>;
  /** FIND requests that wait for their answer; undefined: none did yet. */
  lookups?: number;
  /** Changes of consumers that wait for their answer; undefined: none did yet. */
  consumerChanges?: number;
  /** Sessions that are being opened for it; undefined: none was yet. */
  sessionsAsked?: number;
  readonly readings: CallerReadings;
  /** Whose it is: all callers of one party have their turns together. Undefined: it is for itself. The same one as long as it reads. */
  readonly party?: object | undefined;
  /** Most bytes of the log that the next message may have; 0: none before there is room, which is told to {@link Readings.drained}. */
  readonly dataRoom: number;
  /** Whether bytes wait that it has not taken yet. */
  readonly hasUnsent: boolean;
  /** Whether a message of `bytes` of the log, for which there was {@link dataRoom}, may be sent now; if not, later. */
  admits(bytes: number): boolean;
  /**
   * Sends entries of the log: the `commit` as it is now, and whole entries from `offset` on, or none. `entries` are valid during the call. `hasSkipped`: between
   * those sent before and these stood only entries of the log's own, which were trimmed. `timeMs`: the log's time before `offset`, 0 where it is not known;
   * undefined: the caller did not ask for it, or knows it.
   */
  sendData(requestId: number, offset: number, commit: number, entries: Uint8Array, hasSkipped: boolean, timeMs: number | undefined): void;
  /** Nothing more is to be sent to it now, nor read for it from the disk: its readings wait, have ended, or lack room. */
  rested?(): void;
  /** Answers an END: where the log starts, how far it is committed, and the term. */
  sendEnd(requestId: number, start: number, commit: number, term: number): void;
}

/** One READ or SUBSCRIBE. */
export interface Reading {
  readonly caller: Caller;
  readonly requestId: number;
  readonly isSubscription: boolean;
  /** What is kept is read, also before the log's start. */
  readonly isKept?: boolean;
  /** Log offset of the next byte to send. */
  next: number;
  /** Whether `next` is known to be an entry boundary. */
  isBoundary: boolean;
  /** Whether it went on at the start since the last message, past entries of the log's own that are gone. */
  hasSkipped?: boolean;
  /** Bytes that may still be sent; a subscription's last entry may take it below zero. */
  creditBytes: number;
  /** READ: when waiting for entries ends; undefined: it does not wait. */
  deadline: Deadline<Reading> | undefined;
  /** Bytes of the entry at `next`, where it alone is larger than a message and found no room; otherwise 0. */
  neededBytes: number;
  /** The first message, and one that skipped entries, says the log's time at its beginning. */
  readonly isTimed?: boolean;
  /** The next message says it. */
  isTimeDue?: boolean;
  /** That time; 0: it cannot be known; undefined: it is not known yet, or not due. */
  timeMs?: number | undefined;
  /** Where it last waited for a damaged segment to be healed. */
  healedAt?: number;
  state: 'ready' | 'timing' | 'waiting' | 'starved' | 'cold' | 'done';
}

/** Whose turns a caller has. */
export function partyOf(caller: Caller): object {
  return caller.party ?? caller;
}

/** The readings of one caller. */
export class CallerReadings {
  /** All that are open, by request id. */
  readonly open = new Map<number, Reading>();
  /** Those that have something to send, or may have: they take turns. */
  readonly ready = new Set<Reading>();
  /** Those at the commit. */
  readonly waiting = new Set<Reading>();
  /** Those of which it is looked for what time it was where they go on. */
  readonly timing = new Set<Reading>();
  /** Those that wait for the disk, in the order in which they asked. */
  readonly cold = new Set<Reading>();
  /** The commit has moved since the caller's last turn. */
  isWoken = false;
  /** Cold reads that run now. */
  coldRunning = 0;
  /** What was read for it from the disk found no room: it comes first once there is some, so that the others do not take it all. */
  first: Reading | undefined;
}

/** An END that waits: for the leader's word, or for this node to have come far enough. */
export interface WaitingEnd {
  readonly caller: Caller;
  readonly requestId: number;
  /** The commit that AT_LEAST asks for; 0: none. */
  readonly atLeast: number;
  readonly deadlines: Deadline<EndWait>[];
  /** What the leader said that this node must reach; undefined until it has answered; 0: it is not asked. */
  index: number | undefined;
  /** Its place among those that wait for the commit. */
  target: HeapNode<WaitingEnd> | undefined;
  isDone: boolean;
}

/** One of the waits of an END. */
export interface EndWait {
  readonly waiting: WaitingEnd;
  readonly isForLeader: boolean;
}
