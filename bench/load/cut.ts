// Load: one producer that appends as fast as the client takes it until its connection is lost, and knows of each entry what became of it.

import { connect, type LogClient, LogError } from '../../src/client/index.ts';
import { openLane, program } from './program.ts';
import type { CutParams, CutResult } from './types.ts';

/** How long a node is given to greet, however busy the machine is. */
const GREET_MS = 30_000;

/** A client that does not look for another node once its connection is lost: what is not sent by then is not to be sent. */
async function connectOnce(urls: readonly string[]): Promise<LogClient> {
  const deadlineMs = performance.now() + GREET_MS;
  for (;;) {
    try {
      return await connect(urls, { reconnect: { timeoutMs: 0 } });
    } catch (thrown) {
      if (!(thrown instanceof LogError) || thrown.code !== 'UNREACHABLE' || performance.now() > deadlineMs) throw thrown;
    }
  }
}

program('cut', async (params: CutParams): Promise<CutResult> => {
  // The node that is gone comes back elsewhere, if at all: nothing is to be sent there.
  const log = await connectOnce(params.log.urls);
  const lane = openLane(params.log, params.payloadBytes);
  let lost = 0;
  while (lost === 0) {
    if (!log.hasRoom) await log.ready();
    const place = lane.sent;
    log.append(lane.next()).catch((thrown) => {
      lane.lose(place, thrown);
      lost += 1;
    });
  }
  await log.close();
  lane.acknowledgedTo(lane.sent);
  return { entries: lane.sent - lost, lost };
});
