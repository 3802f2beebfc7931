// Who may connect to a node, what a connection may cost, and how it ends. The sockets are an acceptor's.

import type { Identity } from '../core/access.ts';
import { LogError } from '../core/errors.ts';
import { STOP_LINGER_MS } from '../core/limits.ts';
import { UNFINISHED_CHECK_MS } from '../core/servingLimits.ts';
import type { Loop } from '../node/loop.ts';
import { CLOSE_FLOOD, CLOSE_QUOTA, CLOSE_UNFINISHED, SUBPROTOCOL } from '../protocol/client.ts';
import type { ListenerTls } from '../tls/listenerTls.ts';
import type { Acceptor, AcceptorName, Connection, HttpAnswer, HttpRequest, MakeAcceptor, MakeAnswer, Upgrade } from './acceptor.ts';
import { type Accounts, AccountsPace } from './accounts.ts';
import type { ClientSocket } from './clientSocket.ts';
import type { ClientPlaces } from './descriptors.ts';
import { CHALLENGE, type Doorkeeper, type Visitor } from './doorkeeper.ts';
import { Inbox } from './inbox.ts';
import { type CloseReason, Incidents, type Warn } from './incidents.ts';
import { careful, carefully } from './mistakes.ts';
import type { Origins } from './origins.ts';
import { Places, systemPlaces } from './places.ts';
import { SendBudget } from './sendBudget.ts';
import { Session } from './session.ts';
import { Strangers } from './strangers.ts';
import { type Budget, TurnBudget } from './turnBudget.ts';
import { longestMessageMs, unfinished } from './unfinished.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** What the port is called where it was given. */
  readonly portOption: string;
  readonly places: ClientPlaces;
  /** Largest message that a client may send; the acceptor ends the connection above it. */
  readonly maxMessageBytes: number;
  /** What a client may have sent that was not handled yet. */
  readonly budget: Budget;
  /** Bytes that the disk has yet to write. */
  readonly backlogBytes: () => number;
  /** Pages of which origins may connect. */
  readonly origins: Pick<Origins, 'isAllowed'>;
  /** Undefined: connections are not encrypted. */
  readonly tls?: ListenerTls | undefined;
  /** The engine's. */
  readonly loop: Pick<Loop, 'nowMs' | 'afterTurn' | 'after'>;
  /** Who may come in. */
  readonly access: Doorkeeper;
  /** What each may use. */
  readonly accounts: Accounts;
  /** For tests: how often clients are looked at, and how long a message may take. */
  readonly unfinishedCheckMs?: number;
  readonly unfinishedMs?: number;
  /** For tests: how long a client may take to show who it is. */
  readonly strangerMs?: number | undefined;
}

export interface ListenerEvents {
  /** There is one connection more, whoever it is of. */
  came(): void;
  opened(session: Session): void;
  message(session: Session, message: ArrayBuffer): void;
  drained(session: Session): void;
  closed(session: Session): void;
  readonly warn: Warn;
  /** Something was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** A refusal of an upgrade: what it is counted as, and the HTTP status and the sentence that say why. */
interface Refusal {
  readonly reason: CloseReason;
  readonly status: HttpAnswer['status'];
  readonly sentence: string;
}

export class Listener {
  /** Of clients that were let in. */
  readonly sessions = new Set<Session>();
  readonly #strangers: Strangers<Inbox<Session>>;
  readonly #acceptor: Acceptor;
  readonly sendBudget = new SendBudget();
  /** What is closed and refused here. */
  readonly incidents: Incidents;
  readonly #turnBudget: TurnBudget<Session>;
  readonly inboxes = new Set<Inbox<Session>>();
  #checking: NodeJS.Timeout | undefined;
  readonly #options: ListenerOptions;
  readonly #events: ListenerEvents;
  #answers: (request: HttpRequest) => MakeAnswer = () => () => ({ status: 503, type: 'text/plain', body: 'the node is starting\n' });
  readonly #places: Places;
  /** {@link #makeRoom} will be called. */
  #isRoomDue = false;
  #emptied: () => void = () => undefined;
  /** Set when the node stops: how each session is closed once all that was sent to it has left. */
  #farewell: { readonly closeCode: number; readonly reason: string } | undefined;

  constructor(options: ListenerOptions, events: ListenerEvents, makeAcceptor: MakeAcceptor) {
    this.#options = options;
    this.#events = events;
    this.#places = new Places(
      options.places,
      () => this.#acceptor.httpConnections + this.#strangers.size,
      () => this.sessions.size,
      systemPlaces(() => this.#acceptor.lingering),
    );
    this.incidents = new Incidents(events.warn);
    this.#turnBudget = new TurnBudget<Session>(
      options.budget,
      (session, message) => events.message(session, message),
      (session, sentence, isQuota) => session.end(isQuota ? CLOSE_QUOTA : CLOSE_FLOOD, sentence),
      options.loop,
      options.backlogBytes,
    );
    this.#strangers = new Strangers({
      access: options.access,
      incidents: this.incidents,
      loop: options.loop,
      patienceMs: options.strangerMs,
      hasPlaceForClient: () => this.#places.hasPlaceForClient,
      admit: (inbox, identity) => this.#admit(inbox, identity),
    });
    const acceptorEvents = {
      connected: () => this.#makeRoom(),
      request: (request: HttpRequest) => this.#answers(request),
      upgrade: (request: HttpRequest) => this.#upgrade(request),
    };
    this.#acceptor = makeAcceptor(
      options,
      careful(acceptorEvents, (thrown) => events.broke(thrown)),
    );
  }

  /** Starts listening; resolves to the port. HTTP requests get `answers`. Rejects with a LogError `PORT_IN_USE`. */
  async listen(answers: (request: HttpRequest) => MakeAnswer): Promise<number> {
    const { host, port, portOption } = this.#options;
    this.#answers = answers;
    const found = await this.#acceptor.listen(host, port);
    if (found === undefined) {
      throw new LogError(
        'PORT_IN_USE',
        `cannot listen on ${host} port ${port}: another program has it, or the address is not this machine's; name another ${portOption}`,
      );
    }
    this.#places.listening();
    this.#watchUnfinished();
    return found;
  }

  get acceptorName(): AcceptorName {
    return this.#acceptor.name;
  }

  /** Memory of messages that have not come whole; undefined where that is not told. */
  get unfinishedBytes(): number | undefined {
    return this.#acceptor.unfinishedBytes;
  }

  /** Memory that TLS takes, besides what the program itself is told of. */
  get tlsBytes(): number {
    return (this.#acceptor.httpConnections + this.inboxes.size) * this.#acceptor.tlsBytesPerConnection;
  }

  /** Connections made from now on have these certificates. Throws where that cannot be done, and changes nothing then. */
  secure(tls: ListenerTls): void {
    this.#acceptor.secure(tls);
  }

  /** Turns of the event loop in which HTTP requests were answered. */
  get turn(): number {
    return this.#acceptor.turn;
  }

  /** Closes those that do not finish a message. */
  #watchUnfinished(): void {
    const { unfinishedCheckMs = UNFINISHED_CHECK_MS, maxMessageBytes, loop } = this.#options;
    const limitMs = this.#options.unfinishedMs ?? longestMessageMs(maxMessageBytes);
    let checkedMs = loop.nowMs();
    const check = (): void => {
      const nowMs = loop.nowMs();
      const lateMs = Math.max(0, nowMs - checkedMs - 2 * unfinishedCheckMs);
      checkedMs = nowMs;
      for (const { session } of unfinished(this.inboxes, nowMs, lateMs, limitMs)) {
        session.end(
          CLOSE_UNFINISHED,
          `nothing whole has come for ${Math.round(limitMs / 1000)} s, and no answer to pings: send faster, or less at once`,
        );
      }
    };
    this.#checking = setInterval(() => carefully((thrown) => this.#events.broke(thrown), check), unfinishedCheckMs);
    this.#checking.unref();
  }

  /** Takes no more connections; those that are there stay. */
  stopListening(): void {
    this.#acceptor.stopListening();
  }

  /**
   * Closes every session as soon as all that was sent to it has left; resolves when the clients have closed their ends too, so never with one
   * that does not read. An acceptor calls a socket closed at once when it is asked to end it, so what waits must have left before. What comes later is
   * read, and thrown away.
   */
  async disconnect(closeCode: number, reason: string): Promise<void> {
    this.#farewell = { closeCode, reason };
    this.#strangers.close();
    if (this.sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
      for (const session of [...this.sessions]) this.#leave(session, closeCode, reason);
    });
    await this.#acceptor.untilClosedByClients(STOP_LINGER_MS);
  }

  #leave(session: Session, closeCode: number, reason: string): void {
    session.updateBuffered();
    if (!session.hasUnsent) session.end(closeCode, reason);
  }

  /** Closes everything at once. */
  close(): void {
    clearInterval(this.#checking);
    this.#strangers.close();
    this.#acceptor.close();
  }

  /**
   * A connection came. Where it finds no place, one goes that has said nothing. What those that came just now have sent is read first, as long as
   * there are descriptors for them: until then they are too many.
   */
  #makeRoom(): void {
    while (this.#places.isOverfull) {
      const made = this.#acceptor.makeRoom(this.#places.isOverDescriptors);
      if (made === 'silent') {
        this.incidents.closed('silent', `the node has places for ${this.#options.places.maxSockets} connections of any kind`);
      } else if (made === 'none') {
        if (!this.#strangers.makeRoom()) return;
      } else if (made !== 'answered') {
        if (made === 'unread') this.#makeRoomLater();
        return;
      }
    }
  }

  #makeRoomLater(): void {
    if (this.#isRoomDue) return;
    this.#isRoomDue = true;
    const { loop } = this.#options;
    // What came in this turn is read in the next one.
    loop.afterTurn(() =>
      loop.afterTurn(() => {
        this.#isRoomDue = false;
        this.#makeRoom();
      }),
    );
  }

  #upgrade(request: HttpRequest): Upgrade {
    const protocols = request
      .header('sec-websocket-protocol')
      .split(',')
      .map((name) => name.trim());
    const isAllowed = this.#options.origins.isAllowed(request.header('origin'), request.header('host'));
    const visitor = this.#options.access.visitor(request);
    return () => {
      const refusal = this.#refusal(protocols, isAllowed, visitor);
      if (refusal === undefined) return (socket) => this.#connection(socket, visitor);
      const { reason, status, sentence } = refusal;
      this.incidents.closed(reason, sentence);
      // Nothing is explained to strangers.
      const body = this.#options.access.isNeeded ? '' : `${sentence}\n`;
      return { status, type: 'text/plain; charset=utf-8', body, headers: status === 401 ? CHALLENGE : undefined };
    };
  }

  /** Why somebody may not connect now. */
  #refusal(protocols: readonly string[], isAllowedOrigin: boolean, { identity, denial }: Visitor): Refusal | undefined {
    if (!protocols.includes(SUBPROTOCOL))
      return { status: 400, reason: 'wrong_subprotocol', sentence: `ask for the WebSocket subprotocol ${SUBPROTOCOL}` };
    if (!isAllowedOrigin)
      return { status: 403, reason: 'wrong_origin', sentence: 'pages of this origin may not connect; allow it with --allow-origin' };
    if (denial === 'malformed') return { status: 401, reason: 'unauthenticated', sentence: 'what it showed is no token' };
    if (identity === undefined || this.#places.hasPlaceForClient) return undefined;
    const { maxConnections } = this.#options.places;
    return {
      status: 503,
      reason: 'no_place',
      sentence: `this node serves at most ${maxConnections} connections, those among them that have ended and that their clients do not close`,
    };
  }

  #connection(socket: ClientSocket, visitor: Visitor): Connection {
    const session = new Session(socket, this.sendBudget, this.incidents, () => this.#places.hasPlaceForGoodbye);
    const inbox = new Inbox(session, this.#options.loop.nowMs());
    return {
      opened: () => this.#opened(inbox, visitor),
      message: (message, isBinary) => this.#message(inbox, message, isBinary),
      control: (answeredBytes) => this.#control(inbox, answeredBytes),
      drained: () => this.#drained(session),
      closed: () => this.#closed(inbox),
    };
  }

  #opened(inbox: Inbox<Session>, { identity, token }: Visitor): void {
    this.inboxes.add(inbox);
    this.#events.came();
    if (identity !== undefined) this.#admit(inbox, identity);
    else if (this.#farewell !== undefined) inbox.session.cut();
    else this.#strangers.came(inbox, token);
  }

  /** It is known who speaks. */
  #admit(inbox: Inbox<Session>, identity: Identity): void {
    const { session } = inbox;
    const { access, accounts } = this.#options;
    const counted = accounts.of(identity, session.address);
    session.admit(identity);
    this.sessions.add(session);
    access.hold(identity, session);
    const refusal = accounts.begin(session, counted);
    if (refusal !== undefined) {
      session.turnAway(0, 'QUOTA_EXCEEDED', refusal, CLOSE_QUOTA);
      return;
    }
    if (counted[0] !== undefined) {
      inbox.party = counted[0].party;
      inbox.pace = new AccountsPace(counted);
      session.heldBack = this.#holdingBack(session);
    }
    this.#events.opened(session);
    // It was under way when the node began to stop.
    if (this.#farewell !== undefined) this.#leave(session, this.#farewell.closeCode, this.#farewell.reason);
  }

  /** What is to be called while nothing of the log may be sent to a session. */
  #holdingBack(session: Session): (waitMs: number) => void {
    let isPlanned = false;
    return (waitMs) => {
      if (isPlanned) return;
      isPlanned = true;
      const again = (): void => {
        isPlanned = false;
        if (!session.isClosed && session.dataRoom > 0) this.#events.drained(session);
      };
      this.#options.loop.after(Math.ceil(waitMs), again, true);
    };
  }

  #message(inbox: Inbox<Session>, message: ArrayBuffer, isBinary: boolean): void {
    const { session } = inbox;
    if (session.isClosed) return;
    if (session.isStranger) this.#strangers.message(inbox, isBinary ? new Uint8Array(message) : new Uint8Array(0));
    else if (isBinary) this.#turnBudget.message(inbox, message);
    else session.fail(0, 'MALFORMED', `LogLog speaks binary messages; this one was text`);
  }

  #control(inbox: Inbox<Session>, answeredBytes: number | undefined): void {
    if (inbox.session.isClosed) return;
    this.#turnBudget.control(inbox, answeredBytes !== undefined);
    inbox.session.ponged(answeredBytes ?? 0);
  }

  #drained(session: Session): void {
    if (session.isClosed) return;
    if (this.#farewell !== undefined && !session.isStranger) {
      this.#leave(session, this.#farewell.closeCode, this.#farewell.reason);
      return;
    }
    session.updateBuffered();
    if (session.dataRoom > 0 && !session.isStranger) this.#events.drained(session);
  }

  #closed(inbox: Inbox<Session>): void {
    const { session } = inbox;
    this.#turnBudget.closed(inbox);
    this.inboxes.delete(inbox);
    this.#places.ended();
    const { identity } = session;
    if (identity === undefined) {
      this.#strangers.gone(inbox);
      session.closed();
      return;
    }
    this.#options.access.release(identity, session);
    this.#options.accounts.end(session);
    this.sessions.delete(session);
    if (this.sessions.size === 0) this.#emptied();
    session.closed();
    this.#events.closed(session);
  }
}
