// Load: appends that go on through the loss of any node, counted in bins of time by their receipts.

import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/client/index.ts';
import { openLane, program } from './program.ts';
import { systemMs } from './systemClock.ts';
import type { TimelineParams, TimelineResult } from './types.ts';

program('timeline', async (params: TimelineParams): Promise<TimelineResult> => {
  const log = await connect(params.log.urls);
  const lane = openLane(params.log, params.payloadBytes);
  const counts = new Array<number>(Math.ceil((params.seconds * 1000) / params.binMs)).fill(0);
  const startedMs = systemMs();
  const endMs = startedMs + counts.length * params.binMs;
  let unknown = 0;
  const appendInTurn = async (): Promise<void> => {
    while (systemMs() < endMs) {
      const place = lane.sent;
      try {
        await log.append(lane.next());
      } catch (thrown) {
        // What was on its way to a node that died is not known, and counts as nothing; the next one tells.
        lane.lose(place, thrown);
        unknown += 1;
        await sleep(1);
        continue;
      }
      const bin = Math.floor((systemMs() - startedMs) / params.binMs);
      if (bin < counts.length) counts[bin] = (counts[bin] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: params.inFlight }, appendInTurn));
  await log.close();
  lane.acknowledgedTo(lane.sent);
  return { startedMs, counts, unknown };
});
