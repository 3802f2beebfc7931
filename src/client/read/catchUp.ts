// What lets a reading that is far behind take sealed segments from hosts beside the nodes, until it is where the nodes' own bytes are few. Nodes
// say how far the log is committed, never a host: so a host that is wrong holds nothing up.

import { toHex } from '../../core/bytes.ts';
import { CATCH_UP_MAX_SEGMENT_BYTES, CATCH_UP_MIN_PACE, CATCH_UP_STALL_MS, CATCH_UP_TRIES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import type { Watch } from '../events.ts';
import { type DownloadedBytes, downloadSegment } from '../segments/download.ts';
import { fetchSegmentList, type ListedSegment } from '../segments/list.ts';
import { type Asking, SegmentSource } from '../segments/source.ts';
import type { Workspace } from '../wasm.ts';

/** Hosts of sealed segments, and whether they are believed only what the log seals. */
export interface Hosts {
  readonly sources: readonly SegmentSource[];
  readonly bySeals: boolean;
}

type AskingAt = (url: string) => Asking;

export const NO_HOSTS: Hosts = { sources: [], bySeals: true };

/** The log, and where a reading of it stands. */
export interface CatchUpPlace {
  readonly clusterId: string;
  /** As nodes say it; undefined: not known. */
  readonly generation: string | undefined;
  /** An entry boundary. */
  readonly next: number;
  /** Term of the entry before it; 0: not known. */
  readonly lastTerm: number;
  /** How far nodes have said that the log is committed: nothing after it is taken. */
  readonly commit: number;
  /** Address of a node, which is asked what the log says of its segments. */
  readonly node: string;
}

export class CatchUp {
  /** Those that have not failed, in order. */
  #sources: SegmentSource[];
  readonly #bySeals: boolean;
  readonly #workspace: Workspace;
  readonly #watch: Watch;
  readonly #askingAt: AskingAt;
  /** Segments to come of the source that is being read; undefined: none is. */
  #segments: ListedSegment[] | undefined;
  #download: AsyncGenerator<DownloadedBytes, void, void> | undefined;
  #next = 0;
  #lastTerm = 0;
  readonly #ended = new AbortController();

  /** `askingAt`: how the host of an address is asked. */
  constructor({ sources, bySeals }: Hosts, workspace: Workspace, watch: Watch, askingAt: AskingAt) {
    this.#sources = sources.map((source) => source.askedAs(askingAt(source.shown)));
    this.#askingAt = askingAt;
    this.#bySeals = bySeals;
    this.#workspace = workspace;
    this.#watch = watch;
  }

  /** Whether {@link take} is what goes on with the reading. */
  get isOpen(): boolean {
    return this.#segments !== undefined;
  }

  /** Looks for a host that has what comes next; with one, this is open. Never rejects. */
  async open(place: CatchUpPlace): Promise<void> {
    const { next, lastTerm } = place;
    if (this.#sources.length === 0) return;
    const seals = this.#bySeals ? await this.#sealsOf(place) : undefined;
    if (this.#bySeals && seals === undefined) return;
    for (const source of [...this.#sources]) {
      let found: ListedSegment[];
      try {
        found = trusted(await this.#listed(source, place), seals);
      } catch (thrown) {
        this.#failed(source, next, thrown);
        continue;
      }
      if (this.#ended.signal.aborted) return;
      const [first] = found;
      if (first === undefined || first.base > next) continue;
      this.#segments = found;
      this.#next = next;
      this.#lastTerm = lastTerm;
      this.#sources = [source, ...this.#sources.filter((one) => one !== source)];
      this.#watch.emit({ type: 'catchUp', url: source.shown, offset: next });
      return;
    }
  }

  /**
   * The next entries, which are verified; no more is asked of the host than is taken here. Undefined when there are no more, or when the host
   * failed, which is told and counts for as long as this lives: then this is not open any more. Never rejects.
   */
  async take(): Promise<DownloadedBytes | undefined> {
    const [source] = this.#sources;
    while (source !== undefined && !this.#ended.signal.aborted) {
      this.#download ??= this.#nextSegment(source);
      if (this.#download === undefined) break;
      try {
        const { value } = await this.#download.next();
        if (value === undefined) {
          this.#download = undefined;
          continue;
        }
        this.#next = value.offset + value.bytes.length;
        this.#lastTerm = value.lastTerm;
        this.#watch.catchUpBytes += value.bytes.length;
        return value;
      } catch (thrown) {
        this.#failed(source, this.#next, thrown);
        break;
      }
    }
    this.#segments = undefined;
    this.#download = undefined;
    return undefined;
  }

  /** The reading is over. A {@link take} that waits ends. */
  stop(): void {
    this.#ended.abort();
    void this.#download?.return().catch(() => undefined);
    this.#segments = undefined;
  }

  /** The segments of a source that end after the place, as far as they are committed. */
  async #listed(source: SegmentSource, { clusterId, generation, next, commit }: CatchUpPlace): Promise<ListedSegment[]> {
    const list = await fetchSegmentList(source, clusterId, this.#ended.signal, CATCH_UP_STALL_MS);
    if (generation !== undefined && list.generation !== generation) {
      const sentence = `${source.shown} has generation ${list.generation} of this log, whose nodes have ${generation}.`;
      throw new LogError('OTHER_CLUSTER', sentence, {}, 'failed');
    }
    return list.segments.filter(({ end }) => end > next && end <= commit);
  }

  /** What the log says of its segments, by a node: digests by their bounds. Undefined: it does not say it over HTTP, or this is over. */
  async #sealsOf({ clusterId, node, next }: CatchUpPlace): Promise<Seals | undefined> {
    const source = new SegmentSource(node, this.#askingAt(node));
    try {
      if (globalThis.crypto?.subtle === undefined) throw new LogError('UNSUPPORTED', NO_CONTEXT, {}, 'failed');
      const { segments } = await fetchSegmentList(source, clusterId, this.#ended.signal, CATCH_UP_STALL_MS);
      return new Map(segments.flatMap(({ base, end, digest }) => (digest === undefined ? [] : [[`${base}-${end}`, digest]])));
    } catch (thrown) {
      this.#tell(source, next, thrown);
      return undefined;
    }
  }

  #nextSegment(source: SegmentSource): AsyncGenerator<DownloadedBytes, void, void> | undefined {
    const segment = this.#segments?.shift();
    if (segment === undefined) return undefined;
    return segment.digest === undefined ? this.#downloadFrom(source, segment, this.#next, this.#lastTerm) : this.#sealed(source, segment);
  }

  /** All of a segment, once it is known to be what the log says; what comes before the place is left out. */
  async *#sealed(source: SegmentSource, segment: ListedSegment): AsyncGenerator<DownloadedBytes, void, void> {
    const whole = new Uint8Array(segment.end - segment.base);
    const parts: DownloadedBytes[] = [];
    for await (const part of this.#downloadFrom(source, segment, segment.base, 0)) {
      whole.set(part.bytes, part.offset - segment.base);
      parts.push(part);
    }
    const digest = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', whole)));
    if (digest !== segment.digest) {
      const sentence = `The segment ${segment.path} of ${source.shown} has the SHA-256 ${digest}, where the log says ${segment.digest}.`;
      throw new LogError('PROTOCOL', sentence, { offset: segment.base }, 'failed');
    }
    const from = this.#next;
    for (const { offset, bytes, ...rest } of parts) {
      if (offset + bytes.length <= from) continue;
      const at = Math.max(offset, from);
      yield { offset: at, bytes: bytes.subarray(at - offset), ...rest };
    }
  }

  #downloadFrom(source: SegmentSource, segment: ListedSegment, from: number, minTerm: number): AsyncGenerator<DownloadedBytes, void, void> {
    return downloadSegment({
      source,
      segment,
      workspace: this.#workspace,
      from,
      minTerm,
      signal: this.#ended.signal,
      tries: CATCH_UP_TRIES,
      stallMs: CATCH_UP_STALL_MS,
      minBytesPerSecond: CATCH_UP_MIN_PACE,
    });
  }

  #failed(source: SegmentSource, offset: number, thrown: unknown): void {
    if (this.#ended.signal.aborted) return;
    this.#sources = this.#sources.filter((one) => one !== source);
    this.#tell(source, offset, thrown);
  }

  #tell(source: SegmentSource, offset: number, thrown: unknown): void {
    if (this.#ended.signal.aborted) return;
    const error = thrown instanceof LogError ? thrown : new LogError('PROTOCOL', String(thrown), {}, 'failed');
    this.#watch.emit({ type: 'catchUpLost', url: source.shown, offset, error });
  }
}

/** Digests of segments, by their bounds. */
type Seals = ReadonlyMap<string, string>;

const NO_CONTEXT = 'This page is not a secure context, so what hosts send cannot be compared with what the log says; the nodes are read.';

/** The segments of a list that may be taken, each with what it must be; without `seals` as they are. */
function trusted(listed: readonly ListedSegment[], seals: Seals | undefined): ListedSegment[] {
  const found: ListedSegment[] = [];
  for (const { base, end, path } of listed) {
    const digest = seals?.get(`${base}-${end}`);
    if (seals !== undefined && (digest === undefined || end - base > CATCH_UP_MAX_SEGMENT_BYTES)) break;
    found.push({ base, end, path, ...(digest === undefined ? {} : { digest }) });
  }
  return found;
}
