// Children of the bench: that one that does not start as it should is not left behind.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanEnvironment, startServer } from '../../bench/processes/processes.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-processes-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function scriptOf(text: string): string {
  const path = join(folder, 'script.mjs');
  writeFileSync(path, text);
  return path;
}

describe('the environment of children', () => {
  it('has what finds programs and folders, and nothing that changes what is measured', () => {
    const kept = { PATH: '/bin', HOME: '/home/somebody', TMPDIR: '/tmp', LANG: 'C', LC_ALL: 'C', USER: 'somebody', TZ: 'UTC' };
    const dropped = {
      NODE_OPTIONS: '--jitless',
      GOMAXPROCS: '1',
      GOGC: 'off',
      LD_PRELOAD: 'a.so',
      UV_THREADPOOL_SIZE: '1',
      LOGLOG_SLOTS: '3',
    };
    expect(cleanEnvironment({ ...dropped, ...kept })).toEqual(kept);
  });
});

describe('a server', () => {
  it('is gone when it does not say where it listens', async () => {
    const script = scriptOf('console.log(JSON.stringify({ pid: process.pid })); setInterval(() => undefined, 1000);');
    const thrown = await startServer(script, []).catch((error: Error) => error);
    const [, pid] = /does not say where it listens, but: {"pid":(\d+)}/.exec(String(thrown)) ?? [];
    expect(Number(pid)).toBeGreaterThan(0);
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
  });

  it('that ends at once is quoted', async () => {
    const script = scriptOf("console.error('no such thing'); process.exit(3);");
    await expect(startServer(script, [])).rejects.toThrow(/script\.mjs: it ended \(3\) before it was ready: no such thing/);
  });
});
