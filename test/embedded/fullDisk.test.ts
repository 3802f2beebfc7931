// A disk that fills up while a log is open: appends wait and are done when there is room again, or fail with no effect; all else goes on.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../../dist/src/client/index.js';
import { open, textsOf } from './support.ts';

const MIB = 2 ** 20;
const { statfs } = fs.promises;
let freeBytes = 1024 * MIB;

/** What the system says of every disk. */
beforeAll(() => {
  fs.promises.statfs = (async (path: fs.PathLike) => Object.assign(await statfs(path), { bavail: freeBytes, bsize: 1 })) as typeof statfs;
  syncBuiltinESMExports();
});
afterAll(() => {
  fs.promises.statfs = statfs;
  syncBuiltinESMExports();
});

it("appends wait for room, a writer's too, and fail with DISK_FULL and no effect when their time is over; reads go on", async () => {
  let isFull = false;
  let onFull = (): void => undefined;
  const sawFull = new Promise<void>((resolve) => {
    onFull = resolve;
  });
  const reconnect = { minDelayMs: 20, maxDelayMs: 100 };
  const log = await open({
    listen: { port: 0 },
    diskCriticalBytes: '64MiB',
    diskLowBytes: '96MiB',
    reconnect,
    onEvent: ({ type }) => {
      if (type !== 'diskFull') return;
      isFull = true;
      onFull();
    },
  });
  await log.append('one');
  freeBytes = 10 * MIB;
  let first: Promise<unknown>;
  do {
    // Those before the node has looked are done; the last one waits.
    first = log.append('some');
    await Promise.race([first, sawFull]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (!isFull);
  const before = await textsOf(log);
  await using hasty = await connect(String(log.url), { reconnect: { ...reconnect, timeoutMs: 3000 } });
  const failure = { code: 'DISK_FULL', retryable: true, outcome: 'failed', message: expect.stringContaining('make room') };
  const { end } = await hasty.end();
  const appends = [hasty.append('never'), hasty.append('never', { expectedEnd: end }), hasty.writer({ expectedEnd: end }).append('never')];
  await Promise.all(appends.map((append) => expect(append).rejects.toMatchObject(failure)));
  expect(hasty.stats()).toMatchObject({ failedAppendCount: 3, unknownAppendCount: 0 });
  await using other = await connect(String(log.url), { reconnect });
  const writer = other.writer({ expectedEnd: end });
  const waiting = Promise.allSettled([writer.append('two'), writer.append('three')]);
  expect(await textsOf(log)).toEqual(before);
  expect(log.stats().diskFullMessageCount).toBeGreaterThan(0);
  freeBytes = 1024 * MIB;
  await first;
  // Which of the two comes first is chance: the other one's condition fails then.
  const [two, three] = await waiting;
  expect(two?.status).toBe(three?.status);
  await log.append('last');
  const texts = await textsOf(log);
  const theirs = two?.status === 'fulfilled' ? ['two', 'three'] : [];
  expect(texts.slice(before.length).toSorted()).toEqual(['some', ...theirs, 'last'].toSorted());
});
