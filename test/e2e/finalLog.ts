// The log as each node has it when all is over, read from the node itself, and compared byte for byte.

import { createHash } from 'node:crypto';
import WebSocket from 'ws';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { LogEntry } from '../../src/history/types.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import { READ, requestMessage, SUBPROTOCOL } from '../../src/protocol/client.ts';
import { walkEntries } from '../server/support/entries.ts';
import { identify } from './payload.ts';

/** Digests are kept of blocks of so many log bytes, so that a difference can be looked at. */
const BLOCK_BYTES = 1 << 20;
const TIMEOUT_MS = 240_000;
/** After so long it is looked again whether what was damaged is healed. */
const HEALED_MS = 500;

/** Reads [from, to) of the log from one node, and no other, in pieces of whole entries. A node that does not have it all throws. */
export async function readLog(
  { url, id }: Pick<ClusterNode, 'url' | 'id'>,
  from: number,
  to: number,
  take: (bytes: Uint8Array, at: number) => void,
): Promise<void> {
  const socket = new WebSocket(url, SUBPROTOCOL, { perMessageDeflate: false, maxPayload: 1 << 26, handshakeTimeout: TIMEOUT_MS });
  let next = from;
  const ask = (): void => socket.send(requestMessage(READ, 0, 1, next, 0, 0));
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`reading the log of ${url} took too long, at ${next} of ${to}`)), TIMEOUT_MS * 4);
      timer.unref();
      socket.on('open', () => (next < to ? ask() : resolve()));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`${url} closed the connection`)));
      socket.on('message', (data: Buffer) => {
        const answer = decodeAnswer(new Uint8Array(data.buffer, data.byteOffset, data.length));
        // It is healed from another node, sooner or later.
        if (answer.kind === 'error' && answer.code === 'DAMAGED')
          setTimeout(() => socket.readyState === WebSocket.OPEN && ask(), HEALED_MS);
        else if (answer.kind === 'error') reject(new Error(`${url} at ${next}: ${answer.code}: ${answer.message}`));
        if (answer.kind === 'hello' && answer.hello.nodeId !== id) reject(new Error(`${url} is node ${answer.hello.nodeId}, not ${id}`));
        if (answer.kind !== 'data') return;
        const bytes = answer.bytes.subarray(0, to - next);
        if (answer.from !== next || bytes.length === 0) reject(new Error(`${url} has nothing at ${next}, of ${to}`));
        try {
          take(bytes, next);
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
        }
        next += bytes.length;
        if (next < to) ask();
        else resolve();
      });
    });
  } finally {
    socket.terminate();
  }
}

export interface NodeLog {
  readonly node: ClusterNode;
  /** One digest for each block. */
  readonly digests: readonly string[];
}

/** Digests of [start, end) as `node` has it; every entry goes to `each`, verified. */
async function digestLog(node: ClusterNode, start: number, end: number, each: (bytes: Uint8Array, at: number) => void): Promise<NodeLog> {
  const digests: string[] = [];
  let hash = createHash('sha256');
  await readLog(node, start, end, (bytes, at) => {
    each(bytes, at);
    for (let taken = 0; taken < bytes.length; ) {
      const room = BLOCK_BYTES - ((at - start + taken) % BLOCK_BYTES);
      const part = bytes.subarray(taken, taken + room);
      hash.update(part);
      taken += part.length;
      if (part.length === room) {
        digests.push(hash.digest('hex'));
        hash = createHash('sha256');
      }
    }
  });
  digests.push(hash.digest('hex'));
  return { node, digests };
}

async function block(node: ClusterNode, start: number, from: number, to: number): Promise<Uint8Array> {
  // Reads begin at entries, blocks anywhere: what begins before the block is read from the log's start.
  const bytes = new Uint8Array(to - from);
  await readLog(node, start, to, (piece, at) => {
    const skip = Math.max(0, from - at);
    if (skip < piece.length) bytes.set(piece.subarray(skip), at + skip - from);
  });
  return bytes;
}

async function firstDifference(one: ClusterNode, other: ClusterNode, index: number, start: number, end: number): Promise<string> {
  const from = start + index * BLOCK_BYTES;
  const to = Math.min(end, from + BLOCK_BYTES);
  const [left, right] = await Promise.all([block(one, start, from, to), block(other, start, from, to)]);
  const at = left.findIndex((byte, place) => byte !== right[place]);
  return `nodes ${one.id} and ${other.id} differ at offset ${from + Math.max(at, 0)}: ${left[at]} and ${right[at]}`;
}

export interface FinalLog {
  readonly end: number;
  readonly entries: readonly LogEntry[];
  /** Where nodes differ, in sentences. */
  readonly differences: readonly string[];
}

/** Reads [start, end) from every node. The entries are those of the first. */
export async function readFinalLog(
  nodes: readonly ClusterNode[],
  { start, end }: { readonly start: number; readonly end: number },
  intern: (offset: number, end: number, term: number, id: number) => LogEntry,
): Promise<FinalLog> {
  const entries: LogEntry[] = [];
  const differences: string[] = [];
  let first: NodeLog | undefined;
  for (const node of nodes) {
    const log = await digestLog(node, start, end, (bytes, at) => {
      const walked = walkEntries(bytes, at);
      if (first === undefined) entries.push(...identify(walked, intern));
    });
    first ??= log;
    const different = first.digests.findIndex((digest, index) => digest !== log.digests[index]);
    if (different >= 0) differences.push(await firstDifference(first.node, node, different, start, end));
  }
  return { end, entries, differences };
}
