// The cases about appends that not every client has: chains, receipts at order, uploads, sessions of producers.

import assert from 'node:assert/strict';
import { partsOf } from './appends.mjs';
import { Log } from './log.mjs';
import { SERVICES } from './services.mjs';
import { appendOne, appendsOf, connected, text } from './steps.mjs';
import * as wire from './wire.mjs';

const { UPLOAD, OPEN_SESSION } = wire.OPCODE;
const chain = (t, words, expectedEnd) =>
  t.client.ask('chain', { payloads: words.map((word) => text(word).toString('base64')), expectedEnd });
const placesOf = (answers) => answers.map(({ offset, end, code }) => code ?? [offset, end]);

export const CHAIN_CASES = [
  [
    'APPEND',
    'has no more under way than the window, and alone one that is larger',
    async (t) => {
      const node = await connected(t, { windowBytes: 65_536 });
      node.on.append = (request, connection) => {
        // What is sent without waiting for an answer is here before that of the ping.
        connection.socket.once('pong', () => node.append(request, connection));
        connection.socket.ping();
      };
      const { end } = await appendOne(t, 'x'.repeat(70_000));
      const places = await chain(t, Array(12).fill('y'.repeat(20_000)), end);
      assert.deepEqual(placesOf(places).at(-1), [end + 11 * 20_012, end + 12 * 20_012]);
    },
    'chain',
  ],
  [
    'Chains',
    'sends the links without waiting, each with nothing in offset and b',
    async (t) => {
      const node = await connected(t);
      const waiting = [];
      // No link is answered before all have come.
      node.on.append = (request, connection) => {
        waiting.push([request, connection]);
        if (waiting.length < 3) return true;
        for (const [each, from] of waiting) node.append(each, from);
        return true;
      };
      assert.deepEqual(placesOf(await chain(t, ['a', 'b', 'c'], 116)), [
        [116, 129],
        [129, 142],
        [142, 155],
      ]);
      assert.deepEqual(
        appendsOf(node).map(({ flags, offset }) => [flags & 6, offset]),
        [
          [2, 116],
          [4, 0],
          [4, 0],
        ],
      );
    },
  ],
  [
    'Chains',
    'takes all after a link that was refused for not done',
    async (t) => {
      const node = await connected(t);
      let count = 0;
      node.on.append = () => {
        count += 1;
        if (count === 2) node.log.add({ payload: text('of another') });
        return false;
      };
      const [first, ...rest] = await chain(t, ['a', 'b', 'c'], 116);
      assert.deepEqual([first.offset, first.end], [116, 129]);
      for (const { code, outcome } of rest) {
        assert.ok(['CHAIN_BROKEN', 'CONDITION_FAILED'].includes(code), `${code} is not CHAIN_BROKEN`);
        assert.equal(outcome, 'failed');
      }
      assert.deepEqual(node.log.data, ['a', 'of another']);
    },
  ],
  [
    'Chains',
    'begins after a lost connection where the log has it, each link once',
    async (t) => {
      const node = await connected(t);
      let count = 0;
      node.on.append = (request, connection) => {
        count += 1;
        if (count !== 2) return false;
        // It is in the log, and a time entry after it; nobody is told.
        node.log.add(...partsOf(request).entries);
        node.log.addTime(2_000_000_000_000);
        connection.end();
        return true;
      };
      assert.deepEqual(placesOf(await chain(t, ['a', 'b', 'c'], 116)), [
        [116, 129],
        [129, 142],
        [162, 175],
      ]);
      assert.deepEqual(node.log.data, ['a', 'b', 'c']);
    },
  ],
  [
    'Chains',
    'does not go on after data of others',
    async (t) => {
      const node = await connected(t);
      let count = 0;
      node.on.append = (_request, connection) => {
        count += 1;
        if (count !== 2) return false;
        node.log.add({ payload: text('of another') });
        connection.end();
        return true;
      };
      const answers = await chain(t, ['a', 'b', 'c'], 116);
      assert.deepEqual(
        answers.map(({ outcome }) => outcome),
        [undefined, 'failed', 'failed'],
      );
      assert.deepEqual(node.log.data, ['a', 'of another']);
    },
  ],
].map((one) => [...one, 'chain']);

export const RECEIVED_CASES = [
  [
    'APPEND',
    'asks for a receipt at order with the flag, and takes it',
    async (t) => {
      const node = await connected(t);
      const { offset, end } = await appendOne(t, 'one', { ack: 'received' });
      assert.deepEqual([offset, end], [116, 131]);
      await appendOne(t, 'two');
      assert.deepEqual(
        appendsOf(node).map(({ flags }) => flags & 1),
        [1, 0],
      );
    },
    'received',
  ],
];

async function cluster(t) {
  const log = new Log();
  const leader = await t.node({ log, features: 2 | 4 | 8 });
  const follower = await t.node({ log, id: 2, role: 0, features: 2 | 4 });
  follower.leader = leader.url;
  leader.nodes = follower.nodes = [leader.url, follower.url];
  await t.client.ask('connect', { urls: [leader.url, follower.url], uploads: true });
  return { log, leader, follower };
}

const LARGE = Buffer.alloc(700_000, 'large ').toString('base64');

export const UPLOAD_CASES = [
  [
    'Uploads',
    'puts large appends on the followers, and tells the leader who has them',
    async (t) => {
      const { log, leader, follower } = await cluster(t);
      const named = () => appendsOf(leader).some((append) => append.flags & 8 && partsOf(append).upload.nodes === 2);
      let count = 0;
      // The first ones may find out who takes uploads.
      while (!named()) {
        assert.ok(count < 50, 'no append names the follower, which takes uploads');
        await t.client.ask('append', { payloads: [LARGE] });
        count += 1;
      }
      assert.ok(follower.requests.some(({ opcode }) => opcode === UPLOAD));
      assert.equal(leader.requests.filter(({ opcode }) => opcode === UPLOAD).length, 0);
      assert.equal(log.data.length, count);
    },
  ],
  [
    'Uploads',
    'leaves out a follower that refuses: the append is done all the same',
    async (t) => {
      const { log, leader, follower } = await cluster(t);
      let isRefused = false;
      follower.on.upload = ({ id }, connection) => {
        // One answer; the chunks after it are ignored.
        if (!isRefused) connection.send(wire.error(id, 12));
        isRefused = true;
        return true;
      };
      assert.equal((await t.client.ask('append', { payloads: [LARGE] })).offset, 116);
      const [append] = appendsOf(leader);
      if (append.flags & 8) assert.equal(partsOf(append).upload.nodes, 0);
      assert.equal(log.entries.length, 3);
    },
  ],
].map((one) => [...one, 'uploads']);

const FEATURES = 2 | 256;

async function producer(t) {
  const node = await t.node({ features: FEATURES });
  await t.client.ask('connect', { urls: [node.url], producer: 'billing' });
  return node;
}

const opensOf = (node) => node.requests.filter(({ opcode }) => opcode === OPEN_SESSION);
const sequencesOf = (node) => appendsOf(node).map((request) => partsOf(request).sequence);

export const SESSION_CASES = [
  [
    'Sessions of producers',
    'opens a session once, and numbers its appends from 1 on',
    async (t) => {
      const node = await producer(t);
      // The entry that opens the session has 28 bytes and its name, that of an append 44.
      assert.deepEqual([(await appendOne(t)).offset, (await appendOne(t, 'two')).offset], [195, 254]);
      assert.deepEqual(
        opensOf(node).map(({ offset, body }) => [offset, body.toString('utf8', 8)]),
        [[0, 'billing']],
      );
      assert.deepEqual(sequencesOf(node), [1, 2]);
    },
  ],
  [
    'Sessions of producers',
    'sends again with its number what was lost after it was done: once in the log, and told where',
    async (t) => {
      const node = await producer(t);
      node.on.append = (request, connection) => {
        node.on.append = undefined;
        node.append(request, { send: () => undefined });
        connection.end();
        return true;
      };
      assert.deepEqual(await appendOne(t).then(({ offset, end }) => [offset, end]), [195, 210]);
      assert.deepEqual(node.log.data, ['one']);
      assert.deepEqual(sequencesOf(node), [1, 1]);
    },
  ],
  [
    'Sessions of producers',
    'sends again with its number what was lost before it was done, or has an unknown outcome',
    async (t) => {
      const node = await producer(t);
      let count = 0;
      node.on.append = ({ id }, connection) => {
        count += 1;
        if (count === 1) connection.end();
        if (count === 2) connection.send(wire.error(id, 14, 2));
        return count <= 2;
      };
      await appendOne(t);
      await appendOne(t, 'two');
      assert.deepEqual(node.log.data, ['one', 'two']);
      assert.deepEqual(sequencesOf(node), [1, 1, 1, 2]);
    },
  ],
  [
    'Sessions of producers',
    'opens another session when its own was forgotten, and names that as the one before',
    async (t) => {
      const node = await producer(t);
      await appendOne(t);
      const { session } = node.log.sessions.get('billing');
      node.log.sessions.clear();
      await appendOne(t, 'two');
      assert.deepEqual(node.log.data, ['one', 'two']);
      assert.deepEqual(
        opensOf(node).map(({ offset }) => offset),
        [0, session],
      );
      assert.deepEqual(sequencesOf(node).slice(-1), [1]);
    },
  ],
  [
    'Sessions of producers',
    'asks again for the session that it asked for when the answer was lost, and appends in that',
    async (t) => {
      const node = await producer(t);
      node.on.open_session = (request, connection) => {
        node.on.open_session = undefined;
        SERVICES.open_session(node, request, { send: () => undefined });
        connection.end();
        return true;
      };
      await appendOne(t);
      assert.deepEqual(node.log.data, ['one']);
      assert.deepEqual(
        opensOf(node).map(({ offset }) => offset),
        [0, 0],
      );
      assert.equal(partsOf(appendsOf(node).at(-1)).session, node.log.sessions.get('billing').session);
    },
  ],
  [
    'Sessions of producers',
    'says FENCED when another process has its name, and does not take it back',
    async (t) => {
      const node = await producer(t);
      await appendOne(t);
      const row = node.log.sessions.get('billing');
      node.log.sessions.set('billing', { ...row, session: row.session + 1, instance: '00000000000000ff' });
      for (const word of ['two', 'three']) await assert.rejects(appendOne(t, word), { code: 'FENCED', outcome: 'failed' });
      assert.deepEqual(node.log.data, ['one']);
      for (const { offset } of opensOf(node).slice(1)) assert.equal(offset, row.session);
    },
  ],
  [
    'Sessions of producers',
    'does not append as a producer where there are no sessions',
    async (t) => {
      const node = await t.node({});
      await t.client.ask('connect', { urls: [node.url], producer: 'billing' });
      await assert.rejects(appendOne(t), { code: 'UNSUPPORTED', outcome: 'failed' });
      assert.deepEqual(node.log.data, []);
    },
  ],
].map((one) => [...one, 'producer']);
