// What every door does for its sessions, whatever they speak through: greets them, hands their requests on, and forgets them. A mistake in it is
// the engine's end, and never that of whoever called: an event loop, or a program in the middle of its own work.

import { maxBatchBytes } from '../core/capacities.ts';
import type { Greeted } from '../node/door.ts';
import type { Engine } from '../node/engine.ts';
import type { RequestLimits } from './appendRequests.ts';
import type { Audit } from './audit.ts';
import { helloOf } from './hello.ts';
import { Requests } from './requests.ts';
import type { Session } from './session.ts';

export class Reception {
  readonly limits: RequestLimits;
  readonly #engine: Engine;
  readonly #requests: Requests;

  /** `audit` is told who changes what others rely on. */
  constructor(engine: Engine, audit?: Audit) {
    const { config } = engine;
    this.#engine = engine;
    this.limits = { windowBytes: config.windowBytes, maxBatchBytes: maxBatchBytes(config) };
    this.#requests = new Requests(engine, this.limits, (session) => this.opened(session), audit);
  }

  /** A session has begun, or is to hear anew what its greeting said. */
  opened(session: Session): void {
    try {
      session.send(helloOf(this.#engine, session.introduction));
    } catch (thrown) {
      this.#engine.broke(thrown);
    }
  }

  /** Handles one binary message; its memory is valid only during the call. */
  message(session: Session, message: Uint8Array): void {
    try {
      this.#requests.handle(session, message);
    } catch (thrown) {
      this.#engine.broke(thrown);
    }
  }

  /** What was sent to a session has been taken: there is room for more. */
  drained(session: Session): void {
    try {
      this.#engine.drained(session);
    } catch (thrown) {
      this.#engine.broke(thrown);
    }
  }

  /** A session is gone. */
  closed(session: Session): void {
    try {
      this.#engine.closed(session);
    } catch (thrown) {
      this.#engine.broke(thrown);
    }
  }

  /** What a greeting says has changed for some of `sessions`. */
  greetingChanged(sessions: Iterable<Session>, whom: Greeted): void {
    for (const session of sessions) if (whom === 'all' || session.introduction !== undefined) this.opened(session);
  }
}
