// `ws` over node:http as acceptor: where uWebSockets.js has no binary.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { IDLE_TIMEOUT_SECONDS, MAX_MESSAGE_CHUNKS, MAX_MESSAGE_FRAGMENTS, WS_CLOSE_TIMEOUT_MS } from '../../core/servingLimits.ts';
import { SUBPROTOCOL } from '../../protocol/client.ts';
import type { ListenerTls } from '../../tls/listenerTls.ts';
import type { Acceptor, AcceptorEvents, AcceptorOptions, MadeRoom } from '../acceptor.ts';
import { asRequest, NodeHttp } from './nodeHttp.ts';
import { WsSocket, type WsSocketOwner } from './wsSocket.ts';

/** So often in IDLE_TIMEOUT_SECONDS those are looked for who are silent. */
const LOOKS = 4;

export class WsAcceptor implements Acceptor, WsSocketOwner {
  readonly name = 'ws';
  /** Node knows of it, and says so. */
  readonly tlsBytesPerConnection = 0;
  readonly #events: AcceptorEvents;
  readonly #http: NodeHttp;
  readonly #server: WebSocketServer;
  readonly #open = new Set<WsSocket>();
  /** Those that have ended, and whose clients have not closed their ends. */
  readonly #lingering = new Set<WsSocket>();
  #noneLingers: () => void = () => undefined;
  #looking: NodeJS.Timeout | undefined;
  /** Memory of messages that are not whole, over all connections. */
  unfinishedBytes = 0;

  constructor({ maxMessageBytes, tls }: AcceptorOptions, events: AcceptorEvents) {
    this.#events = events;
    this.#http = new NodeHttp(
      {
        connected: () => events.connected(),
        request: (request) => events.request(request),
        upgrade: (request, socket, head) => this.#upgrade(request, socket, head),
        broke: (thrown) => events.broke(thrown),
      },
      tls,
    );
    // Some of these are newer than the types of `ws`.
    const bounds = {
      maxFragments: MAX_MESSAGE_FRAGMENTS,
      maxBufferedChunks: MAX_MESSAGE_CHUNKS,
      closeTimeout: WS_CLOSE_TIMEOUT_MS,
    };
    this.#server = new WebSocketServer({
      ...bounds,
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      // Answered here, so that they are counted.
      autoPong: false,
      handleProtocols: () => SUBPROTOCOL,
    });
    this.#server.on('wsClientError', ({ message }, socket) => {
      this.#http.answer(socket, { status: 400, type: 'text/plain; charset=utf-8', body: `${message}\n` }, false);
    });
  }

  get httpConnections(): number {
    return this.#http.count;
  }

  get turn(): number {
    return this.#http.turn;
  }

  get lingering(): number {
    return this.#lingering.size;
  }

  async listen(host: string, port: number): Promise<number | undefined> {
    this.#looking = setInterval(
      () => {
        for (const socket of this.#open) socket.lookForSilence(LOOKS);
      },
      (IDLE_TIMEOUT_SECONDS * 1000) / LOOKS,
    );
    this.#looking.unref();
    return this.#http.listen(host, port);
  }

  secure(tls: ListenerTls): void {
    this.#http.secure(tls);
  }

  makeRoom(orUnread: boolean): MadeRoom {
    return this.#http.makeRoom(orUnread);
  }

  stopListening(): void {
    this.#http.stopListening();
  }

  async untilClosedByClients(timeoutMs: number): Promise<void> {
    if (this.#lingering.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#noneLingers = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }

  close(): void {
    clearInterval(this.#looking);
    this.#http.close();
    for (const socket of [...this.#open, ...this.#lingering]) socket.close();
  }

  ended(socket: WsSocket): void {
    this.#open.delete(socket);
    this.#lingering.add(socket);
  }

  gone(socket: WsSocket): void {
    this.#lingering.delete(socket);
    if (this.#lingering.size === 0) this.#noneLingers();
  }

  unfinished(changeBytes: number): void {
    this.unfinishedBytes += changeBytes;
  }

  /** At the end of the turn, as any request is answered, so that places are counted in the same way. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const outcome = this.#events.upgrade(asRequest(request));
    this.#http.atEndOfTurn(socket, () => {
      const made = outcome();
      if (typeof made !== 'function') {
        this.#http.answer(socket, made, false);
        return;
      }
      this.#server.handleUpgrade(request, socket, head, (ws) => {
        this.#http.becameWebSocket(socket);
        const opened = new WsSocket(ws, socket, this);
        this.#open.add(opened);
        opened.open(made(opened));
      });
    });
  }
}
