import { afterEach, describe, expect, it } from 'vitest';
import { encodePeerHello } from '../../src/protocol/peerHandshake.ts';
import { closeAll, HOST, hello, processOf, RawSocket, startPeer, type TestNode, Wire } from './support/peers.ts';

afterEach(closeAll);

function dials(from: TestNode, to: TestNode, port = to.port): void {
  from.sockets.dial([{ id: to.id, host: HOST, peerPort: port }]);
}

/** Two nodes that have dialed each other; the first one by `wire`, where that is given. */
async function pair(wire?: (port: number) => Promise<Wire>): Promise<{ a: TestNode; b: TestNode; between: Wire | undefined }> {
  const [a, b] = await Promise.all([startPeer(1), startPeer(2)]);
  const between = await wire?.(b.port);
  dials(a, b, between?.port ?? b.port);
  dials(b, a);
  await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
  return { a, b, between };
}

/** Waits until node `a` has tried `count` more times to reach node 2, and why it could not. */
async function tries(a: TestNode, count: number): Promise<void> {
  const before = a.of('changed').length;
  await a.events.until(() => a.of('changed').length >= before + count);
}

describe('a node whose process has ended', () => {
  it('is gone for those that it was connected with, when its port refuses', async () => {
    const { a, b } = await pair();
    await b.sockets.close();
    expect(await a.nth('gone')).toEqual({ kind: 'gone', node: 2 });
    // And again, as long as nobody listens there.
    await a.nth('gone', 2);
  });

  it('is not gone while its port answers, whoever does', async () => {
    // The port is that of a proxy, which takes connections whether the node is there or not.
    const { a, b } = await pair((port) => new Wire(port).listen());
    await b.sockets.close();
    await a.events.until(() => a.sockets.reasonOf(2) === 'it closed the connection');
    await tries(a, 3);
    expect(a.of('gone')).toEqual([]);
  });

  it('is gone only once its own connection is closed as well', async () => {
    const { a, b, between } = await pair((port) => new Wire(port).listen());
    await between?.close();
    await a.nth('disconnected');
    await a.events.until(() => a.sockets.reasonOf(2) === 'connection refused');
    await tries(a, 2);
    expect(a.of('gone')).toEqual([]);
    // What was refused before says nothing: only an attempt that begins after this does.
    await b.sockets.close();
    await a.nth('gone');
  });

  it('is not gone when it is back before it was dialed', async () => {
    const { a, b, between } = await pair((port) => new Wire(port).listen());
    await between?.close();
    await a.events.until(() => a.sockets.reasonOf(2) === 'connection refused');
    await b.sockets.close();
    // Its next life, which is heard, and not reached.
    const raw = RawSocket.connect(a.port);
    raw.write(encodePeerHello(hello(2, 1, { process: processOf(2, 2) })));
    await a.nth('accepted', 2);
    const soFar = a.of('gone').length;
    await tries(a, 3);
    expect(a.of('gone').length).toBe(soFar);
  });
});
