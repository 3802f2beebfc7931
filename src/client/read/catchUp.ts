// What lets a reading that is far behind take sealed segments from hosts beside the nodes, until it is where the nodes' own bytes are few. Nodes
// say how far the log is committed, never a host: so a host that is wrong holds nothing up.

import { LogError } from '../../core/errors.ts';
import { CATCH_UP_MIN_PACE, CATCH_UP_STALL_MS, CATCH_UP_TRIES } from '../../core/limits.ts';
import type { Watch } from '../events.ts';
import { type DownloadedBytes, downloadSegment } from '../segments/download.ts';
import { fetchSegmentList, type ListedSegment } from '../segments/list.ts';
import type { SegmentSource } from '../segments/source.ts';
import type { Workspace } from '../wasm.ts';

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
}

export class CatchUp {
  /** Those that have not failed, in order. */
  #sources: SegmentSource[];
  readonly #workspace: Workspace;
  readonly #watch: Watch;
  /** Segments to come of the source that is being read; undefined: none is. */
  #segments: ListedSegment[] | undefined;
  #download: AsyncGenerator<DownloadedBytes, void, void> | undefined;
  #next = 0;
  #lastTerm = 0;
  readonly #ended = new AbortController();

  constructor(sources: readonly SegmentSource[], workspace: Workspace, watch: Watch) {
    this.#sources = [...sources];
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
    for (const source of [...this.#sources]) {
      let found: ListedSegment[];
      try {
        found = await this.#listed(source, place);
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

  #nextSegment(source: SegmentSource): AsyncGenerator<DownloadedBytes, void, void> | undefined {
    const segment = this.#segments?.shift();
    if (segment === undefined) return undefined;
    return downloadSegment({
      source,
      segment,
      workspace: this.#workspace,
      from: this.#next,
      minTerm: this.#lastTerm,
      signal: this.#ended.signal,
      tries: CATCH_UP_TRIES,
      stallMs: CATCH_UP_STALL_MS,
      minBytesPerSecond: CATCH_UP_MIN_PACE,
    });
  }

  #failed(source: SegmentSource, offset: number, thrown: unknown): void {
    if (this.#ended.signal.aborted) return;
    this.#sources = this.#sources.filter((one) => one !== source);
    const error = thrown instanceof LogError ? thrown : new LogError('PROTOCOL', String(thrown), {}, 'failed');
    this.#watch.emit({ type: 'catchUpLost', url: source.shown, offset, error });
  }
}
