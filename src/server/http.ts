// HTTP on the clients' port: health, readiness, status, metrics.

import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import type { Registry } from 'prom-client';
import type { Cause } from '../core/causes.ts';
import type { Hosts } from './hosts.ts';
import type { HttpConnections } from './httpConnections.ts';
import { oneAtATime, sharedInTurn } from './shared.ts';

export type NodeRole = 'leader' | 'candidate' | 'follower';

/** How a leader feeds another node; `unknown` where this node does not lead, of itself, and of one that has not answered or is not connected. */
export type FeedState = 'unknown' | 'probing' | 'replicating' | 'catchingUp' | 'cannotBeFed';

/** A node of the cluster as the asked one knows it: fully where it leads, otherwise what a follower can know. */
export interface ClusterNodeStatus {
  readonly id: number;
  /** Where clients reach it. */
  readonly url: string;
  /** `host:port` where the other nodes reach it; null for a node without a cluster. */
  readonly peerAddress: string | null;
  readonly isSelf: boolean;
  /** The asked node's own link to it is up. */
  readonly isConnected: boolean;
  /** Whether it counts for majorities: a node that lost its disk does not until it is admitted again; null where this is not known. */
  readonly isVoter: boolean | null;
  /** Log offset up to which it is known to hold the log durably; null where this is not known. */
  readonly durable: number | null;
  /** What is missing there of the leader's log; null where `durable` is, or where this node does not lead. */
  readonly lagBytes: number | null;
  readonly state: FeedState;
  /** It lacks what it had acknowledged to the leader, because it runs on an old copy of its disk; null where this is not known. */
  readonly isOldCopy: boolean | null;
  /** Unix milliseconds of its last message; null for none, and of itself. */
  readonly lastContactMs: number | null;
}

/** What GET /status answers, as JSON. Offsets and sizes in bytes, times in milliseconds. */
export interface NodeStatus {
  readonly version: string;
  readonly clusterId: string;
  readonly node: {
    readonly id: number;
    readonly role: NodeRole;
    readonly term: number;
    readonly url: string;
    readonly uptimeMs: number;
    /** False with `--fsync off`: nothing that the node acknowledges is durable. */
    readonly isDurable: boolean;
    /** Who leads, as far as this node knows: itself, another node, or null. */
    readonly leader: { readonly id: number; readonly url: string } | null;
    /** For people: why there is none, as far as this node knows; null while it knows one, or knows no reason. */
    readonly whyNoLeader: string | null;
    /** 16 hexadecimal digits, drawn when the process began: who answers at two addresses with one number is one process. */
    readonly process: string;
  };
  readonly cluster: {
    /** All nodes by id, the asked one among them. */
    readonly nodes: readonly ClusterNodeStatus[];
    /** What this node knows to be wrong between the nodes, whether or not there is a leader. */
    readonly causes: readonly Cause[];
  };
  readonly log: { readonly start: number; readonly commit: number; readonly durable: number; readonly tail: number };
  readonly segments: { readonly sealed: number; readonly bytes: number };
  readonly clients: { readonly connections: number; readonly heldAppendBytes: number; readonly sendBufferedBytes: number };
  readonly appends: { readonly entries: number; readonly batches: number; readonly bytes: number };
  readonly memory: { readonly residentBytes: number };
  readonly limits: { readonly maxPayloadBytes: number; readonly windowBytes: number; readonly maxBatchBytes: number };
}

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
