// uWebSockets.js as acceptor.

import * as uWS from 'uWebSockets.js';
import { Buffer } from 'node:buffer';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { IDLE_TIMEOUT_SECONDS, LISTEN_AGAIN_MS, MAX_BACKPRESSURE_BYTES, UWS_TLS_BYTES } from '../../core/servingLimits.ts';
import { SUBPROTOCOL } from '../../protocol/client.ts';
import type { ListenerTls } from '../../tls/listenerTls.ts';
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
import { carefully } from '../mistakes.ts';
import { untilClosedByClients } from './halfClosed.ts';
import { sendBody, write } from './uwsAnswers.ts';
import { UwsConnections } from './uwsConnections.ts';
import { type SocketData, UwsSocket } from './uwsSocket.ts';

// What uWS offers and its types lack.
declare module 'uWebSockets.js' {
  interface TemplatedApp {
    listen(host: string, port: number, options: number, listening: (socket: uWS.us_listen_socket | false) => void): TemplatedApp;
  }
  interface HttpResponse {
    /** The certificate that a client showed and that was verified, in PEM; empty where there is none. */
    getX509Certificate(): string;
  }
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT. */
const EXCLUSIVE_PORT = 1;

function asRequest(request: uWS.HttpRequest, response: uWS.HttpResponse, asksForCertificates: boolean): HttpRequest {
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
  const certificate = (): X509Certificate | undefined => {
    const pem = asksForCertificates ? response.getX509Certificate() : '';
    return pem === '' ? undefined : new X509Certificate(pem);
  };
  const address = (): string => Buffer.from(response.getRemoteAddressAsText()).toString('latin1');
  return { method: request.getMethod().toUpperCase(), path: request.getUrl(), header, certificate, address };
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

function sslOptions({ files }: ListenerTls): uWS.AppOptions {
  return {
    cert_file_name: files.certificate,
    key_file_name: files.key,
    ...(files.clientCa === undefined ? {} : { ca_file_name: files.clientCa }),
  };
}

/**
 * uWS reads the files again, by their names. What it takes must be what was checked, and not what was written a moment later: the files are compared afterwards, so that a
 * newer pair comes into force by a check of its own. Throws an Error whose message is a sentence's middle.
 */
function secureApp(tls: ListenerTls): uWS.TemplatedApp {
  let app: uWS.TemplatedApp;
  try {
    app = uWS.SSLApp(sslOptions(tls));
  } catch {
    throw new Error(`${namesOf(tls)} changed while they were read, or will not do for uWebSockets.js`);
  }
  const { files, certificate, key, clientCa } = tls;
  const isSame = (file: string | undefined, text: string | undefined): boolean =>
    file === undefined || readFileSync(file, 'latin1') === text;
  try {
    if (isSame(files.certificate, certificate) && isSame(files.key, key) && isSame(files.clientCa, clientCa)) return app;
  } catch {
    // One of them is gone: it is another one than was checked.
  }
  app.close();
  throw new Error(`${namesOf(tls)} changed while they were read`);
}

function namesOf({ files: { certificate, key, clientCa } }: ListenerTls): string {
  return [certificate, key, ...(clientCa === undefined ? [] : [clientCa])].join(', ');
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
  /** The newest one takes new connections; each that came before keeps those that it has. */
  readonly #apps: uWS.TemplatedApp[] = [];
  #tls: ListenerTls | undefined;
  readonly #events: AcceptorEvents;
  readonly #http: UwsConnections;
  readonly #sockets = new Set<uWS.WebSocket<SocketData>>();
  readonly #maxMessageBytes: number;
  #listening: uWS.us_listen_socket | false = false;
  #isStopped = false;
  #host = '';
  #port = 0;
  /** This acceptor, until it is closed. */
  readonly #held: { open: UwsAcceptor | undefined } = { open: undefined };

  constructor({ maxMessageBytes, tls }: AcceptorOptions, events: AcceptorEvents) {
    this.#events = events;
    this.#maxMessageBytes = maxMessageBytes;
    this.#http = new UwsConnections(events.broke);
    this.#held.open = this;
    this.#apps.push(this.#makeApp(tls));
    this.#tls = tls;
  }

  /** Throws where the files of `tls` cannot be loaded. uWS speaks TLS 1.2 and 1.3, and takes a client without a certificate, but none with a wrong one. */
  #makeApp(tls: ListenerTls | undefined): uWS.TemplatedApp {
    const app = tls === undefined ? uWS.App() : secureApp(tls);
    const asksForCertificates = tls?.clientCa !== undefined;
    // uWS keeps an app's handlers for as long as the process lives: they must not keep the node, and all its memory, after it has closed.
    const held = this.#held;
    const count = (response: uWS.HttpResponse, change: number): void => {
      if (held.open !== undefined) held.open.#count(response, change);
    };
    app.filter(count);
    app.ws<SocketData>('/*', {
      maxPayloadLength: this.#maxMessageBytes,
      maxBackpressure: MAX_BACKPRESSURE_BYTES,
      closeOnBackpressureLimit: true,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => {
        if (held.open === undefined) response.close();
        else held.open.#upgrade(response, request, context, asksForCertificates);
      },
      open: (socket) => {
        if (held.open !== undefined) held.open.#opened(socket);
      },
      message: (socket, message, isBinary) => socket.getUserData().connection?.message(message, isBinary),
      ping: (socket, message) => socket.getUserData().connection?.control(message.byteLength),
      pong: (socket) => socket.getUserData().connection?.control(undefined),
      drain: (socket) => socket.getUserData().connection?.drained(),
      close: (socket) => {
        if (held.open !== undefined) held.open.#sockets.delete(socket);
        socket.getUserData().connection?.closed();
      },
    });
    app.any('/*', (response, request) => {
      if (held.open === undefined) response.close();
      else held.open.#request(response, request, asksForCertificates);
    });
    return app;
  }

  get tlsBytesPerConnection(): number {
    return this.#tls === undefined ? 0 : UWS_TLS_BYTES;
  }

  /**
   * uWS loads certificates once for each app: so another app listens at the same port. Connections that wait there to be accepted when the port changes hands
   * would be reset: so it does right after the event loop has accepted all that there are.
   */
  secure(tls: ListenerTls): void {
    const app = this.#makeApp(tls);
    this.#apps.push(app);
    this.#tls = tls;
    if (this.#listening !== false) setImmediate(() => carefully(this.#events.broke, () => this.#listenAnew(app)));
  }

  #listenAnew(app: uWS.TemplatedApp): void {
    if (this.#isStopped) return;
    if (this.#listening !== false) uWS.us_listen_socket_close(this.#listening);
    this.#listening = false;
    if (this.#listenWith(app, this.#host, this.#port)) return;
    // Somebody took the port in this moment, or there is no descriptor.
    setTimeout(() => carefully(this.#events.broke, () => this.#listenAnew(app)), LISTEN_AGAIN_MS).unref();
  }

  get httpConnections(): number {
    return this.#http.count;
  }

  get turn(): number {
    return this.#http.turn;
  }

  async listen(host: string, port: number): Promise<number | undefined> {
    const app = this.#apps.at(-1);
    this.#host = host;
    if (app === undefined || !this.#listenWith(app, host, port) || this.#listening === false) return undefined;
    this.#port = uWS.us_socket_local_port(this.#listening);
    if (this.#tls === undefined || port !== 0) return this.#port;
    // Only a port that was named is one on which uWS can listen anew while it has connections.
    uWS.us_listen_socket_close(this.#listening);
    this.#listening = false;
    return this.#listenWith(app, host, this.#port) ? this.#port : undefined;
  }

  #listenWith(app: uWS.TemplatedApp, host: string, port: number): boolean {
    // By default two nodes could share a port, and each would get some of the clients.
    app.listen(host, port, EXCLUSIVE_PORT, (socket) => {
      this.#listening = socket;
    });
    return this.#listening !== false;
  }

  makeRoom(orUnread: boolean): MadeRoom {
    return this.#http.makeRoom(orUnread);
  }

  stopListening(): void {
    this.#isStopped = true;
    if (this.#listening !== false) uWS.us_listen_socket_close(this.#listening);
    this.#listening = false;
  }

  /** uWS calls a socket closed at once when it is asked to end it, and tells of it no more. */
  untilClosedByClients(timeoutMs: number): Promise<void> {
    return untilClosedByClients(this.#port, timeoutMs);
  }

  close(): void {
    this.stopListening();
    for (const app of this.#apps) app.close();
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

  #request(response: uWS.HttpResponse, request: uWS.HttpRequest, asksForCertificates: boolean): void {
    const isHead = request.getMethod() === 'head';
    const make = this.#events.request(asRequest(request, response, asksForCertificates));
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

  #upgrade(response: uWS.HttpResponse, request: uWS.HttpRequest, context: uWS.us_socket_context_t, asksForCertificates: boolean): void {
    const outcome = this.#events.upgrade(asRequest(request, response, asksForCertificates));
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
