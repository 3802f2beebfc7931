// Thousands that begin TLS at once at the port for clients, some of which never go on, beside a client that appends: it notices, and fails at nothing.

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connect } from '../../src/client/index.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { startServer } from '../support/server.ts';
import { CLUSTER, Files, NODE } from './reload.ts';

/** Of so many one says nothing at all, and one goes in the middle of it. */
const KINDS = 4;
const LEAVES_AFTER_MS = 5;

export interface HandshakesReport {
  readonly begun: number;
  /** Those that were done. The node bounds how many are under way: others may be turned away. */
  readonly done: number;
  readonly appends: number;
  readonly longestAppendMs: number;
  readonly seconds: number;
  /** What should not have been; empty: nothing. */
  readonly faults: readonly string[];
}

/** Begins a handshake; resolves to whether it was done, when its connection has ended. */
function shake(port: number, kind: number, sockets: Socket[]): Promise<boolean> {
  return new Promise((resolve) => {
    const isSilent = kind === 1;
    const socket = isSilent ? connectTcp(port, '127.0.0.1') : connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
    sockets.push(socket);
    let isDone = false;
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(isDone));
    socket.once('secureConnect', () => {
      isDone = true;
      socket.destroy();
    });
    if (kind === 2) setTimeout(() => socket.destroy(), LEAVES_AFTER_MS);
  });
}

/** `count` handshakes at once at a node of its own, by the acceptor of that name; the node is left running for `stopServers`. */
export async function shakeHands(count: number, acceptor: 'uws' | 'ws'): Promise<HandshakesReport> {
  const authority = await makeAuthority(CLUSTER);
  const files = new Files(await issueCertificate(authority, NODE, ['127.0.0.1']));
  const node = await startServer({
    flags: ['--tls-cert', files.cert, '--tls-key', files.key, '--acceptor', acceptor, '--max-connections', String(count + 100)],
  });
  const tls = { ca: authority.certificate };
  const faults: string[] = [];
  const log = await connect(node.url, { tls });
  await log.append('before');
  const startedMs = performance.now();
  const sockets: Socket[] = [];
  const { port } = new URL(node.url);
  let isOver = false;
  const crowd = Promise.all(Array.from({ length: count }, (_, i) => shake(Number(port), i % KINDS, sockets)));
  let [appends, longestAppendMs] = [0, 0];
  const appending = async (): Promise<void> => {
    for (; !isOver; appends += 1) {
      const sinceMs = performance.now();
      await log.append('beside');
      longestAppendMs = Math.max(longestAppendMs, performance.now() - sinceMs);
    }
  };
  const appended = appending().catch((thrown: unknown) => void faults.push(`an append failed: ${String(thrown)}`));
  const outcomes = await crowd;
  isOver = true;
  await appended;
  if (appends === 0) faults.push('nothing was appended meanwhile');
  const later = await connect(node.url, { tls });
  await later.append('after');
  await Promise.all([log.close(), later.close()]);
  const done = outcomes.filter(Boolean).length;
  return {
    begun: count,
    done,
    appends,
    longestAppendMs: Math.round(longestAppendMs),
    seconds: (performance.now() - startedMs) / 1000,
    faults,
  };
}
