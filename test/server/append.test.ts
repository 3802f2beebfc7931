import { expect, test } from 'vitest';
import { maxBatchBytes } from '../../src/core/capacities.ts';
import { configure } from '../../src/core/config.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { MAX_ENTRY_BYTES } from '../../src/core/limits.ts';
import { END_LINEARIZABLE, LEVEL_COMMITTED, LEVEL_RECEIVED } from '../../src/protocol/client.ts';
import { FEATURE_CONSUMERS, FEATURE_INTRODUCE, FEATURE_SESSIONS, FEATURE_TIMES } from '../../src/protocol/greeting.ts';
import { LOG_HEAD_BYTES, STATE_ENTRY_BYTES } from '../support/logHead.ts';
import { entryBytes, frameEntries } from './support/entries.ts';
import { connect, sharedNode, startNode, texts } from './support/fixture.ts';
import { codeOf, failureOf, Refused } from './support/rawClient.ts';

const shared = sharedNode();
const sharedSmall = sharedNode({ segmentBytes: 65536 });

test('hello: a new log begins with the no-op of term 1, and says its limits', async () => {
  const node = await startNode({ windowBytes: 65536, maxPayloadBytes: 5000 });
  const { hello } = await connect(node);
  expect(hello).toEqual({
    protocolVersion: 1,
    lowestVersion: 1,
    role: 'leader',
    nodeId: 1,
    clusterId: (await node.status()).clusterId,
    start: 0,
    commit: LOG_HEAD_BYTES,
    term: 1,
    maxPayloadBytes: 5000,
    windowBytes: 65536,
    maxBatchBytes: 1024 * 1024,
    maxReadBytes: 1024 * 1024,
    leader: '',
    process: expect.stringMatching(/^[0-9a-f]{16}$/),
    whyNoLeader: '',
    features: FEATURE_INTRODUCE | FEATURE_TIMES | FEATURE_CONSUMERS | FEATURE_SESSIONS,
    isDurable: true,
    cluster: undefined,
  });
  expect(hello.clusterId).toMatch(/^[0-9a-f]{32}$/);
});

test('append: a committed receipt names the place, the term and the node, and the entry can be read there', async () => {
  const node = shared();
  const client = await connect(node);
  const from = client.hello.commit;
  const receipt = await client.append(Buffer.from('hello'));
  expect(receipt).toEqual({ requestId: 1, term: 1, offset: from, end: from + 17, level: LEVEL_COMMITTED, nodes: 1 });
  const { entries, commit } = await client.read(receipt.offset);
  expect(commit).toBe(from + 17);
  expect(entries).toEqual([{ offset: from, end: from + 17, term: 1, kind: 0, isContinued: false, payload: Buffer.from('hello') }]);
  const { log } = await node.status();
  const end = from + 17;
  expect(log).toEqual({ start: 0, commit: end, durable: end, tail: end, timeMs: expect.any(Number), isTimeHeld: false, level: LOG_LEVEL });
});

test('append: a received receipt is at level 0 with no nodes, and the entry commits afterwards', async () => {
  const client = await connect(shared());
  const from = (await client.end()).commit;
  const receipt = await client.append(Buffer.from('soon'), { received: true });
  expect(receipt).toMatchObject({ offset: from, end: from + 16, level: LEVEL_RECEIVED, nodes: 0 });
  const { entries } = await client.read(receipt.offset, { waitMs: 10_000 });
  expect(entries.map(({ payload }) => payload.toString())).toEqual(['soon']);
});

test('append: entries without a payload, and batches of them, are entries like others', async () => {
  const client = await connect(shared());
  const receipt = await client.append([Buffer.alloc(0), Buffer.alloc(0), Buffer.from('x')]);
  expect(receipt.end - receipt.offset).toBe(37);
  const { entries } = await client.read(receipt.offset);
  expect(entries.map(({ payload }) => payload.length)).toEqual([0, 0, 1]);
});

test('append: the marks of a batch are kept as they were sent', async () => {
  const client = await connect(shared());
  const { offset } = await client.appendFramed(frameEntries(texts(5), [0, 1, 3]), 5);
  const { entries } = await client.read(offset);
  expect(entries.map(({ isContinued }) => isContinued)).toEqual([true, true, false, true, false]);
  expect(entries.map(({ kind }) => kind)).toEqual([0, 0, 0, 0, 0]);
});

test('append: pipelined appends of a connection stand in the order in which they were sent, and answers are coalesced', async () => {
  const client = await connect(shared());
  const from = (await client.end()).commit;
  const count = 5000;
  const receipts = await Promise.all(texts(count).map((text) => client.append(text)));
  let end = from;
  for (const receipt of receipts) {
    expect(receipt.offset).toBe(end);
    end = receipt.end;
  }
  expect(client.appended.reduce((sum, n) => sum + n, 0)).toBe(count);
  expect(client.appended.length).toBeLessThan(count / 2);
  const entries = await client.readAll(from, end);
  expect(entries.map(({ payload }) => payload.toString())).toEqual(texts(count).map(String));
});

test('append: several connections at once share one order without gaps or overlaps', async () => {
  const node = shared();
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(node)));
  const from = (await clients[0]?.end())?.commit ?? 0;
  const receipts = await Promise.all(
    clients.flatMap((client, c) => Array.from({ length: 300 }, (_, i) => client.append(texts(1 + (i % 5), `${c}/${i}/`)))),
  );
  receipts.sort((a, b) => a.offset - b.offset);
  let end = from;
  for (const receipt of receipts) {
    expect(receipt.offset).toBe(end);
    end = receipt.end;
  }
  const reader = clients[0];
  const seen = new Map<string, number[]>();
  for (const { payload } of (await reader?.readAll(from, end)) ?? []) {
    const [c = '', i] = payload.toString().split('/');
    seen.set(c, [...(seen.get(c) ?? []), Number(i)]);
  }
  for (const order of seen.values()) expect(order).toEqual(order.toSorted((a, b) => a - b));
});

test('append: with an expected end it happens only where no data stands after it', async () => {
  const client = await connect(shared());
  const { commit } = client.hello;
  const first = await client.append(Buffer.from('a'), { expectedEnd: commit });
  expect(first.offset).toBe(commit);
  const failure = (await failureOf(client.append(Buffer.from('b'), { expectedEnd: commit }))) as Refused;
  expect(failure).toBeInstanceOf(Refused);
  expect(failure.answer).toMatchObject({ code: 'CONDITION_FAILED', offset: first.end, fatal: false, outcomeUnknown: false });
  const { term } = client.hello;
  const other = (await failureOf(client.append(Buffer.from('b'), { expectedEnd: first.end, expectedTerm: term + 1 }))) as Refused;
  expect(other.answer).toMatchObject({ code: 'CONDITION_FAILED', offset: first.end });
  expect((await client.append(Buffer.from('b'), { expectedEnd: first.end, expectedTerm: term })).offset).toBe(first.end);
});

test('append: the end of the last receipt is where the next one is expected, also after restarts', async () => {
  let node = await startNode();
  const { data } = node;
  let expectedEnd = 0;
  for (let round = 0; round < 3; round += 1) {
    const client = await connect(node);
    const receipt = await client.append(texts(2), { expectedEnd });
    expect(receipt.offset).toBeGreaterThan(expectedEnd);
    expectedEnd = receipt.end;
    await node.stop();
    node = await startNode({ data });
  }
});

test('append: a chain needs no waiting, and ends where another writer comes in between', async () => {
  const node = shared();
  const [client, other] = [await connect(node), await connect(node)];
  const { commit } = client.hello;
  const chain = texts(100).map((text, i) => client.append(text, i === 0 ? { expectedEnd: commit } : { chained: true }));
  const receipts = await Promise.all(chain);
  for (const [i, { offset }] of receipts.entries()) expect(offset).toBe(receipts[i - 1]?.end ?? commit);
  const foreign = await other.append(texts(1));
  const links = [client.append(texts(1), { chained: true }), client.append(texts(1), { chained: true })];
  for (const link of links) {
    const failure = (await failureOf(link)) as Refused;
    expect(failure.answer).toMatchObject({ code: 'CHAIN_BROKEN', offset: foreign.end, fatal: false, outcomeUnknown: false });
  }
  // Two writers, entries of one size, and the other one is faster: by offsets alone, the second and third would pass.
  const at = foreign.end;
  const winner = await other.append(texts(1));
  const tries = [
    client.append(texts(1), { expectedEnd: at }),
    client.append(texts(1), { chained: true }),
    client.append(texts(1), { chained: true }),
  ];
  expect(await Promise.all(tries.map(codeOf))).toEqual(['CONDITION_FAILED', 'CHAIN_BROKEN', 'CHAIN_BROKEN']);
  expect((await client.end()).commit).toBe(winner.end);
});

test('append: of many clients with the same expected end, exactly one succeeds', async () => {
  const node = shared();
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(node)));
  for (let round = 0, expectedEnd = (await clients[0]?.end())?.commit ?? 0; round < 20; round++) {
    const tries = await Promise.allSettled(clients.map((client) => client.append(texts(1), { expectedEnd })));
    const won = tries.filter((attempt) => attempt.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expectedEnd = won[0]?.value.end ?? 0;
  }
});

test('append: a batch stands together, also when it has to begin a new segment', async () => {
  const node = await startNode({ segmentBytes: 65536 });
  const client = await connect(node);
  const batch = texts(700, 'a batch never spans two segments ');
  const receipts = await Promise.all(Array.from({ length: 10 }, () => client.append(batch)));
  for (const receipt of receipts) expect(receipt.end - receipt.offset).toBe(entryBytes(batch));
  const { commit } = await client.end(END_LINEARIZABLE);
  // Two batches fit into a segment, and the log says at the head of each what its state is.
  const entries = await client.readAll(LOG_HEAD_BYTES, commit);
  expect(commit).toBe(LOG_HEAD_BYTES + 10 * entryBytes(batch) + 9 * STATE_ENTRY_BYTES);
  const payloads = entries.filter(({ kind }) => kind === 0).map(({ payload }) => payload.toString());
  expect(payloads).toEqual(Array.from({ length: 10 }, () => batch.map(String)).flat());
});

test('append: nothing of a batch is appended when one entry of it is bad, whichever it is', async () => {
  const client = await connect(shared());
  const from = (await client.end()).commit;
  const batch = texts(5);
  for (let bad = 0; bad < batch.length; bad++) {
    const framed = frameEntries(batch);
    const at = entryBytes(batch.slice(0, bad));
    framed[at + 9] = 0xff;
    const failure = (await failureOf(client.appendFramed(framed, batch.length))) as Refused;
    expect(failure.answer).toMatchObject({ code: 'BAD_CHECK', offset: at, fatal: false });
  }
  expect((await client.end()).commit).toBe(from);
  expect((await client.append(batch)).offset).toBe(from);
});

test('append: the largest batch leaves room in its segment for a state entry, a time entry and a session entry', () => {
  const MIB = 1024 * 1024;
  for (const [segmentBytes, stateBytes] of [
    [65_536, 16_384],
    [MIB, MIB / 4],
    [4 * MIB, MIB],
    [16 * MIB, MIB],
  ] as const) {
    const config = configure({ segmentBytes, slots: 3 });
    const batchBytes = segmentBytes - 4096 - 40 - stateBytes - 20 - 52;
    expect([config.maxPayloadBytes, maxBatchBytes(config)]).toEqual([batchBytes - 12, batchBytes]);
  }
  expect(maxBatchBytes(configure({}))).toBe(MAX_ENTRY_BYTES);
});

test('append: the largest entry that the node takes is taken, at any place in a segment', async () => {
  const node = sharedSmall();
  const client = await connect(node);
  const { maxPayloadBytes } = client.hello;
  expect(maxPayloadBytes).toBe(65536 - 4096 - 40 - 65536 / 4 - 20 - 52 - 12);
  for (const before of [0, 1, maxPayloadBytes]) {
    await client.append(Buffer.alloc(before, 'b'));
    const largest = await client.append(Buffer.alloc(maxPayloadBytes, 'l'));
    const { entries } = await client.read(largest.offset, { maxBytes: 1 });
    expect(entries.map(({ payload }) => payload.equals(Buffer.alloc(maxPayloadBytes, 'l')))).toEqual([true]);
  }
  expect(await codeOf(client.append(Buffer.alloc(maxPayloadBytes + 1)))).toBe('ENTRY_TOO_LARGE');
});

test('append: an entry of 16 MiB - 1 comes back byte for byte, beyond the window as it is', async () => {
  const client = await connect(shared());
  const payload = Buffer.alloc(client.hello.maxPayloadBytes);
  payload.writeUInt32LE(0xfeed, payload.length - 4);
  expect(payload.length).toBe(16_777_215);
  expect(client.hello.windowBytes).toBeLessThan(payload.length);
  const receipt = await client.append(payload);
  const { entries } = await client.read(receipt.offset);
  expect(entries[0]?.payload.equals(payload)).toBe(true);
});

test('end: both flags answer start, commit and term', async () => {
  const client = await connect(shared());
  const { end } = await client.append(Buffer.from('x'));
  for (const flags of [0, END_LINEARIZABLE]) expect(await client.end(flags)).toMatchObject({ start: 0, commit: end, term: 1 });
});
