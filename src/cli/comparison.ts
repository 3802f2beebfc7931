// Whether the nodes of a cluster have the same log: every byte of it is read from each of them, verified, and compared with what the log says of
// its segments, and with the other nodes.

import { createHash, type Hash } from 'node:crypto';
import { connect } from '../client/index.ts';
import { fetchesOf } from '../client/nodes/fetch.node.ts';
import { downloadSegment } from '../client/segments/download.ts';
import { fetchSegmentList, type ListedSegment, type SegmentList } from '../client/segments/list.ts';
import { SegmentSource } from '../client/segments/source.ts';
import type { Workspace } from '../client/wasm.ts';
import { LogError } from '../core/errors.ts';
import { fetchStatus, NoAnswer } from './nodeStatus.ts';
import { tlsSource } from './tlsTrust.ts';
import { tokenFor } from './token.ts';

/** A node, and where it is reached. */
export interface ComparedNode {
  readonly id: number;
  readonly url: string;
}

/** What one node has of the log. */
export interface NodeComparison extends ComparedNode {
  /** Log bytes that were read from it and verified. */
  bytes: number;
  /** Why it could not be compared, or not to the end; null: it was. */
  reason: string | null;
  /** Ranges [base, end) that it cannot give, or of which it has something else than the log says or the other nodes have, ascending. */
  readonly wrong: { readonly base: number; readonly end: number; readonly sentence: string }[];
}

export interface Comparison {
  readonly clusterId: string;
  /** The range that was compared: from where the last of the nodes begins, to where the first of them is committed. */
  readonly start: number;
  readonly end: number;
  /** End of what the log seals: before it each node was compared with the log itself, after it with the other nodes. */
  readonly sealedEnd: number;
  readonly nodes: readonly NodeComparison[];
}

export interface ComparisonOptions {
  readonly workspace: Workspace;
  /** For a node that does not answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Bytes read so far, of all nodes, and how many there are. */
  readonly onProgress: (done: number, total: number) => void;
}

/** A host that does not give a segment is asked twice. */
const PATIENCE = { tries: 2, stallMs: 10_000 };

interface Listed {
  readonly node: NodeComparison;
  readonly source: SegmentSource;
  readonly list: SegmentList;
  /** Those of the list, by base. */
  readonly segments: ReadonlyMap<number, ListedSegment>;
}

/** What a part of the log is on a node: a digest, or why there is none. Undefined: nothing is said by that, as of a part that was trimmed meanwhile. */
type Found = { readonly digest: string } | { readonly sentence: string } | undefined;

/** Compares the nodes of the cluster `clusterId`. Never rejects for what one of them does: it is in its row. */
export async function compareNodes(clusterId: string, nodes: readonly ComparedNode[], options: ComparisonOptions): Promise<Comparison> {
  const compared = nodes.map((node): NodeComparison => ({ ...node, bytes: 0, reason: null, wrong: [] }));
  const listed = (await Promise.all(compared.map((node) => listOf(clusterId, node)))).filter((one) => one !== undefined);
  const start = Math.max(0, ...listed.map(({ list }) => list.segments[0]?.base ?? list.start));
  const end = listed.length === 0 ? start : Math.max(start, Math.min(...listed.map(({ list }) => list.commit)));
  const segments = commonSegments(listed, start, end);
  const sealedTo = segments.at(-1)?.end ?? start;
  let done = 0;
  const read = ({ node }: Listed, bytes: number): void => {
    node.bytes += bytes;
    done += bytes;
    options.onProgress(done, (end - start) * listed.length);
  };
  for (const { base, end: to } of segments) {
    await judge(listed, base, to, (one) => digestOfSegment(one, base, to, options.workspace, (bytes) => read(one, bytes)));
  }
  if (end > sealedTo) {
    await judge(listed, sealedTo, end, (one) => digestOfRest(one, sealedTo, end, options.timeoutMs, (bytes) => read(one, bytes)));
  }
  const sealedEnd = segments.filter(({ base }) => listed.some((one) => one.segments.get(base)?.digest !== undefined)).at(-1)?.end ?? start;
  return { clusterId, start, end, sealedEnd, nodes: compared };
}

async function listOf(clusterId: string, node: NodeComparison): Promise<Listed | undefined> {
  const source = new SegmentSource(node.url, { token: tokenFor(node.url), fetch: fetchesOf(tlsSource()).nodes });
  try {
    const list = await fetchSegmentList(source, clusterId, undefined, PATIENCE.stallMs);
    return { node, source, list, segments: new Map(list.segments.map((segment) => [segment.base, segment])) };
  } catch (thrown) {
    node.reason = sentenceOf(thrown);
    return undefined;
  }
}

/** The segments that all have sealed, as the node lists them that has sealed least. */
function commonSegments(listed: readonly Listed[], start: number, end: number): ListedSegment[] {
  const shortest = listed.reduce<Listed | undefined>(
    (least, one) => (least === undefined || lastEnd(one) < lastEnd(least) ? one : least),
    undefined,
  );
  return (shortest?.list.segments ?? []).filter((segment) => segment.base >= start && segment.end <= end);
}

const lastEnd = ({ list }: Listed): number => list.segments.at(-1)?.end ?? 0;

/** Finds out what [base, end) is on each node that still answers, one after the other, and notes whose is wrong. */
async function judge(listed: readonly Listed[], base: number, end: number, find: (one: Listed) => Promise<Found>): Promise<void> {
  const found = new Map<Listed, Found>();
  for (const one of listed) if (one.node.reason === null) found.set(one, await find(one));
  const said = [...found.keys()].map(({ segments }) => segments.get(base)?.digest).filter((digest) => digest !== undefined);
  const digests = [...found.values()].flatMap((one) => (one !== undefined && 'digest' in one ? [one.digest] : []));
  const isSealed = said.length > 0;
  const right = ofMost(isSealed ? said : digests);
  const nobody = isSealed ? 'the nodes do not say the same of what the log says' : 'no majority of the nodes has the same';
  const others = right === undefined ? nobody : `${isSealed ? 'the log says' : 'most nodes have'} ${right}`;
  for (const [{ node }, one] of found) {
    if (one === undefined) continue;
    if ('sentence' in one) node.wrong.push({ base, end, sentence: one.sentence });
    else if (one.digest !== right)
      node.wrong.push({ base, end, sentence: `is valid, and is not the same: its SHA-256 is ${one.digest}, and ${others}` });
  }
}

/** The digest that more than half of them are; undefined: there is none. */
function ofMost(digests: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const digest of digests) counts.set(digest, (counts.get(digest) ?? 0) + 1);
  return [...counts].find(([, count]) => 2 * count > digests.length)?.[0];
}

async function digestOfSegment(
  one: Listed,
  base: number,
  end: number,
  workspace: Workspace,
  read: (bytes: number) => void,
): Promise<Found> {
  const segment = one.segments.get(base);
  if (segment?.end !== end)
    return { sentence: `is not a segment there: it has ${segment === undefined ? 'none that begins there' : `[${base}, ${segment.end})`}` };
  const hash = createHash('sha256');
  return await foundIn(one.node, hash, async () => {
    for await (const { bytes } of downloadSegment({ source: one.source, segment, workspace, ...PATIENCE })) {
      hash.update(bytes);
      read(bytes.length);
    }
  });
}

/** What is not sealed everywhere, from this node alone, over the WebSocket. */
async function digestOfRest({ node }: Listed, from: number, to: number, timeoutMs: number, read: (bytes: number) => void): Promise<Found> {
  const hash = createHash('sha256');
  return await foundIn(node, hash, async () => {
    // From this node alone, whatever others it names.
    const log = await connect([node.url], {
      reads: 'any',
      discover: false,
      reconnect: { timeoutMs },
      token: tokenFor(node.url),
      tls: tlsSource(),
    });
    try {
      let at = from;
      for await (const batch of log.read({ from, atLeast: to }).batches()) {
        const bytes = batch.bytes.subarray(0, to - at);
        hash.update(bytes);
        read(bytes.length);
        at += bytes.length;
        if (at >= to) break;
      }
    } finally {
      await log.close();
    }
  });
}

/** A node that says that its bytes are damaged, or sends wrong ones, is wrong; one that does not answer, is busy, or stops is not compared any more. */
async function foundIn(node: NodeComparison, hash: Hash, readAll: () => Promise<void>): Promise<Found> {
  try {
    await readAll();
    return { digest: hash.digest('hex') };
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
    // The log goes on meanwhile, and its beginning goes.
    if (thrown.code === 'OFFSET_TRIMMED') return undefined;
    const isThere = await fetchStatus(node.url, PATIENCE.stallMs).then(
      () => true,
      (why: unknown) => !(why instanceof NoAnswer),
    );
    // What is damaged is answered with 500.
    const isDamaged = thrown.code === 'DAMAGED' || thrown.code === 'PROTOCOL' || thrown.message.includes('HTTP 500');
    if (!isThere || !isDamaged) {
      node.reason = thrown.message;
      return undefined;
    }
    return { sentence: `could not be read: ${thrown.message}` };
  }
}

function sentenceOf(thrown: unknown): string {
  if (thrown instanceof LogError) return thrown.message;
  throw thrown;
}
