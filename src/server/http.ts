// HTTP on the clients' port: health, readiness, status, metrics.

import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Registry } from 'prom-client';
import type { NodeStatus } from '../node/status.ts';
import type { Hosts } from './hosts.ts';
import type { HttpConnections } from './httpConnections.ts';
import { oneAtATime, sharedInTurn } from './shared.ts';

export interface HttpSources {
  readonly status: () => NodeStatus;
  /** Why the node should be sent no clients now; undefined when it should. */
  readonly notReady: () => string | undefined;
  /** What /metrics shows. */
  readonly registry: () => Registry;
  /** The names under which pages with facts are served. */
  readonly hosts: Hosts;
}

/** Answers and closes the connection: who asks many times and never reads must not fill the node's memory with answers. */
function answer(response: HttpResponse, status: string, type: string, body: string): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader('content-type', type).writeHeader('cache-control', 'no-store').end(body, true);
  });
}

const TEXT = 'text/plain; charset=utf-8';

/** Adds the HTTP routes to `app`. Every answer is made at the end of the turn in which its request came; facts once for all requests of a turn. */
export function serveHttp(app: TemplatedApp, connections: HttpConnections, { status, notReady, registry, hosts }: HttpSources): void {
  const text = (response: HttpResponse, code: string, sentence: string): void => answer(response, code, TEXT, sentence);
  /** Takes a request for facts, unless it is under a name that is not this node's. */
  const takeNamed = (response: HttpResponse, request: HttpRequest, act: () => void): void => {
    const host = request.getHeader('host');
    if (hosts.isAllowed(host)) {
      connections.take(response, request, act);
      return;
    }
    const sentence = `this node does not serve facts under the name ${JSON.stringify(host.slice(0, 255))}; start it with --allow-host to allow a name`;
    connections.take(response, request, () => text(response, '403 Forbidden', `${sentence}\n`));
  };
  const readiness = (response: HttpResponse, isHead: boolean): void => {
    const reason = notReady();
    const body = reason === undefined ? 'ready\n' : `not ready: ${reason}\n`;
    text(response, reason === undefined ? '200 OK' : '503 Service Unavailable', isHead ? '' : body);
  };
  app.get('/healthz', (response, request) => connections.take(response, request, () => text(response, '200 OK', 'ok\n')));
  app.head('/healthz', (response, request) => connections.take(response, request, () => text(response, '200 OK', '')));
  app.head('/readyz', (response, request) => connections.take(response, request, () => readiness(response, true)));
  app.get('/readyz', (response, request) => connections.take(response, request, () => readiness(response, false)));
  const statusText = sharedInTurn(
    () => connections.turn,
    () => `${JSON.stringify(status(), null, 2)}\n`,
  );
  app.get('/status', (response, request) => {
    takeNamed(response, request, () => answer(response, '200 OK', 'application/json', statusText()));
  });
  const scrape = oneAtATime(async () => {
    const found = registry();
    return { type: found.contentType, text: await found.metrics() };
  });
  app.get('/metrics', (response, request) => takeNamed(response, request, () => void answerMetrics(response, scrape)));
  const notFound = 'not found; this port serves /healthz, /readyz, /status, /metrics and WebSocket clients of loglog.v1\n';
  app.any('/*', (response, request) => connections.take(response, request, () => text(response, '404 Not Found', notFound)));
}

async function answerMetrics(
  response: HttpResponse,
  scrape: () => Promise<{ readonly type: string; readonly text: string }>,
): Promise<void> {
  let isGone = false;
  response.onAborted(() => {
    isGone = true;
  });
  try {
    const { type, text } = await scrape();
    if (!isGone) answer(response, '200 OK', type, text);
  } catch (thrown) {
    if (!isGone) answer(response, '500 Internal Server Error', TEXT, `${String(thrown)}\n`);
  }
}
