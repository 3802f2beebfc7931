// What TLS on the clients' port costs: a node with it and one without, in the same run; and the same of each other system that is here, as it has TLS.

import type { Scenario } from '../scenario.ts';
import { measurePair } from './pair.ts';

export const tls: Scenario = {
  name: 'tls',
  about: 'one node with TLS and one without: appends of 100 B by one producer, and one in flight, and the ratios; other systems beside it',
  takes: 'all',
  run: (context) =>
    measurePair(context, { name: 'TLS', plan: { tls: true }, of: ({ secured }) => secured, minThroughput: 0.7, maxP50: 1.3 }),
};
