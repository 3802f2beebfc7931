// HTTP on the clients' port: health, readiness, status, metrics.

import type { Registry } from 'prom-client';
import type { NodeStatus } from '../node/status.ts';
import type { HttpAnswer, HttpRequest, MakeAnswer } from './acceptor.ts';
import type { Hosts } from './hosts.ts';
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
}

const TEXT = 'text/plain; charset=utf-8';

function text(status: HttpAnswer['status'], sentence: string): HttpAnswer {
  return { status, type: TEXT, body: `${sentence}\n` };
}

const NOT_FOUND = text(404, 'not found; this port serves /healthz, /readyz, /status, /metrics, /log/ and WebSocket clients of loglog.v1');
const HEALTHY = text(200, 'ok');

/** The answers of a node. Facts are looked up once for all requests of a turn. */
export function httpAnswers({ status, notReady, registry, hosts, turn, downloads }: HttpSources): (request: HttpRequest) => MakeAnswer {
  const readiness = (): HttpAnswer => {
    const reason = notReady();
    return reason === undefined ? text(200, 'ready') : text(503, `not ready: ${reason}`);
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
  return (request) => {
    const { method, path, header } = request;
    if (method !== 'GET' && method !== 'HEAD') return () => NOT_FOUND;
    const facts = named.get(path) ?? downloads.answer(request);
    if (facts === undefined) return open.get(path) ?? (() => NOT_FOUND);
    const host = header('host');
    if (hosts.isAllowed(host)) return facts;
    const name = JSON.stringify(host.slice(0, 255));
    return () => text(403, `this node does not serve facts under the name ${name}; start it with --allow-host to allow a name`);
  };
}
