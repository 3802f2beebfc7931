// The cases about reading: READ, SUBSCRIBE, CREDIT and DATA.

import assert from 'node:assert/strict';
import { connected, follow, text } from './steps.mjs';
import * as wire from './wire.mjs';

const { SUBSCRIBE, CREDIT } = wire.OPCODE;

/** DATA that no client may believe: what is wrong with it, and how it is made from a good one. */
const DAMAGE = {
  'a bit of a payload': (body) => (body[9] ^= 1),
  'the term': (body) => body.writeUInt32LE(2, 0),
  'a term of 0': (_body, at) => wire.stored({ term: 0, payload: text('entry') }, at),
  'a kind above 63': (_body, at) => wire.stored({ kind: 64, payload: text('entry') }, at),
  'a size beyond the body': (body) => body.writeUInt32LE(1000, 4),
  'the place: an entry of another offset': (_body, at) => wire.stored({ payload: text('entry') }, at + 1),
  'half an entry': (body) => body.subarray(0, 9),
};

export const READING_CASES = [
  [
    'READ',
    'reads what is committed: data alone, whole, in order, with control entries of every kind counted',
    async (t) => {
      const node = await connected(t, { mostData: 64 });
      for (const kind of [1, 4, 7, 63]) {
        node.log.add({ payload: text(`before ${kind}`), continued: true }, { kind, payload: Buffer.alloc(8), continued: true });
        node.log.add({ payload: text('') });
      }
      assert.deepEqual(await follow(t, 0, 8, 'read'), ['before 1', '', 'before 4', '', 'before 7', '', 'before 63', '']);
      assert.equal(await t.client.ask('next', { name: 'r' }), null);
    },
  ],
  [
    'SUBSCRIBE and CREDIT',
    'follows the log, and grants what it consumed, no more',
    async (t) => {
      const node = await connected(t, { mostData: 4096 });
      await t.client.ask('subscribe', { name: 'r', from: 116 });
      const total = 3 << 20;
      const payload = Buffer.alloc(65_524);
      for (let size = 0; size < total; size += 65_536) node.log.add({ payload });
      for (let size = 0; size < total; size += 65_536) await t.client.ask('next', { name: 'r' });
      const [subscribe] = node.requests.filter(({ opcode }) => opcode === SUBSCRIBE);
      const granted = node.requests.filter(({ opcode }) => opcode === CREDIT).reduce((sum, { a }) => sum + a, 0);
      assert.ok(granted > 0 || subscribe.a > total, 'credit is given back');
      assert.ok(granted <= total, 'no more than was consumed is given back');
    },
  ],
  [
    'SUBSCRIBE and CREDIT',
    'goes on after the last entry when the connection is lost, without a gap and without one twice',
    async (t) => {
      const node = await connected(t);
      for (const word of ['a', 'b', 'c']) node.log.add({ payload: text(word) });
      assert.deepEqual(await follow(t, 116, 2), ['a', 'b']);
      for (const connection of node.connections) connection.end();
      node.log.add({ payload: text('d') });
      const rest = [];
      for (let i = 0; i < 2; i++) rest.push(Buffer.from((await t.client.ask('next', { name: 'r' })).payload, 'base64').toString());
      assert.deepEqual(rest, ['c', 'd']);
    },
  ],
  [
    'SUBSCRIBE and CREDIT',
    'ends with OFFSET_TRIMMED where its place is gone',
    async (t) => {
      const node = await connected(t);
      node.log.start = 116;
      await t.client.ask('subscribe', { name: 'r', from: 0 });
      await assert.rejects(t.client.ask('next', { name: 'r' }), { code: 'OFFSET_TRIMMED', offset: 116 });
    },
  ],
  ...Object.entries(DAMAGE).map(([what, change]) => [
    'DATA',
    `believes no entry with ${what} changed, and none after it`,
    async (t) => {
      const node = await connected(t);
      const { offset } = node.log.add({ payload: text('entry') });
      node.log.add({ payload: text('after it') });
      const entry = node.log.entries.at(-2);
      const changed = change(entry.bytes, offset);
      if (Buffer.isBuffer(changed)) entry.bytes = changed;
      await t.client.ask('subscribe', { name: 'r', from: offset });
      await assert.rejects(t.client.ask('next', { name: 'r' }), ({ code }) => code === 'DAMAGED' || code === 'PROTOCOL');
    },
  ]),
  [
    'DATA',
    'takes no entries of another place than it asked for, but where only the log’s own were skipped',
    async (t) => {
      const node = await connected(t);
      const { offset } = node.log.add({ payload: text('skipped to') });
      const answer =
        (flags) =>
        ({ id }, connection) =>
          connection.send(wire.data(id, offset, node.commit, node.log.bytesFrom(offset, 1 << 20), flags)) ?? true;
      node.on = { subscribe: answer(1), read: answer(1) };
      assert.deepEqual(await follow(t, 96, 1), ['skipped to']);
      node.on = { subscribe: answer(0), read: answer(0) };
      await t.client.ask('subscribe', { name: 's', from: 96 });
      await assert.rejects(t.client.ask('next', { name: 's' }), ({ code }) => code === 'DAMAGED' || code === 'PROTOCOL');
    },
  ],
];
