// The proxy that breaks links: what passes, what waits, what vanishes.

import { createConnection, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { LinkProxy, type LinkState } from '../../src/cluster/link.ts';
import { PeerNetwork } from '../../src/cluster/network.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';

/** A server that keeps what it gets and answers every chunk with its length. */
async function makeServer(): Promise<{ port: number; received: () => string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  let text = '';
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
      socket.write(`${part.length};`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, received: () => text, sockets };
}

async function makeLink(target: number): Promise<LinkProxy> {
  const link = await LinkProxy.listen(target);
  onTestFinished(() => link.close());
  return link;
}

function dial(port: number): { socket: Socket; received: () => string; state: () => string } {
  const socket = createConnection({ port, host: '127.0.0.1' });
  let text = '';
  let state = 'connecting';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('connect', () => {
    state = 'connected';
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    state = error.code ?? 'error';
  });
  socket.on('close', () => {
    if (state === 'connected') state = 'closed';
  });
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, received: () => text, state: () => state };
}

/** Long enough for anything that could pass to pass. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

test('an open link passes bytes both ways, and the end of either side', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const first = dial(link.port);
  first.socket.write('hello');
  await expect.poll(first.received).toBe('5;');
  first.socket.end();
  await expect.poll(() => link.connectionCount).toBe(0);
  const second = dial(link.port);
  second.socket.write('again');
  await expect.poll(server.received).toBe('helloagain');
  server.sockets[1]?.destroy();
  await expect.poll(second.state).not.toBe('connected');
});

test('hold: an existing connection keeps everything back, a new one waits; healing lets all of it pass, in order', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const old = dial(link.port);
  old.socket.write('1');
  await expect.poll(server.received).toBe('1');
  link.set('hold');
  for (const part of ['2', '3', '4']) old.socket.write(part);
  const late = dial(link.port);
  await expect.poll(late.state).toBe('connected');
  await quiet();
  expect(server.received()).toBe('1');
  expect(server.sockets).toHaveLength(1);
  // The end of a held connection is held as well.
  old.socket.end();
  await quiet();
  expect(server.sockets[0]?.readableEnded).toBe(false);
  link.set('open');
  await expect.poll(server.received).toBe('1234');
  late.socket.write('5');
  await expect.poll(server.received).toBe('12345');
});

test('reset: existing and new connections end at once, and new ones pass again after healing', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const old = dial(link.port);
  old.socket.write('1');
  await expect.poll(old.received).toBe('1;');
  link.set('reset');
  await expect.poll(old.state).toBe('ECONNRESET');
  await expect.poll(dial(link.port).state).toBe('ECONNRESET');
  expect(link.connectionCount).toBe(0);
  link.set('open');
  const late = dial(link.port);
  late.socket.write('22');
  await expect.poll(late.received).toBe('2;');
});

test('swallow: connections stand and bytes vanish; healing ends them, for their streams have a hole', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const old = dial(link.port);
  old.socket.write('1');
  await expect.poll(old.received).toBe('1;');
  link.set('swallow');
  const late = dial(link.port);
  for (let part = 0; part < 50; part++) {
    old.socket.write('x'.repeat(100_000));
    late.socket.write('y'.repeat(100_000));
  }
  await expect.poll(() => [old.socket.writableLength, late.socket.writableLength]).toEqual([0, 0]);
  expect([old.state(), late.state(), server.received()]).toEqual(['connected', 'connected', '1']);
  link.set('open');
  await expect.poll(old.state).toBe('ECONNRESET');
  await expect.poll(late.state).toBe('ECONNRESET');
});

test('delay and throttle: bytes come late, whole and in order', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const client = dial(link.port);
  client.socket.write('a');
  await expect.poll(client.received).toBe('1;');
  link.setPace({ delayMs: 80 });
  const startedMs = performance.now();
  client.socket.write('b');
  await expect.poll(client.received, { interval: 5 }).toBe('1;1;');
  expect(performance.now() - startedMs).toBeGreaterThan(155);
  link.setPace({ bytesPerSecond: 1_000_000 });
  const block = Buffer.alloc(300_000, 'c').toString();
  const throttledMs = performance.now();
  client.socket.write(block);
  client.socket.write('d');
  await expect.poll(server.received, { interval: 5 }).toBe(`ab${block}d`);
  expect(performance.now() - throttledMs).toBeGreaterThan(150);
});

test('a held link stops reading at a bound, as a real one does', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const client = dial(link.port);
  client.socket.write('1');
  await expect.poll(client.received).toBe('1;');
  link.set('hold');
  const total = 64 << 20;
  client.socket.write(Buffer.alloc(total, 'z'));
  await quiet();
  await quiet();
  expect(client.socket.writableLength).toBeGreaterThan(0);
  link.set('open');
  await expect.poll(() => server.received().length).toBe(total + 1);
});

test('a target that does not listen ends the connection', async () => {
  const { ports, release } = await claimPorts(1);
  onTestFinished(release);
  const link = await makeLink(ports[0] ?? 0);
  const client = dial(link.port);
  await expect.poll(client.state).not.toBe('connected');
  await expect.poll(() => link.connectionCount).toBe(0);
});

test('a network cuts one way, both ways, and between sides, and heals', async () => {
  const network = await PeerNetwork.make({ peerPorts: [1, 2, 3, 4, 5] });
  const delayOf = (from: number, to: number): number => network.link(from, to).ways.there.pace.delayMs;
  onTestFinished(() => network.close());
  const broken = (): string[] =>
    network.nodes.flatMap((from) =>
      network.nodes.filter((to) => to !== from && network.link(from, to).state !== 'open').map((to) => `${from}${to}`),
    );
  network.cut(1, 2);
  expect(broken()).toEqual(['12']);
  network.cutBoth(3, 4, 'swallow');
  expect(broken()).toEqual(['12', '34', '43']);
  network.heal();
  network.split([1, 2], 'reset');
  expect(broken()).toEqual(['13', '14', '15', '23', '24', '25', '31', '32', '41', '42', '51', '52']);
  const states = new Set<LinkState>(network.nodes.slice(1).map((to) => network.link(1, to).state));
  expect(states).toEqual(new Set(['open', 'reset']));
  network.slow(2, { delayMs: 7 });
  expect([delayOf(2, 5), delayOf(5, 2), delayOf(1, 3)]).toEqual([7, 7, 0]);
  network.heal();
  expect(broken()).toEqual([]);
  expect(delayOf(2, 5)).toBe(0);
});

test('claimed ports are free, distinct, and nobody else gets them', async () => {
  const blocks = await Promise.all(Array.from({ length: 20 }, () => claimPorts(10)));
  onTestFinished(async () => {
    await Promise.all(blocks.map((block) => block.release()));
  });
  const ports = blocks.flatMap((block) => block.ports);
  expect(new Set(ports).size).toBe(200);
});

test('one way held: the other passes, nothing is lost, and no connection is made meanwhile', async () => {
  const server = await makeServer();
  const link = await makeLink(server.port);
  const client = dial(link.port);
  client.socket.write('1');
  await expect.poll(client.received).toBe('1;');
  link.hold('back', true);
  client.socket.write('2');
  await expect.poll(server.received).toBe('12');
  dial(link.port);
  await quiet();
  expect(client.received()).toBe('1;');
  expect(server.sockets).toHaveLength(1);
  link.hold('back', false);
  await expect.poll(client.received).toBe('1;1;');
  await expect.poll(() => server.sockets.length).toBe(2);
  link.hold('there', true);
  client.socket.write('3');
  await quiet();
  expect(server.received()).toBe('12');
  link.heal();
  await expect.poll(server.received).toBe('123');
});

test('a network silences and slows one way between two places, clients among them', async () => {
  const network = await PeerNetwork.make({ peerPorts: [1, 2, 3], clientPorts: [4, 5, 6] });
  onTestFinished(() => network.close());
  const held = (): string[] =>
    network.places.flatMap((from) =>
      network.nodes.flatMap((to) => {
        if (from === to) return [];
        const { there, back } = network.link(from, to).ways;
        return [there.isHeld && `${from}→${to}`, back.isHeld && `${from}→${to} back`].filter((each) => each !== false);
      }),
    );
  network.silence(1, 2);
  expect(held()).toEqual(['1→2', '2→1 back']);
  network.heal();
  network.silence('clients', 3);
  network.silence(2, 'clients');
  expect(held()).toEqual(['clients→2 back', 'clients→3']);
  network.heal();
  expect(held()).toEqual([]);
  network.slowWay(3, 1, { delayMs: 5 });
  expect([network.link(3, 1).ways.there.pace.delayMs, network.link(1, 3).ways.back.pace.delayMs]).toEqual([5, 5]);
  expect([network.link(3, 1).ways.back.pace.delayMs, network.link(1, 3).ways.there.pace.delayMs]).toEqual([0, 0]);
});
