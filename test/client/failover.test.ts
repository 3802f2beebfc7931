import { describe, expect, test, vi } from 'vitest';
import type { ClientEvent } from '../../src/client/events.ts';
import { APPEND, ERROR_FATAL, ERROR_OUTCOME_UNKNOWN } from '../../src/protocol/client.ts';
import { appendEach, openAppends, outcomesOf } from './support/appendEach.ts';
import { failureOf } from './support/failure.ts';
import { urlOf } from './support/fakeCluster.ts';
import { type FakeServer, settleMicrotasks } from './support/fakeServer.ts';
import { cluster, connect, useCluster } from './support/testedCluster.ts';

useCluster();

describe('finding the leader', () => {
  test('the leader is found whichever address comes first, and then the others are left alone', async () => {
    cluster.lead(3);
    const log = await connect();
    expect(log.hello.nodeId).toBe(3);
    expect(cluster.dialed).toEqual([urlOf(1), urlOf(3)]);
    await settleMicrotasks();
    expect(cluster.node(1).connection.isOpen).toBe(false);
  });

  test('while no node leads, connect still succeeds, and appends wait for a leader', async () => {
    cluster.depose();
    const log = await connect();
    expect(log.hello.role).toBe('follower');
    const promise = log.append('a');
    await settleMicrotasks();
    expect(cluster.requests(APPEND)).toHaveLength(0);
    cluster.lead(2);
    expect((await promise).term).toBe(3);
    expect(cluster.leader.texts()).toEqual(['a']);
  });

  test('a leader of a later term is gone to without a pause, however long that would be by now', async () => {
    // A pause takes longer than this test may.
    let wait: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      wait = resolve;
    });
    const onEvent = ({ type }: ClientEvent): void => (type === 'waiting' ? wait() : undefined);
    const log = await connect({ onEvent, reconnect: { minDelayMs: 600_000, maxDelayMs: 600_000, timeoutMs: 1_200_000 } });
    await log.append('a');
    cluster.kill(1);
    const promise = log.append('b');
    await waiting;
    cluster.lead(2);
    expect((await promise).term).toBe(2);
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('when nobody comes to lead within the timeout, what waits fails as NOT_LEADER, and a later append tries again', async () => {
    cluster.depose();
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 20 } });
    const error = await failureOf(log.append('a'));
    expect([error.code, error.outcome, error.retryable]).toEqual(['NOT_LEADER', 'failed', true]);
    expect(error.message).toContain('knows no leader: an election may be under way');
    cluster.lead(2);
    await log.append('b');
    expect(cluster.leader.texts()).toEqual(['b']);
  });

  test.each<[string, Parameters<FakeServer['say']>[0], string]>([
    [
      'says why there is none',
      { whyNoLeader: 'it talks to 1 of 3 nodes' },
      `node 1 at ${urlOf(1)} knows no leader: it talks to 1 of 3 nodes`,
    ],
    ['has the id of another one', { nodeId: 2, process: '1'.repeat(16) }, `two processes say that they are node 2, at`],
    ['names a leader that does not answer', { leader: 'ws://gone' }, 'The leader cannot be reached from here: '],
  ])('A6: without a leader, a node that %s: the error says so, and no more than is known', async (_what, greeting, text) => {
    cluster.depose();
    cluster.node(1).hello = { ...cluster.node(1).hello, ...greeting };
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 20 } });
    const { code, message } = await failureOf(log.append('a'));
    expect(code).toBe('NOT_LEADER');
    expect(message).toContain(text);
    expect(message).not.toContain('majority');
  });

  test('A6: addresses that all lead to one process, as behind a load balancer, are named as one', async () => {
    cluster.depose();
    const balanced = cluster.node(1);
    for (const id of [2, 3]) cluster.node(id).hello = balanced.hello;
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 20 } });
    const { message } = await failureOf(log.append('a'));
    expect(message).toContain(`${urlOf(1)} and ${urlOf(2)} and ${urlOf(3)} lead to one process, node 1, which knows no leader`);
  });

  test('a node that answers no attempt to connect does not hold up the others', async () => {
    const { open } = cluster;
    cluster.kill(1);
    cluster.lead(2);
    const silent = { send: () => {}, bufferedBytes: () => 0, receivedBytes: () => 0, close: () => {}, terminate: () => {} };
    Object.assign(cluster, { open: (url: string, events: Parameters<typeof open>[1]) => (url === urlOf(1) ? silent : open(url, events)) });
    const beginMs = performance.now();
    const log = await connect({ connectTimeoutMs: 50_000 });
    expect(log.hello.nodeId).toBe(2);
    expect(performance.now() - beginMs).toBeLessThan(50_000);
  });

  test('nodes that name leaders in turn, and leaders that break at once, are not asked in a busy loop', async () => {
    const log = await connect({ reconnect: { minDelayMs: 50, maxDelayMs: 200, timeoutMs: 60_000 } });
    cluster.dialed.length = 0;
    const beginMs = performance.now();
    for (const node of cluster.nodes) {
      node.onRequest = (_request, connection) => {
        connection.kill();
        return true;
      };
    }
    const promise = log.append('a', { expectedEnd: cluster.leader.end });
    promise.catch(() => undefined);
    for (let i = 0; i < 100; i++) {
      cluster.lead(1 + (i % 3));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // In half a second, or on a busy machine in more: without pauses there would be hundreds.
    expect(cluster.dialed.length).toBeLessThan((performance.now() - beginMs) / 10);
    for (const node of cluster.nodes) node.onRequest = undefined;
    await promise;
    expect(cluster.leader.texts()).toEqual(['a']);
  });
});

describe('following the leader', () => {
  test('when a leader that did its work is lost, the next one is looked for at once, however short its time was', async () => {
    // A pause would take longer than this test may.
    const log = await connect({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000, timeoutMs: 100_000 } });
    for (const id of [2, 3, 1, 2]) {
      await log.append('a');
      const old = cluster.leader;
      cluster.lead(id);
      for (const connection of old.connections) connection.kill();
      expect((await log.append('b')).term).toBe(cluster.leader.hello.term);
    }
  });

  test('after a second HELLO appends wait for the old answers, then go to the new leader, in order', async () => {
    const old = cluster.leader;
    old.holdsAppends = true;
    const log = await connect();
    const first = await appendEach(log, ['a', 'b']);
    const [a, b] = openAppends(old);
    cluster.lead(2);
    const rest = await appendEach(log, ['c', 'd']);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(cluster.node(2).appends).toHaveLength(0);
    old.connection.error(a ?? 0, 'NOT_LEADER', 0, 'no longer', 0);
    old.connection.error(b ?? 0, 'NOT_LEADER', 0, 'no longer', 0);
    await Promise.all([...first, ...rest]);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('an append that may have happened is reported so, and later ones that were refused are sent again', async () => {
    const old = cluster.leader;
    old.holdsAppends = true;
    const log = await connect();
    const promises = await appendEach(log, ['a', 'b', 'c']);
    const [a, b, c] = openAppends(old);
    cluster.lead(2);
    // Answers may come in any order.
    old.connection.error(c ?? 0, 'NOT_LEADER', 0, 'refused');
    old.connection.error(a ?? 0, 'NOT_LEADER', 0, 'ordered, not committed', ERROR_OUTCOME_UNKNOWN);
    old.connection.error(b ?? 0, 'NOT_LEADER', 0, 'refused');
    expect(await outcomesOf(promises)).toEqual(['NOT_LEADER unknown', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['b', 'c']);
  });

  test('a refused append is not sent again behind a later one that was done, or may have been', async () => {
    const old = cluster.leader;
    old.holdsAppends = true;
    const log = await connect();
    const promises = await appendEach(log, ['a', 'b', 'c']);
    const [a] = openAppends(old);
    const { connection } = old;
    connection.unanswered.shift();
    connection.error(a ?? 0, 'NOT_LEADER', 0, 'for a moment');
    connection.answerAppends(1);
    await settleMicrotasks();
    connection.kill();
    old.holdsAppends = false;
    expect(await outcomesOf(promises)).toEqual(['NOT_LEADER failed', 'done', 'CONNECTION_LOST unknown']);
    await log.append('d');
    expect(cluster.leader.texts()).toEqual(['b', 'd']);
  });

  test('a leader that dies under pipelined appends: none is lost in silence, none is there twice, and the order holds', async () => {
    const log = await connect();
    const promises: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      const promise = log.append(String(i));
      promise.catch(() => undefined);
      promises.push(promise);
      if (i % 7 === 0) await settleMicrotasks();
      if (i % 60 === 50) {
        const id = cluster.leader.hello.nodeId;
        cluster.kill(id);
        cluster.lead((id % 3) + 1);
        cluster.revive(id);
      }
    }
    const results = await outcomesOf(promises);
    const texts = cluster.leader.texts().map(Number);
    expect(texts).toEqual([...new Set(texts)].sort((x, y) => x - y));
    results.forEach((result, i) => {
      if (result === 'done') expect(texts).toContain(i);
      else expect(result).toBe('CONNECTION_LOST unknown');
    });
    expect(results.filter((result) => result === 'done').length).toBeGreaterThan(250);
  });

  test('a leader that was cut off and says nothing is left as soon as another node names a new one', async () => {
    const log = await connect();
    // Reading from a follower, which will say who leads.
    await log.end();
    const old = cluster.leader;
    old.holdsAppends = true;
    old.say = () => undefined;
    const [promise] = await appendEach(log, ['a']);
    cluster.lead(3);
    expect(await outcomesOf([promise ?? Promise.resolve()])).toEqual(['CONNECTION_LOST unknown']);
    await log.append('b');
    expect(cluster.node(3).texts()).toEqual(['b']);
  });

  test('a leader that falls silent is left for the new one that others know, and a connection that stays silent is lost', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
    try {
      const log = await connect();
      const alone = await connect({}, [urlOf(1)]);
      const old = cluster.leader;
      for (const connection of old.connections) connection.isOpen = false;
      old.say = () => undefined;
      const promises = [log.append('a'), alone.append('b')];
      const outcomes = promises.map((promise) => outcomesOf([promise]));
      await settleMicrotasks();
      cluster.lead(2);
      old.refused.set(urlOf(1), 'connection refused');
      for (let i = 0; i < 12; i++) {
        vi.advanceTimersByTime(500);
        await settleMicrotasks();
      }
      expect(await outcomes[0]).toEqual(['CONNECTION_LOST unknown']);
      await log.append('c');
      expect(cluster.node(2).texts()).toEqual(['c']);
      for (let i = 0; i < 160; i++) {
        vi.advanceTimersByTime(500);
        await settleMicrotasks();
      }
      expect(await outcomes[1]).toEqual(['CONNECTION_LOST unknown']);
    } finally {
      vi.useRealTimers();
    }
  });

  test('an overloaded or stopping node refuses, and the append is sent again until it is taken', async () => {
    const log = await connect();
    let refusals = 0;
    cluster.leader.onRequest = (request, connection) => {
      if (request.opcode !== APPEND || refusals === 4) return false;
      refusals += 1;
      if (refusals % 2 === 0) connection.error(request.requestId, 'SHUTTING_DOWN', 0, 'stopping');
      else connection.error(request.requestId, 'OVERLOADED', 0, 'the disk is behind', ERROR_FATAL);
      return true;
    };
    await Promise.all(['a', 'b', 'c'].map((text) => log.append(text)));
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
    expect(refusals).toBe(4);
  });

  test('a leader that is overloaded is left alone for a while, whatever it took before', async () => {
    const log = await connect({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000, timeoutMs: 100_000 } });
    await log.append('a');
    cluster.leader.onRequest = (request, connection) => {
      if (request.opcode === APPEND) connection.error(request.requestId, 'OVERLOADED', 0, 'the disk is behind', ERROR_FATAL);
      return request.opcode === APPEND;
    };
    const asked = cluster.dialed.length;
    const controller = new AbortController();
    const refused = failureOf(log.append('b', { signal: controller.signal }));
    for (let i = 0; i < 10; i++) await settleMicrotasks();
    expect(cluster.dialed.length).toBe(asked);
    controller.abort();
    expect((await refused).code).toBe('ABORTED');
  });

  test('an append that is refused for the whole timeout fails with the refusal', async () => {
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 30 } });
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode !== APPEND) return false;
        connection.error(request.requestId, 'OVERLOADED', 0, 'the disk is behind', ERROR_FATAL);
        return true;
      };
    }
    const error = await failureOf(log.append('a'));
    expect([error.code, error.outcome]).toEqual(['OVERLOADED', 'failed']);
  });

  test('a waiting append that is aborted is not sent to the next leader', async () => {
    cluster.depose();
    const log = await connect();
    const controller = new AbortController();
    const promise = failureOf(log.append('a', { signal: controller.signal }));
    await settleMicrotasks();
    controller.abort();
    expect((await promise).outcome).toBe('failed');
    cluster.lead(1);
    await log.append('b');
    expect(cluster.leader.texts()).toEqual(['b']);
  });
});
