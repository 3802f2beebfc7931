// Drives a client of LogLog through the cases of docs/PROTOCOL.md: node examples/conformance/run.mjs python3 examples/conformance/python.py
// The client is a program that takes commands as lines of JSON and answers each with one: see README.md.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CASES } from './cases.mjs';
import { PlayedNode } from './node.mjs';

/** For everything that a case waits for; a client may look for a leader a quarter of that. */
const PATIENCE_MS = 60_000;

/** What a client answered in place of a result. */
class Refused extends Error {
  constructor({ code, outcome, offset }) {
    super(`${code} (${outcome}), offset ${offset}`);
    Object.assign(this, { code, outcome, offset });
  }
}

class Client {
  #id = 0;
  #asked = new Map();

  constructor([command, ...args]) {
    this.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.process.stdin.on('error', () => undefined);
    this.process.on('error', (error) => this.#fail(error));
    this.process.on('exit', (code, signal) => this.#fail(new Error(`the client ended with ${code ?? signal}`)));
    createInterface(this.process.stdout).on('line', (line) => this.#answer(line));
  }

  #answer(line) {
    let answer = {};
    try {
      answer = JSON.parse(line);
    } catch {
      return this.#fail(new Error(`the client wrote what is no JSON: ${line}`));
    }
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    if (answer.error === undefined) asked?.resolve(answer.ok);
    else asked?.reject(new Refused(answer.error));
    return undefined;
  }

  #fail(error) {
    this.failure = error;
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }

  ask(what, parts = {}) {
    this.#id += 1;
    const id = this.#id;
    const answered = new Promise((resolve, reject) => {
      if (this.failure !== undefined) return reject(this.failure);
      const timer = setTimeout(() => reject(new Error(`no answer to ${what} for ${PATIENCE_MS} ms`)), PATIENCE_MS);
      const over = (then) => (value) => {
        clearTimeout(timer);
        then(value);
      };
      return this.#asked.set(id, { resolve: over(resolve), reject: over(reject) });
    });
    this.process.stdin.write(`${JSON.stringify({ id, do: what, timeoutMs: PATIENCE_MS / 4, ...parts })}\n`);
    // A case may ask, and do something else before it waits for the answer.
    answered.catch(() => undefined);
    return answered;
  }
}

/** One case: its client, and the nodes that it plays. */
class Trial {
  nodes = [];

  constructor(client) {
    this.client = client;
  }

  async node(changes) {
    const node = await Object.assign(new PlayedNode(changes.log), changes).listen();
    node.nodes = [node.url];
    this.nodes.push(node);
    return node;
  }

  async wait(condition) {
    const untilMs = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > untilMs) throw new Error(`not so for ${PATIENCE_MS} ms: ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  close() {
    for (const node of this.nodes) node.close();
  }
}

async function runCase(client, [section, name, show]) {
  const trial = new Trial(client);
  try {
    await show(trial);
    await client.ask('close');
    const faults = [...new Set(trial.nodes.flatMap((node) => node.faults))];
    if (faults.length > 0) throw new Error(`what the client sent is not what the document says: ${faults.join('; ')}`);
    console.log(`ok ${section}: ${name}`);
    return true;
  } catch (error) {
    console.log(`not ok ${section}: ${name}\n  ${String(error?.message ?? error).replaceAll('\n', '\n  ')}`);
    await client.ask('close').catch(() => undefined);
    return false;
  } finally {
    trial.close();
  }
}

const command = process.argv.slice(2);
if (command.length === 0) {
  console.error('usage: node run.mjs COMMAND [ARGUMENTS]   for example: node run.mjs python3 python.py');
  process.exit(2);
}
const client = new Client(command);
const can = await client.ask('can').catch(() => []);
const asked = CASES.filter(([, , , needs]) => needs === undefined || can.includes(needs));
let failed = 0;
for (const one of asked) if (!(await runCase(client, one))) failed += 1;
client.process.stdin.end();
console.log(`${asked.length - failed} of ${asked.length} cases passed`);
const left = [...new Set(CASES.map(([, , , needs]) => needs))].filter((needs) => needs !== undefined && !can.includes(needs));
if (left.length > 0)
  console.log(
    `left out, because the client does not have it: ${left.join(', ')} (${CASES.length - asked.length} of all ${CASES.length} cases)`,
  );
process.exitCode = failed === 0 ? 0 : 1;
