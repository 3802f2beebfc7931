// Contexts: which one a command goes by, who may read them, and that a token goes to its own address alone.

import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { urlOption } from '../../src/cli/arguments.ts';
import { contextOption, contextsFile, readContexts, takeContext, writeContexts } from '../../src/cli/contexts.ts';
import { explain } from '../../src/cli/exit.ts';
import { tlsTrustOptions } from '../../src/cli/tlsTrust.ts';
import { tokenFileOption } from '../../src/cli/token.ts';
import { runCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';

let home: string;

beforeEach(() => {
  home = temporaryDirectory();
  for (const name of ['LOGLOG_URL', 'LOGLOG_TOKEN', 'LOGLOG_TOKEN_FILE', 'LOGLOG_CONTEXT', 'LOGLOG_TLS_CA']) vi.stubEnv(name, undefined);
  vi.stubEnv('XDG_CONFIG_HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stopServers();
});

interface Taken {
  readonly url: string;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly tlsCa: string | undefined;
}

/** What a command goes by that is given `args`. */
function taken(...args: string[]): Taken {
  return takenBy(new Command('any').addOption(urlOption()), args);
}

function takenBy(command: Command, args: readonly string[]): Taken {
  command.addOption(contextOption()).addOption(tokenFileOption());
  for (const option of tlsTrustOptions()) command.addOption(option);
  command.exitOverride().parse(args, { from: 'user' });
  const token = takeContext(command);
  const { url, tokenFile, tlsCa } = command.opts<{ url: string[]; tokenFile?: string; tlsCa?: string }>();
  return { url: url.join(), token: token ?? process.env.LOGLOG_TOKEN, tokenFile, tlsCa };
}

describe('which context holds', () => {
  beforeEach(() => {
    writeContexts({
      current: 'prod',
      contexts: {
        prod: { url: 'wss://p:1,wss://p:2', token: 'of-prod', tlsCa: '/p.crt' },
        test: { url: 'ws://t:1', tokenFile: '/t.token' },
      },
    });
  });

  test('the one in use, where nothing else says where to go', () => {
    expect(taken()).toEqual({ url: 'wss://p:1,wss://p:2', token: 'of-prod', tokenFile: undefined, tlsCa: '/p.crt' });
  });

  test('one that is named goes before the environment, and before the one in use', () => {
    vi.stubEnv('LOGLOG_URL', 'ws://e:1');
    expect(taken('--context', 'test')).toMatchObject({ url: 'ws://t:1', tokenFile: '/t.token' });
    vi.stubEnv('LOGLOG_CONTEXT', 'test');
    expect(taken()).toMatchObject({ url: 'ws://t:1', tokenFile: '/t.token' });
  });

  test('the environment goes before the one in use, and then that counts for nothing', () => {
    vi.stubEnv('LOGLOG_URL', 'ws://e:1');
    expect(taken()).toEqual({ url: 'ws://e:1', token: undefined, tokenFile: undefined, tlsCa: undefined });
  });

  test('an address on the command line goes before all, and no token of a context goes there', () => {
    vi.stubEnv('LOGLOG_CONTEXT', 'prod');
    expect(taken('--url', 'ws://c:1')).toEqual({ url: 'ws://c:1', token: undefined, tokenFile: undefined, tlsCa: undefined });
    expect(() => taken('--url', 'ws://c:1', '--context', 'prod')).toThrow('--url and --context both say where to go');
  });

  test('a context is taken whole: tokens and certificates of the environment are for another address', () => {
    vi.stubEnv('LOGLOG_TOKEN', 'of-elsewhere');
    vi.stubEnv('LOGLOG_TOKEN_FILE', '/elsewhere.token');
    vi.stubEnv('LOGLOG_TLS_CA', '/elsewhere.crt');
    expect(taken()).toEqual({ url: 'wss://p:1,wss://p:2', token: 'of-prod', tokenFile: undefined, tlsCa: '/p.crt' });
    vi.stubEnv('LOGLOG_TOKEN', 'of-elsewhere');
    expect(taken('--context', 'test')).toEqual({ url: 'ws://t:1', token: undefined, tokenFile: '/t.token', tlsCa: undefined });
  });

  test('flags go before what a context has', () => {
    expect(taken('--tls-ca', '/mine.crt')).toMatchObject({ url: 'wss://p:1,wss://p:2', tlsCa: '/mine.crt' });
  });

  test('bench, which would leave what it appends in the log, goes by none that is not named', async () => {
    const { benchCommand } = await import('../../src/cli/commands/bench.ts');
    const bench = (...args: string[]): Taken =>
      takenBy(
        benchCommand().action(() => undefined),
        args,
      );
    expect(bench()).toEqual({ url: '', token: undefined, tokenFile: undefined, tlsCa: undefined });
    expect(bench('--context', 'prod')).toMatchObject({ url: 'wss://p:1,wss://p:2', token: 'of-prod' });
  });

  test.each([
    { url: 'p:1' },
    { url: 'http://p:1' },
    { url: '' },
    { url: 'wss://p:1,p:2' },
    { url: 'wss://me:secret@p:1' },
    { url: 'wss://p:1', token: 'my secret' },
  ])('one in the file that is none, %j, is refused', (prod) => {
    writeContexts({ current: 'prod', contexts: { prod } });
    expect(() => taken()).toThrow(`a context in ${contextsFile()} cannot be gone by. `);
    expect(() => taken()).not.toThrow('secret');
  });

  test('a name that is none is refused, with what was meant', () => {
    expect(() => taken('--context', 'prd')).toThrow('there is no context "prd": did you mean prod?');
    expect(() => taken('--context', 'constructor')).toThrow('there is no context "constructor"');
  });
});

describe('the file', () => {
  test('is where the XDG specification says, and a relative path counts for nothing', () => {
    expect(contextsFile()).toBe(join(home, 'loglog/contexts.json'));
    vi.stubEnv('XDG_CONFIG_HOME', 'relative');
    vi.stubEnv('HOME', '/home/ada');
    expect(contextsFile()).toBe('/home/ada/.config/loglog/contexts.json');
  });

  test('is its owner’s alone, and refused where others may read it', () => {
    writeContexts({ contexts: { a: { url: 'ws://a:1', token: 'secret' } } });
    expect(statSync(contextsFile()).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'loglog')).mode & 0o077).toBe(0);
    chmodSync(contextsFile(), 0o640);
    expect(() => readContexts()).toThrow(`others may read or change it: chmod 600 ${contextsFile()}`);
  });

  test('is written through nothing that was there before, which others may have', () => {
    mkdirSync(join(home, 'loglog'));
    const others = join(home, 'others');
    writeFileSync(others, '', { mode: 0o644 });
    symlinkSync(others, `${contextsFile()}.${process.pid}`);
    writeContexts({ contexts: { a: { url: 'ws://a:1', token: 'secret' } } });
    expect(readFileSync(others, 'utf8')).toBe('');
    expect(readContexts().contexts.a?.token).toBe('secret');
  });

  test.each(['{', '[]', '{"contexts": {"a": {}}}', '{"contexts": {"a": {"url": "ws://a", "other": "x"}}}'])('%s is refused', (text) => {
    mkdirSync(join(home, 'loglog'));
    writeFileSync(contextsFile(), text, { mode: 0o600 });
    expect(() => readContexts()).toThrow(/contexts/);
  });
});

test('where nobody may look whether there are contexts that is said, and what needs none goes on', async () => {
  // As of the home directory of another user; a ring of links says it to root, too.
  symlinkSync(join(home, 'ring'), join(home, 'ring'));
  vi.stubEnv('XDG_CONFIG_HOME', join(home, 'ring'));
  expect(() => taken()).toThrow(/^whether there are contexts in .*contexts\.json cannot be seen \(ELOOP: .*set HOME or XDG_CONFIG_HOME/);
  expect(taken('--url', 'ws://x:1').url).toBe('ws://x:1');
  expect(() => writeContexts({ contexts: {} })).toThrow(/^writing .*contexts\.json failed \(ELOOP\)/);
  const data = join(home, 'data');
  const made = await runCommand(['token', 'create', '--scopes', 'admin', '--data', data]);
  expect([made.code, existsSync(join(data, 'token-request'))]).toEqual([0, true]);
});

test('what the system refuses of a file is no bug of the program', () => {
  const refused = Object.assign(new Error('EROFS: read-only file system, open'), { code: 'EROFS', syscall: 'open', path: '/x/y' });
  expect(explain(refused)).toBe('open /x/y failed (EROFS): the file system is read-only; nothing more was done');
  expect(explain(Object.assign(refused, { code: 'EBADF' }))).toContain('this is a bug in loglog');
});

test('commands go by a context that is made, used and removed, and never show its token', async () => {
  const { url } = await startServer();
  const env = { XDG_CONFIG_HOME: home };
  const said: string[] = [];
  const run = async (args: string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await runCommand(args, { env, ...(input === undefined ? {} : { input }) });
    said.push(String(stdout), stderr);
    return `${code}: ${stdout}${stderr}`;
  };
  expect(await run(['context', 'set', 'here', '--url', url, '--token-stdin', '--json'], 'a-secret-token\n')).toContain('0: {"name":"here"');
  expect(await run(['context', 'use', 'here'])).toContain('0: here is in use');
  expect(await run(['append', 'x', '--format', '{count} in term {term}'])).toBe('0: 1 in term 1\n');
  expect(await run(['read', '--format', '{payload} at {ofset}'])).toMatch(/^2: loglog: --format: there is no ofset; did you mean offset\?/);
  expect(await run(['context', 'list'])).toMatch(/\* {2}here {2}ws:\/\/\S+ +kept here/);
  expect(await run(['context', 'remove', 'here'])).toBe('0: here is removed, and no context is in use\n');
  expect(said.join('')).not.toContain('a-secret-token');
  expect(JSON.parse(readFileSync(contextsFile(), 'utf8'))).toEqual({ contexts: {} });
});
