import { readdirSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { KIND_NOOP, KIND_STATE } from '../../assembly/layout.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { appendAll, connect, eventually, makeDirectory, payloadOf, startNode, texts } from './support/fixture.ts';
import { DidNotStart, type ProcessNode } from './support/processNode.ts';
import { codeOf, failureOf } from './support/rawClient.ts';

/** Whether a new connection is refused; those that HTTP keeps alive would say nothing about it. */
function refusesConnections(node: ProcessNode): Promise<boolean> {
  const { hostname, port } = new URL(node.url);
  return new Promise((resolve) => {
    const socket = connectTcp(Number(port), hostname, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

describe('restart', () => {
  test('everything is at its offset after each restart, and every start begins a new term with a no-op', async () => {
    const data = makeDirectory();
    const expected: string[] = [];
    let clusterId: string | undefined;
    for (let round = 1; round <= 4; round++) {
      const node = await startNode({ data, segmentBytes: 65536 });
      const client = await connect(node);
      expect(client.hello.term).toBe(round);
      expect(client.hello.clusterId).toBe(clusterId ?? client.hello.clusterId);
      clusterId = client.hello.clusterId;
      const batch = texts(700, `round ${round}, entry of some length `);
      const receipts = await Promise.all([client.append(batch), client.append(batch)]);
      expect(receipts.map(({ term }) => term)).toEqual([round, round]);
      expected.push('', ...batch.map(String), ...batch.map(String));
      const all = (await client.readAll(0, receipts[1]?.end ?? 0)).filter(({ kind }) => kind !== KIND_STATE);
      expect(all.map(({ kind, payload }) => (kind === KIND_NOOP ? '' : payload.toString()))).toEqual(expected);
      expect(all.filter(({ kind }) => kind === 1).map(({ term }) => term)).toEqual(Array.from({ length: round }, (_, i) => i + 1));
      expect(await node.stop()).toEqual({ code: 0, signal: null });
    }
  });

  test('other segment sizes and slots at the next start change nothing of what is there', async () => {
    const data = makeDirectory();
    let end = 0;
    for (const segmentBytes of [1 << 20, 1 << 16, 1 << 21]) {
      const node = await startNode({ data, segmentBytes, slots: 3 });
      const client = await connect(node);
      const receipts = await appendAll(
        client,
        Array.from({ length: 30 }, (_, i) => payloadOf(40_000, i)),
      );
      const from = client.hello.commit;
      end = receipts.at(-1)?.end ?? 0;
      const entries = (await client.readAll(from, end)).filter(({ kind }) => kind === 0);
      expect(entries.map(({ payload }, i) => payload.equals(payloadOf(40_000, i)))).toEqual(receipts.map(() => true));
      await client.readAll(0, end);
      await node.stop();
    }
  });
});

describe('a clean stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s answers what was accepted, says goodbye with 4001, and exits 0', async (signal) => {
    const data = makeDirectory();
    const node = await startNode({ data });
    const client = await connect(node);
    const appends = Array.from({ length: 300 }, (_, i) => client.append(payloadOf(5000, i)));
    await appends[0];
    node.signal(signal);
    const settled = await Promise.allSettled(appends);
    expect(await client.closed).toMatchObject({ code: 4001, reason: 'the node is shutting down' });
    expect(await node.exited).toEqual({ code: 0, signal: null });
    expect(readdirSync(data).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const again = await connect(await startNode({ data }));
    const acknowledged = settled.filter((append) => append.status === 'fulfilled').map(({ value }) => value);
    expect(acknowledged.length).toBeGreaterThan(0);
    for (const { offset, requestId } of acknowledged) {
      const { entries } = await again.read(offset, { maxBytes: 1 });
      expect(entries[0]?.payload.equals(payloadOf(5000, requestId - 1))).toBe(true);
    }
    // Nothing that was refused, or never read, is in the log: what is there is what was answered.
    const { commit } = await again.end();
    const data0 = (await again.readAll(0, commit)).filter(({ kind }) => kind === 0);
    expect(data0).toHaveLength(acknowledged.length);
  });

  test('answers that a slow client has not read yet still reach it', async () => {
    const node = await startNode();
    const client = await connect(node);
    const sizes = Array.from({ length: 60 }, (_, i) => payloadOf(1_000_000, i));
    const receipts = await appendAll(client, sizes);
    client.socket.pause();
    const reads = receipts.map(({ offset }) => client.read(offset, { maxBytes: 1 }));
    const settled = Promise.allSettled(reads);
    await eventually(async () => (await node.status()).clients.sendBufferedBytes > 0, 'bytes wait for the reader');
    node.signal('SIGTERM');
    await eventually(() => refusesConnections(node), 'the node listens no more');
    // A late append is refused, or finds the connection closed: it depends on which of both ends is quicker.
    const late = failureOf(client.append(Buffer.from('late')));
    client.socket.resume();
    const answered = (await settled).filter(({ status }) => status === 'fulfilled');
    expect(await client.closed).toMatchObject({ code: 4001 });
    expect(answered.length).toBeGreaterThan(0);
    const refusal = await late;
    expect(['SHUTTING_DOWN', 4001]).toContain(refusal.code);
    expect(await node.exited).toEqual({ code: 0, signal: null });
  });

  test('a client that never reads does not keep the node from ending', async () => {
    const node = await startNode();
    const client = await connect(node);
    const payload = payloadOf(1_000_000, 1);
    await appendAll(client, new Array<Buffer>(40).fill(payload));
    client.socket.pause();
    client.subscribe(0, 0x7fff_ffff);
    await eventually(async () => (await node.status()).clients.sendBufferedBytes > 0, 'bytes wait for the reader');
    expect(await node.stop()).toEqual({ code: 0, signal: null });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s that comes twice at once, as from npm, is one: the stop is a clean one', async (signal) => {
    const node = await startNode();
    const client = await connect(node);
    await appendAll(client, new Array<Buffer>(8).fill(payloadOf(1_000_000, 1)));
    node.signal(signal);
    node.signal(signal);
    expect(await node.exited).toEqual({ code: 0, signal: null });
    expect(node.stderr).toContain('all that was acknowledged is on disk');
  });

  test('a second signal ends at once', async () => {
    const node = await startNode();
    const client = await connect(node);
    await appendAll(client, new Array<Buffer>(40).fill(payloadOf(1_000_000, 1)));
    // This reader keeps the first stop busy.
    client.socket.pause();
    client.subscribe(0, 0x7fff_ffff);
    await eventually(async () => (await node.status()).clients.sendBufferedBytes > 0, 'bytes wait for the reader');
    node.signal('SIGTERM');
    await eventually(() => node.stderr.includes('stopping'), 'the first signal was seen');
    // What comes within half a second is taken for an echo of the first one.
    await setTimeout(600);
    node.signal('SIGINT');
    expect(await node.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });
});

describe('a node that cannot start says why in one sentence', () => {
  async function refusal(options: Parameters<typeof startNode>[0]): Promise<{ code: number | null; lines: string[] }> {
    try {
      await startNode(options);
    } catch (thrown) {
      if (!(thrown instanceof DidNotStart)) throw thrown;
      return { code: thrown.exit.code, lines: thrown.stderr.trim().split('\n') };
    }
    throw new Error('it started');
  }

  test('a data directory that another process has is refused, and that process notices nothing', async () => {
    const node = await startNode();
    const client = await connect(node);
    const { code, lines } = await refusal({ data: node.data });
    expect([code, lines.length]).toEqual([1, 1]);
    expect(lines[0]).toContain(`${node.data} is in use by process ${node.pid}`);
    expect((await client.append(Buffer.from('x'))).offset).toBe(LOG_HEAD_BYTES);
    await node.kill();
    const again = await startNode({ data: node.data });
    expect((await connect(again)).hello.term).toBe(2);
  });

  test('a port in use is refused', async () => {
    const node = await startNode();
    const port = Number(new URL(node.url).port);
    const { code, lines } = await refusal({ port });
    expect([code, lines.length]).toEqual([1, 1]);
    expect(lines[0]).toContain(`cannot listen on 127.0.0.1 port ${port}`);
    expect(await codeOf((await connect(node)).read(LOG_HEAD_BYTES + 1))).toBe('OFFSET_BEYOND_END');
  });
});
