// The seam between a node's listener, which decides who may connect and what a connection may cost, and the library that has the sockets:
// uWebSockets.js (acceptors/uws.ts) or `ws` over node:http (acceptors/ws.ts). An acceptor counts connections, bounds what each may send and leave
// unread, and tells the listener of everything else.

import type { X509Certificate } from 'node:crypto';
import type { AcceptorChoice } from '../core/options.ts';
import type { ListenerTls } from '../tls/listenerTls.ts';
import type { ClientSocket } from './clientSocket.ts';

export type AcceptorName = Exclude<AcceptorChoice, 'auto'>;

/** The statuses that a node answers with. */
export const STATUS_TEXT = {
  200: 'OK',
  206: 'Partial Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Precondition Failed',
  416: 'Range Not Satisfiable',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

/** An HTTP request or an upgrade, during the call that hands it over. */
export interface HttpRequest {
  /** In capitals. */
  readonly method: string;
  /** As it was sent, without what follows a question mark. */
  readonly path: string;
  /** A header by its name in lower case; the values of several, with `, ` between them; empty where there is none. */
  header(name: string): string;
  /** The certificate that the client showed, of one of the authorities that the node asks for; undefined: none. */
  certificate(): X509Certificate | undefined;
  /** Where the client is. */
  address(): string;
}

/** A body that is made while it leaves, a part at a time. */
export interface HttpBody {
  /** All of it. */
  readonly bytes: number;
  /** Called once before {@link next}. `cut` ends the connection, to free what waits on it. */
  begin(cut: () => void): void;
  /** The next part, whose memory stays as it is until the next call; everything before has left then. Undefined: there are no more, or it was ended. May reject. */
  next(): Promise<Uint8Array | undefined>;
  /** What is answered in its place where the first {@link next} rejected with `thrown`: that is called before any head is sent. */
  failed(thrown: unknown): HttpAnswer;
  /** No more is wanted: called once after {@link begin}, or more often. */
  end(): void;
}

/**
 * The connection is closed after it. Where HEAD was asked, and of a 304, the acceptor leaves the body out, and says its length. Nobody may keep it in a
 * cache, unless it says so.
 */
export interface HttpAnswer {
  readonly status: keyof typeof STATUS_TEXT;
  readonly type: string;
  readonly body: string | HttpBody;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default `no-store`. */
  readonly cacheControl?: string | undefined;
}

/** Headers of an answer but for its length, in lower case. */
export function headersOf({ type, headers = {}, cacheControl = 'no-store' }: HttpAnswer): readonly (readonly [string, string])[] {
  return [['content-type', type], ['cache-control', cacheControl], ...Object.entries(headers)];
}

/** Makes the answer to a request, at the end of the turn of the event loop in which that came. */
export type MakeAnswer = () => HttpAnswer | Promise<HttpAnswer>;

/** What an acceptor tells of one WebSocket. */
export interface Connection {
  /** It is open. Called once, before anything else. */
  opened(): void;
  /** A whole message; its memory is valid only during the call. */
  message(message: ArrayBuffer, isBinary: boolean): void;
  /** A ping, which was answered with as many bytes; undefined: a pong, as the node, or its acceptor, asks for it. */
  control(answeredBytes: number | undefined): void;
  /** Bytes that had to wait have left. */
  drained(): void;
  /** Either side has said goodbye, or the connection is gone: nothing more comes, and its {@link ClientSocket} may not be used any more. */
  closed(): void;
}

/** A WebSocket was made; gives whom its acceptor is to tell of it from now on. */
export type MakeConnection = (socket: ClientSocket) => Connection;

/** Called when a WebSocket would be made: the refusal, or what is to become of it. */
export type Upgrade = () => HttpAnswer | MakeConnection;

export interface AcceptorEvents {
  /** A connection was made, and is counted. */
  connected(): void;
  request(request: HttpRequest): MakeAnswer;
  /** Somebody asks for a WebSocket. */
  upgrade(request: HttpRequest): Upgrade;
  /** Something was thrown in a callback of the acceptor's own: nothing goes on as if it had not been. The others here throw nothing. */
  broke(thrown: unknown): void;
}

export interface AcceptorOptions {
  /** Largest message that a client may send; the connection ends above it. */
  readonly maxMessageBytes: number;
  /** Undefined: connections are not encrypted. */
  readonly tls?: ListenerTls | undefined;
}

/** What was closed to make room: one that has its answer, one without a request, or none, as the others have all sent one, or were not read yet. */
export type MadeRoom = 'answered' | 'silent' | 'unread' | 'none';

export interface Acceptor {
  readonly name: AcceptorName;
  /** Connections that are not WebSockets, or not yet. */
  readonly httpConnections: number;
  /** Turns of the event loop in which requests were answered. */
  readonly turn: number;
  /** WebSockets that have ended, and whose clients have not closed their ends; undefined where the library does not tell. */
  readonly lingering: number | undefined;
  /** Memory of messages that have not come whole, over all WebSockets; undefined where the library does not tell. */
  readonly unfinishedBytes: number | undefined;
  /** Memory that TLS takes for a connection, besides what the program itself is told of. */
  readonly tlsBytesPerConnection: number;
  /** Connections made from the next turn on have these certificates; those that are there stay as they are. Throws where it cannot be done, and changes nothing then. */
  secure(tls: ListenerTls): void;
  /** Starts listening; resolves to the port, or to undefined where it cannot be had. Nobody else can listen on it then. */
  listen(host: string, port: number): Promise<number | undefined>;
  /**
   * Makes room for another connection: closes one that stays after its answer, or else the one that has been there for longest without a whole
   * request. What a connection sent as soon as it was made has been read first, unless `orUnread`. The closed one does not count any more.
   */
  makeRoom(orUnread: boolean): MadeRoom;
  /** Takes no more connections; those that are there stay. */
  stopListening(): void;
  /** Waits until the clients have closed their ends of all WebSockets that were ended here, at most `timeoutMs`. */
  untilClosedByClients(timeoutMs: number): Promise<void>;
  /** Closes everything at once. */
  close(): void;
}

export type MakeAcceptor = (options: AcceptorOptions, events: AcceptorEvents) => Acceptor;
