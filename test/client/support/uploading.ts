// Clusters and clients for tests of uploads, and what nodes were sent of them.

import { afterEach, beforeEach, expect, onTestFinished, vi } from 'vitest';
import type { LogClient } from '../../../src/client/client.ts';
import type { ClientEvent } from '../../../src/client/events.ts';
import type { OpenTransport } from '../../../src/client/nodes/transport.ts';
import type { ConnectOptions } from '../../../src/client/options.ts';
import { Follower, type FollowerOwner } from '../../../src/client/uploads/follower.ts';
import { APPEND } from '../../../src/protocol/client.ts';
import { FakeCluster, urlOf } from './fakeCluster.ts';
import type { SeenRequest } from './fakeServer.ts';
import { settleMicrotasks } from './fakeServer.ts';
import { keyOf, UPLOADS_HELP } from './fakeStaging.ts';

export const KIB = 1024;
export const LARGE = 20 * KIB;

/** A payload of its own. */
export function payloadOf(number: number, bytes = LARGE): Uint8Array {
  return new Uint8Array(bytes).fill(number % 251);
}

/** A cluster whose nodes take uploads, of which the leader says that they help. */
export function uploadCluster(count = 3, uploadFeatures = UPLOADS_HELP): FakeCluster {
  const cluster = new FakeCluster(count);
  for (const [i, node] of cluster.nodes.entries()) {
    node.hello = { ...node.hello, features: 2, process: `${i + 1}`.repeat(16) };
    node.uploadFeatures = uploadFeatures;
    const members = cluster.urls.map((url, i) => ({ id: i + 1, url }));
    node.toldToIntroduced = { generation: '0'.repeat(16), leaderId: 1, members, segmentBytes: 0 };
  }
  return cluster;
}

export interface Uploading {
  readonly log: LogClient;
  readonly events: ClientEvent[];
}

export async function connect(cluster: FakeCluster, options: ConnectOptions = {}): Promise<Uploading> {
  const events: ClientEvent[] = [];
  const log = await cluster.connect({ onEvent: (event) => void events.push(event), ...options }, [urlOf(1)]);
  onTestFinished(() => log.close());
  await settleMicrotasks();
  return { log, events };
}

/** A client that has tried the followers: the first append dials them, the second one is their trial. */
export async function connectTried(cluster: FakeCluster, options: ConnectOptions = {}): Promise<Uploading> {
  const uploading = await connect(cluster, options);
  for (let i = 0; i < 2; i++) {
    await uploading.log.append(payloadOf(i));
    await settleMicrotasks();
  }
  return uploading;
}

/** Node 2 as a follower, without a client around it. */
export function followerOf(open: OpenTransport, owner: Partial<FollowerOwner> = {}): Follower {
  const { signal } = new AbortController();
  const follower = new Follower(2, urlOf(2), {
    dialOptions: () => ({ open, observed: { commit: 0 }, hasOthers: () => false, timeoutMs: 1000, clusterId: undefined, signal }),
    answered: () => undefined,
    trusted: () => undefined,
    left: () => undefined,
    ...owner,
  });
  onTestFinished(() => follower.close(false));
  return follower;
}

/** The APPENDs that nodes were sent; for each upload, what it names is there, byte for byte. */
export function appendsOf(cluster: FakeCluster): SeenRequest[] {
  const appends = cluster.requests(APPEND);
  for (const { upload, body } of appends) {
    for (let bit = 0; upload !== undefined && bit < 32; bit++) {
      const staged = ((upload.nodes >>> bit) & 1) === 1 ? cluster.node(bit + 1).staging.staged.get(keyOf(upload.id)) : body;
      expect(Buffer.compare(body, staged ?? Buffer.alloc(0))).toBe(0);
    }
  }
  return appends;
}

/** Whom each APPEND names. */
export function nodesOf(cluster: FakeCluster): (number | undefined)[] {
  return appendsOf(cluster).map(({ upload }) => upload?.nodes);
}

export function lastOf(cluster: FakeCluster): SeenRequest | undefined {
  return appendsOf(cluster).at(-1);
}

export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

export function useFakeTime(): void {
  // Time passes when a test says so: a follower is slow by its word alone.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }));
  afterEach(() => void vi.useRealTimers());
}
