// What shells complete: bash is run with the script; zsh and fish where they are installed, and it is said where they are not.

import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPTIONS } from '../../src/core/options.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';

let script = '';

beforeAll(async () => {
  script = join(temporaryDirectory(), 'loglog.bash');
  writeFileSync(script, (await runCommand(['completion', 'bash'])).stdout);
});
afterAll(stopServers);

/** What bash offers for the last one of `words`. */
function offered(...words: readonly string[]): readonly string[] {
  const list = ['loglog', ...words].map((word) => `'${word}'`).join(' ');
  const program = `source ${script}; COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _loglog; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', program], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('bash completes', () => {
  test('commands, and those within commands', async () => {
    expect(offered('ser')).toEqual(['serve']);
    const help = (await runCommand(['--help'])).stdout.toString();
    const commands = [...help.slice(help.indexOf('Commands:'), help.indexOf('Exit codes')).matchAll(/^ {2}([a-z-]+)[ \n]/gm)].map(
      ([, name]) => name,
    );
    expect(offered('')).toEqual(commands.filter((name) => name !== 'help' && name !== 'loglog' && name !== 'echo'));
    expect(offered('token', '')).toEqual(['create', 'list', 'revoke']);
    expect(offered('token', 'create', '--da')).toEqual(['--data']);
  });

  test('every option of a node, from the one table, and their values', () => {
    const flags = Object.keys(OPTIONS).map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    expect(offered('serve', '--')).toEqual(['--config', ...flags, '--json', '--help']);
    expect(offered('serve', '--port', '1', '--log-level', '')).toEqual(OPTIONS.logLevel.values);
    expect(offered('serve', '--acceptor', 'u')).toEqual(['uws']);
    expect(offered('append', '--ack', '')).toEqual(['received', 'committed']);
  });

  test('nothing where anything may stand', () => {
    expect(offered('serve', '--port', '')).toEqual([]);
    expect(offered('serve', '--data', '')).toEqual([]);
  });
});

test.each([
  ['zsh', '-n'],
  ['fish', '--no-execute'],
])('%s takes its script', async (shell, check) => {
  const path = join(temporaryDirectory(), `loglog.${shell}`);
  const { stdout } = await runCommand(['completion', shell]);
  writeFileSync(path, stdout);
  expect(stdout.toString()).toContain('retention');
  const isThere = (process.env.PATH ?? '').split(':').some((folder) => folder !== '' && namesIn(folder).includes(shell));
  if (!isThere) return console.warn(`${shell} is not installed: its completion was made, and not run`);
  const { status, stderr } = spawnSync(shell, [check, path], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
