// HTTP on the clients' port: health, readiness, status, metrics.

import type { HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Registry } from 'prom-client';

/** What GET /status answers, as JSON. Offsets and sizes in bytes, times in milliseconds. */
export interface NodeStatus {
  readonly version: string;
  readonly clusterId: string;
  readonly node: { readonly id: number; readonly role: string; readonly term: number; readonly url: string; readonly uptimeMs: number };
  readonly log: { readonly start: number; readonly commit: number; readonly durable: number; readonly tail: number };
  readonly segments: { readonly sealed: number; readonly bytes: number };
  readonly clients: { readonly connections: number; readonly heldAppendBytes: number; readonly sendBufferedBytes: number };
  readonly appends: { readonly entries: number; readonly batches: number; readonly bytes: number };
  readonly memory: { readonly residentBytes: number };
  readonly limits: { readonly maxPayloadBytes: number; readonly windowBytes: number; readonly maxBatchBytes: number };
}

export interface HttpSources {
  readonly status: () => NodeStatus;
  readonly isReady: () => boolean;
  readonly registry: Registry;
}

/** Answers and closes the connection: who asks many times and never reads must not fill the node's memory with answers. */
function answer(response: HttpResponse, status: string, type: string, body: string): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader('content-type', type).writeHeader('cache-control', 'no-store').end(body, true);
  });
}

const TEXT = 'text/plain; charset=utf-8';

/** Adds the HTTP routes to `app`. */
export function serveHttp(app: TemplatedApp, { status, isReady, registry }: HttpSources): void {
  app.get('/healthz', (response) => answer(response, '200 OK', TEXT, 'ok\n'));
  app.head('/healthz', (response) => answer(response, '200 OK', TEXT, ''));
  app.head('/readyz', (response) => answer(response, isReady() ? '200 OK' : '503 Service Unavailable', TEXT, ''));
  app.get('/readyz', (response) => {
    if (isReady()) answer(response, '200 OK', TEXT, 'ready\n');
    else answer(response, '503 Service Unavailable', TEXT, 'not ready: the node is shutting down\n');
  });
  app.get('/status', (response) => answer(response, '200 OK', 'application/json', `${JSON.stringify(status(), null, 2)}\n`));
  app.get('/metrics', (response) => {
    let gone = false;
    response.onAborted(() => {
      gone = true;
    });
    registry.metrics().then(
      (text) => {
        if (!gone) answer(response, '200 OK', registry.contentType, text);
      },
      (error: unknown) => {
        if (!gone) answer(response, '500 Internal Server Error', TEXT, `${String(error)}\n`);
      },
    );
  });
  app.any('/*', (response) => {
    answer(
      response,
      '404 Not Found',
      TEXT,
      'not found; this port serves /healthz, /readyz, /status, /metrics and WebSocket clients of loglog.v1\n',
    );
  });
}
