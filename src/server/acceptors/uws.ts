// uWebSockets.js as acceptor.

import './uwsBinary.ts';

import * as uWS from 'uWebSockets.js';
import { IDLE_TIMEOUT_SECONDS, MAX_BACKPRESSURE_BYTES } from '../../core/limits.ts';
import { SUBPROTOCOL } from '../../protocol/client.ts';
import type {
  Acceptor,
  AcceptorEvents,
  AcceptorOptions,
  HttpAnswer,
  HttpRequest,
  MadeRoom,
  MakeAnswer,
  MakeConnection,
} from '../acceptor.ts';
import { untilClosedByClients } from './halfClosed.ts';
import { sendBody, write } from './uwsAnswers.ts';
import { UwsConnections } from './uwsConnections.ts';
import { type SocketData, UwsSocket } from './uwsSocket.ts';

/** LIBUS_LISTEN_EXCLUSIVE_PORT, and the form of `listen` that takes it with a host: both are missing from uWS's types. */
const EXCLUSIVE_PORT = 1;
interface ExclusiveListen {
  listen(host: string, port: number, options: number, listening: (socket: uWS.us_listen_socket | false) => void): void;
}

function asRequest(request: uWS.HttpRequest): HttpRequest {
  // `getHeader` knows one value of a header that came twice.
  let headers: Map<string, string> | undefined;
  const header = (name: string): string => {
    if (headers === undefined) {
      const found = new Map<string, string>();
      request.forEach((key, value) => void found.set(key, found.has(key) ? `${found.get(key)}, ${value}` : value));
      headers = found;
    }
    return headers.get(name) ?? '';
  };
  return { method: request.getMethod().toUpperCase(), path: request.getUrl(), header };
}

/** Answers, once the answer is made, unless the connection is gone by then. */
async function answer(response: uWS.HttpResponse, make: MakeAnswer, isHead: boolean): Promise<void> {
  const made = make();
  if (!(made instanceof Promise)) {
    const { status, body } = made;
    if (isHead || status === 304 || typeof body === 'string') write(response, made, isHead);
    else await sendBody(response, made, body);
    return;
  }
  let isGone = false;
  response.onAborted(() => {
    isGone = true;
  });
  const late = await made;
  if (!isGone) write(response, late, isHead);
}

const COME_AGAIN: HttpAnswer = {
  status: 503,
  type: 'text/plain',
  body: 'This connection could not become a WebSocket at this moment; try again.\n',
};

export class UwsAcceptor implements Acceptor {
  readonly name = 'uws';
  readonly lingering = undefined;
  readonly unfinishedBytes = undefined;
  readonly #app = uWS.App();
  readonly #events: AcceptorEvents;
  readonly #http: UwsConnections;
  readonly #sockets = new Set<uWS.WebSocket<SocketData>>();
  #listening: uWS.us_listen_socket | false = false;
  #port = 0;
  /** This acceptor, until it is closed. */
  readonly #held: { open: UwsAcceptor | undefined } = { open: undefined };

  constructor({ maxMessageBytes }: AcceptorOptions, events: AcceptorEvents) {
    this.#events = events;
    this.#http = new UwsConnections(events.broke);
    // uWS keeps an app's handlers for as long as the process lives: they must not keep the node, and all its memory, after it has closed.
    const held = this.#held;
    held.open = this;
    const count = (response: uWS.HttpResponse, change: number): void => {
      if (held.open !== undefined) held.open.#count(response, change);
    };
    this.#app.filter(count);
    this.#app.ws<SocketData>('/*', {
      maxPayloadLength: maxMessageBytes,
      maxBackpressure: MAX_BACKPRESSURE_BYTES,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => {
        if (held.open === undefined) response.close();
        else held.open.#upgrade(response, request, context);
      },
      open: (socket) => {
        if (held.open !== undefined) held.open.#opened(socket);
      },
      message: (socket, message, isBinary) => socket.getUserData().connection?.message(message, isBinary),
      ping: (socket, message) => socket.getUserData().connection?.control(message.byteLength),
      pong: (socket) => socket.getUserData().connection?.control(0),
      drain: (socket) => socket.getUserData().connection?.drained(),
      close: (socket) => {
        if (held.open !== undefined) held.open.#sockets.delete(socket);
        socket.getUserData().connection?.closed();
      },
    });
    this.#app.any('/*', (response, request) => {
      if (held.open === undefined) response.close();
      else held.open.#request(response, request);
    });
  }

  get httpConnections(): number {
    return this.#http.count;
  }

  get turn(): number {
    return this.#http.turn;
  }

  async listen(host: string, port: number): Promise<number | undefined> {
    // By default two nodes could share a port, and each would get some of the clients.
    (this.#app as unknown as ExclusiveListen).listen(host, port, EXCLUSIVE_PORT, (socket) => {
      this.#listening = socket;
    });
    if (this.#listening === false) return undefined;
    this.#port = uWS.us_socket_local_port(this.#listening);
    return this.#port;
  }

  makeRoom(orUnread: boolean): MadeRoom {
    return this.#http.makeRoom(orUnread);
  }

  stopListening(): void {
    if (this.#listening !== false) uWS.us_listen_socket_close(this.#listening);
    this.#listening = false;
  }

  /** uWS calls a socket closed at once when it is asked to end it, and tells of it no more. */
  untilClosedByClients(timeoutMs: number): Promise<void> {
    return untilClosedByClients(this.#port, timeoutMs);
  }

  close(): void {
    this.stopListening();
    this.#app.close();
    this.#held.open = undefined;
  }

  #opened(socket: uWS.WebSocket<SocketData>): void {
    this.#sockets.add(socket);
    const data = socket.getUserData();
    const connection = data.make(new UwsSocket(socket));
    data.connection = connection;
    // It may close the socket at once.
    connection.opened();
  }

  #request(response: uWS.HttpResponse, request: uWS.HttpRequest): void {
    const isHead = request.getMethod() === 'head';
    const make = this.#events.request(asRequest(request));
    this.#http.take(response, request, () => () => void answer(response, make, isHead).catch(this.#events.broke));
  }

  /** A connection came (1) or, unless it was upgraded, went (-1). */
  #count(response: uWS.HttpResponse, change: number): void {
    if (change < 0) {
      this.#http.went();
      return;
    }
    this.#http.came(response);
    this.#events.connected();
  }

  #upgrade(response: uWS.HttpResponse, request: uWS.HttpRequest, context: uWS.us_socket_context_t): void {
    const outcome = this.#events.upgrade(asRequest(request));
    const key = request.getHeader('sec-websocket-key');
    const upgrade = (make: MakeConnection): void =>
      response.upgrade<SocketData>({ make, connection: undefined }, key, SUBPROTOCOL, '', context);
    // Nobody is there whose cork could be used later.
    if (this.#sockets.size === 0 && this.#http.isOnlyOneSilent) {
      const made = outcome();
      if (typeof made === 'function') {
        upgrade(made);
        this.#http.becameWebSocket();
      } else {
        this.#http.take(response, request, () => () => write(response, made, false));
      }
      return;
    }
    this.#http.take(response, request, () => {
      const made = outcome();
      if (typeof made !== 'function') return () => write(response, made, false);
      return this.#upgradeLater(response, () => upgrade(made));
    });
  }

  /**
   * Upgrades outside of uWS's own handler. Outside of a `cork`, uWS writes a warning to stderr for each upgrade, and waits until somebody reads
   * it. After a `cork` that took hold, it takes a socket that kept its address for an HTTP response still, and closes it or not, as it happens.
   * Inside the cork of another connection the response's own takes no hold: a client's, or that of one that is silent, or has a request in this
   * turn, too. Where there was one, and none is left at the end of the turn, the client is asked to come again.
   */
  #upgradeLater(response: uWS.HttpResponse, upgrade: () => void): (() => void) | undefined {
    const [client] = this.#sockets;
    const other = client ?? this.#http.otherThan(response);
    if (other === undefined) return () => write(response, COME_AGAIN, false);
    other.cork(() => void response.cork(upgrade));
    // From here on it is a WebSocket; the filter is not told.
    this.#http.went();
    return undefined;
  }
}
