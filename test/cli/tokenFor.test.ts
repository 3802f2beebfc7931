// What a command shows where: at the addresses that it was given, and at those that nodes name.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, onTestFinished, test, vi } from 'vitest';
import { takeToken, tokenFileOption, tokenFor } from '../../src/cli/token.ts';
import { makeDirectory } from '../server/support/fixture.ts';

test('a token that goes to wss: goes to no address of ws: or http: that a node names', async () => {
  const file = join(makeDirectory(), 'token');
  writeFileSync(file, 'secret\n');
  const shownAt = async (given: readonly string[], at: readonly string[]): Promise<(string | undefined)[]> => {
    const command = new Command('status').addOption(tokenFileOption()).option('--url <urls>', '', (text: string) => text.split(','));
    takeToken(command.parse(['--token-file', file, '--url', given.join()], { from: 'user' }));
    return Promise.all(at.map((url) => tokenFor(url)?.()));
  };
  const named = ['wss://a:1', 'https://a:1/status', 'ws://b:2', 'http://b:2/status'];
  expect(await shownAt(['wss://a:1'], named)).toEqual(['secret', 'secret', undefined, undefined]);
  expect(await shownAt(['ws://a:1'], named)).toEqual(['secret', 'secret', 'secret', 'secret']);
});

test('what LOGLOG_TOKEN has, and is no token, is an error that does not show it', async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const command = new Command('status').addOption(tokenFileOption());
  vi.stubEnv('LOGLOG_TOKEN', 'my secret');
  expect(() => takeToken(command)).toThrow(/^LOGLOG_TOKEN is no token: a token has 1 to 256 characters of ASCII without spaces/);
  expect(() => takeToken(command)).not.toThrow('my secret');
  vi.stubEnv('LOGLOG_TOKEN', ' secret\n');
  takeToken(command);
  expect(await tokenFor('ws://a:1')?.()).toBe('secret');
});
