import { afterEach, describe, expect, it } from 'vitest';
import { NO_CLUSTER } from '../../src/core/ids.ts';
import { type DiscoveryOptions, findCluster } from '../../src/peers/discovery.ts';
import { PeerTransport } from '../../src/peers/peerTransport.ts';
import { decodeHandshake, encodePeerHello, encodePeerWelcome, HANDSHAKE_BYTES } from '../../src/protocol/peerHandshake.ts';
import {
  CLUSTER,
  closeAll,
  HOST,
  hello,
  processOf,
  RawServer,
  RawSocket,
  SEGMENT_BYTES,
  search,
  startPeer,
  stranger,
  Wire,
} from './support/peers.ts';

afterEach(closeAll);

/** A port that nobody listens on. */
async function deadPort(): Promise<number> {
  const server = new RawServer();
  const port = await server.listen();
  await server.close();
  return port;
}

describe('looking for the cluster', () => {
  it('a node takes the cluster of the first peer that has one, by dialing it', async () => {
    const founder = await startPeer(1);
    const { found, log } = await search(2, { 1: founder.port, 3: await deadPort() });
    expect(await found).toEqual({ clusterId: CLUSTER, saysNodes: false });
    expect(log.all).toEqual([expect.stringContaining(`node 1 belongs to cluster ${CLUSTER}`)]);
    expect(founder.of('accepted')).toEqual([]);
  });

  it('or by being dialed', async () => {
    const { found, port } = await search(2, { 1: await deadPort() });
    const founder = await startPeer(1);
    founder.sockets.dial([{ id: 2, host: HOST, peerPort: port }]);
    expect(await found).toEqual({ clusterId: CLUSTER, saysNodes: false });
    expect(founder.of('connected')).toEqual([]);
  });

  it('then the port is free, and the founder links to it at once', async () => {
    const founder = await startPeer(1);
    const wire = await new Wire(0).listen();
    const { found, port } = await search(2, { 1: founder.port });
    wire.targetPort = port;
    founder.sockets.dial([{ id: 2, host: HOST, peerPort: wire.port }]);
    await found;
    const second = await startPeer(2);
    wire.targetPort = second.port;
    second.sockets.dial([{ id: 1, host: HOST, peerPort: founder.port }]);
    await Promise.all([founder.nth('connected'), founder.nth('accepted'), second.nth('connected'), second.nth('accepted')]);
  });

  it('the node of the lowest id begins one when all others have said that they have none', async () => {
    const wires = [await new Wire(0).listen(), await new Wire(0).listen()] as const;
    const second = await search(2, { 1: wires[0].port });
    const third = await search(3, { 1: wires[0].port });
    wires[1].targetPort = second.port;
    const first = await search(1, { 2: second.port, 3: third.port });
    expect(await first.found).toBeUndefined();
    await second.log.until((all) => all.some((line) => line.includes('waiting for the cluster')));
  });

  it('but not while one of them is silent, for however long: it may have the log that this node has lost (R3)', async () => {
    const [second, port] = [await search(2, {}), await deadPort()];
    const { found, log } = await search(1, { 2: second.port, 3: port });
    // It used to begin one after the second that this takes.
    const [line] = await Promise.race([found, log.until((all) => all.length > 0 && all)]).then((seen) =>
      Array.isArray(seen) ? seen : ['it found one, or began one'],
    );
    expect(line).toBe(
      `info: waiting for the cluster, or until all others answer that they have none: node 2 at ${HOST}:${second.port}: it does not know the cluster either; node 3 at ${HOST}:${port}: connection refused. Node 1 begins the cluster when all others have answered that they have nothing; if a node cannot come, see loglog init --help (never for a node that lost its disk)`,
    );
  });

  it('nor because one that is gone once said that it had none: it may come back with a log (R3)', async () => {
    const [second, third] = [await search(2, {}), new RawServer()];
    const [wire, silent] = [await new Wire(second.port).listen(), await new Wire(await third.listen()).listen()];
    silent.cut();
    const { found } = await search(1, { 2: wire.port, 3: silent.port });
    await second.log.until((all) => all.length > 0);
    wire.cut();
    // Once more it is asked, in vain; then node 3 says that it has none, again and again.
    await wire.refused();
    silent.heal();
    for (let count = 1; count <= 3; count += 1) {
      const asked = await third.nth(count);
      await asked.until(HANDSHAKE_BYTES);
      asked.write(encodePeerWelcome(stranger(3, 1)));
      await asked.closed;
    }
    expect(await Promise.race([found.then(() => 'it began a cluster'), third.nth(4).then(() => 'still waiting')])).toBe('still waiting');
  });

  it('nor because all others asked for one, which may have been long under way: that is no answer (R3, R14i)', async () => {
    const silent = [new RawServer(), new RawServer()] as const;
    const { found, port } = await search(1, { 2: await silent[0].listen(), 3: await silent[1].listen() });
    // It is asking them, and they do not answer.
    await Promise.all(silent.map(async (server) => (await server.nth(1)).until(HANDSHAKE_BYTES)));
    for (const from of [2, 3, 2, 3]) {
      const raw = RawSocket.connect(port);
      raw.write(encodePeerHello(stranger(from, 1)));
      expect(decodeHandshake(await raw.until(HANDSHAKE_BYTES))).toMatchObject({ kind: 'welcome', introduction: { clusterId: NO_CLUSTER } });
      await raw.closed;
    }
    expect(await Promise.race([found.then(() => 'it began a cluster'), Promise.resolve('still waiting')])).toBe('still waiting');
  });

  it('a WELCOME of another list is refused by this node, which says so with the code (R2)', async () => {
    const other = new RawServer();
    const { log } = await search(1, { 2: await deadPort(), 3: await other.listen() });
    (await other.nth(1)).write(encodePeerWelcome({ ...stranger(3, 1), nodes: [1, 3] }));
    const line = await log.until((all) => all.find((each) => each.startsWith('warn: ')));
    expect(line).toContain(
      'warn: node 3: this node refuses it (OTHER_NODES): node 1 belongs to the nodes 1, 2, 3, node 3 to the nodes 1, 3',
    );
  });

  it('and not when another node has one', async () => {
    const other = await startPeer(3);
    const { found } = await search(1, { 2: await deadPort(), 3: other.port });
    expect(await found).toEqual({ clusterId: CLUSTER, saysNodes: false });
  });

  it('A6: an address that leads back to this node is named', async () => {
    const wire = await new Wire(0).listen();
    const { port, log } = await search(1, { 2: wire.port, 3: await deadPort() });
    wire.targetPort = port;
    const line = `warn: the address of node 2 in the list of nodes, ${HOST}:${wire.port}, leads back to this node itself`;
    await log.until((lines) => lines.some((each) => each.startsWith(line)));
  });

  it('nor when one that has one refuses it: it says so once, and waits', async () => {
    const other = await startPeer(3, [1, 2, 3], { segmentBytes: 65_536 });
    const { log } = await search(1, { 2: await deadPort(), 3: other.port });
    const waiting = await log.until((all) => all.find((line) => line.includes('waiting for the cluster')));
    expect(waiting).toContain('all nodes need the same');
    expect(log.all.filter((line) => line.startsWith('warn: node 3: it refuses this node (SEGMENT_BYTES)')).length).toBe(1);
  });

  it('a node that is not the lowest never begins one; it says whom it waits for, and why', async () => {
    const port = await deadPort();
    const { log, found } = await search(2, { 1: port, 3: await deadPort() });
    const line = await log.until((all) => all[0]);
    expect(line).toContain(`info: waiting for the cluster: node 1 at ${HOST}:${port}: connection refused`);
    expect(await Promise.race([found, Promise.resolve('still waiting')])).toBe('still waiting');
    const raw = RawSocket.connect((await search(2, { 1: port })).port);
    raw.write(encodePeerHello(hello(1, 2)));
    expect(decodeHandshake(await raw.until(HANDSHAKE_BYTES))).toMatchObject({
      kind: 'welcome',
      introduction: { clusterId: NO_CLUSTER, from: 2, to: 1, standing: 'stranger', isFounder: false },
    });
  });

  it('is not led astray by a stranger', async () => {
    const { port, found } = await search(2, { 1: await deadPort() });
    for (const introduction of [hello(9, 2), hello(1, 3), hello(2, 2), hello(1, 2, { segmentBytes: 65_536 })]) {
      const raw = RawSocket.connect(port);
      raw.write(encodePeerHello(introduction));
      expect(decodeHandshake((await raw.until(HANDSHAKE_BYTES)).subarray(0, HANDSHAKE_BYTES))).toMatchObject({ kind: 'refused' });
    }
    expect(await Promise.race([found, Promise.resolve('still waiting')])).toBe('still waiting');
  });

  it('stops when it is told to, and frees its port', async () => {
    const stop = new AbortController();
    const { found, port } = await search(2, { 1: await deadPort() }, { signal: stop.signal });
    stop.abort();
    await expect(found).rejects.toMatchObject({ code: 'ABORTED' });
    const again = RawSocket.connect(port);
    await again.closed;
    await expect(findCluster({ ...options(), signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('a port that is taken is a clear error', async () => {
    const other = await startPeer(1);
    await expect(findCluster({ ...options(), peerPort: other.port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });
});

function options(): DiscoveryOptions {
  return {
    id: 2,
    transport: new PeerTransport(undefined),
    process: processOf(2),
    segmentBytes: SEGMENT_BYTES,
    isSynced: true,
    host: HOST,
    peerPort: 0,
    advertise: '',
    peers: [{ id: 2, host: HOST, peerPort: 0 }],
    log: () => undefined,
  };
}
