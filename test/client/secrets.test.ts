// A password in an address is shown nowhere: errors, events, what `inspect` prints.

import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { type ClientEvent, connect } from '../../src/client/index.ts';
import { withoutSecrets } from '../../src/core/secrets.ts';
import { runCommand, stopServers } from '../support/server.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

const SECRET = 'pa:ss,w@rd';
const URL_WITH_SECRETS = 'ws://user:pa:ss,w%40rd@fake/?token=abc123';

const TOKEN = `loglog_${'0a'.repeat(23)}0`;

function expectNoSecret(text: string): void {
  for (const secret of [TOKEN.slice(7), SECRET, 'pa:ss', 'w%40rd', 'w@rd', 'user', 'abc123']) expect(text).not.toContain(secret);
}

afterEach(stopServers);

test.each([
  ['ws://u:p@h:1', 'ws://***@h:1'],
  ['ws://token@h', 'ws://***@h'],
  ['ws://u:p/q@h', 'ws://***@h'],
  ['ws://u:p,q@h,wss://v:r@i/x', 'ws://***@h,wss://***@i/x'],
  ['no: ws://u:p@h?token=1: refused; ws://h/a: refused', 'no: ws://***@h?***: refused; ws://h/a: refused'],
  ['nobody@home', 'nobody@home'],
  ['ws://h/?token=abc,SECRET', 'ws://h/?***'],
  ["ws://h/?user=a;password=b'c)d&e", 'ws://h/?***'],
  ['(see ws://h/a?token=x): "ws://h?y=1", ws://h?z; and on', '(see ws://h/a?***): "ws://h?***", ws://h?***; and on'],
  ['ws://h:1/a?token=w@rd', 'ws://h:1/a?***'],
  ['ws://h:1/a?token=w@rd: refused', 'ws://***: refused'],
  ['ws://h/#SECRET is refused', 'ws://h/#*** is refused'],
  [`${TOKEN}, and on`, 'loglog_***, and on'],
  [`it says ${TOKEN} at ws://u@h`, 'it says loglog_*** at ws://***@h'],
])('%j is shown as %j', (text, shown) => {
  expect(withoutSecrets(text)).toBe(shown);
});

describe('a password in an address', () => {
  test('is in no error of connect', async () => {
    const server = new FakeServer();
    server.refused.set(URL_WITH_SECRETS, `cannot connect to ${URL_WITH_SECRETS}`);
    const error = await failureOf(server.connect({ reconnect: { timeoutMs: 0 } }, [URL_WITH_SECRETS]));
    expect(error.message).toContain('ws://***@fake');
    expectNoSecret(inspect(error));
    for (const query of ['?x=abc123,w@rd', '?user=a;password=pa:ss', '?x=(user)w%40rd']) {
      const refused = await failureOf(connect(`ws://127.0.0.1:1/${query}`, { reconnect: { timeoutMs: 0 } }));
      expect(refused.message).toContain('ws://127.0.0.1:1/?***: ');
      expectNoSecret(refused.message);
    }
    for (const bad of [
      'ws://127.0.0.1:1/#abc123',
      'ws://user:pa:ss,w%40rd@127.0.0.1:1',
      'ws://user@127.0.0.1:1',
      'ws://127.0.0.1:1/?x=1&token=abc123',
      'ws://127.0.0.1:1/?Access-Token=abc123',
      `ws://127.0.0.1:1/${TOKEN}`,
      'ws://user:pa:ss,w@rd@h:99999',
      'ws://user:pa ss@h:x',
      'http://user:pa:ss@h',
      'user:pa:ss@h',
    ]) {
      const thrown: unknown = await connect(bad).catch((reason: unknown) => reason);
      expect(thrown).toBeInstanceOf(TypeError);
      expectNoSecret(String(thrown));
    }
  });

  test('is in no error of an append, a read or an end, in no event, and not in what inspect shows', async () => {
    const server = new FakeServer();
    const events: ClientEvent[] = [];
    const options = { onEvent: (event: ClientEvent) => void events.push(event), reconnect: { timeoutMs: 1, minDelayMs: 1 } };
    const log = await server.connect(options, [URL_WITH_SECRETS]);
    const shown = [inspect(log), JSON.stringify(log)];
    await log.append('a');
    server.onData = (message) => message.fill(1, 30);
    const damaged = await failureOf(log.read().batches().next());
    server.onRequest = () => true;
    const lost = failureOf(log.append('b'));
    await settleMicrotasks();
    server.greetings.set(URL_WITH_SECRETS, { role: 'follower', leader: URL_WITH_SECRETS });
    server.connection.kill(`${URL_WITH_SECRETS} broke`);
    const leaderless = await failureOf(log.append('c'));
    server.refused.set(URL_WITH_SECRETS, 'down');
    server.connection.kill();
    const unreachable = await failureOf(log.end());
    const errors = [damaged, await lost, leaderless, unreachable];
    expect(errors.map(({ code }) => code)).toEqual(['DAMAGED', 'CONNECTION_LOST', 'NOT_LEADER', 'UNREACHABLE']);
    for (const error of errors) {
      expect(error.message).toContain('ws://***@fake');
      shown.push(inspect(error), JSON.stringify(error));
    }
    await log.close();
    expect(new Set(events.map(({ type }) => type)).size).toBeGreaterThan(4);
    for (const text of [...shown, inspect(events, { depth: 9 }), inspect(log)]) expectNoSecret(text);
  });

  test('is in nothing that a command prints', async () => {
    const commands = [['read'], ['append', 'x'], ['tail'], ['status'], ['bench']];
    const good = commands.map((args) => [...args, '--timeout', '0', '--url', 'ws://user:pa:ss,@127.0.0.1:1,ws://user:w%40rd@127.0.0.1:1']);
    const bad = ['ws://user:pa:ss@127.0.0.1:99999', 'user:pa ss@127.0.0.1:1'].map((url) => ['read', '--url', url]);
    for (const { stderr, stdout, code } of await Promise.all([...good, ...bad].map((args) => runCommand(args)))) {
      expect(stderr).toContain('127.0.0.1:');
      expectNoSecret(stderr + stdout.toString());
      expect(code).not.toBe(0);
    }
  });
});
