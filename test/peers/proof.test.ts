// Proof between nodes: what a stranger can do at the peer port of a node that asks for it, and what nodes do that have it.

import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { type PeerProof, proofOf } from '../../src/peers/peerProof.ts';
import { appendOf, closeAll, HOST, startPeer } from './support/peers.ts';

afterEach(closeAll);

const SECRET = randomBytes(32).toString('hex');
const OTHER = randomBytes(32).toString('hex');

function secret(...lines: string[]): PeerProof {
  return proofOf({ kind: 'secret', secret: `${lines.join('\n')}\n` });
}

describe('proof by a secret', () => {
  it('takes no secret that was not drawn at random', () => {
    for (const line of ['00'.repeat(32), 'deadbeef'.repeat(8), '0123456789abcdef'.repeat(4)])
      expect(() => secret(SECRET, line), line).toThrow('line 2 of those that say something is none');
    for (let i = 0; i < 100; i += 1) secret(randomBytes(32).toString('base64'));
  });

  it('two nodes with the same secret talk, over TLS 1.3', async () => {
    const [a, b] = await Promise.all([
      startPeer(1, [1, 2, 3], { proof: secret(SECRET) }),
      startPeer(2, [1, 2, 3], { proof: secret(SECRET) }),
    ]);
    a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
    b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await Promise.all([a.nth('connected'), b.nth('connected'), a.nth('accepted'), b.nth('accepted')]);
    let released = 0;
    expect(a.sockets.send(2, appendOf(1000), new Uint8Array(new SharedArrayBuffer(1000)), () => released++)).toBe(true);
    await b.nth('message');
    await expect.poll(() => released).toBe(1);
  });

  it.each([
    ['another secret', secret(OTHER), 'it does not know the secret'],
    ['none', undefined, 'it wants a proof'],
  ])('a node with %s: the reason says so on its side', async (_name, proof, sentence) => {
    const [a, b] = await Promise.all([startPeer(1, [1, 2, 3], { proof: secret(SECRET) }), startPeer(2, [1, 2, 3], { proof })]);
    b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await b.nth('changed', 4);
    expect(b.sockets.reasonOf(1)).toContain(sentence);
    // Each end counts it: who came, and whom it dialed.
    await a.events.until((all) => all.some((event) => event.kind === 'unproven' && event.which === 'came'));
    await b.events.until((all) => all.some((event) => event.kind === 'unproven' && event.which === 'dialed'));
    a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
    await a.nth('changed', 4);
  });
});
