// Conditional appends of which nobody knows what became: a client finds out, and sends again what had no effect.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { KIND_CONTINUED } from '../../assembly/layout.ts';
import { APPEND, END } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { cluster, connect, renewCluster, useCluster } from './support/testedCluster.ts';

useCluster();

describe('conditional appends of unknown outcome', () => {
  test('one that had not happened is done by the second try', async () => {
    const old = cluster.leader;
    const log = await connect();
    const { end } = await log.append('a');
    old.holdsAppends = true;
    const promise = log.append('b', { expectedEnd: end });
    await settleMicrotasks();
    old.connection.kill();
    old.holdsAppends = false;
    expect(await promise).toEqual({ term: 1, offset: end, end: end + 13, level: 'committed', nodes: [1, 3] });
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('one that had happened is found in the log, and has its receipt', async () => {
    const log = await connect();
    const { end } = await log.append('a');
    cluster.leader.onOrdered = () => {
      cluster.replicate();
      cluster.kill(1);
      cluster.lead(2);
    };
    const receipt = await log.appendBatch(['b', 'cc'], { expectedEnd: end });
    expect(receipt).toEqual({ term: 1, offset: end, end: end + 27, offsets: [end, end + 13], level: 'committed', nodes: [] });
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'cc']);
  });

  test('a batch whose place another one has that begins alike fails surely: a part of a batch is never there', async () => {
    const old = cluster.leader;
    const log = await connect();
    const { end } = await log.append('a');
    old.holdsAppends = true;
    const promise = log.appendBatch(['b', 'cc'], { expectedEnd: end });
    await settleMicrotasks();
    cluster.kill(1);
    cluster.node(2).add('b', 1, KIND_CONTINUED);
    cluster.node(2).add('other', 1);
    cluster.lead(2);
    const error = await failureOf(promise);
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'other']);
  });

  test('a batch whose place other appends have with the same payloads, one by one, fails: they are not its own', async () => {
    const old = cluster.leader;
    const log = await connect();
    const { end } = await log.append('a');
    old.holdsAppends = true;
    const promise = log.appendBatch(['b', 'cc'], { expectedEnd: end });
    await settleMicrotasks();
    cluster.kill(1);
    cluster.node(2).add('b', 1);
    cluster.node(2).add('cc', 1);
    cluster.lead(2);
    const error = await failureOf(promise);
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
  });

  test('the beginnings of terms between do not count, however many: it is done by the second try', async () => {
    const old = cluster.leader;
    const log = await connect();
    const { end } = await log.append('a');
    cluster.lead(3);
    cluster.lead(1);
    expect((await log.append('b', { expectedEnd: end })).offset).toBeGreaterThan(end);
    old.holdsAppends = true;
    const promise = log.append('c', { expectedEnd: old.dataEnd });
    await settleMicrotasks();
    cluster.kill(1);
    cluster.lead(2);
    expect((await promise).term).toBe(cluster.leader.hello.term);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test('one that had happened is found after the beginnings of terms, where it is', async () => {
    const log = await connect();
    const { end } = await log.append('a');
    cluster.lead(2);
    cluster.lead(1);
    cluster.leader.onOrdered = () => {
      cluster.replicate();
      cluster.kill(1);
      cluster.lead(2);
    };
    const { offset, end: newEnd, term, nodes } = await log.append('b', { expectedEnd: end });
    expect([offset, newEnd, nodes]).toEqual([end + 24, end + 37, []]);
    expect(term).toBe(3);
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('one whose place another append has fails, surely, with the committed end', async () => {
    const old = cluster.leader;
    const log = await connect();
    const { end } = await log.append('a');
    old.holdsAppends = true;
    const promise = log.append('b', { expectedEnd: end });
    await settleMicrotasks();
    cluster.kill(1);
    cluster.lead(2);
    cluster.node(2).add('other', 2);
    cluster.replicate();
    const error = await failureOf(promise);
    expect([error.code, error.outcome, error.details.end]).toEqual(['CONDITION_FAILED', 'failed', cluster.leader.end]);
    expect(cluster.leader.texts()).toEqual(['a', 'other']);
  });

  test('one whose place is trimmed by the time it is looked for is unknown', async () => {
    const log = await connect();
    const { end } = await log.append('a');
    cluster.leader.onOrdered = () => {
      cluster.replicate();
      cluster.kill(1);
      for (const node of cluster.nodes) node.start = node.end;
      cluster.lead(2);
    };
    const error = await failureOf(log.append('b', { expectedEnd: end }));
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'unknown']);
  });

  test('refused by entries that are lost with their leader, it is done by a later try', async () => {
    const log = await connect();
    const { end } = await log.append('a');
    let tries = 0;
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode !== APPEND) return false;
        tries += 1;
        if (tries === 1) connection.kill();
        // Somebody else's entry, ordered and never committed.
        else if (tries < 4) connection.error(request.requestId, 'CONDITION_FAILED', end + 50, 'data ends there');
        else return false;
        return true;
      };
    }
    expect((await log.append('b', { expectedEnd: end })).end).toBe(end + 13);
    expect(tries).toBe(4);
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('refused again and again with nothing in the log, it is given up in time, as unknown', async () => {
    // How often depends on the time that it has.
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 60 } });
    const { end } = await log.append('a');
    let tries = 0;
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode !== APPEND) return false;
        tries += 1;
        if (tries === 1) connection.kill();
        else connection.error(request.requestId, 'CONDITION_FAILED', end + 50, 'data ends there');
        return true;
      };
    }
    const failed = failureOf(log.append('b', { expectedEnd: end }));
    await vi.advanceTimersByTimeAsync(100);
    const error = await failed;
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'unknown']);
    expect(tries).toBeGreaterThan(10);
  });

  test('one that expects more than the log now has is reported as unknown, because the first try may still be on its way', async () => {
    const old = cluster.leader;
    old.holdsAppends = true;
    const log = await connect();
    const promise = log.append('b', { expectedEnd: 1000 });
    await settleMicrotasks();
    old.connection.kill();
    old.holdsAppends = false;
    const error = await failureOf(promise);
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'unknown']);
  });

  test('an append with a term is done in that term only', async () => {
    const log = await connect();
    const { end, term } = await log.append('a', { ack: 'received' });
    const { end: next } = await log.append('b', { expectedEnd: end, expectedTerm: term });
    expect(cluster.leader.appends.at(-1)).toMatchObject({ flags: 2, offset: end, b: term });
    cluster.lead(2);
    const error = await failureOf(log.append('c', { expectedEnd: next, expectedTerm: term }));
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
    await expect(log.append('d', { expectedTerm: 1 })).rejects.toThrow(TypeError);
    await expect(log.append('d', { expectedEnd: 0, expectedTerm: 0 })).rejects.toThrow(RangeError);
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('one with a term, whose entry before was lost with its leader, surely fails once another term answers', async () => {
    for (const isLonger of [true, false]) {
      renewCluster();
      const log = await connect();
      await log.append('a');
      cluster.lagging.add(2).add(3);
      const { end, term } = await log.append('lost, with some length', { ack: 'received' });
      cluster.leader.holdsAppends = true;
      const promise = log.append('b', { expectedEnd: end, expectedTerm: term });
      await settleMicrotasks();
      cluster.kill(1);
      cluster.lagging.clear();
      cluster.lead(2);
      // The expected end is inside an entry of the log without it, or beyond its end.
      if (isLonger) cluster.leader.add('x'.repeat(40), cluster.leader.hello.term);
      cluster.replicate();
      expect(cluster.leader.end > end).toBe(isLonger);
      const error = await failureOf(promise);
      expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
      expect(cluster.leader.texts()).toEqual(isLonger ? ['a', 'x'.repeat(40)] : ['a']);
    }
  });

  test('one with a term that had happened is found', async () => {
    const log = await connect();
    const { end, term } = await log.append('a', { ack: 'received' });
    cluster.leader.onOrdered = () => {
      cluster.replicate();
      cluster.kill(1);
      cluster.lead(2);
    };
    expect(await log.append('b', { expectedEnd: end, expectedTerm: term })).toMatchObject({ offset: end, term });
    expect(cluster.leader.texts()).toEqual(['a', 'b']);
  });

  test('given up while the log is asked, it is not sent again', async () => {
    const log = await connect();
    const { end } = await log.append('a');
    const controller = new AbortController();
    let tries = 0;
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode === END) controller.abort();
        if (request.opcode !== APPEND) return false;
        tries += 1;
        if (tries === 1) connection.kill();
        else connection.error(request.requestId, 'CONDITION_FAILED', end + 50, 'data ends there');
        return true;
      };
    }
    const error = await failureOf(log.append('b', { expectedEnd: end, signal: controller.signal }));
    expect([error.code, error.outcome]).toEqual(['ABORTED', 'unknown']);
    for (const node of cluster.nodes) node.onRequest = undefined;
    for (let i = 0; i < 10; i++) await settleMicrotasks();
    await log.append('c');
    expect(tries).toBe(2);
    expect(cluster.leader.texts()).toEqual(['a', 'c']);
  });

  test('aborted between two tries it may have happened', async () => {
    const old = cluster.leader;
    old.holdsAppends = true;
    const log = await connect();
    const controller = new AbortController();
    const promise = failureOf(log.append('a', { expectedEnd: old.end, signal: controller.signal }));
    await settleMicrotasks();
    for (const id of [1, 2, 3]) cluster.kill(id);
    controller.abort();
    const error = await promise;
    expect([error.code, error.outcome]).toEqual(['ABORTED', 'unknown']);
    old.holdsAppends = false;
    for (const id of [1, 2, 3]) cluster.revive(id);
    await log.append('b');
    expect(cluster.leader.texts()).toEqual(['b']);
  });
});
