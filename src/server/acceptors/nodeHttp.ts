// HTTP over node:http for the acceptor `ws`: which connections have sent nothing whole yet, and one answer to each that has, after which it is closed.
// Answers are written to the socket, not through node's ServerResponse, so that an upgrade that is refused is answered like any other request.

import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, TLSSocket, type TlsOptions, type Server as TlsServer } from 'node:tls';
import { HTTP_BACKLOG, HTTP_TIMEOUT_MS, HTTP_WRITE_BYTES, MAX_HTTP_HEAD_BYTES } from '../../core/servingLimits.ts';
import { type ListenerTls, MIN_TLS_VERSION } from '../../tls/listenerTls.ts';
import { type HttpAnswer, type HttpBody, type HttpRequest, headersOf, type MadeRoom, type MakeAnswer, STATUS_TEXT } from '../acceptor.ts';
import { carefully } from '../mistakes.ts';
import { HANDSHAKE_PORTS, Handshakes } from './handshakes.ts';
import { Silent } from './silent.ts';

export interface NodeHttpEvents {
  connected(): void;
  request(request: HttpRequest): MakeAnswer;
  /** A request for a WebSocket, whose socket is no more read as HTTP. Returns whether it is taken over. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Something was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

export function asRequest(request: IncomingMessage): HttpRequest {
  const { method = '', url = '' } = request;
  return {
    method,
    path: url.split('?', 1)[0] ?? '',
    header: (name) => request.headersDistinct[name]?.join(', ') ?? '',
    certificate: () =>
      request.socket instanceof TLSSocket && request.socket.authorized ? request.socket.getPeerX509Certificate() : undefined,
    address: () => request.socket.remoteAddress ?? '',
  };
}

/**
 * What new connections are encrypted with. A client without a certificate is as good as before; one whose certificate is of no authority is not. Tickets would
 * keep what a certificate was taken for after that is over: there are none where certificates are asked for. Nor may a client of TLS 1.2 shake hands once
 * more: Node lets it, and the certificate that comes then is checked by nobody.
 */
function securing({ certificate, key, clientCa }: ListenerTls): TlsOptions {
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | (clientCa === undefined ? 0 : constants.SSL_OP_NO_TICKET);
  return { cert: certificate, key, minVersion: MIN_TLS_VERSION, secureOptions, ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

/** What tells one connection of a port from all others that are there. */
function addressesOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/** What is answered to what is no request that can be taken. */
function answerTo(error: NodeJS.ErrnoException): HttpAnswer {
  const type = 'text/plain; charset=utf-8';
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, type, body: `the head of a request has at most ${MAX_HTTP_HEAD_BYTES} bytes\n` };
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, type, body: 'no whole request came in time\n' };
  return { status: 400, type, body: 'this is no HTTP request\n' };
}

function headOf(answer: HttpAnswer): string {
  const { status, body } = answer;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status]}`,
    `Date: ${new Date().toUTCString()}`,
    ...headersOf(answer).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${typeof body === 'string' ? Buffer.byteLength(body) : body.bytes}`,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n`;
}

/** Resolves when `bytes` have been taken, or the connection is gone. Who does not take them in HTTP_TIMEOUT_MS is closed. */
function write(socket: Duplex, bytes: Uint8Array): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), HTTP_TIMEOUT_MS);
    timer.unref();
    socket.write(bytes, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

export class NodeHttp {
  readonly #server: Server;
  /** What has the port where connections are encrypted: they get to the other one once they are. */
  readonly #front: TcpServer | undefined;
  /** Listens nowhere: connections are handed to it when it is their turn. */
  readonly #tls: TlsServer | undefined;
  readonly #handshakes = new Handshakes<Socket>({ ...HANDSHAKE_PORTS, begin: (socket) => void this.#tls?.emit('connection', socket) });
  /** Those that are not encrypted yet, by their addresses. */
  readonly #handshaking = new Map<string, Socket>();
  readonly #events: NodeHttpEvents;
  /** All connections that are not WebSockets. */
  readonly #sockets = new Set<Duplex>();
  /** Those that have not sent a whole request. */
  readonly #silent = new Silent<Duplex>();
  /** Those whose request is answered, or about to be. */
  readonly #answered = new WeakSet<Duplex>();
  /** Those whose answer has left, and whose clients have not closed their ends; the oldest first. */
  readonly #lingering = new Set<Duplex>();
  #waiting: (() => void)[] = [];
  turn = 0;

  constructor(events: NodeHttpEvents, tls: ListenerTls | undefined) {
    this.#events = events;
    if (tls !== undefined) {
      this.#tls = this.#makeTls(tls);
      this.#front = createTcpServer((socket) => this.#encrypt(socket));
    }
    this.#server = createServer({
      maxHeaderSize: MAX_HTTP_HEAD_BYTES,
      headersTimeout: HTTP_TIMEOUT_MS,
      requestTimeout: HTTP_TIMEOUT_MS,
      connectionsCheckingInterval: HTTP_TIMEOUT_MS / 10,
      // Nobody needs a name to ask for health.
      requireHostHeader: false,
    });
    if (this.#front === undefined) this.#server.on('connection', (socket) => this.#came(socket));
    this.#server.on('request', (request) => this.#request(request));
    // What is expected has no meaning, as a body has none: otherwise Node answers on its own, and keeps the connection.
    for (const event of ['checkContinue', 'checkExpectation']) this.#server.on(event, (request: IncomingMessage) => this.#request(request));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    this.#server.on('clientError', (error, socket) => {
      if ('bytesWritten' in socket && socket.bytesWritten === 0 && socket.writable) this.answer(socket, answerTo(error), false);
      else socket.destroy();
    });
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Resolves to the port, or to undefined where it cannot be had. */
  listen(host: string, port: number): Promise<number | undefined> {
    const server: TcpServer = this.#front ?? this.#server;
    return new Promise((resolve) => {
      // Later ones are of single connections that could not be accepted.
      server.on('error', () => resolve(undefined));
      server.listen({ host, port, backlog: HTTP_BACKLOG, exclusive: true }, () => {
        const address = server.address();
        resolve(typeof address === 'object' ? address?.port : undefined);
      });
    });
  }

  stopListening(): void {
    this.#front?.close();
    this.#server.close();
  }

  /** As `Acceptor.secure`. */
  secure(tls: ListenerTls): void {
    this.#tls?.setSecureContext(securing(tls));
  }

  close(): void {
    this.stopListening();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** As `Acceptor.makeRoom`. */
  makeRoom(orUnread: boolean): MadeRoom {
    // `close` comes later; the descriptor is gone at once.
    const close = (socket: Duplex): void => {
      this.#sockets.delete(socket);
      socket.destroy();
    };
    const [answered] = this.#lingering;
    if (answered === undefined) return this.#silent.closeOldest(orUnread, close);
    this.#lingering.delete(answered);
    close(answered);
    return 'answered';
  }

  /** It is a WebSocket from now on. */
  becameWebSocket(socket: Duplex): void {
    this.#sockets.delete(socket);
  }

  /** Calls `act` at the end of this turn, unless the connection is gone by then. */
  atEndOfTurn(socket: Duplex, act: () => void): void {
    this.#waiting.push(() => {
      if (!socket.destroyed) act();
    });
    if (this.#waiting.length > 1) return;
    setImmediate(() => {
      this.turn += 1;
      for (const waiting of this.#waiting.splice(0)) carefully(this.#events.broke, waiting);
    });
  }

  /** Answers and closes. */
  answer(socket: Duplex, answer: HttpAnswer, isHead: boolean): void {
    const { status, body } = answer;
    this.#answered.add(socket);
    if (typeof body === 'string') this.#last(socket, isHead ? headOf(answer) : headOf(answer) + body);
    else if (isHead || status === 304) this.#last(socket, headOf(answer));
    else void this.#stream(socket, answer, body).catch(this.#events.broke);
  }

  /** Sends the last of an answer, and closes. */
  #last(socket: Duplex, text: string): void {
    socket.end(text, () => {
      if (!socket.destroyed) this.#lingering.add(socket);
    });
    // What it still sends is read and thrown away: a reset could take the answer from it. It has to close its end in time.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), HTTP_TIMEOUT_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
  }

  /** Sends a body part by part, as fast as it is taken. */
  async #stream(socket: Duplex, answer: HttpAnswer, body: HttpBody): Promise<void> {
    body.begin(() => void socket.destroy());
    socket.once('close', () => body.end());
    socket.resume();
    let isBegun = false;
    try {
      for (let part = await body.next(); part !== undefined && !socket.destroyed; part = await body.next()) {
        if (!isBegun) socket.write(headOf(answer));
        isBegun = true;
        for (let at = 0; at < part.length; at += HTTP_WRITE_BYTES) await write(socket, part.subarray(at, at + HTTP_WRITE_BYTES));
      }
    } catch (thrown) {
      body.end();
      // What cannot be read is logged where it is. Whoever has a part of it sees that it is too short.
      if (isBegun) socket.destroy();
      else if (!socket.destroyed) this.answer(socket, body.failed(thrown), false);
      return;
    }
    body.end();
    if (!socket.destroyed) this.#last(socket, '');
  }

  /** A connection counts at once, and has as much time for its handshake as for a request after it. */
  #encrypt(socket: Socket): void {
    const addresses = addressesOf(socket);
    this.#handshaking.set(addresses, socket);
    socket.on('close', () => {
      if (this.#handshaking.get(addresses) === socket) this.#handshaking.delete(addresses);
    });
    this.#handshakes.came(socket);
    this.#came(socket);
  }

  #makeTls(tls: ListenerTls): TlsServer {
    const asks = tls.clientCa !== undefined;
    const server = createTlsServer({ ...securing(tls), handshakeTimeout: HTTP_TIMEOUT_MS, requestCert: asks, rejectUnauthorized: false });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('secureConnection', (socket) => {
      const raw = this.#handshaking.get(addressesOf(socket));
      if (raw !== undefined) this.#handshakes.over(raw);
      // It was closed meanwhile, or showed a certificate that is none here.
      if (raw === undefined || (!socket.authorized && socket.getPeerX509Certificate() !== undefined)) {
        socket.destroy();
        return;
      }
      this.#handshaking.delete(addressesOf(socket));
      this.#forget(raw);
      this.#came(socket, false);
      this.#server.emit('connection', socket);
    });
    return server;
  }

  #came(socket: Socket, isNew = true): void {
    this.#sockets.add(socket);
    this.#silent.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#forget(socket));
    if (isNew) this.#events.connected();
  }

  #forget(socket: Duplex): void {
    this.#silent.delete(socket);
    this.#lingering.delete(socket);
    this.#sockets.delete(socket);
  }

  #request(request: IncomingMessage): void {
    const { socket } = request;
    this.#silent.delete(socket);
    // One connection carries one request, without a body in pieces, as on uWebSockets.js.
    if (this.#answered.has(socket) || request.headers['transfer-encoding'] !== undefined) {
      socket.destroy();
      return;
    }
    this.#answered.add(socket);
    // A body has no meaning.
    request.resume();
    this.#answerLater(request, socket);
  }

  #answerLater(request: IncomingMessage, socket: Duplex): void {
    const make = this.#events.request(asRequest(request));
    const isHead = request.method === 'HEAD';
    const answer = (made: HttpAnswer): void => {
      if (!socket.destroyed) this.answer(socket, made, isHead);
    };
    this.atEndOfTurn(socket, () => {
      const made = make();
      if (made instanceof Promise) void made.then(answer).catch(this.#events.broke);
      else answer(made);
    });
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#silent.delete(socket);
    if (this.#answered.has(socket)) socket.destroy();
    else if (request.headers.upgrade?.toLowerCase() === 'websocket') this.#events.upgrade(request, socket, head);
    // Another protocol is offered: a server may go on with HTTP (RFC 9110, 7.8).
    else this.#answerLater(request, socket);
  }
}
