import { describe, expect, test } from 'vitest';
import { END, END_AT_LEAST, END_LINEARIZABLE, SUBSCRIBE } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { urlOf } from './support/fakeCluster.ts';
import { type FakeServer, settleMicrotasks } from './support/fakeServer.ts';
import { cluster, connect, useCluster } from './support/testedCluster.ts';
import { textsOf } from './support/texts.ts';

const decoder = new TextDecoder();

useCluster();

function sent(node: FakeServer, opcode: number): number {
  return node.requests.filter((request) => request.opcode === opcode).length;
}

/** Ids of the nodes that have an open subscription. */
function readFrom(): number[] {
  const isRead = (node: FakeServer): boolean => node.connections.some(({ isOpen, subscriptions }) => isOpen && subscriptions.size > 0);
  return cluster.nodes.filter(isRead).map(({ hello }) => hello.nodeId);
}

function fill(count: number): void {
  for (let i = 0; i < count; i++) cluster.leader.add(String(i));
  cluster.replicate();
}

describe('choosing a node', () => {
  test('readers spread over the followers, and spare the leader', async () => {
    fill(3);
    for (let i = 0; i < 40; i++) expect((await textsOf((await connect()).read())).length).toBe(3);
    const counts = cluster.nodes.map((node) => sent(node, SUBSCRIBE));
    expect(counts[0]).toBe(0);
    // The chance of fewer than 5 of 40 on one side is one in ten million.
    expect(Math.min(counts[1] ?? 0, counts[2] ?? 0)).toBeGreaterThanOrEqual(5);
  });

  test('with one address, and with reads from the leader only, everything goes over one connection', async () => {
    fill(3);
    for (const [options, urls] of [
      [{ reads: 'leader' }, cluster.urls],
      [{}, [urlOf(1)]],
    ] as const) {
      cluster.dialed.length = 0;
      const log = await connect(options, urls);
      await log.append('a');
      expect((await textsOf(log.read())).length).toBeGreaterThan(3);
      await log.end();
      expect(cluster.dialed).toEqual([urlOf(1)]);
    }
    expect(cluster.node(2).requests).toEqual([]);
  });

  test('a client that is told one node reads from that node, whoever leads, and appends to the leader', async () => {
    fill(3);
    for (const id of [2, 3, 1]) {
      const log = await connect({}, [urlOf(id)]);
      await log.append('a');
      const before = sent(cluster.node(id), SUBSCRIBE);
      const others = sent(cluster.leader, SUBSCRIBE);
      const asked = sent(cluster.node(id), END);
      expect((await textsOf(log.read())).length).toBeGreaterThan(3);
      await log.end({ linearizable: true });
      expect(sent(cluster.node(id), SUBSCRIBE)).toBe(before + 1);
      expect(sent(cluster.node(id), END)).toBeGreaterThan(asked);
      if (id !== 1) expect(sent(cluster.leader, SUBSCRIBE)).toBe(others);
    }
    expect(cluster.leader.appends).toHaveLength(3);
  });

  test('a client that is told one node shows what that node has, though it is behind or differs, or says that it is behind', async () => {
    fill(3);
    cluster.lagging.add(3);
    cluster.leader.add('new');
    cluster.replicate();
    cluster.node(3).add('of its own');
    expect((await textsOf((await connect({}, [urlOf(3)])).read())).at(-1)).toBe('of its own');
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 40 } }, [urlOf(3)]);
    // What it does not have is not looked for on the leader.
    const beyond = cluster.node(3).end + 50;
    for (const reading of [log.read({ from: beyond }), log.subscribe({ from: beyond })]) {
      expect((await failureOf(textsOf(reading))).code).toBe('OFFSET_BEYOND_END');
    }
    expect(cluster.leader.requests.filter(({ opcode }) => opcode === SUBSCRIBE || opcode === END)).toEqual([]);
    await log.append('mine');
    await log.append('mine too');
    expect((await failureOf(log.end({ timeoutMs: 50 }))).code).toMatch(/BEHIND|TIMEOUT/);
    cluster.kill(3);
    expect((await failureOf(textsOf(log.read()))).code).toBe('UNREACHABLE');
  });

  test('while nobody leads, followers are read from', async () => {
    fill(2);
    cluster.depose();
    cluster.kill(1);
    const log = await connect();
    expect(await textsOf(log.read())).toEqual(['0', '1']);
    expect(await textsOf((await connect({}, [urlOf(2)])).read())).toEqual(['0', '1']);
  });

  test('when followers are down the leader is read from, and when all are, it is UNREACHABLE after the timeout', async () => {
    fill(2);
    cluster.kill(2);
    cluster.kill(3);
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 20 } });
    expect(await textsOf(log.read())).toEqual(['0', '1']);
    cluster.kill(1);
    expect((await failureOf(log.end())).code).toBe('UNREACHABLE');
  });

  test('a node that is found under two addresses has one connection', async () => {
    const { open } = cluster;
    const other = 'ws://127.0.0.1:1';
    Object.assign(cluster, { open: (url: string, events: Parameters<typeof open>[1]) => open(url === other ? urlOf(1) : url, events) });
    const log = await connect({}, [urlOf(1), other]);
    await log.end();
    await settleMicrotasks();
    expect(cluster.node(1).connections.filter(({ isOpen }) => isOpen)).toHaveLength(1);
  });
});

describe('what a client has written and seen', () => {
  test('a read after an append waits until the follower has it', async () => {
    cluster.lagging.add(2).add(3);
    const log = await connect();
    await log.append('mine');
    const texts = textsOf(log.read());
    await new Promise((resolve) => setTimeout(resolve, 20));
    cluster.lagging.clear();
    cluster.replicate();
    expect(await texts).toEqual(['mine']);
    expect(sent(cluster.leader, SUBSCRIBE)).toBe(0);
  });

  test('what one node showed, every other one must have before it is read from', async () => {
    fill(10);
    const log = await connect();
    const iterator = log.subscribe()[Symbol.asyncIterator]();
    for (let i = 0; i < 10; i++) await iterator.next();
    const [first] = readFrom();
    const second = first === 2 ? 3 : 2;
    const { end } = await log.end();
    // The other follower has less, and the rest is gone.
    cluster.lagging.add(second);
    fill(5);
    for (let i = 0; i < 5; i++) await iterator.next();
    cluster.kill(first ?? 0);
    cluster.kill(1);
    let isAnswered = false;
    const later = log.end().then((found) => {
      isAnswered = true;
      return found;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isAnswered).toBe(false);
    cluster.lagging.clear();
    cluster.node(second).copy(cluster.leader);
    expect((await later).end).toBeGreaterThan(end);
    await iterator.return?.();
  });

  test('nothing is asked twice where the node is known to have it', async () => {
    fill(3);
    const log = await connect({ reads: 'leader' });
    await log.append('a');
    await textsOf(log.read());
    expect(sent(cluster.leader, END)).toBe(1);
    await textsOf(log.subscribe({ from: 0, atLeast: cluster.leader.end }), 4);
    expect(sent(cluster.leader, END)).toBe(1);
    await log.end({ atLeast: cluster.leader.end });
    expect(cluster.requests(END).map(({ flags }) => flags)).toEqual([0, 0]);
  });

  test('received receipts are not waited for', async () => {
    cluster.lagging.add(2).add(3);
    const log = await connect({ ack: 'received' });
    await log.append('a');
    expect(await textsOf(log.read())).toEqual([]);
  });
});

describe('atLeast', () => {
  test('a read waits for what another client wrote', async () => {
    cluster.lagging.add(2).add(3);
    const writer = await connect();
    const reader = await connect();
    const { end } = await writer.append('theirs');
    expect(await textsOf(reader.read())).toEqual([]);
    const texts = textsOf(reader.read({ atLeast: end }));
    await settleMicrotasks();
    cluster.lagging.clear();
    cluster.replicate();
    expect(await texts).toEqual(['theirs']);
    const asked = cluster.requests(END).filter(({ flags }) => (flags & END_AT_LEAST) !== 0);
    expect(asked.map(({ offset }) => offset)).toEqual([end]);
  });

  test('a node that says BEHIND is left for another one', async () => {
    cluster.lagging.add(2).add(3);
    const log = await connect();
    await log.append('a');
    for (const id of [2, 3]) {
      cluster.node(id).onRequest = (request, connection) => {
        if (request.opcode !== END) return false;
        connection.error(request.requestId, 'BEHIND', 12, 'this node has the log only up to 12');
        return true;
      };
    }
    expect(await textsOf(log.read())).toEqual(['a']);
    expect(await textsOf(log.subscribe({ from: 12 }), 1)).toEqual(['a']);
    expect((await log.end()).end).toBe(cluster.leader.end);
  });

  test('when no node has that much within the timeout it fails as BEHIND, and asks at a bounded rate', async () => {
    const log = await connect({ reconnect: { minDelayMs: 5, maxDelayMs: 20, timeoutMs: 60 } });
    const errors = await Promise.all([
      failureOf(textsOf(log.read({ atLeast: 1000 }))),
      failureOf(textsOf(log.subscribe({ from: 12, atLeast: 1000 }))),
      failureOf(log.end({ atLeast: 1000 })),
      failureOf(log.end({ atLeast: 1000, timeoutMs: 30 })),
    ]);
    expect(errors.map(({ code }) => code).slice(0, 3)).toEqual(['BEHIND', 'BEHIND', 'BEHIND']);
    expect(errors[0]?.details.end).toBe(12);
    expect(['BEHIND', 'TIMEOUT']).toContain(errors[3]?.code);
    expect(cluster.requests(END).length).toBeLessThan(40);
  });

  test('wrong options are a TypeError or a RangeError', async () => {
    const log = await connect();
    expect(() => log.read({ atLeast: -1 })).toThrow(RangeError);
    expect(() => log.subscribe({ atLeast: 'end' as unknown as number })).toThrow(TypeError);
    await expect(log.end({ atLeast: 1.5 })).rejects.toThrow(RangeError);
    await expect(log.end({ timeoutMs: 0 })).rejects.toThrow(RangeError);
    await expect(cluster.connect({ reads: 'all' as 'any' })).rejects.toThrow(TypeError);
  });
});

describe('end', () => {
  test('a linearizable end is asked of any node, and again while no leader answers it', async () => {
    const log = await connect();
    let refusals = 0;
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if ((request.flags & END_LINEARIZABLE) === 0 || refusals === 3) return false;
        refusals += 1;
        connection.error(request.requestId, 'NOT_LEADER', 0, 'no leader answers');
        return true;
      };
    }
    fill(1);
    expect((await log.end({ linearizable: true })).end).toBe(cluster.leader.end);
    expect(refusals).toBe(3);
  });

  test('when no leader answers within the timeout, it fails as NOT_LEADER', async () => {
    const log = await connect({ reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 30 } });
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode === END) connection.error(request.requestId, 'NOT_LEADER', 0, 'no leader answers');
        return request.opcode === END;
      };
    }
    const error = await failureOf(log.end({ linearizable: true }));
    expect([error.code, error.outcome, error.retryable]).toEqual(['NOT_LEADER', 'failed', true]);
    expect((await failureOf(log.end({ linearizable: true, timeoutMs: 10 }))).code).toBe('NOT_LEADER');
  });

  test('a node that never answers is given up after timeoutMs', async () => {
    const log = await connect();
    for (const node of cluster.nodes) node.onRequest = ({ opcode }) => opcode === END;
    const error = await failureOf(log.end({ timeoutMs: 10 }));
    expect([error.code, error.outcome]).toEqual(['TIMEOUT', 'failed']);
  });
});

describe('a subscription over several nodes', () => {
  test('goes on at another node when its own dies, without a gap or a repeat, even when that one is behind', async () => {
    fill(300);
    for (const node of cluster.nodes) node.chunkBytes = 200;
    const log = await connect();
    const texts: string[] = [];
    let count = 300;
    let died = 0;
    let healing: Promise<void> | undefined;
    const addTo = (id: number): void => {
      for (let i = 0; i < 20; i++) cluster.node(id).add(String(count++), cluster.node(id).hello.term);
      for (const connection of cluster.node(id).connections) connection.push();
    };
    for await (const { payload } of log.subscribe({ from: 12, creditBytes: 4096 })) {
      texts.push(decoder.decode(payload));
      if (texts.length === count && died === 12) break;
      if (texts.length % 20 !== 0 || died === 12) continue;
      // Not before the log is whole again.
      await healing;
      const [id] = readFrom();
      if (id === undefined) {
        addTo(cluster.leader.hello.nodeId);
        cluster.replicate();
        continue;
      }
      // Another twenty, which the other two get late; then the one that is read from dies, and somebody else leads.
      died += 1;
      const others = [1, 2, 3].filter((one) => one !== id);
      for (const other of others) cluster.lagging.add(other);
      addTo(id);
      cluster.kill(id);
      healing = new Promise((resolve) => {
        setTimeout(() => {
          cluster.lagging.clear();
          for (const other of others) cluster.node(other).copy(cluster.node(id));
          cluster.lead(others[died % 2] ?? 1);
          cluster.revive(id);
          resolve();
        }, 3);
      });
    }
    await healing;
    expect(texts.map(Number)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('a place that a follower does not know yet is no error while the leader does', async () => {
    cluster.lagging.add(2).add(3);
    fill(3);
    const log = await connect({}, cluster.urls);
    const texts = textsOf(log.subscribe({ from: 12 + 13 }), 2);
    expect(await texts).toEqual(['1', '2']);
    expect((await textsOf(log.read({ from: 12 + 26 }))).length).toBe(1);
  });

  test('a place beyond the end of the leader is OFFSET_BEYOND_END', async () => {
    const log = await connect();
    const errors = await Promise.all([failureOf(textsOf(log.subscribe({ from: 1000 }))), failureOf(textsOf(log.read({ from: 1000 })))]);
    expect(errors.map(({ code, details }) => [code, details.end])).toEqual([
      ['OFFSET_BEYOND_END', 12],
      ['OFFSET_BEYOND_END', 12],
    ]);
  });

  test('damage on one node is read over at another one, and shown when all have it', async () => {
    fill(10);
    const damagedIds = new Set<number>();
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode !== SUBSCRIBE || !damagedIds.has(node.hello.nodeId)) return false;
        connection.error(request.requestId, 'DAMAGED', 25, 'the entry at 25 is damaged');
        return true;
      };
    }
    damagedIds.add(2);
    for (let i = 0; i < 6; i++) expect((await textsOf((await connect()).read())).length).toBe(10);
    damagedIds.add(1).add(3);
    const error = await failureOf(textsOf((await connect()).read()));
    expect([error.code, error.details.offset]).toEqual(['DAMAGED', 25]);
  });

  test('bytes that are damaged on their way from one node are read again from another one', async () => {
    fill(10);
    cluster.node(2).onData = (message) => {
      message[60] = (message[60] ?? 0) ^ 1;
      return message;
    };
    for (let i = 0; i < 6; i++) {
      const texts = await textsOf((await connect()).read());
      expect(texts.map(Number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  });

  test('what was trimmed is an error at once', async () => {
    fill(3);
    for (const node of cluster.nodes) {
      node.onRequest = (request, connection) => {
        if (request.opcode === SUBSCRIBE) connection.error(request.requestId, 'OFFSET_TRIMMED', 12, 'trimmed');
        return request.opcode === SUBSCRIBE;
      };
    }
    expect((await failureOf(textsOf((await connect()).subscribe({ from: 0 })))).code).toBe('OFFSET_TRIMMED');
    expect(cluster.requests(SUBSCRIBE)).toHaveLength(1);
  });

  test('a node of another cluster is never read from', async () => {
    fill(3);
    cluster.node(2).hello = { ...cluster.node(2).hello, clusterId: 'ff'.repeat(16) };
    cluster.kill(3);
    const log = await connect();
    expect(await textsOf(log.read())).toEqual(['0', '1', '2']);
    expect(cluster.node(2).requests).toEqual([]);
  });

  test('a client that is closed leaves no connection open', async () => {
    fill(3);
    const log = await connect();
    const failure = failureOf(textsOf(log.subscribe()));
    await settleMicrotasks();
    await log.close();
    expect((await failure).code).toBe('CLOSED');
    expect(cluster.nodes.flatMap(({ connections }) => connections).filter(({ isOpen }) => isOpen)).toEqual([]);
  });
});
