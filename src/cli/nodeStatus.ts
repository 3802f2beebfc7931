// What a node says of itself over HTTP: fetched, and checked as far as the commands rely on it.

import * as http from 'node:http';
import * as https from 'node:https';
import { nodeTls } from '../client/nodes/fetch.node.ts';
import { tlsFault } from '../client/nodes/tlsFault.ts';
import { tokenNow } from '../client/nodes/token.ts';
import { LogError } from '../core/errors.ts';
import { withoutSecrets } from '../core/secrets.ts';
import type { NodeStatus } from '../node/status.ts';
import { tlsSource } from './tlsTrust.ts';
import { tokenFor } from './token.ts';

/** A status has a few kilobytes; what sends more is not a node. */
const MAX_STATUS_BYTES = 1024 * 1024;

/** The HTTP address of a node's status. */
export function statusUrl(url: string): string {
  // After the path of a proxy, if there is one.
  const { protocol, host, username, password, pathname, search } = new URL(url);
  const credentials = username + password === '' ? '' : `${username}:${password}@`;
  return new URL(`${protocol.replace(/^ws/, 'http')}//${credentials}${host}${pathname.replace(/\/+$/, '')}/status${search}`).href;
}

/** Why a request failed, in few words; with several addresses for a name, each has its own reason inside. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [];
  const { message } = first instanceof Error ? first : error;
  return message.startsWith('connect ECONNREFUSED') ? 'connection refused' : message;
}

function notANode(address: string): LogError {
  return new LogError('PROTOCOL', `${withoutSecrets(address)} answers, but not as a LogLog node does`);
}

/** A node did not answer. `reason` is the part of the sentence that a table has room for. */
export class NoAnswer extends LogError {
  readonly reason: string;

  constructor(address: string, reason: string, what = 'Check that one is running there.') {
    super('UNREACHABLE', `no node answers at ${withoutSecrets(address)}: ${reason}. ${what}`.trim());
    this.reason = reason;
  }
}

const NOT_TAKEN = 'asks for a token, and does not take what this command shows, if anything: name one that holds with --token-file';

/** A refusal in the node's own words, of which there are few. */
function saidBy(address: string, body: Buffer): string {
  const words = body.toString('utf8').slice(0, 300).trim();
  return `${withoutSecrets(address)} refuses: ${words}`;
}

// Not `fetch`: it refuses ports that browsers think unsafe.
function fetchText(address: string, timeoutMs: number, token: string | undefined): Promise<string> {
  const { get } = address.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const untrusted = tlsFault(error);
      reject(untrusted === undefined ? new NoAnswer(address, reasonOf(error)) : new NoAnswer(address, untrusted, ''));
    };
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const request = get(address, { agent: false, headers, ...nodeTls(tlsSource()?.() ?? {}) }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_STATUS_BYTES) response.destroy(notANode(address));
      });
      response.on('error', (error) => (error instanceof LogError ? reject(error) : fail(error)));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else if (response.statusCode === 401) reject(new LogError('UNAUTHENTICATED', `${withoutSecrets(address)} ${NOT_TAKEN}`));
        else if (response.statusCode === 403)
          reject(new LogError('FORBIDDEN', saidBy(address, Buffer.concat(chunks)), { scope: 'metrics' }));
        else
          reject(
            new LogError('PROTOCOL', `${withoutSecrets(address)} answers ${response.statusCode}, which is not what a LogLog node says`),
          );
      });
    });
    // The whole answer, not one pause, within the time: a node that is stuck must not hold up the others' rows.
    const timer = setTimeout(() => {
      fail(new Error(`no answer in ${timeoutMs / 1000} s`));
      request.destroy();
    }, timeoutMs);
    request.on('error', fail);
    request.on('close', () => clearTimeout(timer));
  });
}

/** A node of an earlier build says nothing of mirrors, and is none. */
function isMirrorStatus(mirror: NodeStatus['mirror'] | undefined): boolean {
  return mirror === undefined || mirror === null || (Array.isArray(mirror.source) && typeof mirror.isConnected === 'boolean');
}

function isStatus(value: unknown): value is NodeStatus {
  const { clusterId, node, log, cluster } = (value ?? {}) as Partial<NodeStatus>;
  return (
    typeof clusterId === 'string' &&
    typeof node?.id === 'number' &&
    typeof node.term === 'number' &&
    typeof log?.commit === 'number' &&
    typeof log.durable === 'number' &&
    typeof log.tail === 'number' &&
    isMirrorStatus((value as Partial<NodeStatus>).mirror) &&
    Array.isArray(cluster?.causes) &&
    cluster.causes.every((cause) => typeof cause?.sentence === 'string') &&
    Array.isArray(cluster.nodes) &&
    cluster.nodes.every((other) => typeof other?.id === 'number' && typeof other.url === 'string' && URL.canParse(other.url))
  );
}

/** Asks the node at `url`. Throws {@link NoAnswer}, or a LogError `PROTOCOL` when something else answers there. */
export async function fetchStatus(url: string, timeoutMs: number): Promise<NodeStatus> {
  const address = statusUrl(url);
  const text = await fetchText(address, timeoutMs, await tokenNow(tokenFor(address)));
  try {
    const status: unknown = JSON.parse(text);
    if (isStatus(status)) return status;
  } catch {
    // Said below.
  }
  throw notANode(address);
}

/** The status of the first node that answers, each within `timeoutMs`; the last one's reason when none does. */
export async function firstStatus(urls: readonly string[], timeoutMs: number): Promise<NodeStatus> {
  let reason: unknown;
  for (const url of urls) {
    try {
      return await fetchStatus(url, timeoutMs);
    } catch (thrown) {
      if (!(thrown instanceof LogError && thrown.code === 'UNREACHABLE')) throw thrown;
      reason = thrown;
    }
  }
  throw reason;
}
