// Whom a node tells what it has found its segments to be, and how often.

import { expect, test } from 'vitest';
import type { PeerMessage } from '../../src/raft/messages.ts';
import { DigestReport } from '../../src/replication/digestReport.ts';

const SEAL = { base: 100, end: 200, digest: 'ab'.repeat(32) };

function make(): { report: DigestReport; sent: [number, PeerMessage, string][]; full: Set<number> } {
  const sent: [number, PeerMessage, string][] = [];
  const full = new Set<number>();
  const report = new DigestReport({
    canSend: (to) => !full.has(to),
    send: (to, message, body) => void sent.push([to, message, Buffer.from(body ?? []).toString('hex')]),
  });
  return { report, sent, full };
}

test('each leader is told once, again after a new link to it, and of the next segment', () => {
  const { report, sent } = make();
  report.tell(2, 5);
  expect(sent).toEqual([]);
  report.set(SEAL);
  report.tell(0, 5);
  report.tell(2, 5);
  report.tell(2, 5);
  expect(sent).toEqual([[2, { kind: 'segmentDigest', term: 5, base: 100, end: 200 }, SEAL.digest]]);
  report.tell(3, 6);
  report.reconnected(2);
  report.tell(3, 6);
  expect(sent.map(([to]) => to)).toEqual([2, 3]);
  report.reconnected(3);
  report.tell(3, 6);
  report.set({ ...SEAL, base: 200, end: 300 });
  report.tell(3, 6);
  expect(sent.map(([to, message]) => [to, message.kind === 'segmentDigest' && message.base])).toEqual([
    [2, 100],
    [3, 100],
    [3, 100],
    [3, 200],
  ]);
});

test('what a full link would drop is told when there is room', () => {
  const { report, sent, full } = make();
  report.set(SEAL);
  full.add(2);
  report.tell(2, 5);
  expect(sent).toEqual([]);
  full.delete(2);
  report.tell(2, 5);
  expect(sent).toHaveLength(1);
});
