// The cases of the suite: what a client must do, by the sections of docs/PROTOCOL.md. Each gets a fresh client and plays the nodes that it needs.

import assert from 'node:assert/strict';
import { CHAIN_CASES, RECEIVED_CASES, SESSION_CASES, UPLOAD_CASES } from './appendCases.mjs';
import { LEADER_CASES } from './leaderCases.mjs';
import { Log } from './log.mjs';
import { READING_CASES } from './readingCases.mjs';
import { appendOne, appendsOf, connected, follow, text } from './steps.mjs';
import { TIME_AND_SEGMENT_CASES } from './timeCases.mjs';
import * as wire from './wire.mjs';

const { READ, SUBSCRIBE, END, INTRODUCE, AUTHENTICATE } = wire.OPCODE;
const entriesOf = ({ body }) => wire.appended(body);

/** Errors by number: what a client must make of an append that is refused with them, and that goes on at no other node. */
const REFUSED = {
  1: 'MALFORMED',
  3: 'BAD_CHECK',
  4: 'ENTRY_TOO_LARGE',
  5: 'BAD_KIND',
  7: 'CONDITION_FAILED',
  16: 'UNSUPPORTED',
  18: 'CHAIN_BROKEN',
  22: 'FORBIDDEN',
  23: 'QUOTA_EXCEEDED',
  31: 'READ_ONLY',
};
/** Those after which the same append is sent again, and is done then. */
const AGAIN = { 12: 'OVERLOADED', 13: 'SHUTTING_DOWN', 14: 'NOT_LEADER', 29: 'DISK_FULL' };

/** [section of PROTOCOL.md, what the client does, how it is shown, what not every client has] */
export const CASES = [
  [
    'Connection',
    'takes a message in fragments, with pings between them, and answers those',
    async (t) => {
      let pong = false;
      const node = await t.node({
        on: {
          connection: (connection) => {
            connection.socket.on('pong', () => (pong = true));
            const message = wire.hello(connection.node, false);
            connection.send(message.subarray(0, 10), { fin: false });
            connection.socket.ping('alive');
            connection.send(message.subarray(10));
            return true;
          },
        },
      });
      await t.client.ask('connect', { urls: [node.url] });
      assert.equal((await appendOne(t)).offset, 116);
      assert.ok(pong, 'a ping was answered');
    },
  ],
  [
    'Connection',
    'sends again elsewhere what 4001 leaves unanswered, once',
    async (t) => {
      const node = await connected(t);
      node.on.append = (_request, connection) => {
        node.on.append = undefined;
        connection.end(4001);
        return true;
      };
      assert.equal((await appendOne(t)).offset, 116);
      assert.equal(node.log.entries.length, 3);
    },
  ],
  [
    'HELLO',
    'goes to the leader that a follower names, and back when the office moves',
    async (t) => {
      const log = new Log();
      const [one, two] = [await t.node({ log }), await t.node({ log, id: 2, role: 0 })];
      two.leader = one.url;
      await t.client.ask('connect', { urls: [two.url] });
      await appendOne(t);
      assert.equal(appendsOf(one).length, 1);
      Object.assign(one, { role: 0, leader: two.url, term: 2 });
      Object.assign(two, { role: 1, leader: '', term: 2 });
      for (const connection of one.connections) if (connection.socket.readyState === 1) connection.hello();
      await appendOne(t, 'two');
      assert.equal(log.entries.length, 4);
    },
  ],
  [
    'HELLO',
    'waits for a leader while none is known, and takes a HELLO that says nothing new',
    async (t) => {
      const node = await connected(t, { role: 0, why: 'an election' });
      const asked = appendOne(t);
      for (const connection of node.connections) connection.hello();
      node.role = 1;
      for (const connection of node.connections) if (connection.socket.readyState === 1) connection.hello();
      assert.equal((await asked).offset, 116);
    },
  ],
  [
    'HELLO',
    'does not append to another cluster',
    async (t) => {
      const node = await connected(t);
      node.cluster = '00'.repeat(16);
      for (const connection of node.connections) connection.end();
      // One that does not know yet that its connection is gone may send on that, and does not know what became of it.
      for (let tries = 0; tries < 2; tries++) {
        await assert.rejects(appendOne(t), ({ code, outcome }) => code === 'OTHER_CLUSTER' || (tries === 0 && outcome === 'unknown'));
      }
      assert.equal(appendsOf(node).length, 0);
    },
  ],
  [
    'AUTHENTICATE',
    'shows its token in the header, or in its first message',
    async (t) => {
      for (const takesHeaders of [true, false]) {
        const node = await t.node({ token: 'loglog_abc', takesHeaders });
        await t.client.ask('connect', { urls: [node.url], token: 'loglog_abc' });
        await appendOne(t);
        if (takesHeaders) assert.equal(node.requests.filter(({ opcode }) => opcode === AUTHENTICATE).length, 0);
      }
    },
  ],
  [
    'AUTHENTICATE',
    'does not try again with a token that is not taken, nor without one',
    async (t) => {
      const node = await t.node({ token: 'loglog_abc', takesHeaders: false });
      for (const token of ['loglog_xyz', undefined])
        await assert.rejects(t.client.ask('connect', { urls: [node.url], token }), { code: 'UNAUTHENTICATED' });
    },
  ],
  [
    'INTRODUCE',
    'introduces itself where it may, first, and not where it may not',
    async (t) => {
      await connected(t, { features: 0 });
      await appendOne(t);
      const node = await connected(t);
      await appendOne(t);
      for (const { requests } of node.connections) if (requests.length > 0) assert.equal(requests[0].opcode, INTRODUCE);
    },
  ],
  [
    'APPEND',
    'frames payloads of all sizes, several as one batch',
    async (t) => {
      const node = await connected(t);
      const sizes = [0, 1, 3, 4, 7, 8, 11, 31, 32, 33, 63, 100, 1000, 70_000];
      const payloads = sizes.map((size) => Buffer.from(Array.from({ length: size }, (_, i) => i % 251)));
      const { offset, end } = await t.client.ask('append', { payloads: payloads.map((payload) => payload.toString('base64')) });
      assert.equal(offset, 116);
      assert.equal(end, 116 + sizes.reduce((sum, size) => sum + 12 + size, 0));
      const sent = appendsOf(node).flatMap(entriesOf);
      assert.deepEqual(
        sent.map(({ payload }) => payload),
        payloads,
      );
      assert.deepEqual(
        sent.map(({ continued }) => continued),
        sizes.map((_, i) => i + 1 < sizes.length),
      );
    },
  ],
  [
    'APPEND',
    'takes the receipt of a node that syncs nothing',
    async (t) => {
      const node = await connected(t);
      node.on.append = ({ id }, connection) => {
        const { offset, end } = node.log.add({ payload: text('one') });
        connection.send(wire.receipts([{ id, offset, end, level: 2 }]));
        return true;
      };
      assert.deepEqual(await appendOne(t), { offset: 116, end: 131 });
    },
  ],
  [
    'APPEND',
    'does not take a receipt of a level that it does not know for a promise',
    async (t) => {
      await connected(t, {
        on: { append: ({ id }, connection) => connection.send(wire.receipts([{ id, offset: 116, end: 131, level: 9 }])) ?? true },
      });
      await assert.rejects(appendOne(t), { outcome: 'unknown' });
    },
  ],
  [
    'APPEND',
    'sends no append again whose outcome is unknown and that has no condition',
    async (t) => {
      const node = await connected(t, { on: { append: (_request, connection) => connection.end() ?? true } });
      await assert.rejects(appendOne(t), { outcome: 'unknown' });
      assert.equal(appendsOf(node).length, 1);
    },
  ],
  [
    'Connection',
    'does not take any other end than 4001 for a promise, and comes back after it',
    async (t) => {
      for (const code of [4002, 4003, 4006, 1001]) {
        const node = await connected(t, { on: { append: (_request, connection) => connection.end(code) ?? true } });
        await assert.rejects(appendOne(t), { outcome: 'unknown' }, `after ${code}`);
        node.on.append = undefined;
        assert.equal((await appendOne(t)).offset, 116);
      }
    },
  ],
  [
    'APPEND',
    'says what a condition failed at, with its end, and sends it with the flag',
    async (t) => {
      const node = await connected(t);
      assert.equal((await appendOne(t, 'one', { expectedEnd: 0 })).end, 131);
      await assert.rejects(appendOne(t, 'two', { expectedEnd: 116 }), { code: 'CONDITION_FAILED', outcome: 'failed', offset: 131 });
      assert.deepEqual(
        appendsOf(node).map(({ flags, offset }) => [flags & 2, offset]),
        [
          [2, 0],
          [2, 116],
        ],
      );
    },
  ],
  ...Object.entries(REFUSED).map(([number, code]) => [
    'ERROR',
    `says ${code}: failed, and does not try again`,
    async (t) => {
      const node = await connected(t, { on: { append: ({ id }, connection) => connection.send(wire.error(id, Number(number))) ?? true } });
      await assert.rejects(appendOne(t), { code, outcome: 'failed' });
      assert.equal(appendsOf(node).length, 1);
    },
  ]),
  ...Object.entries(AGAIN).map(([number, code]) => [
    'ERROR',
    `tries again after ${code}, which is certain: once in the log`,
    async (t) => {
      let refused = 0;
      const node = await connected(t);
      node.on.append = ({ id }, connection) => {
        refused += 1;
        if (refused > 2) return false;
        connection.send(wire.error(id, Number(number)));
        return true;
      };
      assert.equal((await appendOne(t)).offset, 116);
      assert.equal(node.log.entries.length, 3);
    },
  ]),
  [
    'ERROR',
    'takes OUTCOME_UNKNOWN, and a number that it does not know, for unknown',
    async (t) => {
      for (const [number, flags] of [
        [14, 2],
        [13, 2],
        [999, 0],
      ]) {
        const node = await connected(t, { on: { append: ({ id }, connection) => connection.send(wire.error(id, number, flags)) ?? true } });
        await assert.rejects(appendOne(t), { outcome: 'unknown' });
        assert.equal(appendsOf(node).length, 1);
      }
    },
  ],
  [
    'ERROR',
    'takes a fatal error about no request for nothing that is certain',
    async (t) => {
      const node = await connected(t);
      node.on.append = (_request, connection) => {
        connection.send(wire.error(0, 12, 1));
        connection.end(1008);
        return true;
      };
      await assert.rejects(appendOne(t), { outcome: 'unknown' });
    },
  ],
  ...CHAIN_CASES,
  ...RECEIVED_CASES,
  ...UPLOAD_CASES,
  ...SESSION_CASES,
  ...READING_CASES,
  ...TIME_AND_SEGMENT_CASES,
  ...LEADER_CASES,
  [
    'END',
    'says where the log is, and asks for what is linearizable only where it should be',
    async (t) => {
      const node = await connected(t);
      node.log.add({ payload: text('one') });
      for (const linearizable of [true, false]) {
        const { start, commit } = await t.client.ask('end', { linearizable });
        assert.deepEqual([start, commit], [0, 131]);
        assert.equal(node.requests.findLast(({ opcode }) => opcode === END).flags & 1, linearizable ? 1 : 0);
      }
    },
  ],
  [
    'Reconnecting',
    'finds out what became of an append with a condition: it was done',
    async (t) => {
      const node = await t.node({});
      node.on.append = (request, connection) => {
        node.on.append = undefined;
        node.log.add(...entriesOf(request));
        connection.end();
        return true;
      };
      await t.client.ask('connect', { urls: [node.url] });
      assert.deepEqual(await appendOne(t, 'mine', { expectedEnd: 116 }), { offset: 116, end: 132 });
      assert.equal(node.log.entries.length, 3);
    },
  ],
  [
    'Reconnecting',
    'finds out what became of an append with a condition: other data came first',
    async (t) => {
      const node = await t.node({});
      node.on.append = (_request, connection) => {
        node.on.append = undefined;
        node.log.add({ kind: 4, payload: Buffer.alloc(8) }, { payload: text('of another') });
        connection.end();
        return true;
      };
      await t.client.ask('connect', { urls: [node.url] });
      await assert.rejects(appendOne(t, 'mine', { expectedEnd: 116 }), { code: 'CONDITION_FAILED', outcome: 'failed' });
      assert.equal(node.log.entries.length, 4);
    },
  ],
  [
    'Reconnecting',
    'finds out what became of an append with a condition: nothing, so it sends it again',
    async (t) => {
      const node = await t.node({});
      node.on.append = (_request, connection) => {
        node.on.append = undefined;
        connection.end();
        return true;
      };
      await t.client.ask('connect', { urls: [node.url] });
      assert.deepEqual(await appendOne(t, 'mine', { expectedEnd: 116 }), { offset: 116, end: 132 });
    },
  ],
  [
    'Reconnecting',
    'reads from no node that has less than it has seen',
    async (t) => {
      const [ahead, behind] = [new Log(), new Log()];
      for (const word of ['a', 'b']) ahead.add({ payload: text(word) });
      behind.add({ payload: text('a') });
      const [one, two] = [await t.node({ log: ahead }), await t.node({ log: behind, id: 2, role: 0 })];
      await t.client.ask('connect', { urls: [one.url, two.url] });
      assert.deepEqual(await follow(t, 116, 2), ['a', 'b']);
      ahead.add({ payload: text('c') });
      for (const connection of one.connections) connection.end();
      const { payload } = await t.client.ask('next', { name: 'r' });
      assert.equal(Buffer.from(payload, 'base64').toString(), 'c');
      for (const { opcode, offset } of two.requests) if (opcode === SUBSCRIBE || opcode === READ) assert.ok(offset <= behind.end);
    },
  ],
];
