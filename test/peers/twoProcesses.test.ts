// A6: two processes say that they are one node. Which one is heard, that the other one cuts nothing, what the two and the others know of it,
// and that a node that was restarted is none of that.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { VERIFIED_MS, VERIFY_LINK_MS } from '../../src/core/peerLimits.ts';
import { encodePeerMessage } from '../../src/protocol/peer.ts';
import { decodeHandshake, decodeSentence, encodePeerHello, HANDSHAKE_BYTES, type Introduction } from '../../src/protocol/peerHandshake.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { closeAll, HOST, hello, processOf, RawSocket, startPeer, type TestNode, Wire } from './support/peers.ts';

afterEach(closeAll);

const VOTE: PeerMessage = { kind: 'voteRequest', term: 7, isPreVote: false, isTransfer: false, lastTerm: 6, end: 100 };
/** Another process with a copy of node 2's directory, and one with a directory of its own. */
const COPY = hello(2, 1, { process: processOf(2, 9) });
const OTHER = hello(2, 1, { process: processOf(2, 9), instance: 'e'.repeat(16) });

/** Nodes 1 and 2, which have dialed each other; `wire` is the way from 1 to 2. */
async function pair(nodes: readonly number[] = [1, 2, 3]): Promise<[TestNode, TestNode, Wire]> {
  const [a, b] = await Promise.all([startPeer(1, nodes), startPeer(2, nodes)]);
  const wire = await new Wire(b.port).listen();
  a.sockets.dial([{ id: 2, host: HOST, peerPort: wire.port }]);
  b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
  await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
  return [a, b, wire];
}

/** What node `to` answers to `introduction`; its sentence, if it refuses. */
async function answerOf(to: TestNode, introduction: Introduction): Promise<{ readonly kind: string; readonly sentence?: string }> {
  const raw = RawSocket.connect(to.port);
  raw.write(encodePeerHello(introduction), encodePeerMessage(VOTE));
  const decoded = decodeHandshake(await raw.until(HANDSHAKE_BYTES));
  if (decoded.kind !== 'refused') return { kind: decoded.kind };
  const bytes = await raw.until(HANDSHAKE_BYTES + decoded.sentenceBytes);
  return { kind: decoded.code, sentence: decodeSentence(bytes.subarray(HANDSHAKE_BYTES)) };
}

/** Node `from` speaks until node `to` has heard something since this was called: a link may be just being made anew. */
async function speak(from: TestNode, to: TestNode): Promise<void> {
  const heard = to.of('message').length;
  while (to.of('message').length === heard) {
    from.sockets.send(to.id, VOTE);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a second process of a node', () => {
  it('is refused while the first one lives, which loses neither a connection nor a message', async () => {
    const [a, b] = await pair();
    for (let i = 1; i <= 5; i += 1) {
      await speak(b, a);
      const { kind, sentence } = await answerOf(a, i % 2 === 0 ? COPY : OTHER);
      expect(kind).toBe('OTHER_PROCESS');
      expect(sentence).toContain(i % 2 === 0 ? 'with a copy of the same data directory' : 'with another data directory');
      expect(sentence).toContain('node 2 runs already');
    }
    for (const node of [a, b]) {
      expect([node.of('disconnected').length, node.of('accepted').length]).toEqual([0, 1]);
    }
    expect(a.of('message').every(({ from }) => from === 2)).toBe(true);
  });

  it('and the first one are named as rivals once both were heard in turn, not before', async () => {
    const [a, b] = await pair();
    const rivals = (): unknown[] => a.sockets.links().map((link) => link.rivals?.map(({ process }) => process));
    await speak(b, a);
    await answerOf(a, COPY);
    expect(rivals()).toEqual([undefined]);
    for (let i = 2; i <= 4; i += 1) {
      await speak(b, a);
      await answerOf(a, COPY);
    }
    expect(rivals()).toEqual([[processOf(2), COPY.process]]);
  });

  it('that is refused makes a silent link be dialed anew, but not again and again', async () => {
    const [a] = await pair();
    const begunMs = performance.now();
    for (let i = 0; i < 20; i += 1) await answerOf(a, COPY);
    const cuts = a.of('disconnected').length;
    expect(cuts).toBeGreaterThan(0);
    expect(cuts).toBeLessThanOrEqual(1 + (performance.now() - begunMs) / VERIFY_LINK_MS);
  });

  it('that lives beside the first one is found out about once: the link between two nodes that are well is not cut again for it', async () => {
    const [a, b] = await pair();
    await answerOf(a, COPY);
    await a.nth('connected', 2);
    const now = performance.now.bind(performance);
    const soon = vi.spyOn(performance, 'now').mockImplementation(() => now() + 10 * VERIFY_LINK_MS);
    for (let i = 0; i < 5; i += 1) expect((await answerOf(a, COPY)).kind).toBe('OTHER_PROCESS');
    expect(a.of('disconnected').length).toBe(1);
    // Another one may be the node's next life.
    await answerOf(a, hello(2, 1, { process: processOf(2, 8) }));
    await a.nth('connected', 3);
    await answerOf(a, COPY);
    soon.mockImplementation(() => now() + 20 * VERIFY_LINK_MS);
    await answerOf(a, COPY);
    expect(a.of('disconnected').length).toBe(2);
    // Much later it is looked at again: the first one may be gone since without a trace.
    soon.mockImplementation(() => now() + 20 * VERIFY_LINK_MS + VERIFIED_MS);
    await answerOf(a, COPY);
    await a.nth('connected', 4);
    soon.mockRestore();
    await speak(b, a);
  });

  it('that was heard while there was no link is cut when the link leads to the first one', async () => {
    const [a, b] = await Promise.all([startPeer(1), startPeer(2)]);
    const wire = await new Wire(b.port).listen();
    wire.cut();
    a.sockets.dial([{ id: 2, host: HOST, peerPort: wire.port }]);
    const raw = RawSocket.connect(a.port);
    raw.write(encodePeerHello(COPY));
    expect((await a.nth('accepted')).hello.process).toBe(COPY.process);
    wire.heal();
    await a.nth('connected');
    await raw.closed;
    b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await speak(b, a);
  });

  it('that one node refuses says nothing to any other, whose address for it leads to it, until it is refused no longer', async () => {
    const [a, b] = await pair();
    const second = await startPeer(2, [1, 2, 3], { process: COPY.process });
    const c = await startPeer(3);
    c.sockets.dial([{ id: 2, host: HOST, peerPort: second.port }]);
    second.sockets.dial([{ id: 3, host: HOST, peerPort: c.port }]);
    await Promise.all([c.nth('accepted'), second.nth('connected')]);
    await speak(second, c);
    await speak(b, a);
    second.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await second.events.until(() => second.sockets.links().some(({ fault }) => fault?.kind === 'refused'));
    expect([second.sockets.send(3, VOTE), second.sockets.canSend(3), second.sockets.isConnected(3)]).toEqual([false, false, true]);
    expect([b.sockets.send(1, VOTE), c.of('disconnected').length]).toEqual([true, 0]);
    await b.sockets.close();
    await second.events.until(() => second.of('drained').some(({ to }) => to === 3));
    await speak(second, c);
  });

  it('A6: that one node of five refuses speaks to the others, and one that two refuse does not: wrong addresses of one stop nothing', async () => {
    const five = [1, 2, 3, 4, 5];
    const [a, b] = await pair(five);
    const [second, c, e] = await Promise.all([startPeer(2, five, { process: COPY.process }), startPeer(3, five), startPeer(5, five)]);
    c.sockets.dial([{ id: 2, host: HOST, peerPort: second.port }]);
    e.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
    const refusals = (): number => second.sockets.links().filter(({ fault }) => fault?.kind === 'refused').length;
    second.sockets.dial([
      { id: 1, host: HOST, peerPort: a.port },
      { id: 3, host: HOST, peerPort: c.port },
    ]);
    await Promise.all([c.nth('accepted'), second.nth('connected'), e.nth('connected'), second.events.until(() => refusals() === 1)]);
    expect([second.sockets.send(3, VOTE), second.sockets.canSend(3), second.sockets.own().isSilent]).toEqual([true, true, false]);
    await speak(second, c);
    second.sockets.dial([{ id: 5, host: HOST, peerPort: e.port }]);
    await second.events.until(() => refusals() === 2);
    expect([second.sockets.send(3, VOTE), second.sockets.canSend(3), second.sockets.own().isSilent]).toEqual([false, false, true]);
  });

  it('hears of it: that another process runs as its node', async () => {
    const [a, b] = await pair();
    const second = await startPeer(2, [1, 2, 3], { process: COPY.process });
    await speak(b, a);
    second.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await second.nth('changed');
    expect(second.sockets.links()).toMatchObject([{ fault: { kind: 'refused', code: 'OTHER_PROCESS', by: { from: 1 } } }]);
  });
});

describe('a node that was restarted', () => {
  it.each([0, 1])(
    'is taken at once when its old connections are gone, and soon when they only seem to live, spoken to %i times',
    async (times) => {
      const [a, b, wire] = await pair();
      for (let i = 0; i < times; i += 1) await speak(b, a);
      // The way to the old process stays open, as after the loss of its machine, and leads to the new one when dialed anew.
      const next = await startPeer(2, [1, 2, 3], { process: processOf(2, 2) });
      wire.targetPort = next.port;
      next.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
      await a.nth('connected', 2);
      expect(a.of('connected').at(-1)?.welcome.process).toBe(processOf(2, 2));
      await a.events.until(() => a.of('accepted').some(({ hello: said }) => said.process === processOf(2, 2)));
      await b.sockets.close();
      await speak(next, a);
      expect(a.sockets.links()).toMatchObject([{ rivals: undefined, isConnected: true, isHeard: true }]);
    },
  );
});

describe('a node that dials', () => {
  it('itself knows which address of its list leads back', async () => {
    const a = await startPeer(1);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: a.port }]);
    await a.events.until(() => a.sockets.links().some(({ fault }) => fault?.kind === 'refused'));
    const [link] = a.sockets.links().filter(({ address }) => address.id === 2);
    expect(link).toMatchObject({ fault: { kind: 'refused', code: 'OWN_ID', by: { from: 1, process: a.sockets.own().process } } });
  });
});
