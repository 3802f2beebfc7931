// Nodes of which there is only what they say of themselves.

import type { Cause } from '../../src/core/causes.ts';
import type { ClusterNodeStatus, NodeRole, NodeStatus } from '../../src/node/status.ts';

export const CLUSTER = '0123456789abcdef0123456789abcdef';

/** A stand-in for a node. Without `role` it is not there; with `body` it answers something else. */
export interface Stand {
  readonly role?: NodeRole;
  readonly term?: number;
  readonly tail?: number;
  readonly durable?: number;
  readonly commit?: number;
  readonly leaderId?: number | undefined;
  readonly clusterId?: string;
  readonly id?: number;
  readonly body?: string;
  readonly whyNoLeader?: string;
  readonly toleratedFailures?: number;
  readonly causes?: readonly Cause[];
  readonly uploads?: Partial<NodeStatus['uploads']>;
  readonly disk?: Partial<NodeStatus['disk']>;
  readonly scrub?: Partial<NodeStatus['scrub']>;
  readonly seals?: Partial<NodeStatus['seals']>;
  readonly isTimeHeld?: boolean;
  /** What it says of itself that is none of these. */
  readonly node?: Partial<NodeStatus['node']>;
  readonly version?: string;
  readonly level?: number;
  readonly mirror?: NodeStatus['mirror'];
  /** Takes the request and never answers. */
  readonly isStuck?: boolean;
  /** What it says of the others where it leads, by id. */
  readonly views?: Readonly<Record<number, Partial<ClusterNodeStatus>>>;
}

/** What the stand-in for node `id` of the nodes at `urls` says. */
export function statusOf(stand: Stand, id: number, urls: readonly string[]): NodeStatus {
  const { role = 'follower', term = 5, tail = 1000, durable = tail, commit = tail, leaderId, clusterId = CLUSTER, views = {} } = stand;
  const nodes = urls.map((url, i) => ({
    id: i + 1,
    url,
    peerAddress: `127.0.0.1:${i + 1}`,
    isSelf: i + 1 === id,
    isConnected: true,
    isVoter: true,
    role: null,
    durable: null,
    lagBytes: role === 'leader' && i + 1 === id ? tail - durable : null,
    state: 'unknown' as const,
    isOldCopy: null,
    lastContactMs: null,
    sentBytes: null,
    ...views[i + 1],
  }));
  return {
    version: stand.version ?? '0.0.0',
    clusterId,
    node: {
      id: stand.id ?? id,
      role,
      term,
      url: urls[id - 1] ?? '',
      uptimeMs: 1,
      isDurable: true,
      isInsecure: false,
      clockMs: Date.now(),
      newestLevel: 1,
      certificates: [],
      acceptor: 'uws',
      leader: leaderId === undefined ? null : { id: leaderId, url: urls[leaderId - 1] ?? '' },
      whyNoLeader: stand.whyNoLeader ?? null,
      process: String(id).padStart(16, '0'),
      ...stand.node,
    },
    cluster: { nodes, causes: stand.causes ?? [], toleratedFailures: role === 'leader' ? (stand.toleratedFailures ?? 1) : null },
    log: { start: 0, commit, durable, tail, level: stand.level ?? 1, timeMs: null, isTimeHeld: stand.isTimeHeld ?? false },
    seals: { end: 0, different: [], next: null, waitsMs: null, why: null, ...stand.seals },
    segments: { sealed: 0, bytes: tail },
    scrub: {
      ...{ isOn: true, position: 0, beganMs: 1, endsMs: 2, sinceMs: null, readBytes: 0 },
      ...{ damaged: 0, segments: [], found: 0, healed: 0, openDamage: null, ...stand.scrub },
    },
    disk: {
      ...{ level: 'ok', freeBytes: 1e9, roomBytes: 1e9, lowBytes: 2, criticalBytes: 1, whyRefused: null },
      ...{ fileSystem: 'ext4', syncs: { count: 0, p50Ms: null, p99Ms: null }, ...stand.disk },
    },
    mirror: stand.mirror ?? null,
    clients: { connections: 0, heldAppendBytes: 0, sendBufferedBytes: 0 },
    appends: { entries: 0, batches: 0, bytes: 0 },
    sessions: { count: 0, most: 4096, ageMs: 604_800_000, evicted: { age: 0, room: 0 }, repeats: 0 },
    uploads: {
      isOn: false,
      staged: 0,
      stagedBytes: 0,
      taken: 0,
      takenBytes: 0,
      placed: 0,
      expired: 0,
      refused: 0,
      hits: 0,
      misses: 0,
      ...stand.uploads,
    },
    memory: { residentBytes: 1 },
    limits: { maxPayloadBytes: 1, windowBytes: 1, maxBatchBytes: 1 },
  };
}
