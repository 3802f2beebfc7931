// The thread of the attackers: see flood.ts.

import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { FloodReport, FloodWork } from './flood.ts';
import { GoodbyeReader, headEnd, upgradeRequest } from './frames.ts';

const REPORT_MS = 50;
const PACE_MS = 10;
/** Openings at once: a wave of thousands would be dropped by the system, not by the node. */
const OPENINGS = 256;
/** Until a connection that was refused is replaced: a place is seldom free again at once. */
const REFUSED_PAUSE_MS = 20;
/** What `connect` says when this process, or this machine, has nothing left to connect with. */
const OWN_FAULTS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

const work = workerData as FloodWork;
const sockets = new Set<Socket>();
let sentBytes = 0;
let answerBytes = 0;
let isStopping = false;
let openings = 0;
let toOpen = work.connections;

function report(message: FloodReport): void {
  parentPort?.postMessage(message);
}

/** Sends the chunk again and again: as fast as it is taken, or at a pace. Calls `sent` with what was given to the system. */
function sendOn(socket: Socket, sent: (bytes: number) => void): void {
  const { chunk, bytesPerSecond } = work;
  if (chunk.length === 0) return;
  if (bytesPerSecond !== undefined) {
    const startedMs = performance.now();
    let total = 0;
    const timer = setInterval(() => {
      const due = ((performance.now() - startedMs) / 1000) * bytesPerSecond - total;
      for (let left = due; left >= chunk.length && !socket.writableNeedDrain && socket.writable; left -= chunk.length) {
        socket.write(chunk);
        total += chunk.length;
        sent(chunk.length);
      }
    }, PACE_MS);
    socket.once('close', () => clearInterval(timer));
    return;
  }
  const fill = (): void => {
    while (socket.writable) {
      sent(chunk.length);
      if (!socket.write(chunk)) break;
    }
  };
  socket.on('drain', fill);
  fill();
}

/** Opens as many connections as may be on their way at once. */
function openMore(): void {
  while (toOpen > 0 && openings < OPENINGS && !isStopping) {
    toOpen -= 1;
    openings += 1;
    openOne();
  }
}

/** Opens another connection in place of one that is gone. */
function replace(): void {
  toOpen += 1;
  openMore();
}

function openOne(): void {
  const socket = connect({ host: work.host, port: work.port, allowHalfOpen: true });
  sockets.add(socket);
  const goodbyes = new GoodbyeReader();
  let own = 0;
  let startedMs = 0;
  let isOpen = false;
  let isCut = false;
  const opened = (): void => {
    isOpen = true;
    startedMs = performance.now();
    openings -= 1;
    report({ kind: 'open' });
    openMore();
    if (work.once !== undefined) socket.write(work.once);
    if (work.isDeaf === true) socket.pause();
    sendOn(socket, (bytes) => {
      own += bytes;
      sentBytes += bytes;
    });
  };
  const cut = (code: number, reason: string): void => {
    if (isCut || isStopping) return;
    isCut = true;
    // Who was never let in has nothing to be stubborn about: each that stayed would hold one of the attackers' own descriptors for ever.
    if (!isOpen || work.isStubborn !== true) socket.destroy();
    if (isOpen) report({ kind: 'cut', cut: { code, reason, sentBytes: own, afterMs: performance.now() - startedMs } });
    else {
      openings -= 1;
      report({ kind: 'refused' });
    }
    if (work.isReplaced !== true) openMore();
    else if (isOpen) replace();
    else setTimeout(replace, REFUSED_PAUSE_MS).unref();
  };
  let head = Buffer.alloc(0);
  socket.on('connect', () => {
    if (work.isWebSocket) socket.write(upgradeRequest());
    else opened();
  });
  socket.on('data', (chunk: Buffer) => {
    answerBytes += chunk.length;
    let bytes = chunk;
    if (work.isWebSocket && !isOpen) {
      head = Buffer.concat([head, chunk]);
      const end = headEnd(head);
      if (end < 0) return;
      if (!head.toString('latin1', 0, 12).endsWith(' 101')) {
        cut(0, head.toString('latin1', 0, end));
        return;
      }
      bytes = head.subarray(end);
      opened();
    }
    const goodbye = work.isWebSocket ? goodbyes.push(bytes) : undefined;
    if (goodbye !== undefined) cut(goodbye.code, goodbye.reason);
  });
  socket.on('end', () => cut(0, 'it ended'));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // It is not the victim that refuses: no attack is under way any more.
    if (OWN_FAULTS.has(error.code ?? '')) throw error;
  });
  socket.on('close', () => {
    sockets.delete(socket);
    cut(0, 'it was reset');
  });
}

const reporting = setInterval(() => report({ kind: 'sent', bytes: sentBytes, answers: answerBytes }), REPORT_MS);
parentPort?.once('message', () => {
  isStopping = true;
  clearInterval(reporting);
  for (const socket of sockets) socket.destroy();
  parentPort?.close();
});
openMore();
