// Connections that say nothing, and those that ask over HTTP without end, beside a well-behaved client.

import { connect as connectTcp } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HTTP_CONNECTIONS } from '../../src/core/servingLimits.ts';
import { type Attack, beside } from '../support/attack/beside.ts';
import { repeated, upgradeRequest } from '../support/attack/frames.ts';
import { ask, exchange } from '../support/attack/wellBehaved.ts';
import { connect, eventually, startNode } from './support/fixture.ts';

const nothing = Buffer.alloc(0);
const get = (path: string): Buffer => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);

describe('A3: connections that say nothing shut out nobody', () => {
  test('nor are they forgotten where single clients come and go', async () => {
    const node = await startNode({ maxConnections: 1 });
    const { hostname, port } = new URL(node.url);
    let closed = 0;
    const silent = Array.from({ length: HTTP_CONNECTIONS + 50 }, () => connectTcp(Number(port), hostname).on('error', () => undefined));
    // One that was told why it is closed is not closed before that was read.
    for (const socket of silent) socket.resume().on('close', () => (closed += 1));
    onTestFinished(() => silent.forEach((socket) => void socket.destroy()));
    await eventually(() => closed > 0, 'there are more connections than places');
    for (let i = 0; i < 3; i += 1) {
      await (await connect(node)).close();
      expect([i, await ask(node.url, '/healthz')]).toEqual([i, 200]);
    }
  });
});

describe('A1: requests over HTTP without end', () => {
  test('on connections of their own, and on one, harm nobody', async () => {
    const node = await startNode();
    const without = (chunk: Buffer): Attack => ({
      connections: 1,
      isWebSocket: false,
      isReplaced: true,
      chunk: repeated(chunk, 64 * 1024),
    });
    const single = (once: Buffer): Attack => ({ connections: 30, isWebSocket: false, isReplaced: true, once, chunk: nothing });
    const attacks = {
      'health, pipelined': without(get('/healthz')),
      'status, pipelined': without(get('/status')),
      'metrics, pipelined': without(get('/metrics')),
      'upgrades, pipelined': without(Buffer.from(upgradeRequest())),
      status: single(get('/status')),
      metrics: single(get('/metrics')),
    };
    const { grownMegabytes } = await beside(node, attacks, { appends: 400, healthChecks: 20 }, onTestFinished);
    expect(grownMegabytes).toBeLessThan(150);
  });

  test('a connection carries one request: a second one before the answer closes it, and a body in pieces', async () => {
    const node = await startNode();
    expect(await exchange(node.url, get('/healthz'))).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*\r\nok\n$/s);
    expect(await exchange(node.url, repeated(get('/status'), 1 << 20))).toBe('');
    const chunked = 'POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(await exchange(node.url, Buffer.from(chunked))).toBe('');
    expect(await exchange(node.url, Buffer.from('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n'))).toMatch(
      /^HTTP\/1\.1 404/,
    );
    // A refused upgrade closes, too.
    expect(await exchange(node.url, Buffer.from(upgradeRequest().replace('loglog.v1', 'chat')))).toMatch(/^HTTP\/1\.1 400/);
    expect(await ask(node.url, '/healthz')).toBe(200);
  });
});
