// Appends as traces of Node's diagnostics channels.

import { tracingChannel } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { sharedNode } from '../server/support/fixture.ts';

const shared = sharedNode({ segmentBytes: 65536 });

test('an append and a batch are traces, from their start to their receipt or error, while somebody subscribes', async () => {
  const log = await connect(shared().url);
  onTestFinished(() => log.close());
  const told: unknown[] = [];
  const tell = (what: string) => (about: object) => void told.push([what, { ...about }]);
  const handlers = { start: tell('start'), end: () => undefined, asyncStart: () => undefined, asyncEnd: tell('end'), error: tell('error') };
  const channel = tracingChannel('loglog:append');
  await log.append('nobody listens');
  channel.subscribe(handlers);
  const { clusterId } = log;
  const receipt = await log.append('one');
  const batch = await log.appendBatch(['two', 'three']);
  const error: unknown = await log.append('four', { expectedEnd: 0 }).catch((thrown: unknown) => thrown);
  channel.unsubscribe(handlers);
  await log.append('nobody listens any more');
  expect(error).toMatchObject({ code: 'CONDITION_FAILED' });
  expect(told).toEqual([
    ['start', { clusterId, entryCount: 1 }],
    ['end', { clusterId, entryCount: 1, result: receipt }],
    ['start', { clusterId, entryCount: 2 }],
    ['end', { clusterId, entryCount: 2, result: batch }],
    ['start', { clusterId, entryCount: 1 }],
    ['error', { clusterId, entryCount: 1, error }],
    ['end', { clusterId, entryCount: 1, error }],
  ]);
});
