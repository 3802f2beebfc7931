// Configuration files: what they say, what is refused, and what goes before what.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/cli/configFile.ts';
import { configSchema } from '../../src/cli/configSchema.ts';
import { configure } from '../../src/core/config.ts';
import { OPTIONS } from '../../src/core/options.ts';
import { runCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';

afterEach(stopServers);

/** A file with `content`. */
function fileWith(content: unknown): string {
  const path = join(temporaryDirectory(), 'loglog.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('a configuration file', () => {
  test('has the names of the flags, with units, lists, and paths from its own folder on', () => {
    const text = JSON.stringify({
      '//': 'a remark',
      port: 7071,
      'segment-bytes': '64MiB',
      'election-timeout-ms': '2s',
      'scrub-days': '14d',
      'retention-age': '30d',
      'retention-bytes': 'none',
      tokens: true,
      fsync: 'off',
      'allow-origin': ['https://a.example', 'https://b.example'],
      'tls-cert': 'node-1.crt',
      'tls-key': '/keys/node-1.key',
    });
    const { values } = parseConfig('/etc/loglog/loglog.json', text);
    expect(configure(Object.fromEntries(values))).toMatchObject({
      port: 7071,
      segmentBytes: 64 << 20,
      electionTimeoutMs: 2000,
      scrubDays: 14,
      retentionAge: 30 * 86_400_000,
      retentionBytes: 0,
      tokens: true,
      fsync: false,
      allowOrigin: 'https://a.example,https://b.example',
      tlsCert: '/etc/loglog/node-1.crt',
      tlsKey: '/keys/node-1.key',
    });
  });

  test.each([
    ['{"port": 1,\n "segmnt-bytes": 1}', '/x.json, line 2: there is no option "segmnt-bytes"; did you mean "segment-bytes"?'],
    ['{"segmentBytes": 1}', '/x.json, line 1: there is no option "segmentBytes"; did you mean "segment-bytes"?'],
    ['{"zzzzzzz": 1}', '/x.json, line 1: there is no option "zzzzzzz"; see "loglog serve --help"'],
    ['{"port": 1,\n\n"port": 2}', '/x.json, line 3: "port" is there twice'],
    [
      '{"port": {"port": 1}}',
      '/x.json, line 1: "port" takes a number, or a text such as "64MiB", "7d" or "none" where the flag takes it, not {"port":1}',
    ],
    ['{"port": null}', '"port" takes a number'],
    ['{"tokens": 1}', '"tokens" takes true or false, not 1'],
    ['{"acceptor": true}', '"acceptor" takes "auto" or "uws" or "ws", not true'],
    ['{"peers": ["1=a:1/2", 2]}', '"peers" takes a text, or a list of texts, not ["1=a:1/2",2]'],
    ['{"host": ["a"]}', '"host" takes a text, not ["a"]'],
    ['[]', '/x.json takes a JSON object, such as {"port": 7070}'],
    ['', '/x.json, at its end: this is no JSON'],
    ['{"port": 1\n "host": ""}', '/x.json, line 2, column 2: this is no JSON'],
  ])('%s is refused', (text, sentence) => {
    expect(() => parseConfig('/x.json', text)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(sentence) }),
    );
  });

  test('of docs/OPERATIONS.md is one', () => {
    const document = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8');
    const { values } = parseConfig('/etc/loglog/loglog.json', /^```json\n([\s\S]*?)^```$/m.exec(document)?.[1] ?? '');
    expect(configure(Object.fromEntries(values))).toMatchObject({ node: 1, peerCert: '/etc/loglog/node-1.crt', tokens: true });
  });

  test('is described by a schema, which has each option with its sentence and no other', () => {
    const { properties } = configSchema() as { properties: Record<string, { description?: string; default?: unknown }> };
    const described = Object.entries(properties).flatMap(([key, { description }]) =>
      description === undefined ? [] : [[key, description]],
    );
    const known = Object.entries(OPTIONS).map(([name, { sentence }]) => [
      name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      sentence,
    ]);
    expect(described).toEqual(known);
    // What the schema says is the default, the file may say.
    const defaults = Object.entries(properties).flatMap(([key, { default: value }]) => (value === undefined ? [] : [[key, value]]));
    expect(configure(Object.fromEntries(parseConfig('/x.json', JSON.stringify(Object.fromEntries(defaults))).values))).toMatchObject({
      port: 7070,
    });
  });
});

describe('loglog config show', () => {
  test('prints what holds and where it comes from: flag, environment, file, default', async () => {
    const file = fileWith({ port: 1001, node: 2, slots: 5, peers: ['1=a:7070/7170', '2=b:7070/7170'], 'scrub-rate': '1MiB' });
    const args = ['config', 'show', '--config', file, '--slots', '7', '--json'];
    const { code, stdout } = await runCommand(args, { env: { LOGLOG_SLOTS: '6', LOGLOG_PORT: '1002', LOGLOG_SCRUB_DAYS: '14d' } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({
      slots: { value: 7, from: '--slots' },
      port: { value: 1002, from: 'LOGLOG_PORT' },
      'scrub-days': { value: 14, from: 'LOGLOG_SCRUB_DAYS' },
      'scrub-rate': { value: '1MiB', from: file },
      node: { value: 2, from: file },
      peers: { value: '1=a:7070/7170,2=b:7070/7170', from: file },
      host: { value: 'b', from: 'follows from others' },
      'segment-bytes': { value: '32MiB', from: 'default' },
      'retention-age': { value: 'none', from: 'default' },
      tokens: { value: false, from: 'default' },
    });
  });

  test('names the file and the key of a value that will not do', async () => {
    const { code, stderr } = await runCommand(['config', 'show'], { env: { LOGLOG_CONFIG: fileWith({ slots: 1 }) } });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^loglog: "slots" in \/.*loglog\.json takes a whole number from 3 to 64, not "1"\n$/),
    ]);
  });

  test('makes a file of flags', async () => {
    const { stdout } = await runCommand([
      'config',
      'show',
      '--as-file',
      '--segment-bytes',
      '1048576',
      '--tokens',
      '--retention-age',
      '48h',
    ]);
    expect(JSON.parse(stdout.toString())).toEqual({ 'segment-bytes': '1MiB', tokens: true, 'retention-age': '2d' });
  });
});

test('a node runs with its file, and its log has the level that was asked for', async () => {
  const config = fileWith({ 'max-payload-bytes': 1000, 'log-level': 'warn', slots: 3, 'segment-bytes': '64KiB' });
  const node = await startServer({ flags: ['--config', config] });
  const status: unknown = await (await fetch(`${node.url.replace('ws', 'http')}/status`)).json();
  expect(status).toMatchObject({ limits: { maxPayloadBytes: 1000 } });
  expect(await node.stop()).toEqual({ code: 0, signal: null });
  // What every other node says when it is told to stop.
  expect(node.stderr()).not.toContain('stopping');
});

test('a mirror refuses what a mirror has no use for', async () => {
  const { code, stderr } = await runCommand(['mirror', 'ws://127.0.0.1:1', '--config', fileWith({ node: 2 })]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('"node" has no effect on loglog mirror')]);
});
