// What one connection has sent, and those with which it takes its turns (turnBudget.ts).

import { MAX_CONTROL_FRAMES } from '../core/servingLimits.ts';
import { RequestQueue } from './requestQueue.ts';

/** What of a connection the budget needs. */
export interface BudgetSession {
  readonly isClosed: boolean;
  /** Asks for a sign of life, which is one. */
  ping?(): void;
}

/** How fast a connection is served, by its quotas. */
export interface Pace {
  /** Until its next message may be handled; 0: now. */
  readonly waitMs: number;
  /** A message of so many bytes is handled. */
  took(bytes: number): void;
  /** So much has come that cannot wait that it is to be closed. */
  readonly isOverdrawn: boolean;
}

/** Connections that take their turns together: those of one token, or one that is for itself. */
export class Party<S extends BudgetSession> {
  /** Those whose queues are not empty; the one whose turn is next comes first. */
  readonly waiting = new Set<Inbox<S>>();
  /** The turn that the following are about. */
  turn = 0;
  spentMs = 0;
  isSliceOver = false;
  /** Of all its connections: bytes of entries received and not acknowledged yet. */
  unacknowledgedBytes = 0;
}

/** What one connection has sent. */
export class Inbox<S extends BudgetSession> {
  readonly session: S;
  readonly queue = new RequestQueue();
  /** The turn that the following are about. */
  turn = 0;
  /** What has come in this turn, and what waited when it began. */
  requests = 0;
  bytes = 0;
  /** Of them, those since the clock was looked at last. */
  unclockedBytes = 0;
  /** Pings and pongs that may come. */
  controlFrames = MAX_CONTROL_FRAMES;
  /** When the first message of this turn came; before any, when the connection was made. */
  startedMs: number;
  /** The turn's beginning when a message came last; 0: none has come yet. */
  messageMs = 0;
  isSliceOver = false;
  /** When the clock was looked at last in this turn. */
  clockedMs = 0;
  party = new Party<S>();
  /** Undefined: as fast as it can be. */
  pace: Pace | undefined;
  /** It waits for its pace, and not for its turn. */
  isHeld = false;
  /** CREDITs and CANCELs that came since. */
  heldSigns = 0;

  constructor(session: S, nowMs: number) {
    this.session = session;
    this.startedMs = nowMs;
  }
}

/** Closes a connection. `isQuota`: for what its quota says, not for what any connection may send. */
export type Exceeded<S> = (session: S, sentence: string, isQuota: boolean) => void;
