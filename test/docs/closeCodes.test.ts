// Every code with which a node closes a connection: the table of docs/PROTOCOL.md, row by row, each against a node as anyone runs it.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MAX_CONTROL_FRAMES } from '../../src/core/servingLimits.ts';
import * as protocol from '../../src/protocol/client.ts';
import { openDoor } from '../contract/tokenDoor.ts';
import { makeDirectory, startNode } from '../server/support/fixture.ts';
import type { ProcessNode } from '../server/support/processNode.ts';
import { clientFrame, frameHead, type Goodbye, OPCODE, repeated } from '../support/attack/frames.ts';
import { type ByHand, openByHand } from '../support/attack/openByHand.ts';

const document = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const table = document.slice(document.indexOf('Close codes that the server sends:'), document.indexOf('*A node that stops*'));

/** The table's rows by code. */
const ROWS = new Map(
  [...table.matchAll(/^\| (\d+)(?: [^|]*)? \| ([^|]*) \| ([^|]*) \|$/gm)].map(([, code, ...cells]) => [Number(code), cells]),
);

/** A main thread whose time goes fifty times as fast: a message may take a minute. */
const FAST = `
  if (require('node:worker_threads').isMainThread) {
    const [now, every] = [performance.now.bind(performance), setInterval];
    Object.defineProperty(performance, 'now', { value: () => now() * 50 });
    globalThis.setInterval = (callback, ms, ...args) => every(callback, ms / 50, ...args);
  }
`;

function fastNode(): Promise<ProcessNode> {
  const preload = join(makeDirectory(), 'fast.cjs');
  writeFileSync(preload, FAST);
  return startNode({ segmentBytes: 65_536, slots: 3, wrapper: ['env', `NODE_OPTIONS=--require ${preload}`] });
}

/** A node, in a process of its own or in this one. */
interface Node {
  readonly url: string;
  readonly stop?: () => unknown;
  readonly token?: string;
  readonly revoke?: (token: string) => void;
}

interface Shown {
  readonly node?: () => Promise<Node>;
  /** What makes the node close the connection. */
  readonly offend: (client: ByHand, node: Node) => unknown;
  readonly reason: string | RegExp;
}

const text = (socket: ByHand['socket'], payload: string): unknown => socket.write(clientFrame(Buffer.from(payload), OPCODE.text));

const SHOWN: Readonly<Record<number, Shown>> = {
  [protocol.CLOSE_STOPPED]: { offend: (_client, node) => node.stop?.(), reason: 'the node is shutting down' },
  [protocol.CLOSE_FLOOD]: {
    offend: ({ socket }) => socket.write(repeated(clientFrame(Buffer.alloc(0), OPCODE.ping), 6 * (MAX_CONTROL_FRAMES + 20_000))),
    reason: /pings/,
  },
  [protocol.CLOSE_UNFINISHED]: {
    node: fastNode,
    offend: ({ socket }) => socket.write(frameHead(1000)),
    reason: /nothing whole has come for \d+ s/,
  },
  [protocol.CLOSE_UNAUTHENTICATED]: {
    node: () => startNode({ tokens: 'on' }),
    offend: ({ socket }) => text(socket, 'hello'),
    reason: /who its clients are/,
  },
  [protocol.CLOSE_TOKEN_ENDED]: {
    node: async () => {
      const { server, tokens } = await openDoor();
      return { url: server.url, token: tokens.make(), revoke: (token: string) => tokens.revoke(token) };
    },
    offend: ({ socket }, { token = '', revoke }) => {
      socket.write(clientFrame(protocol.encodeAuthenticate(1, token), OPCODE.binary));
      setTimeout(() => revoke?.(token), 300);
    },
    reason: /was revoked/,
  },
  [protocol.CLOSE_QUOTA]: {
    node: async () => {
      const { server, tokens } = await openDoor({ tokenQuotas: 'requestsPerSecond=20' });
      return { url: server.url, token: tokens.make() };
    },
    offend: ({ socket }, { token = '' }) => {
      socket.write(clientFrame(protocol.encodeAuthenticate(1, token), OPCODE.binary));
      setTimeout(() => socket.write(repeated(clientFrame(Buffer.alloc(0), OPCODE.ping), 6 * 100)), 300);
    },
    reason: /quota/,
  },
  1008: { offend: ({ socket }) => text(socket, 'hello'), reason: /./ },
  // No frame: the acceptor decides, here of a message that is too large.
  1006: { offend: ({ socket }) => socket.write(frameHead(64 << 20)), reason: '' },
};

describe('a close code of docs/PROTOCOL.md', () => {
  test.each([...ROWS.keys()])('%i comes from a node', async (code) => {
    const shown = SHOWN[code];
    if (shown === undefined) throw new Error(`no node shows ${code}`);
    const node = await (shown.node ?? startNode)();
    const client = await openByHand(Number(new URL(node.url).port), onTestFinished);
    void shown.offend(client, node);
    const goodbye: Goodbye = await client.goodbye;
    expect(goodbye.code).toBe(code === 1006 ? 0 : code);
    if (typeof shown.reason === 'string') expect(goodbye.reason).toBe(shown.reason);
    else expect(goodbye.reason).toMatch(shown.reason);
    const named = /^`(.*)`$/.exec(ROWS.get(code)?.[1] ?? '')?.[1];
    if (named !== undefined) expect(goodbye.reason).toBe(named);
  });

  test('is there for each that the code names, and for no other one', () => {
    const named = Object.entries(protocol).flatMap(([name, value]) => (name.startsWith('CLOSE_') ? [value] : []));
    expect([...ROWS.keys()].sort()).toEqual([...named, 1008, 1006].sort());
  });
});
