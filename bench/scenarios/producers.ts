// What it costs that a log takes once what is sent again: a client that is a producer, and one that is none, in the same run; and messages with ids and without of
// NATS, which remembers them for two minutes.

import type { Scenario } from '../scenario.ts';
import { measurePair } from './pair.ts';

export const producers: Scenario = {
  name: 'producers',
  about:
    'one client as a producer and one as none: appends of 100 B, and one in flight, and the ratios; NATS with ids of messages beside it',
  takes: 'all',
  run: (context) => measurePair(context, { name: 'once', plan: { isOnce: true }, of: ({ once }) => once, minThroughput: 0.9, maxP50: 1.1 }),
};
