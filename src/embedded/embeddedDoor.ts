// The way from a program to the engine in its own process: sessions like those of a client's port, over pipes.

import type { OpenTransport } from '../client/nodes/transport.ts';
import { OPEN_IDENTITY } from '../core/access.ts';
import type { Door, Greeted } from '../node/door.ts';
import type { Engine } from '../node/engine.ts';
import { CLOSE_STOPPED } from '../protocol/client.ts';
import type { ClientSocket } from '../server/clientSocket.ts';
import { Incidents } from '../server/incidents.ts';
import { Reception } from '../server/reception.ts';
import { SendBudget } from '../server/sendBudget.ts';
import { Session } from '../server/session.ts';
import { openPipe, type PipeDoor } from './pipe.ts';

/** Told when something of the program's begins to wait for the engine, a session or the door itself, and when it does so no more. */
export type OnWaiting = (who: Session | EmbeddedDoor, isWaiting: boolean) => void;

export class EmbeddedDoor implements Door, PipeDoor {
  /** Nobody else comes this way. */
  readonly url = '';
  readonly #engine: Engine;
  readonly #reception: Reception;
  readonly #sessions = new Set<Session>();
  readonly #budget = new SendBudget();
  readonly #incidents: Incidents;
  readonly #onWaiting: OnWaiting;
  #isShut = false;
  /** Waits for what has its receipt before it is committed. */
  #isSettling = false;

  /** Opens the door. `warn` is told of what a client of the program did wrong. */
  constructor(engine: Engine, warn: (text: string) => void, onWaiting: OnWaiting) {
    this.#engine = engine;
    this.#reception = new Reception(engine);
    this.#incidents = new Incidents((line) => warn(line));
    this.#onWaiting = onWaiting;
    engine.doors.add(this);
  }

  /** Opens a connection, whatever the address is; it fails at once where the engine takes nobody any more. */
  readonly open: OpenTransport = (_url, events) => {
    const guarded: typeof events = {
      // What the engine said in its last moments is less than what there is to say of its end.
      message: (bytes) => {
        if (this.#engine.error === undefined) events.message(bytes);
      },
      closed: (reason, code, fault) => events.closed(reason, code, fault),
    };
    return openPipe(this, guarded);
  };

  get connections(): number {
    return this.#sessions.size;
  }

  get sendBufferedBytes(): number {
    return this.#budget.bufferedBytes;
  }

  admit(socket: ClientSocket): Session {
    const session = new Session(socket, this.#budget, this.#incidents);
    // Whoever runs in the engine's process may do what the engine may.
    session.admit(OPEN_IDENTITY);
    return session;
  }

  opened(session: Session): void {
    this.#sessions.add(session);
    this.#reception.opened(session);
    if (this.#isShut) session.end(CLOSE_STOPPED, 'this log is closed');
  }

  message(session: Session, message: Uint8Array): void {
    this.#reception.message(session, message);
    this.looked(session);
  }

  drained(session: Session): void {
    this.#reception.drained(session);
  }

  looked(session: Session): void {
    const { readings, ends, lookups, asked, unacknowledgedAppends } = session;
    // Not what waits for the log to grow, or for its reader.
    const isReading = readings.ready.size > 0 || readings.timing.size > 0 || readings.cold.size > 0 || readings.coldRunning > 0;
    const isWaiting = !session.isClosed && (isReading || ends.size > 0 || lookups > 0 || asked > 0 || unacknowledgedAppends > 0);
    this.#onWaiting(session, isWaiting);
    if (!isWaiting && !this.#isSettling && !this.#engine.appends.isSettled) void this.#settle();
  }

  /** With `ack: 'received'` a program may have nothing left to wait for while its appends are still to be written. */
  async #settle(): Promise<void> {
    this.#isSettling = true;
    this.#onWaiting(this, true);
    await this.#engine.settled();
    this.#isSettling = false;
    this.#onWaiting(this, false);
  }

  closed(session: Session): void {
    this.#sessions.delete(session);
    this.#reception.closed(session);
    this.#onWaiting(session, false);
  }

  broke(thrown: unknown): void {
    this.#engine.broke(thrown);
  }

  greetingChanged(whom: Greeted): void {
    this.#reception.greetingChanged(this.#sessions, whom);
  }

  takeNoMore(): void {
    this.#isShut = true;
  }

  disconnect(): Promise<void> {
    for (const session of [...this.#sessions]) session.end(CLOSE_STOPPED, 'this log is closed');
    return Promise.resolve();
  }

  close(): void {
    this.#isShut = true;
    for (const session of [...this.#sessions]) session.cut();
  }
}
