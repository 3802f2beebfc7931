// The cases about what only a leader does, or knows: the log's life, its tokens, its consumers, its nodes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Log } from './log.mjs';
import { connected, follow, text } from './steps.mjs';
import * as wire from './wire.mjs';

const { TRIM, RETENTION, UPGRADE, TRANSFER, MEMBERS, CONSUMERS } = wire.OPCODE;
const of = (node, wanted) => node.requests.filter(({ opcode }) => opcode === wanted);
const FEATURES = 2 | 128;

/** A node with the entries `words`. */
async function filled(t, words, changes = {}) {
  const log = new Log();
  for (const word of words) log.add({ payload: text(word) });
  return connected(t, { log, ...changes });
}

const TRIM_CASES = [
  [
    'TRIM',
    'says where the log begins after it; a dry run only asks',
    async (t) => {
      const node = await filled(t, ['a', 'b']);
      assert.deepEqual((await t.client.ask('trim', { to: 129, dryRun: true })).start, 129);
      assert.equal(node.log.start, 0);
      assert.deepEqual((await t.client.ask('trim', { to: 130 })).start, 129);
      assert.deepEqual(
        of(node, TRIM).map(({ flags, offset, a, b }) => [flags, offset, a, b]),
        [
          [1, 129, 0, 0],
          [0, 130, 0, 0],
        ],
      );
      await assert.rejects(t.client.ask('trim', { to: 10_000 }), { code: 'OFFSET_BEYOND_END', offset: 142 });
    },
  ],
  [
    'TRIM',
    'goes to the leader, and never says of one of unknown outcome that it failed',
    async (t) => {
      const log = new Log();
      const leader = await t.node({ log });
      const follower = await t.node({ log, id: 2, role: 0, leader: leader.url });
      await t.client.ask('connect', { urls: [follower.url] });
      leader.on.trim = ({ id }, connection) => {
        leader.on.trim = undefined;
        log.start = 96;
        connection.send(wire.error(id, 14, 2));
        return true;
      };
      const answer = await t.client.ask('trim', { to: 96 }).catch(({ outcome }) => ({ outcome }));
      assert.ok(answer.start === 96 || answer.outcome === 'unknown', `${JSON.stringify(answer)} is neither done nor unknown`);
      assert.equal(of(follower, TRIM).length, 0);
    },
  ],
].map((one) => [...one, 'trim']);

const RETENTION_CASES = [
  [
    'RETENTION',
    'sets what it is given, and nothing else; 0 is no bound',
    async (t) => {
      const node = await connected(t, { features: FEATURES });
      const set = (bounds) => t.client.ask('setRetention', bounds);
      assert.equal((await t.client.ask('retention')).bytes, null);
      assert.equal((await set({ bytes: 70_000 })).bytes, 70_000);
      assert.deepEqual(node.log.policy, { bytes: 70_000, age: 0, consumers: 0 });
      assert.equal((await set({ ageMs: 6_000_000_000 })).ageMs, 6_000_000_000);
      assert.equal((await set({ consumerBytes: 5 })).consumerBytes, 5);
      assert.deepEqual(node.log.policy, { bytes: 70_000, age: 6_000_000_000, consumers: 5 });
      await set({ bytes: null, ageMs: null, consumerBytes: null });
      const { bytes, ageMs, consumerBytes, start } = await t.client.ask('retention');
      assert.deepEqual([bytes, ageMs, consumerBytes, start], [null, null, null, 0]);
    },
  ],
  [
    'RETENTION',
    'does not ask a node about consumers that knows none',
    async (t) => {
      const node = await connected(t);
      assert.equal((await t.client.ask('setRetention', { bytes: 70_000 })).bytes, 70_000);
      for (const { flags } of of(node, RETENTION)) assert.equal(flags & 12, 0);
    },
  ],
].map((one) => [...one, 'retention']);

const LEVEL_CASES = [
  [
    'UPGRADE',
    'asks for the level, and raises it when it is told to, once nobody holds it back',
    async (t) => {
      const node = await connected(t);
      assert.equal((await t.client.ask('level')).level, 1);
      assert.equal(of(node, UPGRADE).at(-1).flags, 0);
      node.holdsBack = [3];
      const raised = t.client.ask('finalize');
      await t.wait(() => of(node, UPGRADE).some(({ flags }) => flags === 1));
      assert.equal(node.log.level, 1);
      node.holdsBack = [];
      assert.equal((await raised).level, 2);
    },
    'level',
  ],
];

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const numberOf = (digits) => [...digits].reduce((sum, digit) => sum * 62n + BigInt(DIGITS.indexOf(digit)), 0n);

const TOKEN_CASES = [
  [
    'TOKENS',
    'makes a token by itself, and tells its hash alone; lists it, and takes it back',
    async (t) => {
      const node = await connected(t);
      const { token, id } = await t.client.ask('createToken', { name: 'shop é', scopes: ['read', 'append'] });
      assert.match(token, /^loglog_[0-9A-Za-z]{47}$/);
      assert.equal(numberOf(token.slice(-6)), BigInt(crc32(token.slice(0, -6))));
      const [[key, record]] = node.log.tokens;
      assert.equal(BigInt(`0x${key}`), numberOf(token.slice(7, 18)));
      assert.equal(id, token.slice(7, 18));
      assert.equal(record.toString('hex', 16, 48), createHash('sha256').update(token).digest('hex'));
      assert.equal(record.readUInt32LE(0), 1 | 4);
      for (const { body } of node.requests) assert.ok(!body.includes(token.slice(18, 40)), 'the secret travels');
      const [listed] = await t.client.ask('tokens');
      assert.deepEqual([listed.id, listed.name, [...listed.scopes].sort()], [id, 'shop é', ['append', 'read']]);
      assert.equal(await t.client.ask('revokeToken', { token: id }), true);
      assert.equal(await t.client.ask('revokeToken', { token: id }), false);
      assert.deepEqual(await t.client.ask('tokens'), []);
    },
    'tokens',
  ],
  [
    'TOKENS',
    'says FORBIDDEN where its own token has not the scope',
    async (t) => {
      await connected(t, { on: { tokens: ({ id }, connection) => connection.send(wire.error(id, 22, 0, 16)) ?? true } });
      await assert.rejects(t.client.ask('tokens'), { code: 'FORBIDDEN', outcome: 'failed' });
    },
    'tokens',
  ],
];

const member = (id, role = 1) => ({
  id,
  role,
  isConnected: true,
  counts: role === 1,
  fed: 2,
  port: 7070,
  peerPort: 7170,
  instance: `00000000000000a${id}`,
  durable: 116,
  heard: 1_760_936_591_360,
  host: `10.0.0.${id}`,
  url: '',
});
const three = () => [member(1), member(2), member(3)];
const rolesOf = (nodes) => nodes.map(({ id, role }) => [id, role]);

const TRANSFER_CASES = [
  [
    'TRANSFER',
    'asks for the office in the term that it knows, so that asking again does no harm',
    async (t) => {
      const node = await connected(t, { members: three(), term: 5 });
      assert.equal((await t.client.ask('transfer', { to: 3, dryRun: true })).leader, 3);
      node.on.transfer = (_request, connection) => {
        node.on.transfer = undefined;
        connection.end();
        return true;
      };
      assert.deepEqual(await t.client.ask('transfer', { to: 2 }), { leader: 2, term: 6 });
      for (const { flags, a, b } of of(node, TRANSFER).slice(1)) assert.deepEqual([flags, a, b], [0, 2, 5]);
    },
  ],
  [
    'TRANSFER',
    'says NOT_READY, and does not try again',
    async (t) => {
      const node = await connected(t, { on: { transfer: ({ id }, connection) => connection.send(wire.error(id, 36)) ?? true } });
      await assert.rejects(t.client.ask('transfer', { to: 2 }), { code: 'NOT_READY', outcome: 'failed' });
      assert.equal(of(node, TRANSFER).length, 1);
    },
  ],
].map((one) => [...one, 'transfer']);

const MEMBER_CASES = [
  [
    'MEMBERS',
    'lists the nodes of the log, and changes them one at a time',
    async (t) => {
      const node = await connected(t, { members: three() });
      const change = (what, parts) => t.client.ask('changeMember', { kind: what, ...parts }).then(rolesOf);
      const all = [1, 2, 3].map((id) => [id, 'voter']);
      assert.deepEqual(rolesOf(await t.client.ask('members')), all);
      const fourth = { member: 4, host: 'log4.example.com', port: 7070, peerPort: 7170, learner: true };
      assert.deepEqual(await change('add', { ...fourth, dryRun: true }), [...all, [4, 'reader']]);
      assert.equal(node.members.length, 3);
      assert.deepEqual(await change('add', fourth), [...all, [4, 'reader']]);
      assert.equal(node.members.at(-1).host, 'log4.example.com');
      assert.deepEqual((await change('demote', { member: 3 }))[2], [3, 'reader']);
      assert.deepEqual((await change('promote', { member: 3 }))[2], [3, 'voter']);
      assert.deepEqual(await change('remove', { member: 4 }), all);
    },
  ],
  [
    'MEMBERS',
    'says why a change cannot be',
    async (t) => {
      const node = await connected(t, { members: three() });
      await assert.rejects(t.client.ask('changeMember', { kind: 'remove', member: 9 }), { code: 'UNKNOWN_MEMBER', outcome: 'failed' });
      for (const [number, code] of Object.entries({ 37: 'LEVEL_TOO_LOW', 39: 'NO_MAJORITY' })) {
        node.on.members = ({ id, body }, connection) =>
          body.length === 0 ? false : (connection.send(wire.error(id, Number(number))) ?? true);
        await assert.rejects(t.client.ask('changeMember', { kind: 'remove', member: 2 }), { code, outcome: 'failed' });
      }
      assert.ok(of(node, MEMBERS).length >= 3);
    },
  ],
].map((one) => [...one, 'members']);

const wordOf = ({ payload }) => Buffer.from(payload, 'base64').toString();

const CONSUMER_CASES = [
  [
    'CONSUMERS',
    'takes a name, commits what it handled, and goes on there in its next life',
    async (t) => {
      const node = await filled(t, ['a', 'b', 'c'], { features: FEATURES });
      await t.client.ask('consumer', { name: 'r', consumer: 'mailer' });
      assert.equal(wordOf(await t.client.ask('next', { name: 'r' })), 'a');
      assert.equal(wordOf(await t.client.ask('next', { name: 'r' })), 'b');
      await t.client.ask('commit', { name: 'r' });
      assert.deepEqual(
        (await t.client.ask('consumers')).map(({ name, position }) => [name, position]),
        [['mailer', 142]],
      );
      await t.client.ask('consumer', { name: 's', consumer: 'mailer' });
      assert.equal(wordOf(await t.client.ask('next', { name: 's' })), 'c');
      // Who had the name before commits no more.
      await t.client.ask('next', { name: 'r' });
      await assert.rejects(t.client.ask('commit', { name: 'r' }), { code: 'FENCED' });
      assert.equal(node.log.consumers.rows.get('mailer').position, 142);
    },
  ],
  [
    'CONSUMERS',
    'commits again what was lost on its way, in the generation in which it has the name',
    async (t) => {
      const node = await filled(t, ['a'], { features: FEATURES });
      await t.client.ask('consumer', { name: 'r', consumer: 'mailer' });
      await t.client.ask('next', { name: 'r' });
      node.on.consumers = (_request, connection) => {
        node.on.consumers = undefined;
        connection.end();
        return true;
      };
      await t.client.ask('commit', { name: 'r' });
      assert.equal(node.log.consumers.rows.get('mailer').position, 129);
      assert.ok(of(node, CONSUMERS).length >= 3);
    },
  ],
  [
    'CONSUMERS',
    'resets and removes',
    async (t) => {
      const node = await filled(t, ['a', 'b'], { features: FEATURES });
      await t.client.ask('resetConsumer', { consumer: 'mailer', to: 129 });
      assert.equal(node.log.consumers.rows.get('mailer').position, 129);
      await t.client.ask('resetConsumer', { consumer: 'mailer' });
      assert.equal(node.log.consumers.rows.get('mailer').position, undefined);
      assert.equal(await t.client.ask('removeConsumer', { consumer: 'mailer' }), true);
      assert.equal(await t.client.ask('removeConsumer', { consumer: 'mailer' }), false);
      assert.deepEqual(await t.client.ask('consumers'), []);
      await assert.rejects(t.client.ask('resetConsumer', { consumer: 'mailer', to: 10_000 }), { code: 'OFFSET_BEYOND_END' });
      assert.deepEqual(await follow(t, 116, 2), ['a', 'b']);
    },
  ],
].map((one) => [...one, 'consumers']);

export const LEADER_CASES = [
  ...TRIM_CASES,
  ...RETENTION_CASES,
  ...LEVEL_CASES,
  ...TOKEN_CASES,
  ...TRANSFER_CASES,
  ...MEMBER_CASES,
  ...CONSUMER_CASES,
];
