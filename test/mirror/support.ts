// Nodes and mirrors in this process: the same as in processes of their own, and quicker to start. To abandon one is to kill it.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { connect, type LogClient } from '../../dist/src/client/index.js';
import { claimPorts, peersOn } from '../../dist/src/cluster/portBlock.js';
import { configure } from '../../dist/src/core/config.js';
import { asProperties } from '../../dist/src/core/giving.js';
import { formatPeers } from '../../dist/src/core/peers.js';
import { startMirror } from '../../dist/src/mirror/startMirror.js';
import type { MirrorStatus } from '../../dist/src/node/mirrorPort.js';
import { LogServer } from '../../dist/src/server/server.js';

export type Options = Parameters<typeof configure>[0];

/** Small segments, and no entries that come when they will. */
export const SMALL: Options = {
  segmentBytes: 65536,
  slots: 3,
  timeEntryMs: 3_600_000,
  sealBytesPerSecond: 0,
  port: 0,
  electionTimeoutMs: 1000,
};

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'loglog-mirror-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return join(path, 'data');
}

/** What nodes have logged, of all. */
export class Lines {
  readonly texts: string[] = [];
  readonly log = {
    info: (text: string) => void this.texts.push(text),
    warn: (text: string) => void this.texts.push(text),
    error: (text: string) => void this.texts.push(text),
  };

  has(part: string): boolean {
    return this.texts.some((text) => text.includes(part));
  }
}

const running = new Set<LogServer>();

function kept(server: LogServer): LogServer {
  running.add(server);
  server.failed.catch(() => undefined);
  onTestFinished(() => abandon(server));
  return server;
}

/** As a kill would end it. */
export async function abandon(server: LogServer): Promise<void> {
  if (!running.delete(server)) return;
  await server.engine.abandon();
}

export async function stop(server: LogServer): Promise<void> {
  running.delete(server);
  await server.stop();
}

export async function startNode(data = directory(), options: Options = {}, lines = new Lines()): Promise<LogServer> {
  return kept(await LogServer.start({ config: configure({ ...SMALL, data, ...options }, asProperties()), log: lines.log }));
}

/** Three nodes; `start` starts the one with that id again, in the same directory. */
export async function startCluster(options: Options = {}): Promise<{ readonly nodes: LogServer[]; start(id: number): Promise<LogServer> }> {
  const { ports, release } = await claimPorts(6);
  onTestFinished(release);
  const peers = formatPeers(peersOn(ports));
  const directories = [1, 2, 3].map(() => directory());
  const start = (node: number): Promise<LogServer> => startNode(directories[node - 1], { ...options, node, peers, port: undefined });
  return { nodes: await Promise.all([1, 2, 3].map(start)), start };
}

export async function mirrorOf(
  urls: string | readonly string[],
  data = directory(),
  options: Options = {},
  lines = new Lines(),
): Promise<LogServer> {
  const config = configure({ ...SMALL, data, ...options }, asProperties());
  return kept(await startMirror({ urls: [urls].flat(), config, log: lines.log, stuckMs: 1_500 }));
}

export async function client(...urls: string[]): Promise<LogClient> {
  const log = await connect(urls, { reconnect: { timeoutMs: 60_000 } });
  onTestFinished(() => log.close({ timeoutMs: 0 }));
  return log;
}

export function statusOf(mirror: LogServer): MirrorStatus {
  const { mirror: status } = mirror.status();
  if (status === null) throw new Error('this is no mirror');
  return status;
}

/** The log bytes [from, to) in a directory, whose node does not write. */
export function bytesIn(data: string, from: number, to: number): Buffer {
  const names = readdirSync(data)
    .filter((name) => name.endsWith('.segment'))
    .sort();
  const bases = names.map((name) => Number.parseInt(name, 10));
  const parts = names.map((name, i) => {
    const base = bases[i] ?? 0;
    const end = Math.min(bases[i + 1] ?? to, to);
    return readFileSync(join(data, name)).subarray(
      SEGMENT_HEADER_BYTES + Math.max(0, from - base),
      SEGMENT_HEADER_BYTES + Math.max(0, end - base),
    );
  });
  return Buffer.concat(parts);
}

/** Where the segments of a directory begin. */
export function basesIn(data: string): number[] {
  return readdirSync(data)
    .filter((name) => name.endsWith('.segment'))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);
}

/** Whether no segment before the start that `data` says is left: files go one after the other, after the start has moved. */
export function hasRemoved(data: string): boolean {
  const { start, removeFrom } = identityIn(data);
  return removeFrom === start;
}

export function identityIn(data: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(data, 'node.json'), 'utf8')) as Record<string, unknown>;
}
