// What comparing nodes makes of one that is away in the middle, and of a log that is trimmed meanwhile: neither says that anything is wrong.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Comparison, compareNodes } from '../../src/cli/comparison.ts';
import { Workspace } from '../../src/client/wasm.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { runCommand } from '../support/server.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const GENERATION = '0'.repeat(16);
const ENTRIES = encodeEntry(new Uint8Array(1000), 0, { term: 1, offset: 0 });
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A node whose whole log is one sealed segment, which it answers as told. */
async function node(answer: (response: ServerResponse, server: Server) => void): Promise<string> {
  const path = `/log/${CLUSTER}/${GENERATION}/segments/0-${ENTRIES.length}`;
  const list = {
    clusterId: CLUSTER,
    generation: GENERATION,
    start: 0,
    commit: ENTRIES.length,
    segments: [{ base: 0, end: ENTRIES.length, url: path }],
  };
  const server = createServer(({ url }: IncomingMessage, response) => {
    if (url === path) answer(response, server);
    else if (url === `/log/${CLUSTER}/segments`) response.end(JSON.stringify(list));
    else response.end('{}');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const right = (response: ServerResponse): void => void response.end(ENTRIES);

type Answers = (response: ServerResponse, server: Server) => void;

async function compare(answer: Answers, all: readonly Answers[] = [right, answer, right]): Promise<Comparison['nodes']> {
  const urls = await Promise.all(all.map(node));
  const nodes = urls.map((url, i) => ({ id: i + 1, url }));
  const options = { workspace: await Workspace.create(0), timeoutMs: 1000, onProgress: () => undefined };
  return (await compareNodes(CLUSTER, nodes, options)).nodes;
}

const wrongOf = (nodes: Comparison['nodes']): number[] => nodes.map(({ wrong }) => wrong.length);

test('a node that ends in the middle is not compared, and not wrong', async () => {
  const nodes = await compare((response, server) => {
    server.close();
    response.destroy();
    server.closeAllConnections();
  });
  expect(wrongOf(nodes)).toEqual([0, 0, 0]);
  expect(nodes.map(({ reason }) => reason === null)).toEqual([true, false, true]);
});

test('a node that is too busy is not compared, and not wrong', async () => {
  const nodes = await compare((response) => void response.writeHead(503).end());
  expect(wrongOf(nodes)).toEqual([0, 0, 0]);
  expect(nodes[1]?.reason).toContain('503');
});

test('what is trimmed meanwhile is left out', async () => {
  const nodes = await compare((response) => void response.writeHead(410).end());
  expect(wrongOf(nodes)).toEqual([0, 0, 0]);
  expect(nodes.map(({ reason }) => reason)).toEqual([null, null, null]);
});

test('a node that says that its segment is damaged, or sends other bytes, is wrong', async () => {
  const damaged = await compare((response) => void response.writeHead(500).end());
  expect(wrongOf(damaged)).toEqual([0, 1, 0]);
  expect(damaged[1]?.wrong[0]?.sentence).toContain('could not be read');
  const other = await compare((response) => void response.end(encodeEntry(new Uint8Array(1000).fill(1), 0, { term: 1, offset: 0 })));
  expect(other[1]?.wrong[0]?.sentence).toMatch(/is valid, and is not the same: its SHA-256 is [0-9a-f]{64}, and most nodes have/);
});

test('of two nodes that differ neither is called the right one, where the log says nothing of it', async () => {
  const other = encodeEntry(new Uint8Array(1000).fill(1), 0, { term: 1, offset: 0 });
  const nodes = await compare(right, [right, (response) => void response.end(other)]);
  expect(wrongOf(nodes)).toEqual([1, 1]);
  for (const { wrong } of nodes)
    expect(wrong[0]?.sentence).toMatch(
      /is valid, and is not the same: its SHA-256 is [0-9a-f]{64}, and no majority of the nodes has the same$/,
    );
});

test('a node that has found out about itself says which digests there are', async () => {
  const sentence = 'it has the SHA-256 aa on this node, and the log says bb';
  const nodes = await compare((response) => void response.writeHead(500, { 'content-length': sentence.length }).end(sentence));
  expect(nodes[1]?.wrong[0]?.sentence).toContain(`HTTP 500 to /log/${CLUSTER}/${GENERATION}/segments/0-${ENTRIES.length}: ${sentence}`);
});

test('a node alone is asked at the address at which it answered', async () => {
  const log = { start: 0, commit: 0, durable: 0, tail: 0 };
  const cluster = { nodes: [{ id: 1, url: 'ws://127.0.0.1:1' }], causes: [] };
  const status = { clusterId: CLUSTER, node: { id: 1, term: 1 }, log, cluster };
  const server = createServer(({ url }: IncomingMessage, response) => {
    const list = { clusterId: CLUSTER, generation: GENERATION, start: 0, commit: 0, segments: [] };
    if (url === `/log/${CLUSTER}/segments`) response.end(JSON.stringify(list));
    else response.end(JSON.stringify(status));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { code, stdout } = await runCommand(['verify', '--cluster', `ws://127.0.0.1:1,${url}`, '--json']);
  expect(JSON.parse(stdout.toString())).toMatchObject({ ok: true, nodes: [{ id: 1, url, reason: null }] });
  expect(code).toBe(0);
});
