// The suite for clients in other languages: the Python client passes it, a wrong one does not, and real nodes take that client.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startServer, stopServers, temporaryDirectory } from '../support/server.ts';

afterAll(stopServers);

const SUITE = 'examples/conformance/run.mjs';
const CLIENT = 'examples/python/loglog_client.py';
const DRIVER = 'examples/conformance/python.py';

const hasPython = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']).status === 0;
if (!hasPython) console.warn('python3, 3.10 or newer, is not installed: the suite of examples/conformance was not run with its client');

/** Its exit code and output. */
function run(command: string, args: readonly string[]): Promise<{ readonly code: number | null; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => (text += part));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, text }));
  });
}

test('the client for Node passes every case', async () => {
  const { code, text } = await run(process.execPath, [SUITE, process.execPath, 'examples/conformance/javascript.mjs']);
  expect([code, text.split('\n').filter((line) => !line.startsWith('ok '))]).toEqual([
    0,
    expect.arrayContaining(['85 of 85 cases passed', 'left out, because the client does not have it: copy (1 of all 86 cases)']),
  ]);
}, 600_000);

describe.runIf(hasPython)('the Python client', () => {
  test('passes every case', async () => {
    const { code, text } = await run(process.execPath, [SUITE, 'python3', DRIVER]);
    expect([code, text.split('\n').filter((line) => !line.startsWith('ok '))]).toEqual([
      0,
      expect.arrayContaining(['86 of 86 cases passed']),
    ]);
  }, 600_000);

  test('is told what is wrong with it, where something is', async () => {
    const directory = temporaryDirectory();
    const wrongs: readonly (readonly [string, string])[] = [
      ['0x80000000 if', '0 if'],
      ['kind > 63 or ', ''],
      ['"failed" if closed.code == 4001 else "unknown"', '"failed"'],
      ['connection.request(CREDIT, a=len(body), id=id)', 'connection.request(CREDIT, a=2 * len(body), id=id)'],
      ['if body is not None and hashlib.sha256(body).hexdigest() == digest:', 'if body is not None:'],
      ['(flying == 0 or flying + len(bodies[len(sent)]) <= window)', 'True'],
      ['self._ask(TRIM, ENDED, int(dry_run), to)', 'self._ask(TRIM, ENDED, 0, to)'],
      ['struct.pack("<QQ", self.session, self.sequence + 1)', 'struct.pack("<QQ", self.session, 1)'],
    ];
    let source = readFileSync(CLIENT, 'utf8');
    for (const [right, wrong] of wrongs) {
      expect(source).toContain(right);
      source = source.replace(right, wrong);
    }
    for (const folder of ['python', 'conformance']) mkdirSync(join(directory, folder));
    writeFileSync(join(directory, 'python/loglog_client.py'), source);
    writeFileSync(join(directory, 'conformance/python.py'), readFileSync(DRIVER, 'utf8'));
    const { code, text } = await run(process.execPath, [SUITE, 'python3', join(directory, 'conformance/python.py')]);
    const failed = text.split('\n').flatMap((line) => /^not ok (.*)$/.exec(line)?.[1] ?? []);
    expect(code).toBe(1);
    expect(failed).toEqual([
      'APPEND: frames payloads of all sizes, several as one batch',
      'APPEND: sends no append again whose outcome is unknown and that has no condition',
      'Connection: does not take any other end than 4001 for a promise, and comes back after it',
      'APPEND: has no more under way than the window, and alone one that is larger',
      'Sessions of producers: opens a session once, and numbers its appends from 1 on',
      'Sessions of producers: sends again with its number what was lost before it was done, or has an unknown outcome',
      'SUBSCRIBE and CREDIT: follows the log, and grants what it consumed, no more',
      'DATA: believes no entry with a kind above 63 changed, and none after it',
      'Sealed segments: believes no host: what is not of the digest that a node names comes from the node',
      'TRIM: says where the log begins after it; a dry run only asks',
      'Reconnecting: finds out what became of an append with a condition: it was done',
    ]);
  }, 600_000);

  test('appends to a real node, reads and follows it', async () => {
    const { url } = await startServer();
    const program = `
import sys; sys.path.insert(0, "examples/python")
from loglog_client import LogLog, LogLogError
with LogLog("${url}") as log:
    offset, end = log.append([b"one", b"two" * 100])
    log.append([b"three"], expected_end=end)
    try: log.append([b"four"], expected_end=end)
    except LogLogError as error: print(error.code, error.outcome)
    print([entry.payload[:5] for entry in log.read(0)])
    following = log.subscribe(end)
    print(next(following).payload, log.end()["start"])
`;
    expect(await run('python3', ['-B', '-c', program])).toEqual({
      code: 0,
      text: `CONDITION_FAILED failed\n[b'one', b'twotw', b'three']\nb'three' 0\n`,
    });
  });
});
