// What the dashboard says, as pure functions: how a cluster is, where a reading begins that somebody typed, and what payloads look like.

import { describe, expect, it } from 'vitest';
import type { Cause } from '../../src/core/causes.ts';
import { beginningOf } from '../../src/dashboard/beginning.ts';
import { healthOf } from '../../src/dashboard/health.ts';
import { asReached } from '../../src/dashboard/reached.ts';
import { bytesText, durationText, exactText, payloadText } from '../../src/dashboard/texts.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { nodeStatus } from './status.ts';

const DAY_MS = 86_400_000;
const at = (ids: readonly number[], leader: number, down: readonly number[] = []): NodeStatus[] =>
  ids.filter((id) => !down.includes(id)).map((id) => nodeStatus({ id, ids, leader, down }));

describe('health', () => {
  it('is healthy where all run, and says what it tolerates', () => {
    const [own, ...others] = at([1, 2, 3], 2);
    expect(healthOf(own as NodeStatus, others, 0)).toEqual({
      state: 'healthy',
      sentence: 'Healthy: all 3 nodes run, and tolerates 1 more failure',
      reasons: [],
      command: undefined,
    });
    const [alone] = at([1], 1);
    expect(healthOf(alone as NodeStatus, [], 0).sentence).toBe('Healthy: the node runs');
  });

  it('is degraded where a node is away, from the view of a follower, too', () => {
    const [own, ...others] = at([1, 2, 3], 2, [3]);
    const { state, sentence, reasons, command } = healthOf(own as NodeStatus, others, 0);
    expect([state, sentence, command]).toEqual([
      'degraded',
      'Degraded: node 3 is not connected to the leader',
      'loglog doctor ws://node1:7070',
    ]);
    expect(reasons).toEqual(['one more node that fails stops the cluster']);
  });

  it('is degraded where this node lacks another one, although the browser does not reach the leader', () => {
    const [own] = at([1, 2, 3], 2, [3]);
    expect(healthOf(own as NodeStatus, [], 0)).toMatchObject({
      state: 'degraded',
      sentence: 'Degraded: node 3 is not connected to node 1',
      reasons: [],
    });
  });

  it('goes by the leader of the latest term, and by what any node knows to be wrong', () => {
    const [own, ...others] = at([1, 2, 3], 2) as [NodeStatus, NodeStatus, NodeStatus];
    const former = nodeStatus({ id: 3, ids: [1, 2, 3], leader: 3, down: [1, 2] });
    const old: NodeStatus = { ...former, node: { ...former.node, term: 2 } };
    expect(healthOf(old, [own, ...others.slice(0, 1)], 0).state).toBe('healthy');
    const cause: Cause = { code: 'ONE_WAY', node: 3, sentence: 'node 3 does not reach node 1' };
    expect(healthOf({ ...own, cluster: { ...own.cluster, causes: [cause] } }, others, 0).sentence).toBe(
      'Degraded: node 3 does not reach node 1',
    );
  });

  it('is down where nobody leads, and says why', () => {
    const [own] = at([1, 2, 3], 0, [2, 3]);
    const { state, sentence, reasons } = healthOf(own as NodeStatus, [], 0);
    expect([state, sentence, reasons]).toEqual(['down', 'Down: no node leads, so nothing can be appended', ['1 of 3 nodes is there']]);
  });

  it('names disks, damage, clocks, certificates and missing syncs of any node', () => {
    const [own, other] = at([1, 2], 1) as [NodeStatus, NodeStatus];
    const ill: NodeStatus = {
      ...other,
      node: { ...other.node, isDurable: false, certificates: [{ use: 'node', notAfterMs: 3 * DAY_MS, fault: null }] },
      disk: { ...other.disk, level: 'critical' },
      scrub: { ...other.scrub, damaged: 2 },
      log: { ...other.log, isTimeHeld: true },
    };
    const { sentence, reasons } = healthOf(own, [ill], 0);
    expect([sentence, ...reasons]).toEqual([
      'Degraded: the disk of node 2 is full: it takes no appends',
      '2 segments of node 2 are damaged',
      'node 2 runs without fsync: what it acknowledges may be lost',
      "the clock of node 2 is off, and the log's time stands still",
      'a certificate of node 2 (node) expires in 3 d',
    ]);
    const openDamage = { from: 0, committed: 0, durable: 9, sentence: 'damage' };
    const low: NodeStatus = { ...other, disk: { ...other.disk, level: 'low' }, scrub: { ...other.scrub, openDamage } };
    expect(healthOf(own, [low], 0)).toMatchObject({
      sentence: 'Degraded: the disk of node 2 fills up',
      reasons: ['the newest segment of node 2 is damaged, so it does not count'],
    });
  });
});

it('a reading begins at an offset, a time, so long ago, or with the newest entries', () => {
  expect(beginningOf(' 120 ', 0)).toEqual({ from: 120 });
  expect(beginningOf('2h', 3 * 3_600_000)).toEqual({ since: 3_600_000 });
  expect(beginningOf('2026-11-30T10:00:00Z', 0)).toEqual({ since: Date.UTC(2026, 10, 30, 10) });
  expect(beginningOf('', 0)).toEqual({ last: 200 });
  for (const wrong of ['yesterday-ish', '-5', '1e400 d']) expect(beginningOf(wrong, 0)).toMatch(/^type an offset/);
});

it('payloads are text, JSON or bytes, and no more than is worth looking at', () => {
  const bytes = new TextEncoder().encode('{"a":1}');
  expect(payloadText(bytes, 'text')).toBe('{"a":1}');
  expect(payloadText(bytes, 'JSON')).toBe('{\n  "a": 1\n}');
  expect(payloadText(bytes, 'hex')).toBe('7b 22 61 22 3a 31 7d');
  expect(payloadText(new Uint8Array([0xff, 0x41]), 'JSON')).toBe('\ufffdA');
  expect(payloadText(new Uint8Array(5000).fill(65), 'text', 5_000_000)).toBe(`${'A'.repeat(2048)} … 5.00 MB more`);
  expect([bytesText(null), bytesText(999), bytesText(1500)]).toEqual(['unknown', '999 B', '1.50 kB']);
  expect([999_499, 999_500, 999_999, 1e6, 1.5e15, 66.666].map(bytesText)).toEqual([
    '999 kB',
    '1.00 MB',
    '1.00 MB',
    '1.00 MB',
    '1500 TB',
    '67 B',
  ]);
  expect([durationText(0), durationText(90_000), durationText(3 * DAY_MS)]).toEqual(['0 s', '1 min', '3 d']);
  expect([1500, 90_000, 1.5 * DAY_MS, 7 * DAY_MS, 0].map(exactText)).toEqual(['1500 ms', '90 s', '36 h', '7 d', '0 ms']);
});

it('JSON is shown as it was written: only the space between changes', () => {
  const shown = (text: string): string => payloadText(new TextEncoder().encode(text), 'JSON');
  for (const value of [{ a: [1, { b: '},: [' }], c: {}, d: [], e: 'x"\\', 'f:': null }, [], 'text', -1.5, [[[]]]])
    expect(shown(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
  // What it means to JavaScript is another number, and half of what is there.
  expect(shown('{"id":12345678901234567890, "id":\n1.0}')).toBe('{\n  "id": 12345678901234567890,\n  "id": 1.0\n}');
  const deep = shown(`${'['.repeat(1000)}${']'.repeat(1000)}`);
  expect(deep.length).toBeLessThan(2000 * 70);
});

describe('where a node is', () => {
  it.each(['ws://0.0.0.0:7070', 'ws://[::]:7070'])('is where whoever looks has reached it, if it says %s, which leads nowhere', (url) => {
    const [status] = at([1], 1) as [NodeStatus];
    const said = {
      ...status,
      node: { ...status.node, url },
      cluster: { ...status.cluster, nodes: status.cluster.nodes.map((one) => ({ ...one, url })) },
    };
    const reached = asReached(said, 'wss://log.example.com/node-1');
    expect([reached.node.url, ...reached.cluster.nodes.map((one) => one.url)]).toEqual(Array(2).fill('wss://log.example.com/node-1'));
    expect(healthOf({ ...reached, node: { ...reached.node, isDurable: false } }, [], 0).command).toBe(
      'loglog doctor wss://log.example.com/node-1',
    );
  });

  it('is where it says, otherwise', () => {
    const [status] = at([1, 2, 3], 1) as [NodeStatus];
    expect(asReached(status, 'ws://127.0.0.1:1')).toBe(status);
  });
});
