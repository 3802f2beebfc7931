// Lets the suite in this folder drive the client of LogLog for Node, as README.md says: node examples/conformance/run.mjs node examples/conformance/javascript.mjs

import { createInterface } from 'node:readline';
import { setImmediate as nextTick } from 'node:timers/promises';
import { connect, isLogError } from 'loglogd/client';

let log;
const readings = new Map();
/** Named consumers, by the names of their readings, and the last entry that each reading gave. */
const consumers = new Map();
const last = new Map();

const COMMANDS = {
  can: () => [
    'chain',
    'received',
    'uploads',
    'producer',
    'times',
    'find',
    'segments',
    'trim',
    'retention',
    'level',
    'tokens',
    'transfer',
    'members',
    'consumers',
  ],
  async connect({ urls, token, timeoutMs, producer, uploads }) {
    await log?.close({ timeoutMs: 0 });
    // What a client that is given one address learns from nodes is a case of its own: here the suite's addresses count.
    log = await connect(urls, {
      reconnect: { timeoutMs },
      producer,
      uploads: uploads ? 'on' : 'off',
      ...(token === undefined ? {} : { token }),
    });
    return {};
  },
  async append({ payloads, expectedEnd, ack }) {
    const given = { ...(expectedEnd === undefined ? {} : { expectedEnd }), ...(ack === undefined ? {} : { ack }) };
    const { offset, end } = await log.appendBatch(
      payloads.map((payload) => Buffer.from(payload, 'base64')),
      given,
    );
    return { offset, end };
  },
  async chain({ payloads, expectedEnd }) {
    const writer = log.writer({ expectedEnd });
    const links = [];
    for (const payload of payloads) {
      links.push(
        writer.append(Buffer.from(payload, 'base64')).then(
          ({ offset, end }) => ({ offset, end }),
          ({ code, outcome }) => ({ code, outcome }),
        ),
      );
      // What is appended in one tick is one link.
      await nextTick();
    }
    return Promise.all(links);
  },
  async end({ linearizable }) {
    const { start, end } = await log.end({ linearizable });
    return { start, commit: end };
  },
  read: ({ name, from }) => void readings.set(name, log.read({ from })[Symbol.asyncIterator]()),
  subscribe({ name, from, catchUp }) {
    const hosts = catchUp === undefined ? {} : { catchUp: { urls: catchUp } };
    readings.set(name, log.subscribe({ from, ...hosts })[Symbol.asyncIterator]());
  },
  async next({ name }) {
    const { done, value } = await readings.get(name).next();
    if (done) return null;
    last.set(name, value);
    const { offset, nextOffset, payload, timeMs } = value;
    return { offset, nextOffset, timeMs, payload: Buffer.from(payload).toString('base64') };
  },
  find: async ({ timeMs }) => ({ offset: await log.offsetAt(timeMs) }),
  trim: async ({ to, dryRun = false }) => ({ start: (await log.trim({ to, dryRun })).start }),
  retention: () => log.retention(),
  setRetention: ({ bytes, ageMs, consumerBytes }) => log.setRetention({ bytes, ageMs, consumerBytes }),
  level: () => log.level(),
  finalize: () => log.finalizeUpgrade(),
  tokens: () => log.tokens(),
  createToken: ({ name, scopes }) => log.createToken({ name, scopes }),
  revokeToken: ({ token }) => log.revokeToken(token),
  async transfer({ to, dryRun = false }) {
    const { leader, term } = await log.transfer({ to, dryRun });
    return { leader, term };
  },
  members: async () => (await log.members()).members,
  async changeMember({ kind, member: id, host, port, peerPort, learner, dryRun = false }) {
    const change = {
      add: () => log.addMember({ id, host, port, peerPort, learner }, { dryRun }),
      remove: () => log.removeMember(id, { dryRun }),
      promote: () => log.promoteMember(id, { dryRun }),
      demote: () => log.demoteMember(id, { dryRun }),
    }[kind];
    return (await change()).after.members;
  },
  async consumer({ name, consumer }) {
    const taken = await log.consumer({ name: consumer });
    consumers.set(name, taken);
    readings.set(name, taken[Symbol.asyncIterator]());
  },
  commit: async ({ name }) => void (await consumers.get(name).commit(last.get(name))),
  consumers: () => log.consumers(),
  resetConsumer: async ({ consumer, to }) => void (await log.resetConsumer(consumer, to === undefined ? {} : { to })),
  removeConsumer: ({ consumer }) => log.removeConsumer(consumer),
  async close() {
    readings.clear();
    consumers.clear();
    await log?.close({ timeoutMs: 0 });
    log = undefined;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: what, ...parts } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await COMMANDS[what](parts)) ?? null };
  } catch (thrown) {
    if (!isLogError(thrown)) throw thrown;
    const { code, outcome, details } = thrown;
    answer = { error: { code, outcome, offset: details.end ?? details.start ?? details.offset ?? 0 } };
  }
  console.log(JSON.stringify({ id, ...answer }));
}
