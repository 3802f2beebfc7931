// Where sealed segments come from over HTTP: a node, or whatever has copies of what nodes serve at the same paths (a cache, a static host).

import { SEGMENT_RETRY_MAX_MS, SEGMENT_STALL_MS } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { AbortedError, offAbort, onAbort } from '../aborts.ts';
import { type Fetch, PLAIN_FETCHES } from '../nodes/tls.ts';
import { type TokenSource, tokenNow } from '../nodes/token.ts';

/** An answer, or what there is of its body, that did not come: it is worth another try, after `waitMs` at the earliest, as the host asked. */
export class Interrupted extends Error {
  readonly waitMs: number;

  constructor(message: string, waitMs = 0) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** One request's life: it ends with the caller's signal, or when nothing comes for so long. */
export class Patience {
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #stallMs: number;
  readonly #abort = (): void => this.#controller.abort();

  constructor(signal: AbortSignal | undefined, stallMs = SEGMENT_STALL_MS) {
    this.#signal = signal;
    this.#stallMs = stallMs;
    if (signal?.aborted === true) this.#abort();
    else if (signal !== undefined) onAbort(signal, this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The result of `work`. Throws {@link Interrupted} when it fails or takes too long, AbortedError when the caller gave up. */
  async within<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(this.#abort, this.#stallMs);
    try {
      return await work;
    } catch (thrown) {
      if (this.#signal?.aborted === true) throw abortedDownload(this.#signal);
      if (this.signal.aborted) throw new Interrupted(`nothing came for ${this.#stallMs / 1000} s`);
      throw new Interrupted(reasonOf(thrown));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the request, if it still runs. */
  end(): void {
    if (this.#signal !== undefined) offAbort(this.#signal, this.#abort);
    this.#abort();
  }
}

export function abortedDownload(signal: AbortSignal): AbortedError {
  return new AbortedError('This download', 'before it was over.', signal, 'failed');
}

/** What `fetch` says of a failure: the reason is in its cause, if there is one. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { cause } = thrown;
  if (!(cause instanceof Error)) return thrown.message;
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message;
}

/** Of an answer that is an error, no more is read. */
const MAX_SENTENCE_BYTES = 1000;

/** How a host is asked. */
export interface Asking {
  /** What it is shown; undefined: nothing. */
  readonly token: TokenSource | undefined;
  readonly fetch: Fetch;
}

const PLAIN: Asking = { token: undefined, fetch: PLAIN_FETCHES.others };

export class SegmentSource {
  /** What resources' paths are put after, without secrets: for people. */
  readonly shown: string;
  readonly #origin: string;
  readonly #query: string;
  readonly #headers: Readonly<Record<string, string>>;

  readonly #url: string;
  readonly #asking: Asking;

  /**
   * `url`: of a node (`ws:`, `wss:`), or of a host that has such resources (`http:`, `https:`), with any path before theirs. `asking`: its token is
   * shown in place of a password in the address.
   */
  constructor(url: string, asking: Asking = PLAIN) {
    this.#url = url;
    this.#asking = asking;
    const { protocol, host, pathname, search, username, password } = new URL(url);
    const scheme = protocol === 'wss:' || protocol === 'https:' ? 'https:' : 'http:';
    this.#origin = `${scheme}//${host}${pathname.replace(/\/+$/, '')}`;
    this.#query = search;
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    // `fetch` takes no addresses with credentials in them.
    this.#headers = credentials === ':' ? {} : { authorization: `Basic ${base64(credentials)}` };
    this.shown = withoutSecrets(this.#origin);
  }

  /** The same host, asked in this way. */
  askedAs(asking: Asking): SegmentSource {
    return new SegmentSource(this.#url, asking);
  }

  /** Asks for `path`, which begins with a slash. Throws {@link Interrupted} where that may succeed later, a LogError where it will not. */
  async get(path: string, headers: Readonly<Record<string, string>>, patience: Patience): Promise<Response> {
    const { token: source, fetch } = this.#asking;
    const token = source === undefined ? undefined : await patience.within(tokenNow(source));
    const shown = token === undefined ? this.#headers : { authorization: `Bearer ${token}` };
    const init = { headers: { ...shown, ...headers }, signal: patience.signal };
    const answer = await patience.within(fetch(`${this.#origin}${path}${this.#query}`, init));
    if (answer.status === 200 || answer.status === 206) return answer;
    // What is wrong with it a node says in a sentence.
    const isSentence = answer.status === 500 && Number(answer.headers.get('content-length') ?? Number.NaN) <= MAX_SENTENCE_BYTES;
    const why = isSentence ? (await patience.within(answer.text())).trim() : '';
    if (!isSentence) void answer.body?.cancel().catch(() => undefined);
    throw this.#refusal(answer, path, why);
  }

  #refusal({ status, headers }: Response, path: string, why: string): Error {
    const said = `${this.shown} answered HTTP ${status} to ${path}${why === '' ? '' : `: ${why}`}`;
    if (status >= 500 || [408, 425, 429].includes(status)) return new Interrupted(said, waitMsOf(headers));
    if (status === 401) return new LogError('UNAUTHENTICATED', `${said}: it does not take what this program shows, if anything.`);
    if (status === 403 && this.#asking.token !== undefined)
      return new LogError('FORBIDDEN', `${said}: what it was shown has not the scope read.`, { scope: 'read' });
    if (status === 410) return new LogError('OFFSET_TRIMMED', `${said}: this segment was trimmed.`);
    if (status === 404) return new LogError('BEHIND', `${said}: it has none there, or not yet.`);
    return new LogError('UNREACHABLE', `${said}. It does not serve sealed segments to this program.`);
  }
}

/** For how long a host wants to be left alone; what it does not say in seconds is as good as nothing. */
function waitMsOf(headers: Headers): number {
  const seconds = /^\d{1,9}$/.exec(headers.get('retry-after') ?? '')?.[0];
  return Math.min(SEGMENT_RETRY_MAX_MS, Number(seconds ?? 0) * 1000);
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
