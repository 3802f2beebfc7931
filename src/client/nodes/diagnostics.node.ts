// Where Node's programs can watch all clients of the process.

import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { OnEvent } from '../events.ts';
import type { Tracing } from './transport.ts';

const events = channel('loglog:client');
const appends = tracingChannel('loglog:append');

/** Each event is also published to the diagnostics channel `loglog:client`. */
export const NODE_LISTENERS: readonly OnEvent[] = [(event) => events.publish(event)];

/** Each `append` and `appendBatch` is a trace of the tracing channel `loglog:append`, while somebody subscribes to that. */
export const NODE_TRACING: Tracing = {
  get isOn() {
    // Asked at each append: two of the five are enough for whoever wants to know how long it took, and the fifth for errors alone.
    return appends.start.hasSubscribers || appends.asyncEnd.hasSubscribers || appends.error.hasSubscribers;
  },
  append: (about, work) => appends.tracePromise(work, { ...about }),
};
