// What the client needs of a connection, so that Node's WebSocket, the browser's, and a pipe inside the process can stand behind the same code.

import type { OnEvent } from '../events.ts';
import type { Fetches, TlsSource } from './tls.ts';

/** What a transport tells its owner. After `closed` nothing else is called. */
export interface TransportEvents {
  /** One binary message; the bytes belong to the receiver. */
  message(bytes: Uint8Array): void;
  /**
   * The connection failed, was refused or closed; `reason` is a clause for an error message. `code`: of the server's close frame, 0 without
   * one. `fault`: trying again brings nothing; `final`: what answers there is no LogLog node,
   * `certificate`: nor one that can be believed, `unauthenticated`: it does not take the token.
   */
  closed(reason: string, code: number, fault?: 'final' | 'certificate' | 'unauthenticated'): void;
}

/** One connection to a node, opening or open: a WebSocket, or a pipe inside the process. Nothing here throws. */
export interface Transport {
  /** Whether the node is in this process: then it cannot fall silent without this client. */
  readonly isInProcess?: boolean;
  /** Sends one binary message. The bytes may be read until they are acknowledged or `closed` was called: do not touch them. */
  send(bytes: Uint8Array): void;
  /** Bytes that were given to `send` and have not left the process. */
  bufferedBytes(): number;
  /** Bytes that have arrived, parts of messages included; undefined where the platform does not tell. */
  receivedBytes(): number | undefined;
  /** Closes in order: what was sent is delivered first. */
  close(): void;
  /** Closes at once. */
  terminate(): void;
}

/** An append, as those who trace it are told: one object from its start to its end. */
export interface TracedAppend {
  readonly clusterId: string;
  /** Entries that are appended together; undefined for a batch that tells when it is iterated only. */
  readonly entryCount: number | undefined;
}

/** Who traces appends, where the platform has that. */
export interface Tracing {
  /** Whether anybody does, now. */
  readonly isOn: boolean;
  /** Tells the start and the end of `work`, and returns what it does. */
  append<T>(about: TracedAppend, work: () => Promise<T>): Promise<T>;
}

/** What the client needs of its surroundings: Node's, or a browser's. */
export interface Platform {
  readonly open: OpenTransport;
  /** The same with certificates of the program's own; missing where the platform has its own only. */
  readonly secure?: (tls: TlsSource) => Secured;
  /** Told every event of every client of this process. */
  readonly listeners: readonly OnEvent[];
  readonly tracing?: Tracing;
}

/** The ways to nodes with certificates of the program's own. */
export interface Secured extends Fetches {
  readonly open: OpenTransport;
}

/** Begins to connect to a `ws:` or `wss:` address with the client subprotocol. `token`: shown in a header where the platform has them. */
export type OpenTransport = (url: string, events: TransportEvents, token?: string) => Transport;
