// A connection inside the process: a client's transport at one end, a node's session at the other, and no socket between.
//
//   client ── send ──► the session's requests, at once: what they need of the bytes is copied when it returns
//   client ◄─ message ── a queue ◄── send, by the session
//
// What the session sends is never given to the client from within the session's own call: the client may answer with its next request, in the
// middle of the node's work. It goes out when the running code has ended; and where the client is given something in this way a second time
// in one turn of the event loop, in the next turn: a client and a node that only answer each other leave the loop to the others.

import type { Transport, TransportEvents } from '../client/nodes/transport.ts';
import { Queue } from '../client/queue.ts';
import { DATA } from '../protocol/client.ts';
import type { ClientSocket } from '../server/clientSocket.ts';
import type { Session } from '../server/session.ts';

/** Where a connection leads. */
export interface PipeDoor {
  /** Makes the session of a connection that begins. */
  admit(socket: ClientSocket): Session;
  /** The session has begun, and may be sent to. */
  opened(session: Session): void;
  /** A message of the client's. Its memory is the client's, and is only read until this returns. */
  message(session: Session, message: Uint8Array): void;
  /** The client has taken what was sent: there is room for more. */
  drained(session: Session): void;
  /** Something was done for the session, or given to its client: whether it still waits may have changed. */
  looked(session: Session): void;
  /** The connection is gone. */
  closed(session: Session): void;
  /** What was thrown where nothing was to be: the engine's end, not the program's. */
  broke(thrown: unknown): void;
}

function dataBytesOf(message: Uint8Array): number {
  return message[0] === DATA ? message.length : 0;
}

/** How the connection ended, for the client. */
interface Ending {
  readonly reason: string;
  readonly code: number;
}

/** The session's end. */
class Pipe implements ClientSocket {
  readonly #door: PipeDoor;
  readonly #events: TransportEvents;
  readonly #session: Session;
  /** What the client has not been given. */
  #queue = new Queue<Uint8Array>();
  /** Bytes of the log among it. The answers are not counted: the client gets them as soon as its own code lets it, and asked for each. */
  #queuedBytes = 0;
  /** The node's side is closed: nothing comes from it, nothing goes to it. */
  #isClosed = false;
  /** What the client is to be told, after what is queued. */
  #ending: Ending | undefined;
  /** The client knows that the connection is closed: nothing more is told to it. */
  #isOver = false;
  /** The client was given something in this turn of the event loop. */
  #isTurnUsed = false;
  readonly #deliverNow = (): void => this.#deliver();
  readonly #turnOver = (): void => this.#nextTurn();

  constructor(door: PipeDoor, events: TransportEvents) {
    this.#door = door;
    this.#events = events;
    this.#session = door.admit(this);
    door.opened(this.#session);
  }

  /** A message of the client's. */
  receive(message: Uint8Array): void {
    if (!this.#isClosed) this.#door.message(this.#session, message);
  }

  send(message: Uint8Array): void {
    if (this.#isClosed) return;
    // The session uses its memory again.
    this.#queue.push(new Uint8Array(message));
    this.#queuedBytes += dataBytesOf(message);
    this.#plan();
  }

  bufferedBytes(): number {
    return this.#queuedBytes;
  }

  /** Who is in the same process answers, or nobody is there to ask. */
  ping(): void {}

  end(closeCode: number, reason: string): void {
    const why = reason === '' ? '' : ` (${reason})`;
    this.#end({ reason: `it was closed with code ${closeCode}${why}`, code: closeCode });
  }

  close(): void {
    this.#drop();
    this.#end({ reason: 'the node ended it', code: 0 });
  }

  rested(): void {
    this.#door.looked(this.#session);
  }

  remoteAddress(): string {
    return 'this process';
  }

  /** The client closes it: what it has sent is done already. */
  leave(): void {
    this.#drop();
    this.#end({ reason: 'it was closed with code 1000', code: 1000 });
  }

  /** The client ends it at once. */
  terminate(): void {
    this.#drop();
    this.#end({ reason: 'this client ended it', code: 0 });
    this.#tellEnding();
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#plan();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#carefully(() => {
      this.#session.closed();
      this.#door.closed(this.#session);
    });
  }

  #drop(): void {
    this.#queue = new Queue();
    this.#queuedBytes = 0;
  }

  #plan(): void {
    if (this.#isTurnUsed || this.#isOver) return;
    this.#isTurnUsed = true;
    queueMicrotask(this.#deliverNow);
    setImmediate(this.#turnOver);
  }

  /** Gives the client all that is queued, and nothing that is sent meanwhile. */
  #deliver(): void {
    const isAny = this.#queue.length > 0;
    try {
      // What a listener of the program's throws leaves the rest in the queue, for the next turn: the program may go on.
      for (let left = this.#queue.length; left > 0; left--) {
        const message = this.#queue.shift();
        // It was closed by what the client did with the one before.
        if (message === undefined) break;
        this.#queuedBytes -= dataBytesOf(message);
        this.#events.message(message);
      }
    } finally {
      if (isAny) this.#carefully(this.#afterDelivery);
    }
    if (this.#ending !== undefined && this.#queue.length === 0) this.#tellEnding();
  }

  #nextTurn(): void {
    this.#isTurnUsed = false;
    try {
      this.#deliver();
    } finally {
      if (this.#queue.length > 0 || this.#ending !== undefined) this.#plan();
    }
  }

  readonly #afterDelivery = (): void => {
    const session = this.#session;
    if (this.#isClosed) return;
    if (session.hasUnsent) {
      session.updateBuffered();
      if (session.dataRoom > 0) this.#door.drained(session);
    }
    this.#door.looked(session);
  };

  /** The node's part, in the middle of the program's: a mistake in it is nothing that the program may be told by a throw. */
  #carefully(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#door.broke(thrown);
    }
  }

  #tellEnding(): void {
    const ending = this.#ending;
    if (this.#isOver || ending === undefined) return;
    this.#isOver = true;
    this.#events.closed(ending.reason, ending.code);
  }
}

/** Opens a connection to `door`; its greeting comes a moment later. */
export function openPipe(door: PipeDoor, events: TransportEvents): Transport {
  const pipe = new Pipe(door, events);
  return {
    isInProcess: true,
    send: (bytes) => pipe.receive(bytes),
    // What was sent was taken.
    bufferedBytes: () => 0,
    receivedBytes: () => 0,
    close: () => pipe.leave(),
    terminate: () => pipe.terminate(),
  };
}
