// What is thrown at a network door. An acceptor calls from the event loop, where an exception ends the process, which may be a user's program:
// so everything that it calls is wrapped here, once. A mistake is the engine's end, as everywhere; one in the making of an answer over HTTP, which
// changes nothing, is told to whoever asked.

import type { AcceptorEvents, Connection, HttpAnswer, HttpRequest, MakeAnswer, MakeConnection, Upgrade } from './acceptor.ts';

/** Told what was thrown. Throws nothing. */
export type Broke = (thrown: unknown) => void;

/** Calls `act`; what it throws goes to `broke`. */
export function carefully(broke: Broke, act: () => void): void {
  try {
    act();
  } catch (thrown) {
    broke(thrown);
  }
}

export function failed(thrown: unknown): HttpAnswer {
  return { status: 500, type: 'text/plain; charset=utf-8', body: `${String(thrown)}\n` };
}

/** Makes what `make` makes, or else an answer that says why it cannot be made. */
function orFailed(make: MakeAnswer): MakeAnswer {
  return () => {
    try {
      const made = make();
      return made instanceof Promise ? made.catch(failed) : made;
    } catch (thrown) {
      return failed(thrown);
    }
  };
}

/** Of a connection whose beginning was a mistake: the engine ends, and all connections with it. */
const NOBODY: Connection = {
  opened: () => undefined,
  message: () => undefined,
  control: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};

/** A connection, carefully. A class, because there are many of them. */
class CarefulConnection implements Connection {
  readonly #inner: Connection;
  readonly #broke: Broke;

  constructor(inner: Connection, broke: Broke) {
    this.#inner = inner;
    this.#broke = broke;
  }

  opened(): void {
    carefully(this.#broke, () => this.#inner.opened());
  }

  /** Once for each message: it makes nothing. */
  message(message: ArrayBuffer, isBinary: boolean): void {
    try {
      this.#inner.message(message, isBinary);
    } catch (thrown) {
      this.#broke(thrown);
    }
  }

  control(answeredBytes: number | undefined): void {
    try {
      this.#inner.control(answeredBytes);
    } catch (thrown) {
      this.#broke(thrown);
    }
  }

  drained(): void {
    try {
      this.#inner.drained();
    } catch (thrown) {
      this.#broke(thrown);
    }
  }

  closed(): void {
    carefully(this.#broke, () => this.#inner.closed());
  }
}

function carefulMake(make: MakeConnection, broke: Broke): MakeConnection {
  return (socket) => {
    try {
      return new CarefulConnection(make(socket), broke);
    } catch (thrown) {
      broke(thrown);
      return NOBODY;
    }
  };
}

/** `events`, none of which throws; `broke` is told what they would have thrown, and what the acceptor's own callbacks do. */
export function careful(events: Omit<AcceptorEvents, 'broke'>, broke: Broke): AcceptorEvents {
  return {
    broke,
    connected: () => carefully(broke, () => events.connected()),
    request(request: HttpRequest): MakeAnswer {
      try {
        return orFailed(events.request(request));
      } catch (thrown) {
        return () => failed(thrown);
      }
    },
    upgrade(request: HttpRequest): Upgrade {
      const refuse = (thrown: unknown): HttpAnswer => {
        broke(thrown);
        return failed(thrown);
      };
      try {
        const refusal = events.upgrade(request);
        return () => {
          try {
            const made = refusal();
            return typeof made === 'function' ? carefulMake(made, broke) : made;
          } catch (thrown) {
            return refuse(thrown);
          }
        };
      } catch (thrown) {
        const refused = refuse(thrown);
        return () => refused;
      }
    },
  };
}
