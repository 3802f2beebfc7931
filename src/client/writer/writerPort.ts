// What stands between a writer and its client.

import type { LogError } from '../../core/errors.ts';
import type { CommittedQuestion } from '../append/committedEnd.ts';
import type { Operation } from '../append/message.ts';
import type { Finding, Question } from '../append/recheck.ts';
import type { Watch } from '../events.ts';
import type { Ack } from '../options.ts';

/** What a writer needs of its client. */
export interface WriterPort {
  readonly maxInFlightBytes: number;
  readonly maxQueuedBytes: number;
  /** How long to try again without success, in milliseconds. */
  readonly timeoutMs: number;
  /** Longest look into the log, where there is no more time to try again, in milliseconds. */
  readonly lookTimeoutMs: number;
  /** Largest payload, and most bytes of entries of one append. */
  limits(): { readonly maxPayloadBytes: number; readonly maxBatchBytes: number };
  /** The highest position that this client knows to be committed. */
  committed(): number;
  /** Whether what the nodes commit is durable. */
  isDurable(): boolean;
  /** Why the client takes no more appends; undefined while it does. */
  over(): LogError | undefined;
  /** The writer has unsettled appends from now on, or none any more. */
  busy(writer: { close(): Promise<void> }, isBusy: boolean): void;
  readonly watch: Watch;
  submit(operation: Operation): void;
  /** Resolves when the client has room. */
  ready(): Promise<void>;
  find(question: Question): Promise<Finding>;
  findCommittedEnd(question: CommittedQuestion): Promise<number>;
  /** Waits longer after each failure in a row; not at all after none. */
  pause(failures: number): Promise<void>;
}

/** Where a writer begins; checked. */
export interface WriterPlan {
  readonly expectedEnd: number;
  /** 0: the expected end is a committed position. */
  readonly expectedTerm: number;
  readonly ack: Ack;
}
