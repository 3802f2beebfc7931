// What one client may cost the others: connections that send without end, read nothing, say nothing or do not finish, each beside a
// well-behaved client, which must not be held up for long, nor cut.

import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HTTP_CONNECTIONS } from '../../src/core/servingLimits.ts';
import { APPEND, CANCEL, CLOSE_FLOOD, CLOSE_UNFINISHED, CREDIT, END, READ, requestMessage } from '../../src/protocol/client.ts';
import type { HttpAnswer } from '../../src/server/acceptor.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { Listener } from '../../src/server/listener.ts';
import { frameEntries } from '../server/support/entries.ts';
import { appendAll, eventually, makeDirectory } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { type Attack, beside, endless } from '../support/attack/beside.ts';
import { Flood } from '../support/attack/flood.ts';
import { clientFrame, frameHead, OPCODE, upgradeRequest } from '../support/attack/frames.ts';
import { openByHand } from '../support/attack/openByHand.ts';
import { deafReaders } from '../support/attack/readers.ts';
import { ask, exchange } from '../support/attack/wellBehaved.ts';
import { LISTENER_OPTIONS, NO_SESSIONS } from '../support/listener.ts';
import { SOCKET_DOORS, type SocketDoor, type SocketNode } from './doors.ts';

/** What garbage of many messages may take until it is collected. */
const GARBAGE_MEGABYTES = 150;
const MAX_CONNECTIONS = 100;
/** More than the node takes. */
const SILENT = 2 * (MAX_CONNECTIONS + HTTP_CONNECTIONS);
const nothing = Buffer.alloc(0);

const CHECK_MS = 50;
const LIMIT_MS = 1500;

const NO_PAGE: HttpAnswer = { status: 404, type: 'text/plain', body: '' };

/** A listener in this process whose clients are looked at often. */
async function listen(name: SocketDoor['name']): Promise<number> {
  const listener = new Listener(
    { ...LISTENER_OPTIONS, unfinishedCheckMs: CHECK_MS, unfinishedMs: LIMIT_MS },
    NO_SESSIONS,
    await loadAcceptor(name, () => undefined, 'acceptor'),
  );
  onTestFinished(() => listener.close());
  return listener.listen(() => () => NO_PAGE);
}

describe.each(SOCKET_DOORS)('by $name', (door) => {
  let data: string;
  let node: SocketNode;

  beforeAll(async () => {
    data = temporaryDirectory();
    node = await door.open({ data, slots: 3, maxConnections: MAX_CONNECTIONS });
  });

  afterAll(async () => {
    await node?.stop();
    removeDirectory(data);
  });

  test.each([
    ['nothing at all', {}],
    ['the beginning of a request', { once: Buffer.from('GET /healthz HTTP/1.1\r\nHo') }],
  ])('%s, from more connections than there are places, each replaced when it is cut', async (_, work: Partial<Attack>) => {
    const silent = { connections: SILENT, isWebSocket: false, chunk: nothing, isReplaced: true, ...work };
    const { cuts } = await beside(node.process, { silent }, { untilCuts: SILENT }, onTestFinished);
    expect(cuts.silent?.length).toBeGreaterThanOrEqual(SILENT);
  });

  test('A1: beside connections that send as fast as they can, a client is served, and the others are cut', async () => {
    const tinyAppend = Buffer.concat([requestMessage(APPEND, 0, 1, 0, 1), frameEntries([Buffer.alloc(0)])]);
    const requests = {
      'the end': endless(clientFrame(requestMessage(END, 0, 1))),
      credit: endless(clientFrame(requestMessage(CREDIT, 0, 1))),
      cancel: endless(clientFrame(requestMessage(CANCEL, 0, 1))),
      'a read that is refused': endless(clientFrame(requestMessage(READ, 0, 1, 2 ** 40))),
    };
    const others = {
      pings: endless(clientFrame(Buffer.alloc(4), OPCODE.ping)),
      pongs: endless(clientFrame(Buffer.alloc(4), OPCODE.pong)),
      text: endless(clientFrame(Buffer.from('text'), OPCODE.text)),
      'appends beyond the window': endless(clientFrame(tinyAppend)),
    };
    const { cuts, grownMegabytes } = await beside(node.process, { ...requests, ...others }, { untilCuts: 1 }, onTestFinished);
    expect(grownMegabytes).toBeLessThan(GARBAGE_MEGABYTES);
    for (const name of Object.keys(requests)) {
      expect([name, cuts[name]]).toMatchObject([name, [{ code: CLOSE_FLOOD, reason: expect.stringContaining('wait for answers') }]]);
    }
    for (const name of ['pings', 'pongs']) {
      expect([name, cuts[name]]).toMatchObject([name, [{ code: CLOSE_FLOOD, reason: expect.stringContaining('pings and pongs') }]]);
    }
    expect(cuts.text).toMatchObject([{ code: 1008 }]);
    expect([1008, CLOSE_FLOOD]).toContain(cuts['appends beyond the window']?.[0]?.code);
  });

  test('one that has just come gets its large entries, with 20 that do not read theirs beside it', async () => {
    const writer = await node.connect();
    const large = await appendAll(writer, [Buffer.alloc(16_000_000, 'k'), Buffer.alloc(16_000_000, 'l')]);
    const flood = await Flood.start(node.url, deafReaders(20, large[0]?.offset ?? 0));
    onTestFinished(() => flood.stop());
    // Those that do not read are cut as soon as somebody has waited for room for a while.
    const reader = await node.connect();
    const answers = await Promise.all(large.map(({ offset }) => reader.read(offset)));
    expect(answers.map(({ bytes }) => bytes)).toEqual([16_000_012, 16_000_012]);
    expect(reader.errors).toEqual([]);
  });

  test('A3: a byte now and then does not keep it; one that only answers pings, or finishes fragments with pongs between, stays', async () => {
    const port = await listen(door.name);
    const dripping = await openByHand(port, onTestFinished);
    dripping.socket.write(frameHead(1000));
    const answering = await openByHand(port, onTestFinished);
    const fragments = await openByHand(port, onTestFinished);
    fragments.socket.write(clientFrame(Buffer.from('a'), OPCODE.binary, false));
    const timer = setInterval(() => {
      dripping.socket.write('x');
      answering.socket.write(clientFrame(Buffer.alloc(0), OPCODE.pong));
      fragments.socket.write(
        Buffer.concat([clientFrame(Buffer.from('a'), OPCODE.continuation, false), clientFrame(Buffer.alloc(0), OPCODE.pong)]),
      );
    }, 100);
    onTestFinished(() => clearInterval(timer));
    expect(await dripping.goodbye).toMatchObject({ code: CLOSE_UNFINISHED, reason: expect.stringContaining('nothing whole') });
    const others = Promise.race([answering.goodbye, fragments.goodbye]);
    expect(await Promise.race([others, new Promise((resolve) => setTimeout(() => resolve('still there'), 2 * CHECK_MS))])).toBe(
      'still there',
    );
  });

  test('nor where clients have all their places: health is served, one client more hears why it is not', async () => {
    const small = await door.open({ data: makeDirectory(), maxConnections: 3 });
    onTestFinished(() => small.process.kill());
    const clients = await Promise.all([small.connect(), small.connect(), small.connect()]);
    const { hostname, port } = new URL(small.url);
    let closed = 0;
    for (let i = 0; i < 2 * HTTP_CONNECTIONS; i++) {
      const socket = connectTcp(Number(port), hostname);
      // One that was told why it is closed is not closed before that was read.
      socket
        .resume()
        .on('error', () => undefined)
        .on('close', () => {
          closed += 1;
        });
      onTestFinished(() => void socket.destroy());
    }
    await eventually(() => closed >= HTTP_CONNECTIONS / 2, 'silent connections are closed');
    for (const path of ['/healthz', '/readyz', '/status', '/metrics']) expect([path, await ask(small.url, path)]).toEqual([path, 200]);
    expect(await exchange(small.url, Buffer.from(upgradeRequest()))).toContain('503 Service Unavailable');
    await clients[0]?.close();
    await eventually(
      () =>
        small.connect().then(
          () => true,
          () => false,
        ),
      'the place is given again',
    );
  });
});
