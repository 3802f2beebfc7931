import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { DidNotStart, startServer, stopServers } from '../support/server.ts';

function importing(path: string): readonly string[] {
  return ['--import', fileURLToPath(new URL(path, import.meta.url))];
}

const NO_UWS = importing('support/noUws.mjs');

afterEach(stopServers);

/** What a node says in /status and /metrics of what has its connections. */
async function told(url: string): Promise<readonly string[]> {
  const http = url.replace(/^ws/, 'http');
  const status = (await (await fetch(`${http}/status`)).json()) as { node: { acceptor: string } };
  const metrics = await (await fetch(`${http}/metrics`)).text();
  return [status.node.acceptor, ...metrics.split('\n').filter((line) => line.startsWith('loglog_acceptor_info'))];
}

describe('the acceptor', () => {
  test.each([
    { flags: [], acceptor: 'uws' },
    { flags: ['--acceptor', 'ws'], acceptor: 'ws' },
  ])('is $acceptor with $flags, and is named wherever a node is looked at', async ({ flags, acceptor }) => {
    const server = await startServer({ flags });
    expect(server.acceptor).toBe(acceptor);
    expect(await told(server.url)).toEqual([acceptor, `loglog_acceptor_info{acceptor="${acceptor}"} 1`]);
    expect(server.stderr()).not.toContain('served by');
  });

  test.each([
    { built: 'as a module', nodeFlags: NO_UWS, reason: '(GLIBC_2.38 not found)' },
    // Newer packages are. Node 20 ends with what those throw, caught or not.
    {
      built: 'as CommonJS',
      nodeFlags: importing('support/commonJsUws/register.mjs'),
      reason: "(libc.so.6: version `GLIBC_2.38' not found)",
    },
  ])('is ws where uWebSockets.js, built $built, cannot be loaded, and the log says so once', async ({ nodeFlags, reason }) => {
    const server = await startServer({ nodeFlags });
    expect(server.acceptor).toBe('ws');
    const lines = server
      .stderr()
      .split('\n')
      .filter((line) => line.includes('uWebSockets.js'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 30, msg: expect.stringContaining(reason) });
  });

  test('refuses to start where it was to be uws and cannot be loaded, and says what to do', async () => {
    const thrown = await startServer({ flags: ['--acceptor', 'uws'], nodeFlags: NO_UWS }).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(DidNotStart);
    const { exit, stderr } = thrown as DidNotStart;
    expect(exit.code).toBe(2);
    expect(stderr).toContain('for Node 20 and 22 on Linux with glibc 2.27 or newer');
    expect(stderr).toContain('Leave --acceptor out');
    expect(stderr).not.toContain('    at ');
  });
});
