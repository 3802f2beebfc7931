// Where Node's programs can watch all clients of the process.

import { channel } from 'node:diagnostics_channel';
import type { OnEvent } from '../events.ts';

const events = channel('loglog:client');

/** Each event is also published to the diagnostics channel `loglog:client`. */
export const NODE_LISTENERS: readonly OnEvent[] = [(event) => events.publish(event)];
