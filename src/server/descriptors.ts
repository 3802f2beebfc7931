// How many clients the system's limit of open files allows. Without a descriptor for its next segment a node has to end, so clients never get
// the last ones; and a node that could not serve anybody does not start.

import { readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../core/config.ts';
import { RAISE_LIMIT } from '../core/descriptors.ts';
import { LogError } from '../core/errors.ts';
import {
  CLUSTER_DESCRIPTORS,
  HTTP_CONNECTIONS,
  MIN_CLIENT_DESCRIPTORS,
  RESERVED_DESCRIPTORS,
  SLOT_DESCRIPTORS,
} from '../core/servingLimits.ts';
import type { EngineLog } from '../node/engineOptions.ts';

export interface ClientPlaces {
  /** WebSocket connections of clients. */
  readonly maxConnections: number;
  /** All connections on the clients' port, those for HTTP among them. */
  readonly maxSockets: number;
  /** Descriptors of all connections, those among them that were ended here and that the client has not closed yet. */
  readonly maxDescriptors: number;
}

/**
 * Files and sockets that this process may have open: node has raised its soft limit to the hard one when it started. Infinite where the system
 * does not say.
 */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Descriptors that are open before a node starts: node's own, and those of a program that starts a node within itself. */
export function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

/** Descriptors that a node needs for itself, besides those that are open before it starts. */
export function reservedDescriptors({ slots, peers }: Pick<Config, 'slots' | 'peers'>): number {
  return RESERVED_DESCRIPTORS + slots * SLOT_DESCRIPTORS + (peers.length < 2 ? 0 : CLUSTER_DESCRIPTORS);
}

/**
 * What of `limit` descriptors, `open` of which are taken, clients may have. Throws a LogError `USAGE` when it is too little to serve anybody, and
 * warns when it is less than was asked for.
 */
export function placesForClients(
  config: Pick<Config, 'slots' | 'peers' | 'maxConnections' | 'callOf'>,
  log: Pick<EngineLog, 'warn'>,
  limit = descriptorLimit(),
  open = openDescriptors(),
): ClientPlaces {
  const own = open + reservedDescriptors(config);
  const left = limit - own;
  if (left < MIN_CLIENT_DESCRIPTORS) {
    throw new LogError(
      'USAGE',
      `this process may have ${limit} open files and sockets, and a node with these options needs at least ${own + MIN_CLIENT_DESCRIPTORS}: ${RAISE_LIMIT}`,
      { limit, needed: own + MIN_CLIENT_DESCRIPTORS },
    );
  }
  const { maxConnections } = config;
  const all = maxConnections + HTTP_CONNECTIONS;
  if (left >= all) return { maxConnections, maxSockets: all, maxDescriptors: Math.min(left, 2 * all) };
  // HTTP keeps its places, and never takes more than a quarter of a few.
  const fewer = left - Math.min(HTTP_CONNECTIONS, Math.floor(left / 4));
  if (fewer >= maxConnections) return { maxConnections, maxSockets: left, maxDescriptors: left };
  log.warn(
    `this node serves at most ${fewer} connections, not ${config.callOf('maxConnections')} ${maxConnections}: this process may have ${limit} open files and sockets, and the log needs ${own} of them; ${RAISE_LIMIT}`,
  );
  return { maxConnections: fewer, maxSockets: left, maxDescriptors: left };
}
