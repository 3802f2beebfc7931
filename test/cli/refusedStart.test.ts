// R10: a start that is refused has changed nothing: what cannot be had, memory and ports, is asked for before the directory is made or bound
// to a set of nodes, and so is a log that is whole.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { CLI, runCommand } from '../support/server.ts';
import { flipByte, makeLog } from './support.ts';

const HOST = '127.0.0.1';

function fieldsOf(directory: string): string {
  return readFileSync(join(directory, 'node.json'), 'utf8');
}

/** A port that is another program's until the test ends. */
async function takenPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen({ host: HOST, port: 0, exclusive: true }, resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');
  return address.port;
}

/** `--peers` of three nodes, the first of which is to have these ports; nobody listens on any other. */
async function peers(given: { readonly port?: number; readonly peerPort?: number }): Promise<string> {
  const block = await claimPorts(6);
  onTestFinished(() => block.release());
  const [port = 0, peerPort = 0, ...others] = block.ports;
  const ports = [given.port ?? port, given.peerPort ?? peerPort, ...others];
  return [1, 2, 3].map((id) => `${id}=${HOST}:${ports[2 * id - 2]}/${ports[2 * id - 1]}`).join();
}

describe('R10: a single node that is given others and cannot start keeps its directory as it was', () => {
  it.each(['port', 'peerPort'] as const)('because its %s is taken', async (which) => {
    const { directory } = makeLog();
    const before = fieldsOf(directory);
    const { code, stderr } = await runCommand(['serve', '--data', directory, '--peers', await peers({ [which]: await takenPort() })]);
    expect(stderr).toContain('nothing was changed');
    expect(code).toBe(1);
    expect(fieldsOf(directory)).toBe(before);
  });

  it('because its log is damaged', async () => {
    const log = makeLog();
    const before = fieldsOf(log.directory);
    flipByte(log.segment(2), 4096 + 30);
    const { code } = await runCommand(['serve', '--data', log.directory, '--peers', await peers({})]);
    expect(code).toBe(5);
    expect(fieldsOf(log.directory)).toBe(before);
  });
});

it('R10: memory that cannot be had is asked for before a directory is made', () => {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-refused-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const command = `ulimit -v 8000000 && exec "${process.execPath}" "${CLI}" serve --data "${directory}" --port 0 --segment-bytes 1073741824 --slots 3`;
  const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
  expect(stderr).toContain('--segment-bytes');
  expect(status).toBe(2);
  expect(existsSync(join(directory, 'node.json'))).toBe(false);
});
