// Connections that the node closes, and requests that it refuses: counted for /metrics, and the kinds that somebody has to know of are told in
// the log, each at once and then at most once a minute, with how often it has happened since. Whose it was is for those who may read the log itself.

import { assert } from '../core/assert.ts';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import { INCIDENT_LOG_MS } from '../core/servingLimits.ts';
import { type Actor, actorText } from './audit.ts';

/** Why the node closes a connection, by what /metrics calls it. */
const CLOSED = {
  flood: 'sent more than may wait, and was closed with 4002',
  unfinished: 'did not finish a message in time, and was closed with 4003',
  unread_answers: 'left too many answers unread, and was cut',
  unread_total: 'was cut, because all together left too much unread, and it owed most',
  unauthenticated: 'did not show who it is, and was refused (4004, HTTP 401)',
  token_ended: 'stood on a token, or a certificate, that holds no more, and was closed with 4005',
  quota: 'is over its quota, and was closed with 4006',
  error: 'got a fatal error, and was closed',
  stranger: 'had not shown who it is, and was closed, because newer ones found no place',
  silent: 'had sent no request, and was closed, because newer ones found no place',
  no_place: 'was refused with HTTP 503',
  wrong_origin: 'was refused with HTTP 403',
  wrong_subprotocol: 'was refused with HTTP 400',
} as const;

export type CloseReason = keyof typeof CLOSED;

/** Writes a line into the log. `what` is the same without whom it was about: no address, no token, nothing that names one. */
export type Warn = (line: string, what: string) => void;

/** Errors that say that a bound was reached, or a right is missing; most others are answers like any. */
const TOLD_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TOO_MANY_REQUESTS',
  'OVERLOADED',
  'WINDOW_EXCEEDED',
  'FORBIDDEN',
  'QUOTA_EXCEEDED',
]);

/** One kind of incident. */
class Kind {
  /** Since the process started. */
  count = 0;
  /** How often it had happened when it was told last. */
  #toldCount = 0;
  /** What is to be told in a minute beside how often. */
  #latest = '';
  #isTold = false;

  /** Tells that it happened: now, or in its time. */
  tell(warn: Warn, what: string, detail: string): void {
    if (this.#isTold) {
      this.#latest = `; the latest one: ${detail}`;
      return;
    }
    this.#isTold = true;
    this.#toldCount = this.count;
    warn(`${what}: ${detail}`, what);
    this.#wait(warn, what);
  }

  #wait(warn: Warn, what: string): void {
    const tellAgain = (): void => {
      const more = this.count - this.#toldCount;
      this.#isTold = more > 0;
      if (more === 0) return;
      this.#toldCount = this.count;
      const again = `${more} more in the last minute: ${what}`;
      warn(again + this.#latest, again);
      this.#wait(warn, what);
    };
    setTimeout(tellAgain, INCIDENT_LOG_MS).unref();
  }
}

export class Incidents {
  readonly #warn: Warn;
  readonly #closed = new Map<CloseReason, Kind>();
  readonly #refused = new Map<ErrorCode, Kind>();

  constructor(warn: Warn) {
    this.#warn = warn;
    for (const reason of Object.keys(CLOSED)) this.#closed.set(reason as CloseReason, new Kind());
    for (const [code, { number }] of Object.entries(ERRORS)) if (number > 0) this.#refused.set(code as ErrorCode, new Kind());
  }

  /** A connection was closed. `detail`: what is to be said of this one. */
  closed(reason: CloseReason, detail: string): void {
    const kind = this.#closed.get(reason);
    assert(kind !== undefined, 'every reason is there from the start');
    kind.count += 1;
    kind.tell(this.#warn, `a connection ${CLOSED[reason]}`, detail);
  }

  /** A request of `actor` was answered with an error. */
  refused(code: ErrorCode, sentence: string, actor?: Actor): void {
    const kind = this.#refused.get(code);
    if (kind === undefined) return;
    kind.count += 1;
    if (!TOLD_CODES.has(code)) return;
    kind.tell(this.#warn, `a request was refused with ${code}`, actor === undefined ? sentence : `${actorText(actor)}, ${sentence}`);
  }

  /** How often each has happened since the process started. */
  get closedCounts(): ReadonlyMap<CloseReason, { readonly count: number }> {
    return this.#closed;
  }

  get refusedCounts(): ReadonlyMap<ErrorCode, { readonly count: number }> {
    return this.#refused;
  }
}
