// What a node says of itself, for tests of those who read it.

import type { NodeStatus } from '../../src/node/status.ts';

export interface Seen {
  readonly id: number;
  readonly ids: readonly number[];
  /** 0: nobody leads. */
  readonly leader: number;
  readonly down: readonly number[];
}

const urlOf = (id: number): string => `ws://node${id}:7070`;

export function nodeStatus({ id, ids, leader, down }: Seen): NodeStatus {
  const leads = id === leader;
  const up = ids.length - down.length;
  return {
    version: '0.1.0',
    clusterId: 'c'.repeat(32),
    node: {
      id,
      role: leads ? 'leader' : 'follower',
      term: 3,
      url: urlOf(id),
      uptimeMs: 60_000,
      isDurable: true,
      acceptor: 'uws',
      isInsecure: false,
      certificates: [],
      leader: leader === 0 ? null : { id: leader, url: urlOf(leader) },
      whyNoLeader: leader === 0 ? `${up} of ${ids.length} nodes is there` : null,
      clockMs: 0,
      newestLevel: 1,
      process: '0'.repeat(16),
    },
    cluster: {
      nodes: ids.map((other) => ({
        id: other,
        url: urlOf(other),
        peerAddress: null,
        isSelf: other === id,
        isConnected: !down.includes(other),
        isVoter: true,
        role: null,
        durable: null,
        lagBytes: leads ? 0 : null,
        state: 'unknown',
        isOldCopy: null,
        lastContactMs: null,
        sentBytes: null,
      })),
      causes: [],
      toleratedFailures: leads ? up - (Math.floor(ids.length / 2) + 1) : null,
    },
    log: { start: 0, commit: 100, durable: 100, tail: 100, level: 1, timeMs: null, isTimeHeld: false },
    segments: { sealed: 0, bytes: 100 },
    seals: { end: 0, different: [], next: null, waitsMs: null, why: null },
    disk: {
      level: 'ok',
      freeBytes: null,
      roomBytes: null,
      lowBytes: 0,
      criticalBytes: 0,
      whyRefused: null,
      fileSystem: 'ext4',
      syncs: { count: 0, p50Ms: null, p99Ms: null },
    },
    scrub: {
      isOn: true,
      position: null,
      beganMs: null,
      endsMs: null,
      sinceMs: null,
      readBytes: 0,
      damaged: 0,
      segments: [],
      found: 0,
      healed: 0,
      openDamage: null,
    },
    mirror: null,
    clients: { connections: 0, heldAppendBytes: 0, sendBufferedBytes: 0 },
    appends: { entries: 0, batches: 0, bytes: 0 },
    sessions: { count: 0, most: 4096, ageMs: 604_800_000, evicted: { age: 0, room: 0 }, repeats: 0 },
    uploads: { isOn: false, staged: 0, stagedBytes: 0, taken: 0, takenBytes: 0, placed: 0, expired: 0, refused: 0, hits: 0, misses: 0 },
    memory: { residentBytes: 0 },
    limits: { maxPayloadBytes: 0, windowBytes: 0, maxBatchBytes: 0 },
  };
}
