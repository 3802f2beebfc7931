// Catching up from hosts that nobody trusts: what the log does not seal, or is not what it seals, is read from the nodes.

import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { EmbeddedLog } from '../../dist/src/index.js';
import { openLog } from '../../dist/src/index.js';
import type { ClientEvent } from '../../src/client/events.ts';
import { connect, type LogClient } from '../../src/client/index.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { entryBytesAt, isData, kindSizeAt } from '../../src/format/entry.ts';
import { eventually } from '../server/support/fixture.ts';
import { temporaryDirectory } from '../server/support/processNode.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const ENTRIES = 60;

let dir: string;
let node: EmbeddedLog;
let log: LogClient;
let events: ClientEvent[] = [];
/** A host that passes on what the node serves, after it has changed it. */
let change: (bytes: Buffer) => Buffer = (bytes) => bytes;
const host = createServer((request, response) => {
  void fetch(`${node.url?.replace(/^ws/, 'http')}${request.url}`).then(async (answer) => {
    const bytes = Buffer.from(await answer.arrayBuffer());
    const isList = answer.headers.get('content-type') === 'application/json';
    response.writeHead(answer.status).end(isList ? bytes : change(bytes));
  });
});
let url: string;

beforeAll(async () => {
  dir = temporaryDirectory();
  node = await openLog({ dir, segmentBytes: 65536, slots: 3, listen: { port: 0 }, fsync: false });
  for (let i = 0; i < ENTRIES; i += 1) await node.append(new Uint8Array(10_000).fill(i));
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  log = await connect(node.url ?? '', { onEvent: (event) => void events.push(event) });
  const digests = async (): Promise<number> => {
    const answer = await fetch(`${node.url?.replace(/^ws/, 'http')}/log/${log.hello.clusterId}/segments`);
    const { segments } = (await answer.json()) as { segments: { digest?: string }[] };
    return segments.filter(({ digest }) => digest !== undefined).length;
  };
  await eventually(async () => (await digests()) > 8, 'the log seals its segments');
});

beforeEach(() => {
  events = [];
  change = (bytes) => bytes;
});

afterAll(async () => {
  await log.close();
  await node.close();
  host.closeAllConnections();
  host.close();
  rmSync(dir, { recursive: true, force: true });
});

async function read(options: object = {}): Promise<number[]> {
  const found: number[] = [];
  for await (const { payload } of log.read({ catchUp: { urls: url, ...options } })) {
    expect(payload.every((byte) => byte === payload[0])).toBe(true);
    found.push(payload[0] ?? -1);
  }
  return found;
}

const all = Array.from({ length: ENTRIES }, (_, i) => i);

test('what the log seals is taken from the host', async () => {
  const before = log.stats().catchUpBytes;
  expect(await read()).toEqual(all);
  expect(events.map(({ type }) => type)).toContain('catchUp');
  expect(events.map(({ type }) => type)).not.toContain('catchUpLost');
  expect(log.stats().catchUpBytes - before).toBeGreaterThan(400_000);
});

/** Another payload in the first data entry of a segment, under a check that is right. */
function forged(bytes: Buffer): Buffer {
  const view = viewOf(bytes);
  let at = 0;
  while (!isData(kindSizeAt(view, at))) at += entryBytesAt(view, at);
  const made = Buffer.from(bytes);
  // It is valid in the log's first segment, where a place is the byte's.
  made.set(encodeEntry(new Uint8Array(10_000).fill(250), 0, { term: view.getUint32(at, true), offset: at }), at);
  return made;
}

test('a host that makes entries up is found out before one of them is given to anybody, and the nodes go on', async () => {
  change = forged;
  expect(await read()).toEqual(all);
  const lost = events.find(({ type }) => type === 'catchUpLost');
  expect(lost?.type === 'catchUpLost' && lost.error.message).toMatch(/has the SHA-256 [0-9a-f]{64}, where the log says/);
  // By checks alone it would be believed.
  expect((await read({ verify: 'checks' }))[0]).toBe(250);
});
