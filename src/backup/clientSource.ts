// A running log as the source of a backup: sealed segments over HTTP where a node gives them, all else, and what HTTP does not bring, over the
// WebSocket.

import type { LogClient } from '../client/index.ts';
import { downloadSegment, type LogBytes } from '../client/segments/download.ts';
import { fetchSegmentList, type ListedSegment } from '../client/segments/list.ts';
import { SegmentSource } from '../client/segments/source.ts';
import type { Workspace } from '../client/wasm.ts';
import { LogError } from '../core/errors.ts';
import type { LogFacts, LogSource } from './logSource.ts';

const NO_GENERATION = '0'.repeat(16);

/** When a node has said what is sealed, the others have so long to say it, too. */
const OTHER_LISTS_MS = 500;

/** A host that does not give a segment is left soon: for the next one, or for the WebSocket. */
const PATIENCE = { tries: 2, stallMs: 5_000 };

export class ClientSource implements LogSource {
  readonly #log: LogClient;
  readonly #urls: readonly string[];
  readonly #workspace: Workspace;
  /** Told why sealed segments do not come over HTTP, once for each host. */
  readonly #onFallback: (error: LogError) => void;
  /** Those that answered, the best first; none of them failed since. */
  #hosts: SegmentSource[] = [];
  #segments: readonly ListedSegment[] = [];

  constructor(log: LogClient, urls: readonly string[], workspace: Workspace, onFallback: (error: LogError) => void) {
    this.#log = log;
    this.#urls = urls;
    this.#workspace = workspace;
    this.#onFallback = onFallback;
  }

  async facts(): Promise<LogFacts> {
    const { start: logStart, end } = await this.#log.end({ linearizable: true });
    const { clusterId, cluster, maxBatchBytes } = this.#log.hello;
    await this.#findHosts(clusterId);
    // A log that was trimmed begins within a segment. All of that is taken: what heads it says what was before.
    const first = this.#segments.find(({ base, end: to }) => base <= logStart && logStart < to);
    const start = first?.base ?? logStart;
    const fileBytes = this.#segments.reduce((most, { base, end: to }) => Math.max(most, to - base), maxBatchBytes);
    return { clusterId, generation: cluster?.generation ?? NO_GENERATION, start, end, segments: this.#segments, fileBytes };
  }

  async *read({ from, to, minTerm }: { from: number; to: number; minTerm: number }): AsyncGenerator<LogBytes, void, void> {
    let at = from;
    const segment = this.#segments.find(({ base, end }) => base <= at && at < end);
    // A part of the end of one is small: not worth the rest.
    while (segment !== undefined && at < segment.end && segment.end <= to) {
      const [source] = this.#hosts;
      if (source === undefined) break;
      try {
        for await (const part of downloadSegment({ source, segment, workspace: this.#workspace, from: at, minTerm, ...PATIENCE })) {
          at = part.offset + part.bytes.length;
          yield part;
        }
      } catch (thrown) {
        if (!(thrown instanceof LogError)) throw thrown;
        this.#hosts = this.#hosts.slice(1);
        this.#onFallback(thrown);
      }
    }
    if (at < to) yield* this.#readRest(at, to);
  }

  async *#readRest(from: number, to: number): AsyncGenerator<LogBytes, void, void> {
    let at = from;
    for await (const batch of this.#log.read({ from, atLeast: to }).batches()) {
      const bytes = batch.bytes.subarray(0, to - at);
      yield { offset: at, bytes };
      at += bytes.length;
      if (at >= to) return;
    }
  }

  /** Asks all nodes that are known for their lists, at once. Those that hang, as dead machines do, do not hold up the others. */
  async #findHosts(clusterId: string): Promise<void> {
    const urls = new Set([...this.#urls, ...this.#log.stats().nodes.map(({ url }) => url)]);
    const found: { readonly source: SegmentSource; readonly segments: readonly ListedSegment[] }[] = [];
    const enough = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    let failure: unknown;
    const ask = async (source: SegmentSource): Promise<void> => {
      try {
        const { segments } = await fetchSegmentList(source, clusterId, enough.signal);
        found.push({ source, segments });
        timer ??= setTimeout(() => enough.abort(), OTHER_LISTS_MS);
      } catch (thrown) {
        failure = thrown;
      }
    };
    await Promise.all([...urls].map((url) => ask(new SegmentSource(url, this.#log.asking))));
    clearTimeout(timer);
    // Those that have sealed most come first; what only they have others may not give.
    found.sort((a, b) => (b.segments.at(-1)?.end ?? 0) - (a.segments.at(-1)?.end ?? 0));
    this.#hosts = found.map(({ source }) => source);
    this.#segments = found[0]?.segments ?? [];
    if (found.length > 0) return;
    if (!(failure instanceof LogError)) throw failure;
    this.#onFallback(failure);
  }
}
