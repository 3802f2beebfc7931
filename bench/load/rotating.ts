// Load: a fixed number of appends in flight, each on the connection whose turn it is, so that all connections append, however many they are. The clients
// speak the protocol and nothing more: of the library's, each has memory of its own for what it has in flight, which one process has not 10,000 times.

import { RawClient } from '../../test/server/support/rawClient.ts';
import { LatencyRecorder } from '../statistics.ts';
import { measureClosedLoop, openLanes, program } from './program.ts';
import type { InTurnResult, RotatingParams } from './types.ts';

/** That connect at the same time. */
const AT_ONCE = 100;

async function connectAll(url: string, connections: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < connections) {
    const count = Math.min(AT_ONCE, connections - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: count }, () => RawClient.connect(url)))));
  }
  return clients;
}

program('rotating', async (params: RotatingParams): Promise<InTurnResult> => {
  const { log, connections, inFlight } = params;
  const [url] = log.urls;
  if (url === undefined) throw new Error('there is no node');
  const clients = await connectAll(url, connections);
  const lanes = openLanes(log, params.payloadBytes, connections);
  const latency = new LatencyRecorder();
  let turn = 0;
  const appendInTurn = async (deadline: number): Promise<void> => {
    let before = performance.now();
    while (before < deadline) {
      const lane = lanes[turn];
      const client = clients[turn];
      if (lane === undefined || client === undefined) throw new RangeError(`there is no connection ${turn}`);
      turn = turn + 1 === connections ? 0 : turn + 1;
      const payload = lane.next();
      const place = lane.sent;
      await client.append([payload]);
      const now = performance.now();
      // A connection's receipts come in the order of its appends.
      lane.acknowledgedTo(place);
      latency.record(now - before);
      before = now;
    }
  };
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(Array.from({ length: inFlight }, () => appendInTurn(deadline)));
  };
  const times = await measureClosedLoop(run, params, latency);
  for (const client of clients) client.terminate();
  return { entries: latency.count, ...times, latency: latency.summary() };
});
