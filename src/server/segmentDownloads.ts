// Sealed segments over HTTP: which there are, and the bytes of each, which never change, so that any cache may keep them for ever. Bodies are
// entries only, as log bytes: FORMAT.md describes them. Only what is sealed here and committed is shown, and only what was verified on its way.

import { LogError } from '../core/errors.ts';
import { MAX_SEGMENT_DOWNLOADS, ROOM_RETRY_MS, SUBSCRIPTION_CHUNK_BYTES } from '../core/limits.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { ColdRange } from '../storage/segmentReader.ts';
import type { HttpAnswer, HttpBody, HttpRequest, MakeAnswer } from './acceptor.ts';
import { rangeOf } from './range.ts';
import { SendAccount, type SendBudget } from './sendBudget.ts';
import { sharedInTurn } from './shared.ts';

export interface SegmentSources {
  readonly clusterId: string;
  /** Of the log: 16 hexadecimal digits. */
  readonly generation: string;
  /** First offset kept, and end of what may be read. */
  bounds(): { readonly start: number; readonly commit: number };
  /** Ascending. */
  sealed(): readonly SealedSegment[];
  /** Resolves to verified bytes of whole entries from `range.from` on, a copy. Rejects with a LogError. */
  read(range: ColdRange): Promise<Uint8Array>;
  readonly budget: SendBudget;
  /** Turns of the event loop in which requests were answered. */
  readonly turn: () => number;
  /** Whether a page of this origin may read. */
  isOriginAllowed(origin: string): boolean;
  after(delayMs: number, run: () => void): void;
}

const IMMUTABLE = 'public, max-age=31536000, immutable, no-transform';
const NAME = /^(\d{1,16})-(\d{1,16})$/;

function text(status: HttpAnswer['status'], sentence: string, headers: HttpAnswer['headers'] = {}): HttpAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${sentence}\n`, headers };
}

export class SegmentDownloads {
  readonly #sources: SegmentSources;
  /** Those under way. */
  count = 0;
  /** Bytes of entries handed out, ever. */
  bytes = 0;
  /** There may be ten thousand of them: their list is made once for all who ask in a turn. */
  readonly #listText: () => string;

  constructor(sources: SegmentSources) {
    this.#sources = sources;
    this.#listText = sharedInTurn(sources.turn, () => this.#list());
  }

  /** The answer to a request for what begins with `/log/`; undefined when that is nothing of this. */
  answer({ path, header }: HttpRequest): MakeAnswer | undefined {
    const [, log, cluster, ...rest] = path.split('/');
    if (log !== 'log' || cluster === undefined) return undefined;
    const { clusterId, generation, isOriginAllowed } = this.#sources;
    const origin = header('origin');
    if (!isOriginAllowed(origin)) return () => text(403, 'pages of this origin may not read this log; start the node with --allow-origin');
    const cors = corsOf(origin);
    if (cluster !== clusterId) return () => text(404, `this is a node of cluster ${clusterId}`, cors);
    if (rest.length === 1 && rest[0] === 'segments')
      return () => ({ status: 200, type: 'application/json', body: this.#listText(), headers: cors });
    if (rest.length !== 3 || rest[0] !== generation || rest[1] !== 'segments')
      return () => text(404, 'there is no such resource of this log', cors);
    const wanted = { range: header('range'), ifRange: header('if-range'), ifNoneMatch: header('if-none-match') };
    return () => this.#file(rest[2] ?? '', wanted, cors);
  }

  #list(): string {
    const { clusterId, generation } = this.#sources;
    const { start, commit } = this.#sources.bounds();
    const segments = this.#sources
      .sealed()
      .filter(({ base, end }) => base >= start && end <= commit)
      .map(({ base, end }) => ({ base, end, url: `/log/${clusterId}/${generation}/segments/${base}-${end}` }));
    return `${JSON.stringify({ clusterId, generation, start, commit, segments })}\n`;
  }

  #file(
    name: string,
    { range, ifRange, ifNoneMatch }: { readonly range: string; readonly ifRange: string; readonly ifNoneMatch: string },
    cors: HttpAnswer['headers'],
  ): HttpAnswer {
    const { clusterId, generation } = this.#sources;
    const { start, commit } = this.#sources.bounds();
    const [, first, last] = NAME.exec(name) ?? [];
    const base = Number(first);
    const segment = first === undefined ? undefined : this.#sources.sealed().find((one) => one.base === base && one.end === Number(last));
    if (first !== undefined && base < start) return text(410, `what is before offset ${start} was trimmed`, cors);
    if (segment === undefined || segment.end > commit || name !== `${segment.base}-${segment.end}`)
      return text(404, 'no such segment is sealed and committed here', cors);
    const size = segment.end - segment.base;
    const etag = `"${clusterId}-${generation}-${segment.base}-${segment.end}"`;
    const headers = { ...cors, etag, 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff' };
    const cached = { cacheControl: IMMUTABLE, type: 'application/octet-stream' };
    if (ifNoneMatch.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim())))
      return { ...cached, status: 304, headers, body: '' };
    const part = rangeOf(ifRange === '' || ifRange === etag ? range : '', size);
    if (part === 'unsatisfiable') return text(416, `the segment has ${size} bytes`, { ...cors, 'content-range': `bytes */${size}` });
    if (this.count >= MAX_SEGMENT_DOWNLOADS)
      return text(503, `${MAX_SEGMENT_DOWNLOADS} downloads of segments are under way: try again`, cors);
    const [from, to] = part ?? [0, size];
    const body = new SegmentBody(this.#sources, this, segment, segment.base + from, segment.base + to);
    if (part === undefined) return { ...cached, status: 200, headers, body };
    return { ...cached, status: 206, headers: { ...headers, 'content-range': `bytes ${from}-${to - 1}/${size}` }, body };
  }
}

/** What lets a page that may read see the answer. The answer depends on who asks, whether or not a page does. */
function corsOf(origin: string): Readonly<Record<string, string>> {
  if (origin === '') return { vary: 'Origin' };
  return { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': 'ETag, Content-Range, Accept-Ranges' };
}

/** Bytes of a body, and where the next entry begins. */
interface Part {
  readonly bytes: Uint8Array;
  readonly boundary: number;
}

const NOTHING: Part = { bytes: new Uint8Array(0), boundary: 0 };

/** The log bytes [from, to) of a sealed segment, a part at a time: as long as one is unread, no other one is read. */
class SegmentBody implements HttpBody {
  readonly bytes: number;
  readonly #sources: SegmentSources;
  readonly #downloads: SegmentDownloads;
  readonly #segment: SealedSegment;
  readonly #to: number;
  #next: number;
  /** A boundary at or before `#next`; undefined: not known. */
  #boundary: number | undefined;
  #cut: () => void = () => undefined;
  #isOpen = false;
  readonly #account = new SendAccount(() => {
    this.end();
    this.#cut();
  });

  constructor(sources: SegmentSources, downloads: SegmentDownloads, segment: SealedSegment, from: number, to: number) {
    this.bytes = to - from;
    this.#sources = sources;
    this.#downloads = downloads;
    this.#segment = segment;
    this.#next = from;
    this.#boundary = from === segment.base ? from : undefined;
    this.#to = to;
  }

  begin(cut: () => void): void {
    this.#cut = cut;
    this.#isOpen = true;
    this.#downloads.count += 1;
  }

  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#downloads.count -= 1;
    this.#sources.budget.book(this.#account, 0, false);
  }

  async next(): Promise<Uint8Array | undefined> {
    const { budget } = this.#sources;
    budget.book(this.#account, 0, false);
    while (this.#isOpen && this.#next < this.#to) {
      const room = Math.min(budget.roomFor(this.#account), SUBSCRIPTION_CHUNK_BYTES);
      const { bytes, boundary } = room > 0 ? await this.#read(room) : NOTHING;
      if (!this.#isOpen) return undefined;
      if (bytes.length > 0 && budget.admits(this.#account, bytes.length)) {
        this.#next += bytes.length;
        this.#boundary = boundary;
        this.#downloads.bytes += bytes.length;
        budget.book(this.#account, bytes.length, true);
        return bytes;
      }
      await new Promise<void>((resolve) => this.#sources.after(ROOM_RETRY_MS, resolve));
    }
    return undefined;
  }

  /** The next bytes, at most about `room`: what precedes them in their first entry is read, too, because that is verified as a whole. */
  async #read(room: number): Promise<Part> {
    const { base, end } = this.#segment;
    const from = this.#boundary ?? (await this.#boundaryBefore(this.#next));
    const maxBytes = this.#next - from + Math.min(room, this.#to - this.#next);
    const entries = await this.#sources.read({ base, from, isBoundary: true, limit: end, maxBytes });
    const bytes = entries.subarray(this.#next - from, Math.min(entries.length, this.#to - from));
    return { bytes, boundary: from + entries.length };
  }

  async #boundaryBefore(offset: number): Promise<number> {
    const { base, end } = this.#segment;
    try {
      await this.#sources.read({ base, from: offset, isBoundary: false, limit: end, maxBytes: 0 });
      return offset;
    } catch (thrown) {
      const beginning = thrown instanceof LogError && thrown.code === 'OFFSET_NOT_BOUNDARY' ? thrown.details.beginning : undefined;
      if (beginning === undefined) throw thrown;
      return beginning;
    }
  }
}
