// A writer whose leader or connection is lost: what is in the log is in order up to the first link that is refused, and nothing is there twice.

import { describe, expect, test } from 'vitest';
import { APPEND, APPEND_CONDITIONAL, ERROR_FATAL, ERROR_OUTCOME_UNKNOWN } from '../../src/protocol/client.ts';
import { Random } from '../assembly/random.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { append, REFUSED } from './support/pipeline.ts';
import { cluster, connect, renewCluster, useCluster } from './support/testedCluster.ts';

useCluster();

describe('a writer whose leader or connection is lost', () => {
  test('goes on from where its appends are in the log, whatever part of them the dead leader had passed on', async () => {
    for (let passed = 0; passed <= 4; passed++) {
      renewCluster();
      const old = cluster.leader;
      old.holdsAppends = true;
      const log = await connect();
      const writer = log.writer({ expectedEnd: 0 });
      const texts = ['one', 'two', 'three', 'four'];
      const results = append(writer, ...texts);
      await settleMicrotasks();
      const requests = old.connection.unanswered.splice(0);
      for (const { body, a } of requests.slice(0, passed)) old.order(body, a);
      cluster.replicate();
      cluster.kill(1);
      cluster.lead(3);
      expect(await results).toEqual(['done', 'done', 'done', 'done']);
      expect(cluster.leader.texts()).toEqual(texts);
      expect(writer.end).toBe(cluster.leader.dataEnd);
      expect(await append(writer, 'five')).toEqual(['done']);
      await log.close();
    }
  });

  test('fails the rest, for certain, when another’s entry is where it would go on', async () => {
    for (let passed = 0; passed <= 2; passed++) {
      renewCluster();
      const old = cluster.leader;
      old.holdsAppends = true;
      const log = await connect();
      const writer = log.writer({ expectedEnd: 0 });
      const results = append(writer, 'one', 'two', 'three');
      await settleMicrotasks();
      const requests = old.connection.unanswered.splice(0);
      for (const { body, a } of requests.slice(0, passed)) old.order(body, a);
      cluster.replicate();
      cluster.kill(1);
      cluster.lead(3);
      const { dataEnd } = cluster.leader;
      // Of the same size, and one that begins alike.
      cluster.leader.add('xxx', 2);
      cluster.leader.add('three', 2);
      cluster.replicate();
      const first = passed === 0 ? 'CONDITION_FAILED failed' : REFUSED;
      expect(await results).toEqual([
        ...Array.from({ length: passed }, () => 'done'),
        first,
        ...Array.from({ length: 2 - passed }, () => REFUSED),
      ]);
      expect(cluster.leader.texts()).toEqual(['one', 'two'].slice(0, passed).concat('xxx', 'three'));
      if (passed > 0) expect(writer.end).toBe(dataEnd);
      await log.close();
    }
  });

  test('what the leader ordered and did not commit is found in the log, or is sent again; nothing is there twice', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    let isFirst = true;
    cluster.leader.onRequest = (request, connection) => {
      if (request.opcode !== APPEND || request.flags === APPEND_CONDITIONAL) return false;
      // The second link was ordered, and is lost with the office; the third came too late.
      connection.error(request.requestId, 'NOT_LEADER', 0, 'no longer', isFirst ? ERROR_OUTCOME_UNKNOWN : 0);
      isFirst = false;
      queueMicrotask(() => cluster.lead(2));
      return true;
    };
    expect(await append(writer, 'a', 'b', 'c')).toEqual(['done', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test('a node that stops or is overloaded refuses, and everything is sent again, in order', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    let refusals = 0;
    cluster.leader.onRequest = (request, connection) => {
      if (request.opcode !== APPEND || refusals === 4) return false;
      refusals += 1;
      if (refusals % 2 === 0) connection.error(request.requestId, 'SHUTTING_DOWN', 0, 'stopping');
      else connection.error(request.requestId, 'OVERLOADED', 0, 'the disk is behind', ERROR_FATAL);
      return true;
    };
    expect(await append(writer, 'a', 'b', 'c')).toEqual(['done', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test('a leader that begins another term breaks the chain, but nobody’s entry is between: it goes on', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const { connection } = cluster.leader;
    const writer = log.writer({ expectedEnd: 0 });
    const results = append(writer, 'a', 'b', 'c');
    await settleMicrotasks();
    connection.answerAppends(1);
    cluster.leader.hello = { ...cluster.leader.hello, term: 2 };
    cluster.leader.add('', 2, 1);
    cluster.leader.holdsAppends = false;
    connection.answerAppends();
    expect(await results).toEqual(['done', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test('links that arrive late, over the old connection, are found and not repeated', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const old = cluster.leader.connection;
    const writer = log.writer({ expectedEnd: 0 });
    const results = append(writer, 'a', 'b', 'c');
    await settleMicrotasks();
    const late = old.unanswered.slice();
    old.kill();
    let isFirst = true;
    cluster.leader.holdsAppends = false;
    cluster.leader.onRequest = (request) => {
      if (request.opcode === APPEND && isFirst) {
        isFirst = false;
        for (const { body, a } of late.slice(0, 2)) cluster.leader.order(body, a);
        cluster.replicate();
      }
      return false;
    };
    expect(await results).toEqual(['done', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });

  test('without a leader for the whole time what was sent is unknown, and what was not has failed', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024, reconnect: { minDelayMs: 1, maxDelayMs: 4, timeoutMs: 40 } });
    const writer = log.writer({ expectedEnd: 0 });
    const results = append(writer, 'a'.repeat(60_000), 'b'.repeat(60_000));
    await settleMicrotasks();
    for (const id of [1, 2, 3]) cluster.kill(id);
    expect(await results).toEqual([expect.stringMatching(/unknown$/), REFUSED]);
    expect(await append(writer, 'c')).toEqual([REFUSED]);
  });

  test('a log that is trimmed where it would go on does not tell: unknown', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    await append(writer, 'a');
    cluster.leader.onOrdered = () => {
      cluster.replicate();
      cluster.kill(1);
      for (const node of cluster.nodes) node.start = node.end;
      cluster.lead(2);
    };
    expect(await append(writer, 'b')).toEqual(['OFFSET_TRIMMED unknown']);
    expect(await append(writer, 'c')).toEqual([REFUSED]);
  });

  test('leaders that die again and again: every append is there once, in order', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      renewCluster();
      const random = new Random(seed);
      const log = await connect();
      const writer = log.writer({ expectedEnd: 0 });
      const all: Promise<unknown>[] = [];
      const texts: string[] = [];
      for (let i = 0; i < 120; i++) {
        texts.push(`${i}`);
        all.push(writer.append(`${i}`));
        if (random.oneIn(3)) await settleMicrotasks();
        if (random.oneIn(15)) {
          const { leader } = cluster;
          const id = leader.hello.nodeId;
          const requests = leader.connections.at(-1)?.unanswered.splice(0) ?? [];
          // Of the chain that is on its way, a beginning gets into the log.
          for (const { body, a, flags, offset, link } of requests.slice(0, random.below(requests.length + 1))) {
            const isNext = (flags & APPEND_CONDITIONAL) !== 0 ? leader.dataEnd <= offset : link?.chain.last?.end === leader.dataEnd;
            if (!isNext || link === undefined) break;
            leader.order(body, a);
            link.chain.last = { number: link.number, term: leader.hello.term, end: leader.end };
          }
          cluster.replicate();
          cluster.kill(id);
          cluster.lead((id % 3) + 1);
          cluster.revive(id);
        }
        cluster.leader.holdsAppends = random.oneIn(2);
        if (!cluster.leader.holdsAppends) for (const connection of cluster.leader.connections) connection.answerAppends();
      }
      for (const node of cluster.nodes) {
        node.holdsAppends = false;
        for (const connection of node.connections) connection.answerAppends();
      }
      await Promise.all(all);
      expect(cluster.leader.texts()).toEqual(texts);
      await log.close();
    }
  });
});
