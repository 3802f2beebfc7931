// HTTP on the clients' port: health, readiness, status, metrics.

import type { Registry } from 'prom-client';
import { type Identity, SCOPES } from '../core/access.ts';
import type { NodeStatus } from '../node/status.ts';
import type { HttpAnswer, HttpRequest, MakeAnswer } from './acceptor.ts';
import { type Account, type Accounts, AccountsPace } from './accounts.ts';
import { CHALLENGE, type Doorkeeper, HeldBody } from './doorkeeper.ts';
import type { Hosts } from './hosts.ts';
import { forbidden, PAGE_RIGHTS } from './rights.ts';
import type { SegmentDownloads } from './segmentDownloads.ts';
import { oneAtATime, sharedInTurn } from './shared.ts';

export interface HttpSources {
  readonly status: () => NodeStatus;
  /** Why the node should be sent no clients now; undefined when it should. */
  readonly notReady: () => string | undefined;
  /** What /metrics shows. */
  readonly registry: () => Registry;
  /** The names under which pages with facts are served. */
  readonly hosts: Hosts;
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

const NOT_FOUND = text(404, 'not found; this port serves /healthz, /readyz, /status, /metrics, /log/ and WebSocket clients of loglog.v1');
const HEALTHY = text(200, 'ok');

/** Nothing is said to whoever does not show who it is. */
const UNAUTHENTICATED: HttpAnswer = { status: 401, type: TEXT, body: '', headers: CHALLENGE };
const UNSETTLED: HttpAnswer = { status: 503, type: TEXT, body: '', headers: { 'retry-after': '1' } };

/** The answers of a node. Facts are looked up once for all requests of a turn. */
export function httpAnswers({
  status,
  notReady,
  registry,
  hosts,
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
  ]);
  /** Facts, which are not for everybody's pages. */
  const named = new Map<string, MakeAnswer>([
    ['/status', () => ({ status: 200, type: 'application/json', body: statusText() })],
    ['/metrics', scrape],
  ]);
  /** The answer to a request for facts that may be told to `who`. */
  const factsFor = (request: HttpRequest, who: Identity): MakeAnswer => {
    const { path, header } = request;
    const page = named.get(path);
    const counted = accounts.of(who, request.address());
    const facts = page ?? downloads.answer(request, counted[0]?.party);
    if (facts === undefined) return () => NOT_FOUND;
    const needed = page === undefined ? SCOPES[PAGE_RIGHTS['/log/']] : SCOPES[PAGE_RIGHTS[path as keyof typeof PAGE_RIGHTS]];
    if ((who.scopes & needed) === 0) return () => text(403, forbidden(who.scopes, needed));
    const pace = new AccountsPace(counted);
    if (pace.isOverdrawn) return () => text(503, 'more requests than the quota came: try again later', { 'retry-after': '1' });
    pace.took(0);
    const host = header('host');
    if (hosts.isAllowed(host)) return () => held(access, who, facts(), counted);
    const name = JSON.stringify(host.slice(0, 255));
    return () => text(403, `this node does not serve facts under the name ${name}; start it with --allow-host to allow a name`);
  };
  return (request) => {
    const { method, path } = request;
    const isRead = method === 'GET' || method === 'HEAD';
    const health = isRead ? open.get(path) : undefined;
    if (health !== undefined) return health;
    const who = access.ofRequest(request);
    if (who === 'unsettled') return () => UNSETTLED;
    if (typeof who === 'string') {
      refused();
      return () => UNAUTHENTICATED;
    }
    return isRead ? factsFor(request, who) : () => NOT_FOUND;
  };
}

/** An answer whose body ends when what `who` showed holds no more. */
function held(access: Doorkeeper, who: Identity, answer: ReturnType<MakeAnswer>, accounts: readonly Account[]): ReturnType<MakeAnswer> {
  if (answer instanceof Promise || typeof answer.body === 'string') return answer;
  if (who.kind === 'open' && accounts.length === 0) return answer;
  // A cache for all would give it to those who show nothing (RFC 9111, 3.5).
  const cacheControl = who.kind === 'open' ? answer.cacheControl : answer.cacheControl?.replace('public', 'private');
  return { ...answer, cacheControl, body: new HeldBody(access, who, answer.body, accounts) };
}
