// Load: one producer that appends as fast as the client takes it until its connection is lost, and knows of each entry what became of it.

import { connect } from '../../src/client/index.ts';
import { openLane, program } from './program.ts';
import type { CutParams, CutResult } from './types.ts';

program('cut', async (params: CutParams): Promise<CutResult> => {
  // The node that is gone comes back elsewhere, if at all: nothing is to be sent there.
  const log = await connect(params.log.urls, { reconnect: { timeoutMs: 0 } });
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
