// Answers to what takes a while: sent when it is done, or refused, where the session is still there, and told to the audit.

import { isLogError, LogError } from '../core/errors.ts';
import type { Audit, Audited } from './audit.ts';
import type { Session } from './session.ts';

/** What of a request the audit is told. */
export interface Told {
  readonly what: Audited;
  readonly detail: string;
}

export class Answers {
  readonly #broke: (thrown: unknown) => void;
  readonly #audit: Audit | undefined;

  /** `broke` gets what was thrown where nothing was to be. */
  constructor(broke: (thrown: unknown) => void, audit: Audit | undefined) {
    this.#broke = broke;
    this.#audit = audit;
  }

  /** Sends what comes of `work`, for which the session waits. */
  answer<Outcome>(session: Session, requestId: number, work: Promise<Outcome>, send: (outcome: Outcome) => void, audited?: Told): void {
    session.asked += 1;
    if (audited !== undefined) this.#note(session, work, audited);
    void work
      .then(
        (outcome) => (session.isClosed ? undefined : send(outcome)),
        (thrown: unknown) => this.refuse(session, requestId, thrown),
      )
      .then(() => {
        session.asked -= 1;
        session.rested();
      });
  }

  /** Tells who asked for it, and what came of it. */
  #note(session: Session, work: Promise<unknown>, { what, detail }: Told): void {
    if (this.#audit === undefined) return;
    const { identity } = session;
    // Where it is can be asked only while it is connected.
    const actor = { identity, from: session.from };
    void work.then(
      () => this.#audit?.note(what, actor, detail),
      (thrown: unknown) => {
        // Whoever waits for a node that is to come, or for another change, asks again and again.
        if (!isLogError(thrown, 'NOT_READY', 'CHANGE_IN_PROGRESS') || what !== 'change_nodes')
          this.#audit?.note(what, actor, detail, thrown ?? 'unknown');
      },
    );
  }

  /** Sends why it was not done; what is no error of the log breaks the engine. */
  refuse(session: Session, requestId: number, thrown: unknown): void {
    if (!(thrown instanceof LogError)) {
      this.#broke(thrown);
      return;
    }
    const { code, message, details, outcome } = thrown;
    if (!session.isClosed) session.sendError(requestId, code, details.end ?? 0, message, outcome === 'unknown');
  }
}
