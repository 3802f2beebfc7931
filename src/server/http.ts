// HTTP on the clients' port: health, readiness, status, metrics.

import type { Registry } from 'prom-client';
import { type Identity, SCOPES, scopeNames } from '../core/access.ts';
import type { NodeStatus } from '../node/status.ts';
import type { HttpAnswer, HttpRequest, MakeAnswer } from './acceptor.ts';
import { type Account, type Accounts, AccountsPace } from './accounts.ts';
import { dashboard } from './dashboard.ts';
import { CHALLENGE, type Doorkeeper, HeldBody } from './doorkeeper.ts';
import type { LogEvent } from './eventLog.ts';
import type { Span } from './history.ts';
import type { Hosts } from './hosts.ts';
import type { Origins } from './origins.ts';
import { forbidden, PAGE_RIGHTS } from './rights.ts';
import type { SegmentDownloads } from './segmentDownloads.ts';
import { oneAtATime, sharedInTurn } from './shared.ts';

/** What GET /history answers, as JSON. */
export interface NodeHistory {
  /** Steps of 5 s over 15 minutes, and of 5 minutes over 24 hours. */
  readonly spans: readonly Span[];
  /** The latest lines of the node's log, the oldest first. */
  readonly events: readonly LogEvent[];
}

export interface HttpSources {
  readonly status: () => NodeStatus;
  /** Why the node should be sent no clients now; undefined when it should. */
  readonly notReady: () => string | undefined;
  /** What /metrics shows. */
  readonly registry: () => Registry;
  /** The names under which pages with facts are served. */
  readonly hosts: Hosts;
  /** Pages of which origins may read facts. */
  readonly origins: Pick<Origins, 'isAllowed'>;
  /** What is remembered, for /history. */
  readonly history: () => NodeHistory;
  /** Turns of the event loop in which requests were answered. */
  readonly turn: () => number;
  readonly downloads: SegmentDownloads;
  readonly access: Doorkeeper;
  readonly accounts: Pick<Accounts, 'of'>;
  /** Somebody showed nothing, or no token that holds. */
  refused(): void;
}

const TEXT = 'text/plain; charset=utf-8';

function text(status: HttpAnswer['status'], sentence: string, headers: HttpAnswer['headers'] = {}): HttpAnswer {
  return { status, type: TEXT, body: `${sentence}\n`, headers };
}

const NOT_FOUND = text(
  404,
  'not found; this port serves /, /healthz, /readyz, /status, /history, /metrics, /log/ and WebSocket clients of loglog.v1',
);
const HEALTHY = text(200, 'ok');

/** Nothing is said to whoever does not show who it is. */
const UNAUTHENTICATED: HttpAnswer = { status: 401, type: TEXT, body: '', headers: CHALLENGE };
const UNSETTLED: HttpAnswer = { status: 503, type: TEXT, body: '', headers: { 'retry-after': '1' } };

/** Lets a page of another origin see facts; the answer depends on who asks. */
function corsOf(origin: string): Readonly<Record<string, string>> {
  return origin === '' ? { vary: 'Origin' } : { vary: 'Origin', 'access-control-allow-origin': origin };
}

/** What a browser asks before it sends a token to another origin. */
function preflight(origin: string): HttpAnswer {
  const allows = {
    'access-control-allow-methods': 'GET',
    'access-control-allow-headers': 'authorization',
    'access-control-max-age': '600',
  };
  return text(200, 'ok', { ...corsOf(origin), ...allows });
}

/** The answers of a node. Facts are looked up once for all requests of a turn. */
export function httpAnswers({
  status,
  notReady,
  registry,
  hosts,
  origins,
  history,
  turn,
  downloads,
  access,
  accounts,
  refused,
}: HttpSources): (request: HttpRequest) => MakeAnswer {
  const readiness = (): HttpAnswer => {
    const reason = notReady();
    if (reason === undefined) return text(200, 'ready');
    return text(503, access.isNeeded ? 'not ready' : `not ready: ${reason}`);
  };
  const statusText = sharedInTurn(turn, () => `${JSON.stringify(status(), null, 2)}\n`);
  const historyText = sharedInTurn(turn, () => `${JSON.stringify(history())}\n`);
  const scrape = oneAtATime(async (): Promise<HttpAnswer> => {
    try {
      const found = registry();
      return { status: 200, type: found.contentType, body: await found.metrics() };
    } catch (thrown) {
      return text(500, String(thrown));
    }
  });
  const open = new Map<string, MakeAnswer>([
    ['/healthz', () => HEALTHY],
    ['/readyz', readiness],
    // It has no facts in it, and asks for them as any other page.
    ['/', dashboard],
  ]);
  /** Facts, which are not for everybody's pages. */
  const named = new Map<string, MakeAnswer>([
    ['/status', () => ({ status: 200, type: 'application/json', body: statusText() })],
    ['/history', () => ({ status: 200, type: 'application/json', body: historyText() })],
    ['/metrics', scrape],
  ]);
  /** The answer to a request for facts that may be told to `who`. */
  const factsFor = (request: HttpRequest, who: Identity): MakeAnswer => {
    const { path, header } = request;
    const page = named.get(path);
    const counted = accounts.of(who, request.address());
    const origin = header('origin');
    const cors = origins.isAllowed(origin, header('host')) ? corsOf(origin) : {};
    const facts = page ?? downloads.answer(request, counted[0]?.party);
    if (facts === undefined) return () => NOT_FOUND;
    const needed = page === undefined ? SCOPES[PAGE_RIGHTS['/log/']] : SCOPES[PAGE_RIGHTS[path as keyof typeof PAGE_RIGHTS]];
    if ((who.scopes & needed) === 0) return () => text(403, forbidden(who.scopes, needed));
    const pace = new AccountsPace(counted);
    if (pace.isOverdrawn) return () => text(503, 'more requests than the quota came: try again later', { 'retry-after': '1' });
    pace.took(0);
    const host = header('host');
    // A page offers what whoever looks at it may do.
    const headers = path === '/status' ? { ...cors, 'loglog-scopes': scopeNames(who.scopes).join() } : cors;
    if (hosts.isAllowed(host)) return () => held(access, who, page === undefined ? facts() : withHeaders(facts(), headers), counted);
    const name = JSON.stringify(host.slice(0, 255));
    return () => text(403, `this node does not serve facts under the name ${name}; start it with --allow-host to allow a name`);
  };
  return (request) => {
    const { method, path, header } = request;
    const isRead = method === 'GET' || method === 'HEAD';
    const health = isRead ? open.get(path) : undefined;
    if (health !== undefined) return health;
    const origin = header('origin');
    const isFacts = named.has(path) || path.startsWith('/log/');
    if (method === 'OPTIONS' && isFacts && origin !== '' && origins.isAllowed(origin, header('host'))) return () => preflight(origin);
    const who = access.ofRequest(request);
    if (who === 'unsettled') return () => UNSETTLED;
    if (typeof who === 'string') {
      refused();
      return () => UNAUTHENTICATED;
    }
    return isRead ? factsFor(request, who) : () => NOT_FOUND;
  };
}

function withHeaders(answer: ReturnType<MakeAnswer>, headers: Readonly<Record<string, string>>): ReturnType<MakeAnswer> {
  const add = (made: HttpAnswer): HttpAnswer => ({ ...made, headers: { ...made.headers, ...headers } });
  return answer instanceof Promise ? answer.then(add) : add(answer);
}

/** An answer whose body ends when what `who` showed holds no more. */
function held(access: Doorkeeper, who: Identity, answer: ReturnType<MakeAnswer>, accounts: readonly Account[]): ReturnType<MakeAnswer> {
  if (answer instanceof Promise || typeof answer.body === 'string') return answer;
  if (who.kind === 'open' && accounts.length === 0) return answer;
  // A cache for all would give it to those who show nothing (RFC 9111, 3.5).
  const cacheControl = who.kind === 'open' ? answer.cacheControl : answer.cacheControl?.replace('public', 'private');
  return { ...answer, cacheControl, body: new HeldBody(access, who, answer.body, accounts) };
}
