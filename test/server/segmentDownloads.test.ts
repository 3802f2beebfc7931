// The bodies of sealed segments: what is read for them and when, what they hold, and whose place another one gets.

import { connect as connectTcp, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { MAX_SEGMENT_DOWNLOADS, SEGMENT_DOWNLOAD_STALLED_MS, SUBSCRIPTION_CHUNK_BYTES } from '../../src/core/servingLimits.ts';
import type { Acceptor, HttpAnswer, HttpBody, MakeAnswer } from '../../src/server/acceptor.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { careful } from '../../src/server/mistakes.ts';
import { SegmentDownloads } from '../../src/server/segmentDownloads.ts';
import { SendBudget } from '../../src/server/sendBudget.ts';
import type { ColdRange } from '../../src/storage/segmentReader.ts';
import { rethrow } from '../support/loop.ts';
import { eventually } from './support/fixture.ts';

const CLUSTER = 'c'.repeat(32);
const GENERATION = '0'.repeat(16);
const MIB = 1024 * 1024;

const LOG = new Uint8Array(10 * MIB).map((_, i) => i % 251);

/** Two sealed segments, of which the second one is committed in part; entries begin at `boundaries`. */
function makeDownloads(boundaries: readonly number[] = []) {
  const state = {
    nowMs: 0,
    admits: true,
    room: Number.POSITIVE_INFINITY,
    ranges: [] as ColdRange[],
    failure: undefined as LogError | undefined,
    isDifferent: false,
    /** The disk does not answer. */
    isHung: false,
    waits: [] as (() => void)[],
  };
  const budget = new SendBudget(() => state.nowMs);
  budget.admits = () => state.admits;
  budget.roomFor = () => state.room;
  const ends = [...boundaries, 10 * MIB].sort((a, b) => a - b);
  const downloads = new SegmentDownloads({
    clusterId: CLUSTER,
    generation: GENERATION,
    bounds: () => ({ start: 0, commit: 15 * MIB }),
    digestOf: () => (state.isDifferent ? 'b'.repeat(64) : undefined),
    ownDigestOf: () => 'a'.repeat(64),
    isDifferent: () => state.isDifferent,
    sealed: () => [
      { base: 0, end: 10 * MIB },
      { base: 10 * MIB, end: 20 * MIB },
    ],
    read: async (range, wanted) => {
      state.ranges.push(range);
      if (state.failure !== undefined) throw state.failure;
      if (state.isHung) await new Promise(() => undefined);
      const beginning = Math.max(0, ...ends.filter((end) => end <= range.from));
      if (!range.isBoundary && beginning !== range.from) throw new LogError('OFFSET_NOT_BOUNDARY', 'inside', { beginning });
      const most = range.from + range.maxBytes;
      const end = Math.max(ends.find((one) => one > range.from) ?? 0, ...ends.filter((one) => one <= most));
      return { bytes: LOG.slice(wanted.from, Math.min(end, wanted.to)), end };
    },
    budget,
    turn: () => 0,
    isOriginAllowed: () => true,
    after: (_, run) => void state.waits.push(run),
    nowMs: () => state.nowMs,
  });
  const get = (name: string, headers: Record<string, string> = {}): HttpAnswer => {
    const path = `/log/${CLUSTER}${name === '' ? '/segments' : `/${GENERATION}/segments/${name}`}`;
    const make = downloads.answer({
      method: 'GET',
      path,
      header: (key) => headers[key] ?? '',
      certificate: () => undefined,
      address: () => '',
    });
    if (make === undefined) throw new Error('no answer');
    return make() as HttpAnswer;
  };
  const body = async (range: string, cut = (): void => undefined): Promise<HttpBody> => {
    const answer = get(`0-${10 * MIB}`, { range });
    if (typeof answer.body === 'string') throw new Error(answer.body);
    answer.body.begin(cut);
    return answer.body;
  };
  return { state, budget, downloads, get, body };
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('a segment that is sealed further than the commit is not there yet', async () => {
  const { get } = makeDownloads();
  expect(get(`0-${10 * MIB}`).status).toBe(200);
  expect(get(`${10 * MIB}-${20 * MIB}`).status).toBe(404);
  const list = JSON.parse(String(get('').body)) as { segments: unknown[] };
  expect(list.segments).toHaveLength(1);
});

describe('a body', () => {
  test('leaves in parts of at most 256 KiB, of which one large entry is read once', async () => {
    // One entry is all there is: it is read whole, from its beginning.
    const { state, body } = makeDownloads();
    const one = await body(`bytes=5-${9 * MIB}`);
    let at = 5;
    for (let part = await one.next(); part !== undefined; part = await one.next()) {
      expect(part.length).toBeLessThanOrEqual(SUBSCRIPTION_CHUNK_BYTES);
      expect([part[0], part.at(-1)]).toEqual([at % 251, (at + part.length - 1) % 251]);
      at += part.length;
    }
    expect(at).toBe(9 * MIB + 1);
    // The look for its beginning, and the reading.
    expect(state.ranges.map(({ from, isBoundary }) => [from, isBoundary])).toEqual([
      [5, false],
      [0, true],
    ]);
  });

  test('ends where its segment is found not to be what the log says, whatever of it was read', async () => {
    const { state, body, get } = makeDownloads();
    const one = await body('bytes=0-');
    await one.next();
    state.isDifferent = true;
    await expect(one.next()).rejects.toMatchObject({ code: 'DAMAGE' });
    const { status, body: sentence } = get(`0-${10 * MIB}`);
    expect(status).toBe(500);
    expect(sentence).toContain(`it has the SHA-256 ${'a'.repeat(64)} on this node, and the log says ${'b'.repeat(64)}`);
  });

  test('books what it holds until that has left, or the connection is gone', async () => {
    const { budget, body } = makeDownloads();
    const one = await body('bytes=0-999999');
    expect(budget.bufferedBytes).toBe(0);
    await one.next();
    expect(budget.bufferedBytes).toBe(1_000_000);
    await one.next();
    expect(budget.bufferedBytes).toBe(1_000_000 - SUBSCRIPTION_CHUNK_BYTES);
    one.end();
    expect(budget.bufferedBytes).toBe(0);
    expect(await one.next()).toBeUndefined();
  });

  test('that finds no room for what was read reads again only when there is, and takes it first', async () => {
    const { state, budget, body } = makeDownloads();
    const one = await body('bytes=0-');
    state.admits = false;
    const first = one.next();
    for (let i = 0; i < 5; i++) {
      await settled();
      for (const wait of state.waits.splice(0)) wait();
    }
    expect(state.ranges).toHaveLength(1);
    expect(budget.bufferedBytes).toBe(0);
    state.admits = true;
    await settled();
    for (const wait of state.waits.splice(0)) wait();
    expect((await first)?.length).toBe(SUBSCRIPTION_CHUNK_BYTES);
    expect(state.ranges).toHaveLength(2);
    expect(budget.bufferedBytes).toBe(10 * MIB);
    one.end();
    expect(budget.bufferedBytes).toBe(0);
  });
});

describe('with all places taken', () => {
  test('who asks is told to come again, or gets the place of the one that has taken nothing for longest', async () => {
    const { state, downloads, get, body } = makeDownloads();
    const cut: number[] = [];
    const bodies = await Promise.all(Array.from({ length: MAX_SEGMENT_DOWNLOADS }, (_, i) => body('bytes=0-9', () => void cut.push(i))));
    // Nothing was handed out: the node is what they wait for.
    state.nowMs = 10 * SEGMENT_DOWNLOAD_STALLED_MS;
    const refused = get(`0-${10 * MIB}`);
    expect([refused.status, refused.headers?.['retry-after']]).toEqual([503, '1']);
    for (const one of bodies) await one.next();
    state.nowMs += SEGMENT_DOWNLOAD_STALLED_MS;
    expect(get(`0-${10 * MIB}`).status).toBe(503);
    // One of them goes on.
    await bodies[0]?.next();
    state.nowMs += 1;
    expect(get(`0-${10 * MIB}`).status).toBe(200);
    expect(cut).toEqual([1]);
    expect(downloads.count).toBe(MAX_SEGMENT_DOWNLOADS - 1);
  });
});

describe.each(['uws', 'ws'] as const)('by %s', (name) => {
  /** An acceptor that answers all requests, and its port. */
  async function listen(request: () => MakeAnswer): Promise<{ readonly acceptor: Acceptor; readonly port: number }> {
    const make = await loadAcceptor(name, () => undefined, 'acceptor');
    const nothing = (): void => undefined;
    const events = { connected: nothing, request, upgrade: () => () => rethrow(new Error('nobody asks for a WebSocket')) };
    const acceptor = make({ maxMessageBytes: 1 << 20 }, careful(events, rethrow));
    onTestFinished(() => acceptor.close());
    return { acceptor, port: (await acceptor.listen('127.0.0.1', 0)) ?? 0 };
  }

  function connected(port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connectTcp(port, '127.0.0.1', () => resolve(socket));
      socket.on('error', reject);
    });
  }

  test.each<[number, LogError]>([
    [500, new LogError('DAMAGE', 'bad')],
    [503, new LogError('IO', 'too many open files', { errno: 'EMFILE' })],
  ])('what cannot be read is answered with %i, before any head has left', async (status, failure) => {
    const { state, get, downloads, budget } = makeDownloads();
    state.failure = failure;
    const answer = get(`0-${10 * MIB}`);
    const { port } = await listen(() => () => answer);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect([response.status, response.headers.get('cache-control'), response.headers.get('etag')]).toEqual([status, 'no-store', null]);
    expect(await response.text()).toContain('disk');
    expect([downloads.count, budget.bufferedBytes]).toEqual([0, 0]);
  });

  test('no more begin than there are places, although they are asked for in one turn', async () => {
    const { state, get, downloads } = makeDownloads();
    state.isHung = true;
    const answers = Array.from({ length: MAX_SEGMENT_DOWNLOADS + 40 }, () => 0);
    const { acceptor, port } = await listen(() => () => get(`0-${10 * MIB}`));
    const sockets = await Promise.all(answers.map(() => connected(port)));
    await eventually(() => acceptor.httpConnections === answers.length, 'all are connected');
    let refusals = 0;
    for (const socket of sockets) socket.on('data', (text) => (refusals += String(text).startsWith('HTTP/1.1 503 ') ? 1 : 0));
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await eventually(() => refusals + downloads.count >= answers.length, 'all have come');
    expect([refusals, downloads.count]).toEqual([40, MAX_SEGMENT_DOWNLOADS]);
    for (const socket of sockets) socket.destroy();
    await eventually(() => downloads.count === 0, 'those that are gone have no place');
  });
});
