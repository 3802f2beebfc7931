// Uploads that are never ordered, and orders of uploads that never come, by the million: they cost nothing that stays. Connections come and go, so that
// uploads are taken all the time, in place of others of clients that are gone; some never get their last chunk.

import { readFileSync } from 'node:fs';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { STAGED_MS } from '../../src/core/uploadLimits.ts';
import { encodeUpload, UPLOAD_ID_BYTES } from '../../src/protocol/uploads.ts';
import { frameEntries } from '../server/support/entries.ts';
import { RawClient, Refused } from '../server/support/rawClient.ts';
import type { RunOptions, RunResult } from './run.ts';

/** So small that all of a node's memory for the log is in use from early on. */
const FLAGS = ['--segment-bytes', '262144', '--slots', '6'];
const PER_CONNECTION = 2_000;
const UNDER_WAY = 250;
/** Looks at the nodes' memory, by thirds. In the first, it fills; then a heap goes up and down between two collections, so that its lowest says what stays. */
const LOOKS = 51;
const THIRD = LOOKS / 3;
const TOLERATED_KIB = 16 * 1024;
const ENTRIES = frameEntries([new Uint8Array(400)]);

/** Of a process, in KiB. */
function residentKib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function idOf(number: number): Uint8Array {
  const id = new Uint8Array(UPLOAD_ID_BYTES);
  new DataView(id.buffer).setFloat64(0, number, true);
  return id;
}

/** Waits for all of them. Whatever is refused must be so for want of room. */
async function settled(requests: readonly Promise<unknown>[]): Promise<void> {
  for (const each of await Promise.allSettled(requests))
    if (each.status === 'rejected' && !(each.reason instanceof Refused && each.reason.code === 'OVERLOADED')) throw each.reason;
}

class AbandonedUploads {
  readonly #options: Pick<RunOptions, 'tell'> & { readonly count: number };
  readonly #cluster: LocalCluster;
  readonly #resident = new Map<ClusterNode, number[]>();
  #nextId = 0;

  constructor(options: Pick<RunOptions, 'tell'> & { readonly count: number }, cluster: LocalCluster) {
    this.#options = options;
    this.#cluster = cluster;
  }

  /** Resolves to what is wrong, and what was seen. */
  async run(): Promise<RunResult> {
    const { count, tell } = this.#options;
    const leader = await this.#cluster.start();
    await this.#cluster.converged();
    const { nodes } = this.#cluster;
    const portion = Math.ceil(count / LOOKS);
    for (let look = 1; look <= LOOKS; look += 1) {
      await Promise.all([...nodes.map((node) => this.#upload(node, Math.ceil(portion / nodes.length))), this.#order(leader, portion)]);
      for (const node of nodes) this.#look(node);
      tell(
        `${look * portion} of each; resident ${nodes.map((node) => `${Math.round((this.#resident.get(node)?.at(-1) ?? 0) / 1024)} MiB`).join(', ')}`,
      );
    }
    await until(
      () => 'for all uploads to be forgotten',
      async () => (await this.#cluster.statuses()).every(({ status }) => status.uploads.staged === 0 && status.uploads.stagedBytes === 0),
      6 * STAGED_MS,
    );
    const { problems, facts } = await this.#judge();
    return { problems: [...problems, ...this.#cluster.surprises], facts };
  }

  async #upload(node: ClusterNode, count: number): Promise<void> {
    for (let left = count; left > 0; left -= PER_CONNECTION) {
      const client = await RawClient.connect(node.url);
      await client.introduceUploads();
      for (let done = 0; done < Math.min(left, PER_CONNECTION); done += UNDER_WAY) {
        const here = Math.min(UNDER_WAY, left - done);
        await settled(Array.from({ length: here }, () => client.upload(idOf(this.#nextId++), ENTRIES)));
      }
      client.send(encodeUpload(client.newId(), idOf(this.#nextId++), 0, ENTRIES.length, ENTRIES.subarray(1)));
      client.terminate();
    }
  }

  async #order(leader: ClusterNode, count: number): Promise<void> {
    const client = await RawClient.connect(leader.url);
    await client.introduceUploads();
    for (let left = count; left > 0; left -= UNDER_WAY) {
      await settled(
        Array.from({ length: Math.min(left, UNDER_WAY) }, () => client.appendUploaded(idOf(this.#nextId++), 0xffff_ffff, ENTRIES, 1)),
      );
    }
    client.terminate();
  }

  #look(node: ClusterNode): void {
    const looks = this.#resident.get(node) ?? [];
    looks.push(residentKib(node.pid ?? 0));
    this.#resident.set(node, looks);
  }

  async #judge(): Promise<RunResult> {
    const problems: string[] = [];
    const facts: Record<string, string | number> = {};
    for (const { node, status } of await this.#cluster.statuses()) {
      const looks = this.#resident.get(node) ?? [];
      const middle = Math.min(...looks.slice(THIRD, 2 * THIRD));
      const last = Math.min(...looks.slice(2 * THIRD));
      if (last > middle + TOLERATED_KIB) problems.push(`node ${node.id} never had less than ${middle} KiB resident, and then ${last} KiB`);
      const { taken, expired, refused, placed } = status.uploads;
      const [low, then, high] = [middle, last, Math.max(...looks)].map((kib) => `${Math.round(kib / 1024)} MiB`);
      facts[`node ${node.id}`] =
        `${taken} taken, ${refused} refused, ${expired} expired, ${placed} placed; resident at least ${low} in the second third, ${then} in the last, at most ${high}`;
    }
    return { problems, facts };
  }
}

/** `count` uploads that are never ordered, over all nodes, and as many orders of uploads that never come. */
export async function runAbandoned(
  options: Pick<RunOptions, 'nodes' | 'directory' | 'tell'> & { readonly count: number },
): Promise<RunResult> {
  const { nodes, directory } = options;
  const cluster = await LocalCluster.make({ nodes, directory, flags: FLAGS });
  try {
    return await new AbandonedUploads(options, cluster).run();
  } finally {
    await cluster.close();
  }
}
