// Load: clients on hosts of their own, all of which append as fast as they are let, in each way of getting the bytes to the followers in turn. This
// process is beside them, at the switch: it tells them when to begin, and asks the nodes what they did.

import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { NodeStatus } from '../../src/node/status.ts';
import { LatencyRecorder } from '../statistics.ts';
import { program } from './program.ts';
import type {
  UploadsCase,
  UploadsLeaderRow,
  UploadsMode,
  UploadsParams,
  UploadsResult,
  UploadsRow,
  UploadsSlice,
  UploadsSliceAnswer,
} from './types.ts';

const CLIENT = fileURLToPath(new URL('uploadsClient.js', import.meta.url));

class Client {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(wrapper: readonly string[], nodeFlags: readonly string[]) {
    const [command = process.execPath, ...before] = [...wrapper, process.execPath, ...nodeFlags];
    this.#child = fork(CLIENT, [], { execPath: command, execArgv: before, stdio: ['ignore', 2, 2, 'ipc'] });
    this.#ended = new Promise((_, reject) => {
      this.#child.once('exit', (code, signal) => reject(new Error(`a client ended (${code ?? signal})`)));
      this.#child.once('error', reject);
    });
    this.#ended.catch(() => undefined);
  }

  run(slice: UploadsSlice): Promise<UploadsSliceAnswer> {
    const answered = new Promise<UploadsSliceAnswer>((resolve) => {
      this.#child.once('message', (answer) => resolve(answer as UploadsSliceAnswer));
    });
    this.#child.send(slice);
    return Promise.race([answered, this.#ended]);
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

async function statusOf(url: string): Promise<NodeStatus> {
  const response = await fetch(new URL('/status', url.replace(/^ws/, 'http')));
  if (!response.ok) throw new Error(`${url}/status answered ${response.status}`);
  return (await response.json()) as NodeStatus;
}

/** The status of the node that leads. */
async function leaderOf(urls: readonly string[]): Promise<NodeStatus> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const statuses = (await Promise.allSettled(urls.map(statusOf))).flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [first] = statuses.filter(({ node, log }) => node.role === 'leader' && log.commit > 0).sort((a, b) => b.node.term - a.node.term);
    if (first !== undefined && statuses.length === urls.length) return first;
    if (performance.now() > deadline) throw new Error('no node leads');
    await sleep(50);
  }
}

/** Bytes that came into `port` of the switch. */
function receivedAt(port: string): number {
  const line = readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((each) => each.trim().startsWith(`${port}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[0] ?? 0);
}

function sentBytesOf({ cluster, node }: NodeStatus): number {
  return cluster.nodes.reduce((sum, { id, sentBytes }) => sum + (id === node.id ? 0 : (sentBytes ?? 0)), 0);
}

/** What the leader has counted at a moment. */
interface Counts {
  readonly status: NodeStatus;
  /** From its interface; undefined without a switch. */
  readonly received: number | undefined;
}

async function countsOf({ urls, ports }: UploadsParams): Promise<Counts> {
  const status = await leaderOf(urls);
  const port = ports?.[status.node.id - 1];
  return { status, received: port === undefined ? undefined : receivedAt(port) };
}

/** What the leader did between two moments. */
function between({ status: from, received: receivedBefore }: Counts, { status: to, received }: Counts): UploadsLeaderRow {
  const bytes = to.appends.bytes - from.appends.bytes;
  return {
    isSameLeader: from.node.id === to.node.id && from.node.term === to.node.term,
    leaderSentPerByte: (sentBytesOf(to) - sentBytesOf(from)) / bytes,
    leaderInterfacePerByte: received === undefined || receivedBefore === undefined ? undefined : (received - receivedBefore) / bytes,
    hits: to.uploads.hits - from.uploads.hits,
    misses: to.uploads.misses - from.uploads.misses,
  };
}

async function measure(
  clients: readonly Client[],
  params: UploadsParams,
  { payloadBytes }: UploadsCase,
  mode: UploadsMode,
): Promise<UploadsRow> {
  const { urls, inFlightBytes, warmUpSeconds, seconds } = params;
  const slice = { urls, mode, payloadBytes, inFlightBytes, warmUpSeconds, seconds };
  const running = Promise.all(clients.map((client) => client.run(slice)));
  running.catch(() => undefined);
  await sleep(warmUpSeconds * 1000);
  const before = await countsOf(params);
  await sleep(seconds * 1000);
  const after = await countsOf(params);
  const answers = await running;
  const latency = new LatencyRecorder();
  for (const { histogram } of answers) latency.merge(histogram);
  const sum = (of: (answer: UploadsSliceAnswer) => number): number => answers.reduce((all, answer) => all + of(answer), 0);
  return {
    clients: clients.length,
    payloadBytes,
    mode,
    megabytesPerSecond: sum(({ measuredBytes }) => measuredBytes) / seconds / 1e6,
    leastMegabytesPerSecond: Math.min(...answers.map(({ measuredBytes }) => measuredBytes)) / seconds / 1e6,
    latency: latency.summary(),
    ...between(before, after),
    entries: sum(({ entries }) => entries),
    uploaded: sum(({ uploaded }) => uploaded),
    missed: sum(({ missed }) => missed),
    lost: answers.flatMap(({ lost }) => lost),
    clientCpuSeconds: sum(({ clientCpuSeconds }) => clientCpuSeconds),
  };
}

program('uploads', async (params: UploadsParams): Promise<UploadsResult> => {
  const { cases, modes, turns, hosts, nodeFlags } = params;
  const clients = hosts.map((wrapper) => new Client(wrapper, nodeFlags));
  const rows: UploadsRow[] = [];
  try {
    for (const each of cases) {
      for (let turn = 0; turn < turns; turn++) {
        // What is first in one turn is last in the next.
        for (const mode of turn % 2 === 0 ? modes : modes.toReversed()) {
          const row = await measure(clients.slice(0, each.clients), params, each, mode);
          rows.push(row);
        }
      }
    }
  } finally {
    for (const client of clients) client.close();
  }
  return { rows };
});
