// `loglog consumer`: what an operator sees of the names in a file store, and does with them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fileStore } from '../../src/client/consumers/fileStore.node.ts';
import { failureOf } from '../client/support/failure.ts';
import { runCommand } from '../support/server.ts';

const LOG = `${'5f'.repeat(16)}.${'01'.repeat(8)}`;

interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

test('names are listed, shown, begun anew and forgotten, and whoever had them can keep no more', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-consumer-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const run = async (...words: string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await runCommand(['consumer', ...words, '--store', directory]);
    return { code, stdout: stdout.toString(), stderr };
  };
  const store = fileStore(directory);
  expect(await run('list')).toEqual({ code: 0, stdout: 'the store has no consumers\n', stderr: '' });
  const billing = await store.take('billing');
  await billing.save(`${LOG}@1048`);
  const mail = await store.take('mail/é');
  mkdirSync(join(directory, 'torn'));
  writeFileSync(join(directory, 'torn/1.position'), '');

  const list = (await run('list')).stdout.split('\n');
  expect(list[0]).toMatch(/^name +position +kept +of the log$/);
  expect(list.slice(1, 4)).toEqual([
    expect.stringMatching(new RegExp(`^billing +1048 +\\S.* ${LOG}$`)),
    expect.stringMatching(/^mail\/é +none yet +\S/),
    expect.stringMatching(/^torn +damaged +\S/),
  ]);
  const place = { bookmark: `${LOG}@1048`, clusterId: '5f'.repeat(16), generation: '01'.repeat(8), offset: 1048 };
  const json = JSON.parse((await run('list', '--json')).stdout);
  expect(json.consumers).toMatchObject([
    { name: 'billing', ...place, error: null },
    { name: 'mail/é', bookmark: null, clusterId: null, generation: null, offset: null },
    { name: 'torn', error: expect.stringContaining('reset') },
  ]);
  expect((await run('show', 'billing')).stdout).toContain(`goes on at ${LOG}@1048`);
  const torn = await run('show', 'torn');
  expect([torn.code, torn.stdout, torn.stderr]).toEqual([5, '', expect.stringContaining('loglog consumer reset torn')]);
  const none = await run('reset', 'biling');
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('"billing", "mail/é", "torn"')]);

  expect(JSON.parse((await run('reset', 'torn', '--to', `${LOG}@12`, '--json')).stdout)).toEqual({
    name: 'torn',
    bookmark: `${LOG}@12`,
    offset: 12,
  });
  expect((await run('reset', 'torn', '--to', 'nowhere')).code).toBe(2);
  expect((await run('reset', 'billing')).stdout).toContain('begins anew');
  expect([await store.position('torn'), await store.position('billing')]).toEqual([`${LOG}@12`, undefined]);
  expect((await failureOf(billing.save(`${LOG}@2000`))).code).toBe('FENCED');
  expect((await run('remove', 'mail/é')).stdout).toContain('is forgotten');
  expect(JSON.parse((await run('remove', 'mail/é', '--json')).stdout)).toEqual({ name: 'mail/é', wasThere: false });
  expect((await failureOf(mail.save(`${LOG}@12`))).code).toBe('FENCED');
  expect((await store.list()).map(({ name }) => name)).toEqual(['billing', 'torn']);
  const nowhere = await runCommand(['consumer', 'list', '--store', join(directory, 'not-there')]);
  expect([nowhere.code, nowhere.stderr]).toEqual([2, expect.stringContaining('not-there')]);
});
