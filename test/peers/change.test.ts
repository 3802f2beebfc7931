// What nodes prove themselves by is changed while they talk: nothing stops, and what is not in force any more is not believed.

import { afterEach, describe, expect, it } from 'vitest';
import { type PeerProof, proofOf } from '../../src/peers/peerProof.ts';
import { type Authority, issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { OTHER_SECRET, SECRET, secretProof } from './support/attackers.ts';
import { appendOf, CLUSTER, closeAll, eventually, HOST, startPeer, type TestNode } from './support/peers.ts';

afterEach(closeAll);

/** Nodes 1 and 2, linked in both directions. */
async function pairWith(proofs: readonly [PeerProof, PeerProof]): Promise<[TestNode, TestNode]> {
  const [a, b] = await Promise.all([startPeer(1, [1, 2, 3], { proof: proofs[0] }), startPeer(2, [1, 2, 3], { proof: proofs[1] })]);
  a.sockets.dial([{ id: 2, host: HOST, peerPort: b.port }]);
  b.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
  await linked(a, b);
  return [a, b];
}

/** Both directions carry entries, whatever was cut: bodies are released once. */
async function linked(a: TestNode, b: TestNode): Promise<void> {
  const body = new Uint8Array(new SharedArrayBuffer(70_000));
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const before = to.of('message').length;
    let [sent, released] = [0, 0];
    // What is sent on a link that the other end has cut is lost.
    const sendNext = (): void => {
      if (sent === released && from.sockets.send(to.id, appendOf(body.length), body, () => released++)) sent += 1;
    };
    await eventually(() => {
      if (to.of('message').length > before) return true;
      sendNext();
      return false;
    });
    await eventually(() => released === sent);
  }
}

function cuts(...nodes: readonly TestNode[]): readonly string[] {
  return nodes.flatMap((node) => node.of('disconnected').map(({ reason }) => reason));
}

describe('change of the secret', () => {
  it('the new one is added everywhere, then the old one removed: links go on until it goes, and are there at once after it', async () => {
    const [a, b] = await pairWith([secretProof(SECRET), secretProof(SECRET)]);
    a.sockets.prove(secretProof(SECRET, OTHER_SECRET));
    await linked(a, b);
    b.sockets.prove(secretProof(SECRET, OTHER_SECRET));
    await linked(a, b);
    expect(cuts(a, b)).toEqual([]);
    a.sockets.prove(secretProof(OTHER_SECRET));
    await linked(a, b);
    b.sockets.prove(secretProof(OTHER_SECRET));
    await linked(a, b);
    // Whoever knows the old one alone is a stranger.
    const late = await startPeer(3, [1, 2, 3], { proof: secretProof(SECRET) });
    late.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    await late.events.until(() => late.sockets.reasonOf(1)?.includes('NOT_PROVEN'));
  });

  it('a node that has only the new one talks to those that speak the old one first', async () => {
    const [a, b] = await pairWith([secretProof(SECRET, OTHER_SECRET), secretProof(OTHER_SECRET)]);
    expect(a.sockets.isConnected(2)).toBe(true);
    expect(b.sockets.isConnected(1)).toBe(true);
  });

  it('a connection by a secret that is gone is cut, and so is one that is still proving itself', async () => {
    const [a, b] = await pairWith([secretProof(SECRET), secretProof(SECRET)]);
    a.sockets.prove(secretProof(OTHER_SECRET));
    await Promise.all([a.nth('disconnected'), b.nth('disconnected')]);
    expect(cuts(a)).toEqual(['what it was proven by is not in force any more']);
    await b.events.until(() => b.sockets.reasonOf(1)?.includes('it does not know the secret'));
    expect(a.sockets.send(2, appendOf(0))).toBe(false);
  });
});

describe('change of the authority', () => {
  it('the new one is added everywhere, each node gets a certificate by it, then the old one goes', async () => {
    const [before, after] = await Promise.all([makeAuthority(CLUSTER), makeAuthority(CLUSTER)]);
    const both = `${before.certificate}${after.certificate}`;
    const proof = async (node: number, by: Authority, ca: string): Promise<PeerProof> => {
      const pair = await issueCertificate(by, { kind: 'node', clusterId: CLUSTER, nodeId: node }, [HOST]);
      return proofOf({ kind: 'certificate', ca, cert: pair.certificate, key: pair.key });
    };
    const [a, b] = await pairWith([await proof(1, before, before.certificate), await proof(2, before, before.certificate)]);
    for (const [by, ca] of [
      [before, both],
      [after, both],
    ] as const) {
      for (const node of [a, b]) {
        node.sockets.prove(await proof(node.id, by, ca));
        await linked(a, b);
      }
    }
    expect(cuts(a, b)).toEqual([]);
    for (const node of [a, b]) {
      node.sockets.prove(await proof(node.id, after, after.certificate));
      await linked(a, b);
    }
    const late = await startPeer(3, [1, 2, 3], { proof: await proof(3, before, both) });
    late.sockets.dial([{ id: 1, host: HOST, peerPort: a.port }]);
    expect(await late.events.until(() => late.sockets.reasonOf(1)?.includes('NOT_PROVEN') && late.sockets.reasonOf(1))).toContain(
      'another authority made it',
    );
  });
});
