// Where a load finds what it measures, and which entries it may append there.

export type DriverName = 'loglog' | 'redis' | 'nats' | 'etcd';

/** Where a system runs. */
export interface Target {
  readonly driver: DriverName;
  /** URLs; of a cluster all nodes, in the order of their numbers. */
  readonly urls: readonly string[];
  /** Folder of the build whose client is used; undefined: this one. Only LogLog has several. */
  readonly build?: string | undefined;
  /** The authority of the servers' certificates, in PEM; undefined: connections are not encrypted. */
  readonly ca?: string | undefined;
  /** Whether the log takes once what a client sends again: by a producer's session, or an id of each message, which only those systems are asked for that have it. */
  readonly isOnce?: boolean;
  /** What clients show to LogLog; undefined: nothing. */
  readonly token?: string | undefined;
  /** Whether the client goes on automatically when the server that it is connected to is no more, as its makers advise. */
  readonly survives?: boolean;
}

/** A system for a load that appends: its lanes are those from `firstLane` on, one for each of its connections that appends. */
export interface LogTarget extends Target {
  readonly seed: number;
  readonly firstLane: number;
  /** Size of the random bytes that the payloads of each lane are cut from. */
  readonly ringBytes: number;
}
