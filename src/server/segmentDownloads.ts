// Sealed segments over HTTP: which there are, and the bytes of each, which never change, so that any cache may keep them for ever. Bodies are
// entries only, as log bytes: FORMAT.md describes them. Only what is sealed here and committed is shown, and only what was verified on its way.

import { MAX_SEGMENT_DOWNLOADS } from '../core/servingLimits.ts';
import type { HttpAnswer, HttpRequest, MakeAnswer } from './acceptor.ts';
import { rangeOf } from './range.ts';
import { type BodySources, Downloads, type Sealed, SegmentBody, text } from './segmentBody.ts';
import { sharedInTurn } from './shared.ts';

export interface SegmentSources extends BodySources {
  readonly clusterId: string;
  /** Of the log: 16 hexadecimal digits. */
  readonly generation: string;
  /** First offset kept, and end of what may be read. */
  bounds(): { readonly start: number; readonly commit: number };
  /** Ascending. */
  sealed(): readonly Sealed[];
  /** What the log says of one of them: the SHA-256 of its entries, 64 hexadecimal digits; undefined: nothing yet. */
  digestOf(segment: Sealed): string | undefined;
  /** What this node has found of one of them, the same way; undefined: nothing yet. */
  ownDigestOf(segment: Sealed): string | undefined;
  /** Turns of the event loop in which requests were answered. */
  readonly turn: () => number;
  /** Whether a page of this origin may read. */
  isOriginAllowed(origin: string, host: string): boolean;
}

const IMMUTABLE = 'public, max-age=31536000, immutable, no-transform';
const NAME = /^(\d{1,16})-(\d{1,16})$/;

/** What a request says of the bytes that it wants. */
interface Conditions {
  readonly range: string;
  readonly ifRange: string;
  readonly ifMatch: string;
  readonly ifNoneMatch: string;
}

/** Whether a list of tags (RFC 9110, 8.8.3) names one of `these`, or any. */
const names = (list: string, these: readonly string[]): boolean => list.split(',').some((one) => ['*', ...these].includes(one.trim()));

export class SegmentDownloads {
  readonly #sources: SegmentSources;
  readonly #downloads: Downloads;
  /** There may be ten thousand of them: their list is made once for all who ask in a turn. */
  readonly #listText: () => string;

  constructor(sources: SegmentSources) {
    this.#sources = sources;
    this.#downloads = new Downloads(sources.nowMs);
    this.#listText = sharedInTurn(sources.turn, () => this.#list());
  }

  /** Those under way. */
  get count(): number {
    return this.#downloads.count;
  }

  /** Bytes of entries handed out, ever. */
  get bytes(): number {
    return this.#downloads.bytes;
  }

  /** The answer to a request of `party`, or of nobody in particular, for what begins with `/log/`; undefined when that is nothing of this. */
  answer({ method, path, header }: HttpRequest, party?: object): MakeAnswer | undefined {
    const [, log, cluster, ...rest] = path.split('/');
    if (log !== 'log' || cluster === undefined) return undefined;
    const { clusterId, generation, isOriginAllowed } = this.#sources;
    const origin = header('origin');
    if (!isOriginAllowed(origin, header('host')))
      return () => text(403, 'pages of this origin may not read this log; start the node with --allow-origin');
    const cors = corsOf(origin);
    if (cluster !== clusterId) return () => text(404, `this is a node of cluster ${clusterId}`, cors);
    if (rest.length === 1 && rest[0] === 'segments')
      return () => ({ status: 200, type: 'application/json', body: this.#listText(), headers: cors });
    if (rest.length !== 3 || rest[0] !== generation || rest[1] !== 'segments')
      return () => text(404, 'there is no such resource of this log', cors);
    // A range means something to GET only (RFC 9110, 14.2).
    const range = method === 'GET' ? header('range') : '';
    const wanted = { range, ifRange: header('if-range'), ifMatch: header('if-match'), ifNoneMatch: header('if-none-match') };
    return () => this.#file(rest[2] ?? '', wanted, cors, party);
  }

  #difference(segment: Sealed): string {
    const digests = `has the SHA-256 ${this.#sources.ownDigestOf(segment)} on this node, and the log says ${this.#sources.digestOf(segment)}`;
    return `this segment is valid, and not what the log says that it is: it ${digests}; read it from another node`;
  }

  #list(): string {
    const { clusterId, generation } = this.#sources;
    const { start, commit } = this.#sources.bounds();
    const segments = this.#sources
      .sealed()
      .filter(({ end }) => end > start && end <= commit)
      .map((segment) => {
        const { base, end } = segment;
        return { base, end, url: `/log/${clusterId}/${generation}/segments/${base}-${end}`, digest: this.#sources.digestOf(segment) };
      });
    return `${JSON.stringify({ clusterId, generation, start, commit, segments })}\n`;
  }

  #file(
    name: string,
    { range, ifRange, ifMatch, ifNoneMatch }: Conditions,
    cors: HttpAnswer['headers'],
    party: object | undefined,
  ): HttpAnswer {
    const { clusterId, generation } = this.#sources;
    const { start, commit } = this.#sources.bounds();
    const [, first, last] = NAME.exec(name) ?? [];
    const base = Number(first);
    const segment = first === undefined ? undefined : this.#sources.sealed().find((one) => one.base === base && one.end === Number(last));
    if (first !== undefined && Number(last) <= start) return text(410, `what is before offset ${start} was trimmed`, cors);
    if (segment === undefined || segment.end > commit || name !== `${segment.base}-${segment.end}`)
      return text(404, 'no such segment is sealed and committed here', cors);
    if (this.#sources.isDifferent(segment)) return text(500, this.#difference(segment), cors);
    const digest = this.#sources.digestOf(segment);
    const size = segment.end - segment.base;
    const etag = `"${clusterId}-${generation}-${segment.base}-${segment.end}"`;
    const headers = { ...cors, etag, 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff', ...reprDigest(digest) };
    const cached = { cacheControl: IMMUTABLE, type: 'application/octet-stream' };
    const body = (from: number, to: number): SegmentBody =>
      new SegmentBody(this.#sources, this.#downloads, segment, segment.base + from, segment.base + to, party);
    // One that never changes is what it was, or was another one.
    if (ifMatch !== '' && !names(ifMatch, [etag])) return text(412, `the segment's etag is ${etag}`, cors);
    if (ifNoneMatch !== '' && names(ifNoneMatch, [etag, `W/${etag}`])) return { ...cached, status: 304, headers, body: body(0, size) };
    const part = rangeOf(ifRange === '' || ifRange === etag ? range : '', size);
    if (part === 'unsatisfiable') return text(416, `the segment has ${size} bytes`, { ...cors, 'content-range': `bytes */${size}` });
    if (!this.#downloads.makePlace())
      return text(503, `${MAX_SEGMENT_DOWNLOADS} downloads of segments are under way: try again`, { ...cors, 'retry-after': '1' });
    if (part === undefined) return { ...cached, status: 200, headers, body: body(0, size) };
    const [from, to] = part;
    return { ...cached, status: 206, headers: { ...headers, 'content-range': `bytes ${from}-${to - 1}/${size}` }, body: body(from, to) };
  }
}

/** What the whole segment is (RFC 9530), where the log says it. */
function reprDigest(digest: string | undefined): HttpAnswer['headers'] {
  if (digest === undefined) return {};
  return { 'repr-digest': `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:` };
}

/** What lets a page that may read see the answer. The answer depends on who asks, whether or not a page does. */
function corsOf(origin: string): Readonly<Record<string, string>> {
  if (origin === '') return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'ETag, Content-Range, Accept-Ranges, Repr-Digest, Retry-After',
  };
}
