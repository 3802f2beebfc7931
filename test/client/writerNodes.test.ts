// The client's expected ends and writers against real nodes, whose logs have entries of their own between those of clients: a restart and
// an election each begin a term.

import { expect, onTestFinished, test } from 'vitest';
import { connect, type LogClient, type LogError, type Receipt, type Writer } from '../../src/client/index.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { makeDirectory, startNode } from '../server/support/fixture.ts';

const timeout = 120_000;

async function connectTo(urls: string | readonly string[]): Promise<LogClient> {
  const client = await connect(urls);
  onTestFinished(() => client.close());
  return client;
}

async function texts(log: LogClient, from?: number): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of log.read({ from })) all.push(new TextDecoder().decode(payload));
  return all;
}

async function settle(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) =>
    result.status === 'fulfilled' ? 'done' : `${(result.reason as LogError).code} ${(result.reason as LogError).outcome}`,
  );
}

test('an application that keeps where it has read to appends on a new log, after a restart, and never over what it has not seen', {
  timeout,
}, async () => {
  const data = makeDirectory();
  let node = await startNode({ data });
  let log = await connectTo(node.url);
  const reading = log.read();
  for await (const entry of reading) expect(entry).toBeUndefined();
  expect(reading.position).toBeGreaterThan(0);
  await log.append('one', { expectedEnd: reading.position });
  let seen = 0;
  for await (const entry of log.read()) seen = entry.nextOffset;
  for (let restarts = 0; restarts < 2; restarts++) {
    await log.close();
    await node.stop();
    node = await startNode({ data });
    log = await connectTo(node.url);
    seen = (await log.append(`after restart ${restarts}`, { expectedEnd: seen })).end;
  }
  await log.append('by somebody else');
  const error = await log.append('too late', { expectedEnd: seen }).catch((thrown: LogError) => thrown);
  expect(error).toMatchObject({ code: 'CONDITION_FAILED', outcome: 'failed' });
  expect(await texts(log)).toEqual(['one', 'after restart 0', 'after restart 1', 'by somebody else']);
});

test('of two writers that begin at one place one goes on and the other fails as a whole, with entries of one size', {
  timeout,
}, async () => {
  const { url } = await startNode();
  const [one, two] = [await connectTo(url), await connectTo(url)];
  for (let round = 0; round < 10; round++) {
    const { end } = await one.end({ linearizable: true });
    const writers = [one.writer({ expectedEnd: end }), two.writer({ expectedEnd: end })];
    const outcomes = await Promise.all(
      writers.map((writer, w) => settle(['A', 'B', 'C', 'D'].map((text) => writer.appendBatch([`${w}${round}${text}`])))),
    );
    const winner = outcomes[0]?.[0] === 'done' ? 0 : 1;
    expect(outcomes[winner]).toEqual(['done', 'done', 'done', 'done']);
    expect(outcomes[1 - winner]).toEqual(['CONDITION_FAILED failed', ...Array.from({ length: 3 }, () => 'CHAIN_BROKEN failed')]);
    expect(writers[1 - winner]?.end).toBe(end);
    const added = await texts(one, end);
    expect(added).toEqual(['A', 'B', 'C', 'D'].map((text) => `${winner}${round}${text}`));
  }
});

test('two writers and single appends of one client take turns on its connection, and each fails or succeeds as if alone', {
  timeout,
}, async () => {
  const { url } = await startNode();
  const log = await connectTo(url);
  const { end } = await log.end();
  const first = log.writer({ expectedEnd: end });
  const second = log.writer({ expectedEnd: end });
  const results: Promise<unknown>[] = [];
  for (const call of [
    () => first.append('a'),
    () => second.append('x'),
    () => first.append('b'),
    () => log.append('y', { expectedEnd: 0 }),
    () => first.append('c'),
    () => second.append('z'),
  ]) {
    results.push(call());
    results.at(-1)?.catch(() => undefined);
    // Each in a tick of its own, and none after the answers of those before.
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(await settle(results)).toEqual([
    'done',
    'CONDITION_FAILED failed',
    'done',
    'CONDITION_FAILED failed',
    'done',
    'CHAIN_BROKEN failed',
  ]);
  expect(await texts(log)).toEqual(['a', 'b', 'c']);
});

/**
 * Appends texts as fast as there is room, calls `midway` when some of them are done and others in flight, and goes on until one was appended in
 * a later term than the first.
 */
async function pumpIntoNextTerm(writer: Writer, name: string, midway: () => void): Promise<Receipt[]> {
  const promises: Promise<Receipt>[] = [];
  let first: number | undefined;
  let last: number | undefined;
  let hasFailed = false;
  while (last === first && !hasFailed) {
    const receipt = writer.append(`${name}${promises.length}`);
    promises.push(receipt);
    receipt.then(
      ({ term }) => {
        first ??= term;
        last = term;
      },
      // The test hears of it below.
      () => {
        hasFailed = true;
      },
    );
    if (promises.length === 500) void promises[0]?.then(midway);
    if (promises.length % 16 !== 0) continue;
    await writer.ready();
    // Others have their turn: the node must be hit in the midst of it.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Promise.all(promises);
}

test('a writer goes on over kill -9 and SIGTERM of its leader: each append is there once, in order', { timeout }, async () => {
  const cluster = await LocalCluster.make({
    nodes: 3,
    directory: makeDirectory(),
    flags: ['--election-timeout-ms', '500', '--segment-bytes', '262144'],
  });
  onTestFinished(() => cluster.close());
  await cluster.start();
  await cluster.converged();
  const log = await connectTo(cluster.urls);
  const writer = log.writer({ expectedEnd: (await log.end({ linearizable: true })).end });
  const all: string[] = [];
  for (const [round, end] of (['kill', 'stop'] as const).entries()) {
    const leader = await cluster.leader();
    let ended: Promise<unknown> | undefined;
    const receipts = await pumpIntoNextTerm(writer, `${round}:`, () => {
      ended = leader[end]();
    });
    expect(ended).toBeDefined();
    all.push(...receipts.map((_, i) => `${round}:${i}`));
    await ended;
    if (end === 'stop') break;
    leader.start();
    await cluster.converged();
  }
  expect(await texts(log)).toEqual(all);
  let end = 0;
  for await (const entry of log.read()) end = entry.nextOffset;
  expect(writer.end).toBe(end);
  expect(cluster.surprises).toEqual([]);
});
