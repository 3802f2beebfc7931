// Lets the suite in this folder drive the client of LogLog for Node, as README.md says: node examples/conformance/run.mjs node examples/conformance/javascript.mjs

import { createInterface } from 'node:readline';
import { connect, isLogError } from 'loglogd/client';

let log;
const readings = new Map();

const COMMANDS = {
  async connect({ urls, token, timeoutMs }) {
    await log?.close({ timeoutMs: 0 });
    // What a client that is given one address learns from nodes is a case of its own: here the suite's addresses count.
    log = await connect(urls, { reconnect: { timeoutMs }, ...(token === undefined ? {} : { token }) });
    return {};
  },
  async append({ payloads, expectedEnd }) {
    const { offset, end } = await log.appendBatch(
      payloads.map((payload) => Buffer.from(payload, 'base64')),
      expectedEnd === undefined ? {} : { expectedEnd },
    );
    return { offset, end };
  },
  async end({ linearizable }) {
    const { start, end } = await log.end({ linearizable });
    return { start, commit: end };
  },
  read: ({ name, from }) => void readings.set(name, log.read({ from })[Symbol.asyncIterator]()),
  subscribe: ({ name, from }) => void readings.set(name, log.subscribe({ from })[Symbol.asyncIterator]()),
  async next({ name }) {
    const { done, value } = await readings.get(name).next();
    if (done) return null;
    const { offset, nextOffset, payload } = value;
    return { offset, nextOffset, payload: Buffer.from(payload).toString('base64') };
  },
  async close() {
    readings.clear();
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
