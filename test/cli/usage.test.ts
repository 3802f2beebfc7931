// What wrong usage gets: one sentence, exit code 2, no stack trace; and the help.

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OPTIONS } from '../../src/core/options.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';

const COMMANDS = [
  'serve',
  'config',
  'cluster',
  'append',
  'read',
  'tail',
  'status',
  'doctor',
  'inspect',
  'verify',
  'trim',
  'trim-offline',
  'backup',
  'restore',
  'recover',
  'bench',
];

afterEach(stopServers);

describe('wrong usage', () => {
  it.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['read', '--nonsense'], "unknown option '--nonsense'"],
    [['read', '--from', '-1'], '--from'],
    [['read', '--from', '1.5'], '--from'],
    [['read', '--from', '9007199254740992'], '--from'],
    [['read', '--limit', '0'], '--limit'],
    [['read', '--last', '0'], '--last'],
    [['tail', '-n', '5', '--from', 'start'], 'cannot be used with'],
    [['read', '--since', '2 hours'], '--since'],
    [['read', '--since', '2026-02-30'], 'It must be a time ago such as 90s'],
    [['read', '--until', '1h', '--last', '3'], 'cannot be used with'],
    [['tail', '--since', '99999999w'], '--since'],
    [['tail', '--since', '1h', '--from', 'start'], 'cannot be used with'],
    [['read', '--raw', '--json'], 'cannot be used with'],
    [['read', '--url', 'http://127.0.0.1'], '--url'],
    [['append', '--ack', 'perhaps', 'x'], '--ack'],
    [['append', '--lines', 'x'], '--lines reads standard input'],
    [['append', '--expected-end', 'x', 'y'], '--expected-end'],
    [['serve', '--port', '65536'], '--port takes a whole number from 0 to 65535'],
    [['serve', '--segment-bytes', '100000'], '--segment-bytes takes a multiple of 65536'],
    [['serve', '--peers', '1=a:1/2,b'], '"b"'],
    [['serve', '--node', '2', '--peers', '1=a:1/2'], 'this is --node 2'],
    [['cluster', '--nodes', '8'], '--nodes'],
    [['cluster', '--slots', '1'], '--slots takes a whole number from 3 to 64'],
    [['serve', 'extra'], 'too many arguments'],
    [['verify'], 'verify takes the path of'],
    [['backup', 'http://a', 'x'], 'It must be an address like ws://'],
    [['mirror', 'ws://a', '--retention-age', '1d'], "unknown option '--retention-age'"],
    [['restore', 'x'], "missing required argument 'data'"],
    [['restore', 'x', 'y', '--node', '0'], 'a whole number from 1 to 32'],
    [['trim-offline', '--data', '.'], '--before'],
    [['trim'], 'say what goes'],
    [['trim', '--before', '1h', '--keep', '1KiB'], 'cannot be used with'],
    [['trim', '--before', 'yesterday'], '--before'],
    [['bench', '--mode', 'x'], '--mode'],
    [['bench', '--size', '17MiB'], 'a whole number of bytes from 0 to 16777215, or a size such as 64KiB'],
    [['read', '--timeout', '5 minutes'], 'or a duration such as 2m'],
    [['serve', '--election-timeout-ms', '1d'], 'a whole number from 50 to 60000 ms, or a duration such as 2s'],
    [['tls', 'init', 'x', '--nodes', '1@a', '--days', '2w'], 'a whole number of days'],
    [['serve', '--config', '/nowhere/x.json'], 'the configuration file cannot be read'],
    [['serve', '--log-level', 'loud'], '--log-level takes info or warn or error'],
    [['bench', '--mode', 'read'], 'name it with --url'],
  ])('%j is refused with one sentence and exit code 2', async (args, text) => {
    const { code, stderr, stdout } = await runCommand(args);
    expect(stderr).toContain(text);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout.length).toBe(0);
    expect(code).toBe(2);
  });

  it('a bad value in the environment is refused like one on the command line', async () => {
    const { code, stderr } = await runCommand(['serve'], { env: { LOGLOG_SLOTS: '1' } });
    expect(code).toBe(2);
    expect(stderr).toContain('LOGLOG_SLOTS takes a whole number from 3 to 64');
    expect((await runCommand(['read'], { env: { LOGLOG_URL: 'nowhere' } })).code).toBe(2);
  });

  it('the address of a service in LOGLOG_PORT, as Kubernetes sets it, is ignored with a warning', async () => {
    const data = join(temporaryDirectory(), 'data');
    const variables = {
      LOGLOG_PORT: 'tcp://10.96.0.7:7070',
      LOGLOG_PORT_7070_TCP: 'tcp://10.96.0.7:7070',
      LOGLOG_SERVICE_HOST: '10.96.0.7',
    };
    // Nothing else makes this start end: the variable is ignored, and the next thing that is wrong is said.
    const { code, stderr } = await runCommand(['serve', '--data', data, '--slots', '1'], { env: variables });
    expect(code).toBe(2);
    expect(stderr).toContain('LOGLOG_PORT is ignored');
    expect(stderr).toContain('--slots takes a whole number');
    expect((await runCommand(['serve', '--data', data], { env: { LOGLOG_PORT: 'http://10.96.0.7' } })).stderr).toContain(
      'LOGLOG_PORT takes',
    );
    expect((await runCommand(['serve', '--data', data, '--port', 'tcp://10.96.0.7:7070'])).stderr).toContain('--port takes');
  });
});

describe('help', () => {
  it.each(COMMANDS)('%s has examples', async (name) => {
    const { code, stdout } = await runCommand([name, '--help']);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/Examples:\n {2}.*loglog/);
  });

  it('names all commands and the exit codes', async () => {
    const { code, stdout } = await runCommand(['--help']);
    expect(code).toBe(0);
    for (const name of COMMANDS) expect(stdout.toString()).toContain(`\n  ${name} `);
    expect(stdout.toString()).toContain('5 damage found');
  });

  it('of serve has every option and its variable', async () => {
    const text = (await runCommand(['serve', '--help'])).stdout.toString();
    expect(text).toContain('1PiB');
    expect(text).not.toMatch(/\d{5,}[KMGT]iB/);
    for (const name of Object.keys(OPTIONS)) {
      expect(text).toContain(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} `);
      expect(text.replace(/\s+/g, ' ')).toContain(`(env: LOGLOG_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()})`);
    }
  });
});

describe('without a node', () => {
  it.each([
    [['read'], ''],
    [['tail'], ''],
    [['append', 'x'], ''],
    [['append', '--lines'], 'x\n'],
    [['status'], ''],
    [['bench'], ''],
  ])('%j exits with 4', async (args, input) => {
    const { code, stderr, stdout } = await runCommand([...args, '--url', 'ws://127.0.0.1:1', '--timeout', '0'], { input });
    expect(code).toBe(4);
    expect(stdout.length).toBe(0);
    expect(stderr).toMatch(/^loglog: no .*127\.0\.0\.1:1/i);
    expect(stderr).not.toContain('    at ');
  });
});
