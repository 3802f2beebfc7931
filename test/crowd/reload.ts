// Certificates that are replaced while thousands of clients are connected by TLS, with files that are half written in between: nobody loses the
// connection, and whoever comes is shown the pair that was in force, or the next one, and never anything else.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/index.ts';
import { until } from '../../src/cluster/until.ts';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import { issueCertificate, makeAuthority, type Pair } from '../../src/tls/authority.ts';
import { type RunningServer, startServer, temporaryDirectory } from '../support/server.ts';

export const CLUSTER = '0123456789abcdef0123456789abcdef';
export const NODE = { kind: 'node', clusterId: CLUSTER, nodeId: 1 } as const;
/** Connections that are made at once. */
const AT_ONCE = 50;
/** Pieces of a file, and the time between two: less than the node waits for, and more. */
const PIECES = 4;
const PAUSES_MS = [30, 400];
const REFUSED = 'what was in force stays so, because';

export interface ReloadReport {
  readonly connections: number;
  readonly reloads: number;
  /** Half-written states that the node refused, and said so. */
  readonly refused: number;
  readonly appends: number;
  readonly seconds: number;
  /** What should not have been; empty: nothing. */
  readonly faults: readonly string[];
}

/** With uWebSockets.js the port changes hands when certificates do: who comes in that very moment comes again (docs/OPERATIONS.md). */
const TURNED_AWAY: readonly unknown[] = ['ECONNREFUSED', 'ECONNRESET'];
const AGAIN_MS = 20;

/** The serial number of the certificate that a new connection is shown, which the authority has signed. */
async function shownSerial(url: string, ca: string): Promise<string> {
  return await until(
    'a connection is taken',
    async () => {
      try {
        return await shownSerialNow(url, ca);
      } catch (thrown) {
        if (TURNED_AWAY.includes((thrown as NodeJS.ErrnoException).code)) return undefined;
        throw thrown;
      }
    },
    undefined,
    AGAIN_MS,
  );
}

function shownSerialNow(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: Number(new URL(url).port), ca }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** Clients that do nothing but to be there. */
class Crowd {
  readonly sockets: WebSocket[] = [];
  lost = 0;
  #isOver = false;

  async grow(url: string, ca: string, count: number): Promise<void> {
    while (this.sockets.length < count) {
      const more = Array.from({ length: Math.min(AT_ONCE, count - this.sockets.length) }, () => this.#add(url, ca));
      this.sockets.push(...(await Promise.all(more)));
    }
  }

  #add(url: string, ca: string): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, SUBPROTOCOL, { ca, perMessageDeflate: false });
      socket.once('open', () => resolve(socket));
      socket.on('error', reject);
      socket.on('close', () => {
        if (!this.#isOver) this.lost += 1;
      });
    });
  }

  /** How many of them answer. */
  async alive(): Promise<number> {
    const answered = this.sockets.map(
      (socket) =>
        new Promise<boolean>((resolve) => {
          socket.once('pong', () => resolve(true));
          socket.once('close', () => resolve(false));
          if (socket.readyState !== WebSocket.OPEN) resolve(false);
          else socket.ping();
        }),
    );
    return (await Promise.all(answered)).filter(Boolean).length;
  }

  end(): void {
    this.#isOver = true;
    for (const socket of this.sockets) socket.terminate();
  }
}

/** A node's files, of which the next ones come in pieces. */
export class Files {
  readonly cert: string;
  readonly key: string;

  constructor(pair: Pair) {
    const folder = join(temporaryDirectory(), 'tls');
    mkdirSync(folder);
    this.cert = join(folder, 'node.crt');
    this.key = join(folder, 'node.key');
    writeFileSync(this.cert, pair.certificate);
    writeFileSync(this.key, pair.key, { mode: 0o600 });
  }

  /** Writes the pair over the one that is there, as slowly as that, and calls `look` after each piece but the last. */
  async write(pair: Pair, pauseMs: number, look: () => Promise<void>): Promise<void> {
    const steps = [
      [this.cert, pair.certificate],
      [this.key, pair.key],
    ] as const;
    for (const [file, text] of steps) {
      for (let piece = 1; piece <= PIECES; piece += 1) {
        writeFileSync(file, text.slice(0, Math.ceil((text.length * piece) / PIECES)));
        if (file === this.key && piece === PIECES) return;
        await sleep(pauseMs);
        await look();
      }
    }
  }
}

const refusals = (node: RunningServer): number => node.stderr().split(REFUSED).length - 1;

/** Replaces the certificate of a node of its own so many times beside so many clients; it is left running for `stopServers`. */
export async function reloadBeside(connections: number, reloads: number): Promise<ReloadReport> {
  const authority = await makeAuthority(CLUSTER);
  const ca = authority.certificate;
  const files = new Files(await issueCertificate(authority, NODE, ['127.0.0.1']));
  const most = String(connections + 100);
  const node = await startServer({ flags: ['--tls-cert', files.cert, '--tls-key', files.key, '--max-connections', most] });
  const faults: string[] = [];
  const crowd = new Crowd();
  const startedMs = performance.now();
  await crowd.grow(node.url, ca, connections);
  const log = await connect(node.url, { tls: { ca } });
  let [appends, isOver] = [0, false];
  const appending = async (): Promise<void> => {
    try {
      for (; !isOver; appends += 1) await log.append('beside');
    } catch (thrown) {
      faults.push(`an append failed: ${String(thrown)}; the node said last: ${node.stderr().split('\n').slice(-5).join(' ')}`);
    }
  };
  const appended = appending();
  for (let i = 0; i < reloads; i += 1) {
    const before = await shownSerial(node.url, ca);
    const next = await issueCertificate(authority, NODE, ['127.0.0.1']);
    // Whoever comes is shown the old one; a half-written one would be no certificate, or one without its key.
    const look = async (): Promise<void> => {
      const shown = await shownSerial(node.url, ca);
      if (shown !== before) faults.push(`reload ${i}: a half-written pair is in force`);
    };
    const refusedBefore = refusals(node);
    await files.write(next, PAUSES_MS[i % PAUSES_MS.length] ?? 0, async () => {
      await look();
      if (i % 2 === 1) node.signal('SIGHUP');
    });
    await until('the next certificate is shown', async () => (await shownSerial(node.url, ca)) !== before);
    if (i % 2 === 1 && refusals(node) === refusedBefore)
      faults.push(`reload ${i}: the node has not said that it refused a half-written pair`);
  }
  isOver = true;
  await appended;
  const alive = await crowd.alive();
  if (crowd.lost > 0 || alive < connections) faults.push(`${crowd.lost} connections were lost, ${alive} of ${connections} answer`);
  if (appends === 0) faults.push('nothing was appended meanwhile');
  const seconds = (performance.now() - startedMs) / 1000;
  await log.close();
  crowd.end();
  return { connections, reloads, refused: refusals(node), appends, seconds, faults };
}
