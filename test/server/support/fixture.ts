// Nodes and clients that end with the test that made them.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type WebSocket from 'ws';
import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import type { Receipt } from '../../../src/protocol/client.ts';
import type { LogEntry } from './entries.ts';
import { type NodeOptions, ProcessNode, removeDirectory, temporaryDirectory } from './processNode.ts';
import { RawClient } from './rawClient.ts';

/** A data directory that is removed when the test ends. */
export function makeDirectory(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => removeDirectory(directory));
  return directory;
}

/** A running node; in a directory of its own unless one is named. */
export async function startNode(options: Partial<NodeOptions> = {}): Promise<ProcessNode> {
  const data = options.data ?? makeDirectory();
  const node = await ProcessNode.start({ ...options, data });
  onTestFinished(() => node.kill());
  return node;
}

/** A node that all tests of a file share, for those that look only at what they appended: to start one takes longer than most of them. */
export function sharedNode(options: Partial<NodeOptions> = {}): () => ProcessNode {
  let node: ProcessNode | undefined;
  const data = temporaryDirectory();
  beforeAll(async () => {
    node = await ProcessNode.start({ ...options, data });
  });
  afterAll(async () => {
    await node?.kill();
    removeDirectory(data);
  });
  return () => {
    if (node === undefined) throw new Error('the node that tests share runs only while they do');
    return node;
  };
}

export async function connect(node: ProcessNode, options?: WebSocket.ClientOptions): Promise<RawClient> {
  const client = await RawClient.connect(node.url, options);
  onTestFinished(() => client.socket.terminate());
  return client;
}

/** `count` payloads `prefix0`, `prefix1`, … */
export function texts(count: number, prefix = 'entry '): Buffer[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`${prefix}${i}`));
}

/** A payload of `bytes` bytes that differs by `seed` and by place. */
export function payloadOf(bytes: number, seed: number): Buffer {
  const payload = Buffer.allocUnsafe(bytes);
  let state = (seed * 0x9e37_79b1) >>> 0;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 0x0019_660d) + 0x3c6e_f35f) >>> 0;
    payload[i] = state >>> 24;
  }
  return payload;
}

/** Appends every payload, with half of the window in flight; the receipts in order. */
export async function appendAll(client: RawClient, payloads: readonly Uint8Array[]): Promise<Receipt[]> {
  const receipts: Promise<Receipt>[] = [];
  let inFlight: Promise<Receipt>[] = [];
  let bytes = 0;
  for (const payload of payloads) {
    if (bytes > 0 && bytes + payload.length + ENTRY_OVERHEAD_BYTES > client.hello.windowBytes / 2) {
      await Promise.all(inFlight);
      inFlight = [];
      bytes = 0;
    }
    bytes += payload.length + ENTRY_OVERHEAD_BYTES;
    const receipt = client.append(payload);
    inFlight.push(receipt);
    receipts.push(receipt);
  }
  return Promise.all(receipts);
}

/** A hash over places, terms, kinds and payloads: quick to compare, however many entries there are. */
export function digestOf(entries: readonly LogEntry[]): string {
  const hash = createHash('sha1');
  for (const { offset, end, term, kind, payload } of entries) hash.update(`${offset} ${end} ${term} ${kind} `).update(payload);
  return `${entries.length} entries, ${hash.digest('hex')}`;
}

/** Asks again until `condition` holds; for what can only be seen by asking. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
