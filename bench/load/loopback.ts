// Load: plain TCP over loopback, by Node itself, to a server that gives back what it gets, or counts it: what is left when there is no
// protocol.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { LatencyRecorder } from '../statistics.ts';
import { NumberedPayloads } from './numbered.ts';
import { program } from './program.ts';
import type { LoopbackParams, LoopbackResult } from './types.ts';

/** What is written at once where only the bytes count. */
const BULK_BYTES = 256 * 1024;

async function open(url: string, what: 'echo' | 'sink'): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write(what);
  return socket;
}

/** One message there and back at a time, each timed. */
function echo(socket: Socket, payload: Buffer, seconds: number, latency: LatencyRecorder): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  return new Promise((resolve) => {
    let sentMs = 0;
    let left = 0;
    const send = (): void => {
      left = payload.length;
      sentMs = performance.now();
      socket.write(payload);
    };
    const take = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left > 0) return;
      const now = performance.now();
      latency.record(now - sentMs);
      if (now < deadline) {
        send();
        return;
      }
      socket.off('data', take);
      resolve();
    };
    socket.on('data', take);
    send();
  });
}

/** Bytes in one direction, until the server says that it has them all. */
async function bulk(url: string, seconds: number): Promise<number> {
  const socket = await open(url, 'sink');
  const payload = new NumberedPayloads(BULK_BYTES, 0, BULK_BYTES).at(0);
  const started = performance.now();
  let bytes = 0;
  while (performance.now() < started + seconds * 1000) {
    if (!socket.write(payload)) await once(socket, 'drain');
    bytes += payload.length;
  }
  socket.end();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  const took = performance.now() - started;
  if (Number(answer.toString()) !== bytes) throw new Error(`${bytes} bytes were sent, and ${answer.toString()} came`);
  socket.destroy();
  return bytes / took / 1000;
}

program('loopback', async (params: LoopbackParams): Promise<LoopbackResult> => {
  const { url, payloadBytes, warmUpSeconds, seconds } = params;
  const latency = new LatencyRecorder();
  const socket = await open(url, 'echo');
  const payload = new NumberedPayloads(payloadBytes, 0, payloadBytes).at(0);
  await echo(socket, payload, warmUpSeconds, latency);
  latency.clear();
  await echo(socket, payload, seconds, latency);
  socket.destroy();
  await bulk(url, warmUpSeconds);
  return { latency: latency.summary(), megabytesPerSecond: await bulk(url, seconds) };
});
