// Wrong tokens without end, beside a client with a right one: each is refused, none is let in, and the node is none the worse for it.

import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/index.ts';
import { encodeToken, TOKEN_RANDOM_BYTES, tokenIdOf } from '../../src/core/access.ts';
import { CLOSE_UNAUTHENTICATED, SUBPROTOCOL } from '../../src/protocol/client.ts';
import { type RunningServer, startServer } from '../support/server.ts';

const CONNECTIONS = 32;
/** One in so many comes with a WebSocket, which costs more: the node looks for it once more. */
const WEB_SOCKET_EVERY = 500;
/** What the node may have grown by. */
const MAX_GROWTH_BYTES = 128 * 1024 * 1024;
/** A flood makes a line a minute of each kind. */
const MAX_LINES_A_MINUTE = 20;

export interface WrongTokensReport {
  readonly shown: number;
  readonly seconds: number;
  /** Of the client with a token. */
  readonly appends: number;
  readonly grownBytes: number;
  /** What should not have been; empty: nothing. */
  readonly faults: readonly string[];
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** One of the kinds of wrong ones; `known` are tokens whose id the log has, or had. */
function wrongToken(known: readonly string[]): string {
  const whole = encodeToken(randomBytes(TOKEN_RANDOM_BYTES));
  const one = known[randomInt(known.length)] ?? whole;
  switch (randomInt(5)) {
    case 0:
      return whole;
    case 1:
      return one.slice(0, randomInt(1, one.length));
    case 2:
      return `${one.slice(0, -1)}${one.endsWith('a') ? 'b' : 'a'}`;
    case 3:
      return randomBytes(randomInt(1, 200)).toString('base64url');
    default: {
      // A known id with another secret, and a check that holds.
      const bytes = randomBytes(TOKEN_RANDOM_BYTES);
      const id = tokenIdOf(one);
      return id === undefined ? whole : encodeToken(Buffer.concat([idBytes(id), bytes.subarray(8)]));
    }
  }
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function idBytes(id: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE([...id].reduce((value, digit) => value * 62n + BigInt(DIGITS.indexOf(digit)), 0n));
  return bytes;
}

/** The status of the answer to a request for a page with a token. */
function askStatus(url: URL, agent: Agent, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const asked = request({ host: url.hostname, port: url.port, path: '/status', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** The code with which a WebSocket that shows a token is closed, or the status with which it is refused. */
function askSocket(url: string, token: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, SUBPROTOCOL, { headers: { authorization: `Bearer ${token}` } });
    socket.on('unexpected-response', (_, response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    socket.on('error', () => resolve(0));
    socket.on('close', resolve);
  });
}

/** Starts a node that asks for tokens; the token that holds, and those that do not. */
async function start(): Promise<{ readonly node: RunningServer; readonly right: string; readonly known: readonly string[] }> {
  const open = await startServer();
  const log = await connect(open.url);
  const right = await log.createToken({ name: 'right', scopes: ['read', 'append', 'metrics'] });
  const revoked = await log.createToken({ name: 'revoked', scopes: ['admin'] });
  await log.revokeToken(revoked.id);
  await log.close();
  await open.stop();
  return { node: await startServer({ data: open.data, flags: ['--tokens'] }), right: right.token, known: [right.token, revoked.token] };
}

/** Shows `count` wrong tokens to a node of its own, which is left running for `stopServers`. */
export async function showWrongTokens(count: number): Promise<WrongTokensReport> {
  const { node, right, known } = await start();
  const url = new URL(node.url);
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const log = await connect(node.url, { token: right });
  const faults: string[] = [];
  const before = residentBytes(node.pid);
  const linesBefore = node.stderr().split('\n').length;
  const startedMs = performance.now();
  let [shown, appends, isOver] = [0, 0, false];
  const showing = async (): Promise<void> => {
    while (shown < count && faults.length < 10) {
      shown += 1;
      const isSocket = shown % WEB_SOCKET_EVERY === 0;
      const token = wrongToken(known);
      if (known.includes(token)) continue;
      const answer = isSocket ? await askSocket(node.url, token) : await askStatus(url, agent, token);
      if (answer !== 401 && !(isSocket && answer === CLOSE_UNAUTHENTICATED))
        faults.push(`a wrong token was answered with ${answer}: ${token}`);
    }
  };
  const appending = async (): Promise<void> => {
    for (; !isOver; appends += 1) await log.append('beside');
  };
  const appended = appending();
  await Promise.all(Array.from({ length: CONNECTIONS }, showing));
  isOver = true;
  await appended;
  const seconds = (performance.now() - startedMs) / 1000;
  const grownBytes = residentBytes(node.pid) - before;
  if (grownBytes > MAX_GROWTH_BYTES) faults.push(`the node has grown by ${grownBytes} bytes`);
  const lines = node.stderr().split('\n').length - linesBefore;
  if (lines > MAX_LINES_A_MINUTE * (1 + seconds / 60)) faults.push(`the node wrote ${lines} lines in ${Math.round(seconds)} s`);
  if (appends === 0) faults.push('nothing was appended beside them');
  if ((await askStatus(url, agent, right)) !== 200) faults.push('the right token is refused');
  agent.destroy();
  await log.close();
  return { shown, seconds, appends, grownBytes, faults };
}
