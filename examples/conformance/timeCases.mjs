// The cases about the log's time, copies of a log, and sealed segments over HTTP.

import assert from 'node:assert/strict';
import { BEGIN_MS, Log } from './log.mjs';
import { connected, text } from './steps.mjs';
import * as wire from './wire.mjs';

const { FIND, READ, SUBSCRIBE } = wire.OPCODE;
const TIMES = 2 | 16;

/** Entries at three times: at the log's beginning, and 1 and 2 s later. */
function timedLog() {
  const log = new Log();
  log.add({ payload: text('a') });
  log.addTime(BEGIN_MS + 1000);
  log.add({ payload: text('b') });
  log.addTime(BEGIN_MS + 2000);
  log.add({ payload: text('c') });
  return log;
}

async function timesFrom(t, from, count, kind) {
  await t.client.ask(kind, { name: 'r', from });
  const times = [];
  for (let i = 0; i < count; i++) times.push((await t.client.ask('next', { name: 'r' })).timeMs - BEGIN_MS);
  return times;
}

const TIME_CASES = [
  ...['read', 'subscribe'].flatMap((kind) => [
    [
      kind === 'read' ? 'READ' : 'SUBSCRIBE and CREDIT',
      `says when each entry was ordered, wherever it begins to ${kind}`,
      async (t) => {
        const node = await connected(t, { log: timedLog(), features: TIMES });
        assert.deepEqual(await timesFrom(t, 0, 3, kind), [0, 1000, 2000]);
        assert.deepEqual(await timesFrom(t, 116, 3, kind), [0, 1000, 2000]);
        assert.deepEqual(await timesFrom(t, 149, 2, kind), [1000, 2000]);
        for (const { opcode, flags } of node.requests) if (opcode === READ || opcode === SUBSCRIBE) assert.equal(flags & 2, 0);
      },
    ],
  ]),
  [
    'DATA',
    'takes the time of a DATA that says where entries of the log’s own were skipped',
    async (t) => {
      const node = await connected(t, { log: timedLog(), features: TIMES });
      node.on.subscribe = ({ id }, connection) => {
        const [first, last] = [node.log.entries.find(({ kind }) => kind === 0), node.log.entries.at(-1)];
        connection.send(wire.data(id, first.offset, node.commit, first.bytes, 2, BEGIN_MS));
        connection.send(wire.data(id, last.offset, node.commit, last.bytes, 3, BEGIN_MS + 2000));
        return true;
      };
      assert.deepEqual(await timesFrom(t, 116, 2, 'subscribe'), [0, 2000]);
    },
  ],
  [
    'DATA',
    'asks no node for the time that has none, and takes what entries say themselves',
    async (t) => {
      const node = await connected(t, { log: timedLog() });
      assert.deepEqual(await timesFrom(t, 0, 3, 'read'), [0, 1000, 2000]);
      await t.client.ask('subscribe', { name: 'r', from: 116 });
      const seen = [];
      for (let i = 0; i < 3; i++) seen.push((await t.client.ask('next', { name: 'r' })).timeMs ?? null);
      assert.deepEqual(seen, [null, BEGIN_MS + 1000, BEGIN_MS + 2000]);
      for (const { opcode, flags } of node.requests) if (opcode === READ || opcode === SUBSCRIBE) assert.equal(flags & 1, 0);
    },
  ],
].map((one) => [...one, 'times']);

const FIND_CASES = [
  [
    'FIND',
    'finds where a time begins',
    async (t) => {
      const node = await connected(t, { log: timedLog(), features: TIMES });
      const find = async (afterMs) => (await t.client.ask('find', { timeMs: BEGIN_MS + afterMs })).offset;
      assert.equal(await find(1000), 129);
      assert.equal(await find(1001), 162);
      assert.equal(await find(5000), node.log.end);
      for (const { opcode, flags, a, b } of node.requests) if (opcode === FIND) assert.deepEqual([flags, a, b], [0, 0, 0]);
    },
  ],
  [
    'FIND',
    'says UNSUPPORTED of a log without times',
    async (t) => {
      await connected(t, { log: Object.assign(timedLog(), { level: 0 }) });
      await assert.rejects(t.client.ask('find', { timeMs: BEGIN_MS }), { code: 'UNSUPPORTED' });
    },
  ],
].map((one) => [...one, 'find']);

const COPY_CASES = [
  [
    'SUBSCRIBE and CREDIT',
    'copies what a node has kept, from below the start on, with the log’s own entries',
    async (t) => {
      const node = await connected(t, { log: Object.assign(timedLog(), { start: 129 }), features: TIMES });
      await t.client.ask('copy', { name: 'r', from: 0 });
      const kinds = [];
      for (const _each of node.log.entries) kinds.push((await t.client.ask('next', { name: 'r' })).kind);
      assert.deepEqual(kinds, [6, 1, 0, 4, 0, 4, 0]);
      const [{ flags }] = node.requests.filter(({ opcode }) => opcode === SUBSCRIBE);
      assert.equal(flags, 2);
    },
    'copy',
  ],
];

/** A log of which most is sealed, in segments of about 600 kB. */
function sealedLog() {
  const log = new Log();
  let base = 0;
  for (let i = 0; i < 30; i++) {
    log.add({ payload: Buffer.alloc(60_000, `entry ${i} `) });
    if (i % 10 !== 9 || i === 29) continue;
    log.segments.push({ base, end: log.end });
    base = log.end;
  }
  return log;
}

async function allOf(t, count, parts) {
  await t.client.ask('subscribe', { name: 'r', from: 116, ...parts });
  for (let i = 0; i < count; i++) {
    const { payload } = await t.client.ask('next', { name: 'r' });
    assert.equal(Buffer.from(payload, 'base64').toString('utf8', 0, 9), `entry ${i} entry`.slice(0, 9));
  }
}

const SEGMENT_CASES = [
  [
    'Sealed segments',
    'takes sealed segments from a host, and goes on at a node where they end',
    async (t) => {
      const log = sealedLog();
      const node = await connected(t, { log });
      const host = await t.node({ log });
      await allOf(t, 30, { catchUp: [host.url.replace('ws', 'http')] });
      assert.equal(host.paths.filter((path) => /\d+-\d+$/.test(path)).length, 2);
      const [{ offset }] = node.requests.filter(({ opcode }) => opcode === SUBSCRIBE);
      assert.equal(offset, log.segments.at(-1).end);
    },
  ],
  [
    'Sealed segments',
    'believes no host: what is not of the digest that a node names comes from the node',
    async (t) => {
      const log = sealedLog();
      await connected(t, { log });
      // All checks in it hold: it is another entry that is as long.
      const forged = sealedLog();
      const entry = forged.entries[3];
      entry.bytes = wire.stored({ payload: Buffer.alloc(60_000, 'forged ') }, entry.offset);
      const host = await t.node({ log: forged });
      await allOf(t, 30, { catchUp: [host.url.replace('ws', 'http')] });
      assert.ok(host.paths.length > 0);
    },
  ],
  [
    'Sealed segments',
    'shows its token to the node that it asks for digests, and to no other host',
    async (t) => {
      const log = sealedLog();
      const node = await t.node({ log, token: 'loglog_abc' });
      const host = await t.node({ log });
      host.on.connection = () => host.fault('a host of segments is not connected to');
      await t.client.ask('connect', { urls: [node.url], token: 'loglog_abc' });
      await allOf(t, 30, { catchUp: [host.url.replace('ws', 'http')] });
      assert.ok(host.paths.some((path) => /\d+-\d+$/.test(path)));
      assert.ok(!host.sawToken, 'the host was shown the token');
    },
  ],
].map((one) => [...one, 'segments']);

export const TIME_AND_SEGMENT_CASES = [...TIME_CASES, ...FIND_CASES, ...COPY_CASES, ...SEGMENT_CASES];
