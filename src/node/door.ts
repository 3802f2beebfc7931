// A way to an engine: the clients' port, or a program in the same process. What the engine tells it, and what it asks it.

/** When a certificate ends. */
export interface CertificateStatus {
  /**
   * `node`: what the node shows to clients; `clients`: an authority of its clients' certificates; `peer`: what it shows to the other nodes; `peers`: an authority
   * of theirs.
   */
  readonly use: 'node' | 'clients' | 'peer' | 'peers';
  /** Unix ms: from then on nobody takes it. Of several it is the earliest. */
  readonly notAfterMs: number;
  /** Why the files say something else now that is not taken; null: what they say is in force. */
  readonly fault: string | null;
}

/** Whom a change of the greeting concerns: all clients, or only those that are told the members of the cluster. */
export type Greeted = 'all' | 'introduced';

export interface Door {
  /** `ws://host:port` under which clients reach the engine through it; empty: under no address. */
  readonly url: string;
  /** What has its clients' connections: uWebSockets.js or `ws`; none where there are no connections. */
  readonly acceptor?: 'uws' | 'ws';
  /** When what its TLS needs ends; none where it has none. */
  readonly certificates?: readonly CertificateStatus[];
  /** Clients connected. */
  readonly connections: number;
  /** Bytes that wait for slow clients. */
  readonly sendBufferedBytes: number;
  /** What a greeting says of this node and its cluster has changed. */
  greetingChanged(whom: Greeted): void;
  /** The engine stops: nobody new is let in. Those that are there stay. */
  takeNoMore(): void;
  /** The engine stops, and every answer was given: ends every client once its answers have left. Resolves when all have gone. */
  disconnect(): Promise<void>;
  /** Ends everything at once: the engine has stopped, or failed. */
  close(): void;
}
