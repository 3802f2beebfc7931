// The uWebSockets.js app: accepts clients, checks who may connect, and hands messages to the sessions' requests.

import './headerBytes.ts';

import * as uWS from 'uWebSockets.js';
import { LogError } from '../core/errors.ts';
import { IDLE_TIMEOUT_SECONDS, MAX_BACKPRESSURE_BYTES, STOP_LINGER_MS, UNFINISHED_CHECK_MS } from '../core/limits.ts';
import { CLOSE_FLOOD, CLOSE_UNFINISHED, SUBPROTOCOL } from '../protocol/client.ts';
import { untilClosedByClients } from './closing.ts';
import type { ClientPlaces } from './descriptors.ts';
import { HttpConnections } from './httpConnections.ts';
import { type CloseReason, Incidents } from './incidents.ts';
import { Places } from './places.ts';
import { SendBudget } from './sendBudget.ts';
import { Session } from './session.ts';
import { type Budget, Inbox, TurnBudget } from './turnBudget.ts';
import { longestMessageMs, unfinished } from './unfinished.ts';
import { type SocketData, UwsSocket } from './uwsSocket.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly places: ClientPlaces;
  /** Largest message that a client may send; uWS drops the connection above it. */
  readonly maxMessageBytes: number;
  /** What a client may have sent that was not handled yet. */
  readonly budget: Budget;
  readonly allowedOrigins: readonly string[];
  /** For tests: how often clients are looked at, and how long a message may take. */
  readonly unfinishedCheckMs?: number;
  readonly unfinishedMs?: number;
}

export interface ListenerEvents {
  opened(session: Session): void;
  message(session: Session, message: ArrayBuffer): void;
  drained(session: Session): void;
  closed(session: Session): void;
  /** A line for the log. */
  warn(text: string): void;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * Whether a page of `origin` may connect: pages of loopback, and those allowed. That Origin and Host agree says nothing: a page whose
 * name was made to resolve to this machine has them equal too (DNS rebinding).
 */
export function isOriginAllowed(origin: string, allowed: readonly string[]): boolean {
  if (origin === '' || allowed.includes(origin)) return true;
  try {
    return LOOPBACK.test(new URL(origin).hostname);
  } catch {
    return false;
  }
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT, and the form of `listen` that takes it with a host: both are missing from uWS's types. */
const EXCLUSIVE_PORT = 1;
interface ExclusiveListen {
  listen(host: string, port: number, options: number, listening: (socket: uWS.us_listen_socket | false) => void): void;
}

export class Listener {
  readonly app = uWS.App();
  readonly sessions = new Set<Session>();
  readonly #sockets = new Set<uWS.WebSocket<SocketData>>();
  readonly sendBudget = new SendBudget();
  /** What is closed and refused here. */
  readonly incidents: Incidents;
  readonly #turnBudget: TurnBudget<Session>;
  readonly inboxes = new Set<Inbox<Session>>();
  #checking: NodeJS.Timeout | undefined;
  readonly #options: ListenerOptions;
  readonly #events: ListenerEvents;
  #socket: uWS.us_listen_socket | false = false;
  #port = 0;
  /** Connections that are not WebSockets, or not yet. */
  readonly http = new HttpConnections();
  readonly #places: Places;
  #emptied: () => void = () => undefined;
  /** Set when the node stops: how each session is closed once all that was sent to it has left. */
  #farewell: { readonly closeCode: number; readonly reason: string } | undefined;

  constructor(options: ListenerOptions, events: ListenerEvents) {
    this.#options = options;
    this.#events = events;
    this.#places = new Places(
      options.places,
      () => this.http.count,
      () => this.sessions.size,
    );
    this.incidents = new Incidents((text) => events.warn(text));
    this.#turnBudget = new TurnBudget<Session>(
      options.budget,
      (session, message) => events.message(session, message),
      (session, sentence) => session.end(CLOSE_FLOOD, sentence),
    );
    this.app.filter((response, change) => this.#count(response, change));
    this.app.ws<SocketData>('/*', {
      maxPayloadLength: options.maxMessageBytes,
      maxBackpressure: MAX_BACKPRESSURE_BYTES,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket, message, isBinary) => this.#message(socket, message, isBinary),
      ping: (socket, message) => this.#control(socket, message.byteLength),
      pong: (socket) => this.#control(socket, 0),
      drain: (socket) => this.#drain(socket),
      close: (socket) => this.#close(socket),
    });
  }

  /** Starts listening; returns the port. Throws a LogError `PORT_IN_USE`. */
  listen(): number {
    const { host, port } = this.#options;
    // By default two nodes could share a port, and each would get some of the clients.
    (this.app as unknown as ExclusiveListen).listen(host, port, EXCLUSIVE_PORT, (socket) => {
      this.#socket = socket;
    });
    if (this.#socket === false) {
      throw new LogError(
        'PORT_IN_USE',
        `cannot listen on ${host} port ${port}: another program has it, or the address is not this machine's; name another --port`,
      );
    }
    this.#port = uWS.us_socket_local_port(this.#socket);
    this.#places.listening();
    this.#watchUnfinished();
    return this.#port;
  }

  /** Closes those that do not finish a message. */
  #watchUnfinished(): void {
    const { unfinishedCheckMs = UNFINISHED_CHECK_MS, maxMessageBytes } = this.#options;
    const limitMs = this.#options.unfinishedMs ?? longestMessageMs(maxMessageBytes);
    let checkedMs = performance.now();
    this.#checking = setInterval(() => {
      const nowMs = performance.now();
      const lateMs = Math.max(0, nowMs - checkedMs - 2 * unfinishedCheckMs);
      checkedMs = nowMs;
      for (const { session } of unfinished(this.inboxes, nowMs, lateMs, limitMs)) {
        session.end(
          CLOSE_UNFINISHED,
          `nothing whole has come for ${Math.round(limitMs / 1000)} s, and no answer to pings: send faster, or less at once`,
        );
      }
    }, unfinishedCheckMs);
    this.#checking.unref();
  }

  /** Takes no more connections; those that are there stay. */
  stopListening(): void {
    if (this.#socket !== false) uWS.us_listen_socket_close(this.#socket);
    this.#socket = false;
  }

  /**
   * Closes every session as soon as all that was sent to it has left; resolves when the clients have closed their ends too, so never with one
   * that does not read. uWS calls a socket closed at once when it is asked to end it, so what waits must have left before. What comes later is
   * read, and thrown away.
   */
  async disconnect(closeCode: number, reason: string): Promise<void> {
    this.#farewell = { closeCode, reason };
    if (this.sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
      for (const session of [...this.sessions]) this.#leave(session, closeCode, reason);
    });
    await untilClosedByClients(this.#port, STOP_LINGER_MS);
  }

  #leave(session: Session, closeCode: number, reason: string): void {
    session.updateBuffered();
    if (!session.hasUnsent) session.end(closeCode, reason);
  }

  /** Closes everything at once. */
  close(): void {
    clearInterval(this.#checking);
    this.stopListening();
    this.app.close();
  }

  /** A connection came (1) or, unless it was upgraded, went (-1). */
  #count(response: uWS.HttpResponse, change: number): void {
    if (change < 0) {
      this.http.went();
      return;
    }
    this.http.came(response);
    // Where all others have sent a request, or are clients, it closes the new one.
    if (this.#places.isOverfull && this.http.cutSilent()) {
      this.incidents.closed('silent', `the node has places for ${this.#options.places.maxSockets} connections of any kind`);
    }
  }

  #upgrade(response: uWS.HttpResponse, request: uWS.HttpRequest, context: uWS.us_socket_context_t): void {
    const protocols = request
      .getHeader('sec-websocket-protocol')
      .split(',')
      .map((name) => name.trim());
    const isAllowed = isOriginAllowed(request.getHeader('origin'), this.#options.allowedOrigins);
    const key = request.getHeader('sec-websocket-key');
    const upgrade = (): void => response.upgrade<SocketData>({ session: undefined, inbox: undefined }, key, SUBPROTOCOL, '', context);
    // Nobody is there whose cork could be used later.
    if (this.sessions.size === 0 && this.http.isOnlyOneSilent && this.#refusal(protocols, isAllowed) === undefined) {
      upgrade();
      this.http.becameWebSocket();
      return;
    }
    this.http.take(response, request, () => {
      const refusal = this.#refusal(protocols, isAllowed);
      if (refusal !== undefined) {
        const [status, reason, sentence] = refusal;
        this.incidents.closed(reason, sentence);
        response.cork(() => response.writeStatus(status).writeHeader('content-type', 'text/plain').end(`${sentence}\n`, true));
        return;
      }
      this.#upgradeLater(response, upgrade);
    });
  }

  /**
   * Upgrades outside of uWS's own handler. Outside of a `cork`, uWS writes a warning to stderr for each upgrade, and waits until somebody reads
   * it. After a `cork` that took hold, it takes a socket that kept its address for an HTTP response still, and closes it or not, as it happens.
   * Inside the cork of another socket the response's own takes no hold: a client's, or that of a connection that has sent nothing. Where all of
   * those have gone within this turn, the client has to come again.
   */
  #upgradeLater(response: uWS.HttpResponse, upgrade: () => void): void {
    const [client] = this.#sockets;
    const other = client ?? this.http.someSilent;
    if (other === undefined) {
      response.close();
      return;
    }
    other.cork(() => void response.cork(upgrade));
    // From here on it is a session; the filter is not told.
    this.http.went();
  }

  /** HTTP status, reason and sentence for who may not connect. */
  #refusal(protocols: readonly string[], isAllowedOrigin: boolean): readonly [string, CloseReason, string] | undefined {
    if (!protocols.includes(SUBPROTOCOL))
      return ['400 Bad Request', 'wrong_subprotocol', `ask for the WebSocket subprotocol ${SUBPROTOCOL}`];
    if (!isAllowedOrigin) return ['403 Forbidden', 'wrong_origin', 'pages of this origin may not connect; allow it with --allow-origin'];
    if (this.#places.hasPlaceForClient) return undefined;
    const { maxConnections } = this.#options.places;
    return [
      '503 Service Unavailable',
      'no_place',
      `this node serves at most ${maxConnections} connections, those among them that have ended and that their clients do not close`,
    ];
  }

  #open(socket: uWS.WebSocket<SocketData>): void {
    const session = new Session(new UwsSocket(socket), this.sendBudget, this.incidents, () => this.#places.hasPlaceForGoodbye);
    const data = socket.getUserData();
    data.session = session;
    data.inbox = new Inbox(session, performance.now());
    this.inboxes.add(data.inbox);
    this.sessions.add(session);
    this.#sockets.add(socket);
    this.#events.opened(session);
    // It was under way when the node began to stop.
    if (this.#farewell !== undefined) this.#leave(session, this.#farewell.closeCode, this.#farewell.reason);
  }

  #message(socket: uWS.WebSocket<SocketData>, message: ArrayBuffer, isBinary: boolean): void {
    const { session, inbox } = socket.getUserData();
    if (session === undefined || inbox === undefined || session.isClosed) return;
    if (isBinary) this.#turnBudget.message(inbox, message);
    else {
      session.fail(0, 'MALFORMED', `LogLog speaks binary messages; this one was text`);
    }
  }

  /** A ping, which uWS has answered with as many bytes, or a pong. */
  #control(socket: uWS.WebSocket<SocketData>, answeredBytes: number): void {
    const { session, inbox } = socket.getUserData();
    if (session === undefined || inbox === undefined || session.isClosed) return;
    this.#turnBudget.control(inbox);
    session.ponged(answeredBytes);
  }

  #drain(socket: uWS.WebSocket<SocketData>): void {
    const { session } = socket.getUserData();
    if (session === undefined || session.isClosed) return;
    if (this.#farewell !== undefined) {
      this.#leave(session, this.#farewell.closeCode, this.#farewell.reason);
      return;
    }
    session.updateBuffered();
    if (session.dataRoom > 0) this.#events.drained(session);
  }

  #close(socket: uWS.WebSocket<SocketData>): void {
    const { session, inbox } = socket.getUserData();
    if (session === undefined || inbox === undefined) return;
    this.#turnBudget.closed(inbox);
    this.inboxes.delete(inbox);
    this.sessions.delete(session);
    this.#sockets.delete(socket);
    this.#places.ended();
    if (this.sessions.size === 0) this.#emptied();
    session.closed();
    this.#events.closed(session);
  }
}
