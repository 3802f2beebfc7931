// What cases have in common.

import { OPCODE } from './wire.mjs';

export const text = (word) => Buffer.from(word);

export const appendsOf = (node) => node.requests.filter(({ opcode }) => opcode === OPCODE.APPEND);

export async function appendOne(t, word = 'one', options = {}) {
  return t.client.ask('append', { payloads: [text(word).toString('base64')], ...options });
}

/** What a subscription from `from` on brings: `count` entries, as texts. */
export async function follow(t, from, count, kind = 'subscribe') {
  await t.client.ask(kind, { name: 'r', from });
  const words = [];
  for (let i = 0; i < count; i++) words.push(Buffer.from((await t.client.ask('next', { name: 'r' })).payload, 'base64').toString());
  return words;
}

export async function connected(t, changes = {}) {
  const node = await t.node(changes);
  await t.client.ask('connect', { urls: [node.url] });
  return node;
}
