// What becomes of an old log: its beginning is trimmed away, and disks lose bits of what they have sealed, each at a place that all others still have.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import type { LogClient } from '../../../src/client/index.ts';
import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { listSegments } from '../../../src/storage/layout.ts';
import { segmentName } from '../../../src/storage/names.ts';
import { NodeDisk } from '../../../src/storage/nodeDisk.ts';
import { Closed, Refused } from '../../server/support/rawClient.ts';
import type { Archive } from '../archive.ts';
import { flipBit } from '../disks.ts';
import { connectTo, isNetworkError } from '../load/connecting.ts';
import type { LoadContext } from '../load/context.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

/** So much of the log stays, for readers of it, and for disks to lose. */
const KEPT_BYTES = 3 * 1024 * 1024;
/** So many of the last segments lose nothing: they are in memory, and what is not committed everywhere is among them. */
const FRESH_SEGMENTS = 9;
/** More than a segment has. */
const READ_BYTES = 1 << 20;

export interface Life {
  readonly archive: Archive;
  readonly context: LoadContext;
  /** A client of the cluster's own for this. */
  readonly client: LogClient;
  /** Up to where all subscriptions have the log. */
  readTo(): number;
}

export class LifeLane implements Lane {
  readonly #nemesis: NemesisContext;
  readonly #life: Life;
  /** Nodes whose disks have no room for a second copy of a segment now and then. */
  readonly #hasSmallDisk: (node: ClusterNode) => boolean;

  constructor(nemesis: NemesisContext, life: Life, hasSmallDisk: (node: ClusterNode) => boolean) {
    this.#nemesis = nemesis;
    this.#life = life;
    this.#hasSmallDisk = hasSmallDisk;
  }

  restMs(): number {
    return 200 + this.#nemesis.random.below(2_000);
  }

  next(): Promise<Fault | undefined> {
    const { random } = this.#nemesis;
    const kind = choose<'trim' | 'flip'>(random, [
      [1, 'trim'],
      [2, 'flip'],
    ]);
    return Promise.resolve(kind === 'trim' ? this.#trim() : this.#flip());
  }

  #trim(): Fault | undefined {
    const { archive, context, readTo } = this.#life;
    const most = Math.min(readTo(), context.acknowledgedEnd - KEPT_BYTES);
    const to = archive.askedTo + this.#nemesis.random.below(Math.max(1, most - archive.askedTo));
    if (to <= archive.askedTo) return undefined;
    return { name: 'trim', sentence: `trim: up to about ${to}`, happen: () => this.#trimTo(to) };
  }

  async #trimTo(about: number): Promise<void> {
    const { archive, context, client } = this.#life;
    try {
      await archive.read(client, about, context.ended.signal);
      // What is damaged and stays in a segment before the log's start nobody reads any more, so nobody would heal it.
      const within = archive.flipped.find(({ base, end }) => base < archive.end && archive.end < end);
      const to = within?.base ?? archive.end;
      if (to <= archive.askedTo || to > this.#life.readTo()) return;
      archive.askedTo = to;
      await client.trim({ to });
      context.trimmed(to);
    } catch (thrown) {
      context.failed('a trim', thrown);
    }
  }

  /** Has `node` read all of what it has lost something of: it is to give all of it, or an error. */
  async #readAll({ url }: ClusterNode, base: number, end: number): Promise<void> {
    const { context } = this.#life;
    try {
      const connection = await connectTo(url);
      try {
        for (let [at, bytes] = [base, 1]; at < end && bytes > 0; at += bytes)
          ({ bytes } = await connection.read(at, { maxBytes: READ_BYTES }));
      } finally {
        connection.socket.terminate();
      }
    } catch (thrown) {
      if (!(thrown instanceof Closed) && !(thrown instanceof Refused) && !isNetworkError(thrown))
        context.problem(`reading a damaged segment at ${base} of ${url}: ${String(thrown)}`);
    }
  }

  #flip(): Fault | undefined {
    const { random, cluster } = this.#nemesis;
    const [node] = sample(random, cluster.nodes, 1);
    if (node === undefined || cluster.nodes.length < 3 || !node.isRunning || this.#hasSmallDisk(node)) return undefined;
    if (!existsSync(node.data)) return undefined;
    const bases = listSegments(new NodeDisk(), node.data);
    const from = bases.findIndex((base) => base >= this.#life.archive.askedTo);
    const count = bases.length - FRESH_SEGMENTS - from;
    if (from < 0 || count <= 0) return undefined;
    const at = from + random.below(count);
    const [base, end] = [bases[at], bases[at + 1]];
    if (base === undefined || end === undefined || this.#life.archive.flipped.some((other) => other.base === base)) return undefined;
    const offset = base + random.below(end - base);
    return {
      name: 'flipped bit',
      sentence: `flipped bit: node ${node.id} at offset ${offset}, in the segment at ${base}`,
      happen: () => {
        this.#life.archive.flipped.push({ node: node.id, base, end });
        flipBit(join(node.data, segmentName(base)), SEGMENT_HEADER_BYTES + offset - base);
        return this.#readAll(node, base, end);
      },
    };
  }
}
