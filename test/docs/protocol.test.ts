// What docs/PROTOCOL.md says, sentence by sentence: each is there, and a node does so. Its tables are compared with the code's.

import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { NO_OP_BYTES } from '../../assembly/layout.ts';
import * as accessLimits from '../../src/core/accessLimits.ts';
import * as clientLimits from '../../src/core/clientLimits.ts';
import { ERRORS } from '../../src/core/errors.ts';
import * as limits from '../../src/core/limits.ts';
import * as peerLimits from '../../src/core/peerLimits.ts';
import * as servingLimits from '../../src/core/servingLimits.ts';
import * as uploadLimits from '../../src/core/uploadLimits.ts';
import * as protocol from '../../src/protocol/client.ts';
import * as consumers from '../../src/protocol/consumers.ts';
import { HELLO } from '../../src/protocol/greeting.ts';
import * as members from '../../src/protocol/members.ts';
import { encodePeerHello } from '../../src/protocol/peerHandshake.ts';
import * as sessions from '../../src/protocol/sessions.ts';
import * as tokens from '../../src/protocol/tokens.ts';
import { PAGE_RIGHTS, REQUEST_RIGHTS } from '../../src/server/rights.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { closeAll, hello, RawSocket } from '../peers/support/peers.ts';
import { frameEntries } from '../server/support/entries.ts';
import { connect, eventually, makeDirectory, startNode } from '../server/support/fixture.ts';
import { ProcessNode, removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { RawClient } from '../server/support/rawClient.ts';
import { freePort } from '../support/ports.ts';

const { APPEND, CANCEL, CREDIT, END, END_AT_LEAST, READ, requestMessage, SUBPROTOCOL, SUBSCRIBE } = protocol;

const read = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const PROTOCOL = read('PROTOCOL.md');
const WORDS = PROTOCOL.replace(/\s+/g, ' ');

/** The document has this sentence, or part of one. */
function says(sentence: string): void {
  expect(WORDS).toContain(sentence);
}

/** The cells of each row of all tables in `text`. */
function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(2)
        .replace(/ \|$/, '')
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

/** The part of the document from one heading to another one. */
function part(from: string, to: string): string {
  return PROTOCOL.slice(PROTOCOL.indexOf(from), PROTOCOL.indexOf(to));
}

let data: string;
let node: ProcessNode;

beforeAll(async () => {
  data = temporaryDirectory();
  node = await ProcessNode.start({ data, slots: 3, segmentBytes: 1 << 20 });
});

afterAll(async () => {
  await node?.kill();
  removeDirectory(data);
});

describe('the tables of docs/PROTOCOL.md', () => {
  test('have every error, with its number, whether a retry helps, and its outcome', () => {
    const listed = rowsOf(part('### ERROR', '## Order'))
      .filter(([number]) => /^\d+$/.test(number ?? ''))
      .map(([number, name, , retry, outcome]) => [
        name,
        Number(number),
        retry === 'yes',
        outcome?.startsWith('failed') || outcome?.startsWith('APPEND: failed'),
      ]);
    const known = Object.entries(ERRORS).flatMap(([name, { number, retryable }]) =>
      number === 0 ? [] : [[name, number, retryable, true]],
    );
    expect(listed).toEqual(known);
  });

  test('have every opcode', () => {
    const listed = rowsOf(part('## Messages', '### HELLO')).flatMap(([opcode, name]) =>
      /^`0x/.test(opcode ?? '') ? [[(/[A-Z_]+/.exec(name ?? '') ?? [''])[0], Number((opcode ?? '').replaceAll('`', ''))]] : [],
    );
    expect(listed).toHaveLength(33);
    for (const [name, opcode] of listed)
      expect({ ...protocol, ...sessions, ...tokens, ...members, ...consumers, HELLO }).toHaveProperty(String(name), opcode);
  });

  test('have what each request needs, of a token', () => {
    const needed = new Map<string, string>();
    for (const [names = '', scope = ''] of rowsOf(part('#### Scopes', '### INTRODUCE'))) {
      for (const name of names.split(', ')) needed.set(name, scope.replaceAll('`', ''));
    }
    const opcodes = rowsOf(part('## Messages', '### HELLO')).map(([opcode = '', name = '']) => [
      Number(opcode.replaceAll('`', '')),
      /[A-Z_]{2,}/.exec(name)?.[0],
    ]);
    const names = Object.fromEntries(opcodes);
    const requests = opcodes.map(([opcode]) => Number(opcode)).filter((opcode) => opcode < 0x80 && opcode !== protocol.AUTHENTICATE);
    expect(requests.toSorted()).toEqual(REQUEST_RIGHTS.map(({ opcode }) => opcode).toSorted());
    const changing = { RETENTION: 'RETENTION that sets something', UPGRADE: 'UPGRADE with FINALIZE' } as const;
    for (const { opcode, needs = 'nothing', flagsNeed } of REQUEST_RIGHTS) {
      const name = names[opcode] as keyof typeof changing;
      expect([name, needed.get(name)]).toEqual([name, needs]);
      if (flagsNeed !== undefined) expect(needed.get(changing[name])).toBe(flagsNeed);
    }
    for (const [page, scope] of Object.entries(PAGE_RIGHTS)) expect(needed.get(`\`${page.replace(/\/$/, '/…')}\``)).toBe(scope);
  });

  test('have every metric of a node, with its type, and no other', async () => {
    const shown = [...(await (await fetch(`${node.httpUrl}/metrics`)).text()).matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    const listed = rowsOf(part('`/metrics`. Counters', '## Versions')).flatMap(([name, type]) => {
      const [, plain] = /^`(loglog_\w+)/.exec(name ?? '') ?? [];
      return plain === undefined ? [] : [[plain, type]];
    });
    expect(listed.toSorted()).toEqual(shown.toSorted());
  });

  test('have every field of /status', async () => {
    const named = [...part('`/status`. Offsets', '`/metrics`. Counters').matchAll(/`([\w.[\]]+)`/g)].map(([, name]) => name ?? '');
    const fields = (value: unknown, path: string): string[] =>
      Array.isArray(value)
        ? fields(value[0], `${path}[]`)
        : typeof value === 'object' && value !== null
          ? Object.entries(value).flatMap(([name, inner]) => fields(inner, path === '' ? name : `${path}.${name}`))
          : [path];
    for (const path of fields(await node.status(), '')) {
      const name = path.replace(/^cluster\.nodes\[\]\./, '').replace(/^node\.leader\..*/, 'node.leader');
      expect(named).toContain(name);
    }
  });

  test('and the constants of docs/GUARANTEES.md are those of core/limits.ts and of the files beside it', () => {
    const values: Readonly<Record<string, unknown>> = {
      ...limits,
      ...accessLimits,
      ...clientLimits,
      ...peerLimits,
      ...servingLimits,
      ...uploadLimits,
    };
    let compared = 0;
    for (const [names = '', value = ''] of rowsOf(read('GUARANTEES.md'))) {
      if (!/^[A-Z_]+_[A-Z_, ]+$/.test(names)) continue;
      const numbers = [...value.replace(/(\d)[, ](?=\d{3})/g, '$1').matchAll(/2\^(\d+) − 1|\d+(?:\.\d+)?/g)].map(([text, power]) =>
        power === undefined ? Number(text) : 2 ** Number(power) - 1,
      );
      const possible = numbers.flatMap((number) => [number, number * 1000, number * 1024, number * 1024 * 1024]);
      for (const name of names.split(', ')) {
        expect(values).toHaveProperty(name);
        expect([name, possible.includes(Number(values[name]))]).toEqual([name, true]);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThan(25);
  });
});

/** A WebSocket whose frames are in the test's hands, after HELLO has come. */
async function openRaw(path = '/'): Promise<{ readonly socket: Socket; readonly answer: () => Promise<Buffer> }> {
  const { hostname, port } = new URL(node.url);
  const socket = connectTcp(Number(port), hostname);
  onTestFinished(() => {
    socket.destroy();
  });
  let received = Buffer.alloc(0);
  let wake = (): void => undefined;
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    wake();
  });
  const take = async (isThere: () => boolean): Promise<void> => {
    while (!isThere()) await new Promise<void>((resolve) => (wake = resolve));
  };
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
  );
  await take(() => received.includes('\r\n\r\n'));
  expect(received.toString('latin1')).toMatch(/^HTTP\/1.1 101/);
  received = received.subarray(received.indexOf('\r\n\r\n') + 4);
  const answer = async (): Promise<Buffer> => {
    await take(() => received.length >= 2 && received.length >= 2 + (received[1] ?? 0));
    const end = 2 + (received[1] ?? 0);
    const frame = received.subarray(0, end);
    received = received.subarray(end);
    return frame;
  };
  expect((await answer())[2]).toBe(HELLO);
  return { socket, answer };
}

describe('a connection', () => {
  test('may name any path', async () => {
    says('the server takes every path for it');
    for (const path of ['/', '/a/b?c', '/status']) await openRaw(path);
  });

  test('is masked by the client, by zeros if it likes, not by the server, and nobody checks it', async () => {
    says("it takes the four bytes after a frame's header for the mask");
    says('a mask of zeros will do');
    const { socket, answer } = await openRaw();
    const request = requestMessage(END, 0, 7);
    socket.write(Buffer.concat([Buffer.of(0x82, 0x80 | request.length, 0, 0, 0, 0), request]));
    const ended = await answer();
    expect([ended[0], ended[1], ended[2], ended[6]]).toEqual([0x82, 32, protocol.ENDED, 7]);
    // Unmasked, its first four bytes are taken for the mask, and four that follow for its last ones.
    const unmasked = await openRaw();
    unmasked.socket.write(Buffer.concat([Buffer.of(0x82, request.length), request, Buffer.alloc(4)]));
    const error = await unmasked.answer();
    expect(error[2]).toBe(protocol.ERROR);
  });

  test('gets a pong for a ping', async () => {
    says('A client may ping, and gets a pong.');
    const { socket, answer } = await openRaw();
    socket.write(Buffer.of(0x89, 0x82, 0, 0, 0, 0, 1, 2));
    expect([...(await answer())]).toEqual([0x8a, 2, 1, 2]);
  });
});

/** The first ERROR after `message` was sent on a connection of its own. */
async function errorFor(message: Uint8Array | string): Promise<RawClient['errors'][number]> {
  const client = await connect(node);
  client.socket.send(message);
  await client.closed;
  const [error] = client.errors;
  if (error === undefined) throw new Error('no ERROR came');
  return error;
}

describe('a request', () => {
  test('that could not be read gets an ERROR with id 0, and no other', async () => {
    says(
      'a text message, one of fewer than 24 bytes, or one whose bytes 2 and 3 are not zero. All other errors have the id of their request',
    );
    const odd = requestMessage(END, 0, 7);
    odd[3] = 1;
    for (const message of ['text', new Uint8Array(23), odd]) {
      expect(await errorFor(message)).toMatchObject({ requestId: 0, code: 'MALFORMED', fatal: true });
    }
    expect(await errorFor(requestMessage(END, 64, 7))).toMatchObject({ requestId: 7, code: 'MALFORMED', fatal: true });
  });

  test('of an unknown opcode is UNKNOWN_OPCODE, whatever its flags and its body are', async () => {
    says('| 2 | UNKNOWN_OPCODE | yes; no after INTRODUCE | no | failed | 0 | whatever the flags and the body are |');
    for (const body of [0, 1, 5000]) {
      const message = Buffer.concat([requestMessage(9, 0xff, 7), Buffer.alloc(body)]);
      expect(await errorFor(message)).toMatchObject({ requestId: 7, code: 'UNKNOWN_OPCODE', fatal: true, offset: 0 });
    }
  });

  test('may have bytes in fields that are zero: they are ignored, where they are not said to be an error', async () => {
    says('Whoever receives others ignores them, except where this document makes them an error');
    const client = await connect(node);
    const ended = new Promise((resolve) =>
      client.socket.on('message', (bytes: Buffer) => bytes[0] === protocol.ENDED && resolve(bytes[4])),
    );
    client.request(END, 1, { offset: 5, a: 6, b: 7 });
    expect(await ended).toBe(1);
    const body = frameEntries([Buffer.from('plain')]);
    client.send(Buffer.concat([requestMessage(APPEND, 0, 2, 12345, 1, 6), body]));
    client.request(SUBSCRIBE, 3, { offset: 0, a: 1000, b: 9 });
    client.request(CREDIT, 3, { offset: 7, a: 1, b: 9 });
    client.request(CANCEL, 3, { offset: 7, a: 1, b: 9 });
    await client.append(Buffer.from('it goes on'));
    expect(client.errors).toEqual([]);
    client.request(APPEND, 9, { flags: 4 });
    await client.closed;
    expect(client.errors).toMatchObject([{ requestId: 9, code: 'MALFORMED' }]);
  });

  test('for credit beyond the cut is no error', async () => {
    says('first credit in bytes; more than 2^31 − 1 is cut to that');
    says('The sum is cut to 2^31 − 1, without an error.');
    const client = await connect(node);
    const subscription = client.subscribe(0, 0xffff_ffff);
    for (let i = 0; i < 3; i++) client.grant(subscription, 0xffff_ffff);
    await subscription.until(NO_OP_BYTES);
    const { end } = await client.append(Buffer.from('more'));
    await subscription.until(end);
    expect(client.errors).toEqual([]);
  });
});

describe('END', () => {
  test('cannot be cancelled: CANCELLED comes, and its answer too', async () => {
    says('Nor can an END that waits: it is answered all the same, before or after CANCELLED.');
    const client = await connect(node);
    client.request(END, 50, { flags: END_AT_LEAST, offset: 2 ** 40, b: 2000 });
    await client.cancel(50);
    expect(await client.errorOf(50)).toMatchObject({ code: 'BEHIND' });
  });

  test('is refused when too many wait on the connection, and the others go on', async () => {
    says('END: 256 wait on this connection, or it has its own 16');
    const client = await connect(node);
    for (let i = 1; i <= 257; i++) client.request(END, i, { flags: END_AT_LEAST, offset: 2 ** 40, b: 60_000 });
    expect(await client.errorOf(257)).toMatchObject({ code: 'TOO_MANY_REQUESTS', fatal: false });
    expect(client.errors).toHaveLength(1);
    expect((await client.append(Buffer.from('x'))).level).toBe(1);
  });

  test('may have the id of an open READ', async () => {
    says('An END may have the id of an open READ, and so on: only open READs and SUBSCRIBEs are compared.');
    const client = await connect(node);
    const { commit } = await client.end();
    client.request(READ, 900, { offset: commit, b: 60_000 });
    client.request(END, 900);
    await client.append(Buffer.from('x'));
    expect(client.errors).toEqual([]);
  });
});

test('/readyz says 503 without a leader, the port is open then, and HELLO may come without a change', async () => {
  says('503 `not ready: ` and the reason while the node stops, and in a cluster while this node knows no leader');
  says('of a node in a cluster before it knows a leader');
  says('It may also come without a change.');
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  const directory = makeDirectory();
  createIdentity(new NodeDisk(), directory, new Uint8Array(IDENTITY_RANDOM_BYTES).fill(7), { nodeId: 1, nodes: [1, 2] });
  const lonely = await startNode({
    data: directory,
    port: ports[0] ?? 0,
    node: 1,
    peers: `1=127.0.0.1:${ports[0]}/${ports[1]},2=127.0.0.1:${ports[2]}/${ports[3]}`,
    electionTimeoutMs: 300,
    slots: 3,
    segmentBytes: 65536,
  });
  const response = await fetch(`${lonely.httpUrl}/readyz`);
  expect([response.status, await response.text()]).toEqual([503, expect.stringMatching(/^not ready: no leader is known/)]);
  expect((await fetch(`${lonely.httpUrl}/healthz`)).status).toBe(200);
  const hellos: string[] = [];
  const socket = new WebSocket(lonely.url, SUBPROTOCOL);
  onTestFinished(() => socket.terminate());
  onTestFinished(closeAll);
  socket.on('message', (bytes: Buffer) => hellos.push(bytes.toString('hex')));
  const other = { clusterId: '07'.repeat(16), segmentBytes: 65536, standing: 'stranger', nodes: [1, 2] } as const;
  let term = 0;
  let greetAtMs = 0;
  await eventually(() => {
    // A node in a later term, which is not heard of again: the lonely one follows, then campaigns once more.
    if (performance.now() >= greetAtMs) {
      RawSocket.connect(ports[1] ?? 0).write(encodePeerHello(hello(2, 1, { ...other, term: ++term })));
      greetAtMs = performance.now() + 1_000;
    }
    return hellos.some((hello, i) => i > 0 && hello === hellos[i - 1]);
  }, 'HELLO comes again without a change');
});
