// `loglog status`: what a node says of itself over HTTP.

import * as http from 'node:http';
import * as https from 'node:https';
import { Command } from 'commander';
import { LogError } from '../../core/errors.ts';
import type { NodeStatus } from '../../server/http.ts';
import { jsonOption, urlOption, withExamples } from '../arguments.ts';
import { grouped, pairs, print, readableBytes } from '../output.ts';

interface StatusOptions {
  readonly url: readonly string[];
  readonly json?: boolean;
}

const TIMEOUT_MS = 5_000;

/** The HTTP address of a node's status. */
export function statusUrl(url: string): string {
  return new URL('/status', url.replace(/^ws/i, 'http')).href;
}

/** Why a request failed; with several addresses for a name, each has its own reason inside. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message : error.message;
}

// Not `fetch`: it refuses ports that browsers think unsafe.
function fetchText(url: string): Promise<string> {
  const address = statusUrl(url);
  const { get } = address.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new LogError('UNREACHABLE', `no node answers at ${address}: ${reasonOf(error)}. Check that one is running there.`));
    const request = get(address, { timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else reject(new LogError('PROTOCOL', `${address} answers ${response.statusCode}, which is not what a LogLog node says`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    request.on('error', fail);
  });
}

function parse(text: string, url: string): NodeStatus {
  try {
    const status = JSON.parse(text) as NodeStatus;
    if (typeof status.clusterId === 'string' && typeof status.log.commit === 'number') return status;
  } catch {
    // Said below.
  }
  throw new LogError('PROTOCOL', `${statusUrl(url)} answers, but not as a LogLog node does`);
}

function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function describe({ version, clusterId, node, log, segments, clients, appends, memory, limits }: NodeStatus): string {
  return pairs([
    ['node', `${node.id} at ${node.url}, ${node.role} of term ${node.term}`],
    ['version', `${version}, up for ${duration(node.uptimeMs)}`],
    ['cluster', clusterId],
    ['log', `offsets ${log.start} to ${log.commit} (${readableBytes(log.commit - log.start)})`],
    ['not committed', `${grouped(log.tail - log.commit)} bytes, of these durable ${grouped(Math.max(0, log.durable - log.commit))}`],
    ['sealed segments', grouped(segments.sealed)],
    [
      'appended since start',
      `${grouped(appends.entries)} entries in ${grouped(appends.batches)} messages, ${readableBytes(appends.bytes)}`,
    ],
    ['clients', `${grouped(clients.connections)} connected, ${readableBytes(clients.sendBufferedBytes)} waiting to be sent`],
    ['resident memory', readableBytes(memory.residentBytes)],
    ['largest payload', `${grouped(limits.maxPayloadBytes)} bytes`],
    ['window', `${grouped(limits.windowBytes)} bytes a connection`],
  ]);
}

async function run({ url: urls, json }: StatusOptions): Promise<void> {
  for (const [i, url] of urls.entries()) {
    try {
      const text = await fetchText(url);
      const status = parse(text, url);
      await print(json === true ? text.trimEnd() : describe(status));
      return;
    } catch (thrown) {
      const isLast = i === urls.length - 1;
      if (isLast || !(thrown instanceof LogError && thrown.code === 'UNREACHABLE')) throw thrown;
    }
  }
}

export function statusCommand(): Command {
  const command = new Command('status')
    .summary('show what a node says of itself')
    .description('show what a node says of itself')
    .addOption(urlOption())
    .addOption(jsonOption("the node's own JSON"))
    .action(run);
  return withExamples(command, [
    ['loglog status', 'of the node on this machine'],
    ['loglog status --url ws://10.0.0.7:7070 --json', 'of another one, for programs'],
  ]);
}
