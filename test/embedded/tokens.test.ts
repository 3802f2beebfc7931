// Tokens of a log, as programs, the command line and the data directory ask for them.

import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tokenIdOf } from '../../src/core/access.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { eventually } from '../server/support/fixture.ts';
import { runCommand } from '../support/server.ts';
import { directory, open } from './support.ts';

const SMALL = { segmentBytes: 65_536, slots: 3 } as const;

const cli = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await runCommand(args);
  expect([code, stderr.includes('this is a bug')]).toEqual([0, false]);
  return String(stdout);
};

it('are made, listed and revoked, and there after a restart; nothing but the answer to who made one has it', async () => {
  const dir = directory();
  const options = { dir, ...SMALL, listen: { port: 0 } };
  const log = await open(options);
  expect(await log.tokens()).toEqual([]);
  const expiresMs = Date.now() + 86_400_000;
  const made = await log.createToken({
    name: 'sensors ü',
    scopes: ['append', 'read'],
    expiresMs,
    quotas: { connections: 3, bytesInPerSecond: 2 ** 40 },
  });
  const { token, ...about } = made;
  expect(about).toEqual({
    id: tokenIdOf(token),
    name: 'sensors ü',
    scopes: ['read', 'append'],
    createdMs: expect.any(Number),
    expiresMs,
    quotas: { connections: 3, bytesInPerSecond: 2 ** 40 },
  });
  expect(await log.tokens()).toEqual([about]);
  const url = log.url ?? '';
  const other = (await cli('token', 'create', '--scopes', 'admin', '--url', url)).trim();
  const id = tokenIdOf(other) ?? '';
  const lines = (await cli('token', 'list', '--url', url)).split('\n').map((line) => line.split(/ {2,}/));
  expect(lines.slice(1, -1).sort()).toEqual(
    [
      [about.id, 'sensors ü', 'read,append', new Date(expiresMs).toISOString(), 'connections 3, bytesInPerSecond 1099511627776'],
      [id, 'admin', 'admin', 'never'],
    ].sort(),
  );
  expect(await cli('token', 'revoke', id, '--url', url)).toBe(`token ${id} is revoked: no node that hears its leader takes it any more\n`);
  expect(JSON.parse(await cli('token', 'revoke', other, '--url', url, '--json'))).toEqual({ id, wasThere: false });
  await log.close();

  const again = await open(options);
  expect(await again.tokens()).toEqual([about]);
  expect([await again.revokeToken(token), await again.revokeToken(about.id)]).toEqual([true, false]);
  await again.close();
});

it('are asked for in the data directory, before the first start or beside the log; what was revoked does not come back by a request that is still there', async () => {
  const dir = directory();
  const path = join(dir, 'token-request');
  const token = (await cli('token', 'create', '--scopes', 'admin', '--name', 'first', '--data', dir)).trim();
  const kept = `${dir}-request`;
  copyFileSync(path, kept);
  const twice = await runCommand(['token', 'create', '--scopes', 'admin', '--data', dir]);
  expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining('is there already')]);
  const lines: string[] = [];
  const options = { dir, ...SMALL, log: (_level: string, text: string) => void lines.push(text) };
  const log = await open(options);
  await eventually(() => !existsSync(path), 'the request was carried out, and removed');
  const id = tokenIdOf(token) ?? '';
  expect(await log.tokens()).toMatchObject([{ id, name: 'first', scopes: ['admin'] }]);
  expect(await log.revokeToken(id)).toBe(true);
  await log.close();

  // As a crash would leave it that came after the commit and before the removal.
  copyFileSync(kept, path);
  rmSync(kept);
  const again = await open(options);
  const about = (): string[] => lines.filter((line) => line.includes(id));
  await eventually(() => about().length === 3, 'the request was removed');
  expect([existsSync(path), await again.tokens()]).toEqual([false, []]);
  expect(about()).toEqual([
    `this node's directory asks for the token ${id}: it goes to whoever leads`,
    `the token ${id}, for which this node's directory asked, is in the log: the request was removed`,
    `the token ${id}, for which this node's directory asked, is in the log: the request was removed`,
  ]);
  await again.close();
});

it('one with the scope trim alone will do for loglog trim --to', async () => {
  const log = await open({ dir: directory(), ...SMALL, tokens: true, listen: { port: 0 } });
  const { end } = await log.append('one that goes');
  const { token } = await log.createToken({ name: 'trimmer', scopes: ['trim'] });
  const trim = async (...args: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCommand(['trim', '--to', String(end), '--json', '--url', log.url ?? '', ...args], {
      env: { LOGLOG_TOKEN: token },
    });
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(String(stdout));
  };
  expect(await trim('--dry-run')).toMatchObject({ dryRun: true, start: 0, newStart: end });
  expect(await trim()).toMatchObject({ dryRun: false, start: end, newStart: end });
  expect((await log.end()).start).toBe(end);
  await log.close();
});

it('what cannot be meant is refused', async () => {
  const log = await open({ dir: directory(), ...SMALL });
  const about = { name: 'x', scopes: ['read'] } as const;
  const wrong: readonly [options: object, error: typeof TypeError | typeof RangeError][] = [
    [{ ...about, scopes: [] }, RangeError],
    [{ ...about, scopes: ['write'] }, RangeError],
    [{ ...about, scopes: 'read' }, TypeError],
    [{ ...about, name: '' }, RangeError],
    [{ ...about, name: 7 }, TypeError],
    [{ ...about, expiresMs: 5 }, RangeError],
    // Past all dates: no list could show it.
    [{ ...about, expiresMs: 8_640_000_000_000_001 }, RangeError],
    [{ ...about, expires: 5 }, TypeError],
    [{ ...about, quotas: { connections: 0 } }, RangeError],
    [{ ...about, quotas: { speed: 1 } }, TypeError],
  ];
  // As a program in JavaScript calls it.
  const create = (options: object): unknown => Reflect.apply(log.createToken, log, [options]);
  for (const [options, error] of wrong) await expect(create(options), JSON.stringify(options)).rejects.toThrow(error);
  // Nor on the command line, where it is no bug of ours.
  const typed = await runCommand(['token', 'create', '--scopes', 'read', '--name', 'x'.repeat(65), '--data', directory()]);
  expect([typed.code, typed.stderr]).toEqual([
    2,
    expect.stringMatching(/^loglog: a token cannot be made so: its name is not 1 to 64 bytes/),
  ]);
  await expect(log.revokeToken('loglog_x')).rejects.toThrow('takes the id of a token, 11 characters, or the token');
  await log.close();
});

it('of a mirror’s directory one is asked for that waits until it is promoted, and that is said', async () => {
  const data = directory();
  mkdirSync(data, { recursive: true });
  const mirror = { generation: '0'.repeat(16), segmentBytes: 65_536 };
  createIdentity(new NodeDisk(), data, Buffer.alloc(IDENTITY_RANDOM_BYTES, 7), { nodeId: 32, clusterId: 'a'.repeat(32), mirror });
  const { code, stderr } = await runCommand(['token', 'create', '--scopes', 'admin', '--data', data]);
  expect([code, stderr]).toEqual([0, expect.stringContaining('it is the directory of a mirror, so it waits until that is promoted')]);
});
