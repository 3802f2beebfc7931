// A mistake in the engine, or in a door, ends the log and not the program. What is thrown here unseen fails the test run.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect } from '../../dist/src/client/index.js';
import type { EmbeddedLog } from '../../dist/src/index.js';
import { Appends } from '../../dist/src/node/appends.js';
import { Ends } from '../../dist/src/node/ends.js';
import { Engine } from '../../dist/src/node/engine.js';
import { Places } from '../../dist/src/server/places.js';
import { Session } from '../../dist/src/server/session.js';
import { directory, open } from './support.ts';

const MISTAKE = (): never => {
  throw new Error('a mistake');
};

afterEach(() => vi.restoreAllMocks());

/** The log has failed, its directory can be opened again, and the program goes on. */
async function expectFailed(log: EmbeddedLog, dir: string): Promise<void> {
  expect((await log.failed).message).toContain('a mistake');
  await expect(log.append('later')).rejects.toMatchObject({ code: 'IO', outcome: 'failed' });
  await log.close();
  vi.restoreAllMocks();
  const again = await open({ dir });
  await again.append('again');
}

describe('a log in a program is ended by a mistake, and the program is not:', () => {
  it('in a request', async () => {
    const dir = directory();
    const log = await open({ dir });
    vi.spyOn(Appends.prototype, 'accept').mockImplementationOnce(MISTAKE);
    await expect(log.append('x')).rejects.toMatchObject({ code: 'IO', outcome: 'unknown' });
    await expectFailed(log, dir);
  });

  it('in the end of a connection', async () => {
    const dir = directory();
    const log = await open({ dir });
    vi.spyOn(Session.prototype, 'closed').mockImplementationOnce(MISTAKE);
    await log.close();
    expect((await log.failed).message).toContain('a mistake');
    await (await open({ dir })).append('again');
  });

  it('in what follows a delivery to the program', async () => {
    const dir = directory();
    const log = await open({ dir });
    vi.spyOn(Session.prototype, 'hasUnsent', 'get').mockImplementationOnce(MISTAKE);
    await log.append('x').catch(() => undefined);
    await expectFailed(log, dir);
  });

  it.each(['uws', 'ws'] as const)('in whether a client outside may connect, by %s', async (acceptor) => {
    const dir = directory();
    const log = await open({ dir, listen: { port: 0 }, acceptor });
    vi.spyOn(Places.prototype, 'hasPlaceForClient', 'get').mockImplementationOnce(MISTAKE);
    const over = new AbortController();
    const connecting = connect(String(log.url), { signal: over.signal }).catch(() => undefined);
    await expectFailed(log, dir);
    over.abort();
    await connecting;
  });

  it('in a request, or the end, of a client outside', async () => {
    for (const [prototype, method] of [
      [Appends.prototype, 'accept'],
      [Ends.prototype, 'closed'],
    ] as const) {
      const dir = directory();
      const log = await open({ dir, listen: { port: 0 } });
      const other = await connect(log.url);
      vi.spyOn(prototype as Appends, method as 'accept').mockImplementationOnce(MISTAKE);
      const append = method === 'accept' ? other.append('x').catch(() => undefined) : undefined;
      const closed = other.close({ timeoutMs: 0 });
      await expectFailed(log, dir);
      await Promise.all([append, closed]);
    }
  });
});

it('a page that cannot be made is answered with 500, and the log goes on', async () => {
  for (const acceptor of ['uws', 'ws'] as const) {
    const log = await open({ listen: { port: 0 }, acceptor });
    vi.spyOn(Engine.prototype, 'status').mockImplementationOnce(MISTAKE);
    const page = `${String(log.url).replace(/^ws/, 'http')}/status`;
    const answer = await fetch(page);
    expect([acceptor, answer.status, await answer.text()]).toEqual([acceptor, 500, 'Error: a mistake\n']);
    expect((await fetch(page)).status).toBe(200);
    await log.append('x');
  }
});

it('a mistake while a log begins to listen leaves its directory to the next', async () => {
  const dir = directory();
  vi.spyOn(process, 'constrainedMemory').mockImplementationOnce(MISTAKE);
  await expect(open({ dir, listen: { port: 0 } })).rejects.toThrow('a mistake');
  await (await open({ dir })).append('x');
});
