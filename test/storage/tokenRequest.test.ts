// The request for a token that a data directory's owner leaves there: its bytes, and what a node does not follow.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { readIdentity, removeTemporaries } from '../../src/storage/dataDirectory.ts';
import { diskFailure, NodeDisk } from '../../src/storage/nodeDisk.ts';
import {
  decodeTokenRequest,
  encodeTokenRequest,
  leaveTokenRequest,
  readTokenRequest,
  removeTokenRequest,
  type TokenRequest,
} from '../../src/storage/tokenRequest.ts';
import { bytesOf, hexOf } from '../format/hex.ts';
import { temporaryDirectory } from '../server/support/processNode.ts';

const HASH = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const REQUEST: TokenRequest = {
  what: 'put',
  isRequest: true,
  record: { id: '0000000000z', hash: HASH, name: 'op', scopes: 16, createdMs: 0x19a_0000_0000, expiresMs: 0, quotas: NO_QUOTAS },
};
const GOLDEN = bytesOf(`
  4c4c5452 03000000 6e000000 00000000
  03000000 10000000 02000000 000000000000003d ${HASH} 000000009a010000 ${'00'.repeat(48)} 6f70
  0fa4293d5298f0a4
`);

let directory: string;
let path: string;

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory, 'token-request');
  const made = directory;
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
});

it('golden bytes', () => {
  expect(hexOf(encodeTokenRequest(REQUEST))).toBe(hexOf(GOLDEN));
  expect(decodeTokenRequest(GOLDEN, 'x')).toEqual(REQUEST);
});

it('with any byte changed, cut anywhere, or longer, it is none', () => {
  for (let at = 0; at < GOLDEN.length; at += 1) {
    const bytes = GOLDEN.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    expect(() => decodeTokenRequest(bytes, 'x'), `byte ${at}`).toThrow(/^x (is not a request|has format)/);
    expect(() => decodeTokenRequest(GOLDEN.subarray(0, at), 'x'), `${at} bytes`).toThrow('is not a request');
  }
  expect(() => decodeTokenRequest(Uint8Array.from([...GOLDEN, 0]), 'x')).toThrow('is not a request');
});

it('is left once, for the owner alone, whole or not at all; read, and removed when it is that one', () => {
  expect(readTokenRequest(directory)).toBeUndefined();
  leaveTokenRequest(directory, REQUEST);
  expect([readdirSync(directory), statSync(path).mode & 0o777]).toEqual([['token-request'], 0o600]);
  expect(readTokenRequest(directory)).toEqual(REQUEST);
  expect(() => leaveTokenRequest(directory, REQUEST)).toThrow('is there already');
  const disk = new NodeDisk();
  removeTokenRequest(disk, directory, '00000000001', readTokenRequest(directory));
  expect(existsSync(path)).toBe(true);
  removeTokenRequest(disk, directory, REQUEST.record.id, readTokenRequest(directory));
  removeTokenRequest(disk, directory, REQUEST.record.id, readTokenRequest(directory));
  expect(existsSync(path)).toBe(false);
});

it('what a run that was cut short has left does no harm, and is removed once nobody can be writing it any more', () => {
  for (const name of ['token-request.tmp', 'token-request.17.tmp', 'token-request.18.tmp']) writeFileSync(join(directory, name), 'half');
  for (const name of ['token-request.tmp', 'token-request.17.tmp']) utimesSync(join(directory, name), 1, 1);
  mkdirSync(join(directory, 'token-request.19.tmp'));
  utimesSync(join(directory, 'token-request.19.tmp'), 1, 1);
  // A node begins beside it, also in a directory that has nothing else yet.
  const disk = new NodeDisk();
  expect(readIdentity(disk, directory)).toBeUndefined();
  removeTemporaries(disk, directory);
  leaveTokenRequest(directory, REQUEST);
  expect(readdirSync(directory).sort()).toEqual(['token-request', 'token-request.18.tmp', 'token-request.19.tmp']);
});

it('of two that are left at once one is there, whole, and the other is told', () => {
  const other: TokenRequest = { ...REQUEST, record: { ...REQUEST.record, id: '00000000010' } };
  const sync = vi.spyOn(NodeDisk.prototype, 'dataSync').mockImplementationOnce(() => leaveTokenRequest(directory, other));
  onTestFinished(() => sync.mockRestore());
  expect(() => leaveTokenRequest(directory, REQUEST)).toThrow('is there already');
  expect(readTokenRequest(directory)).toEqual(other);
  expect(readdirSync(directory)).toEqual(['token-request']);
});

it('where the disk takes none it says so, and leaves nothing', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, fdatasync'), { code: 'ENOSPC' });
  const sync = vi.spyOn(NodeDisk.prototype, 'dataSync').mockImplementationOnce(() => {
    throw diskFailure('syncing', path, undefined, full);
  });
  onTestFinished(() => sync.mockRestore());
  expect(() => leaveTokenRequest(directory, REQUEST)).toThrow(/^syncing .*token-request failed \(ENOSPC\): no space is left/);
  expect(readdirSync(directory)).toEqual([]);
  expect(() => leaveTokenRequest(join(directory, 'none'), REQUEST)).toThrow(/^looking at .*none failed \(ENOENT\)/);
});

const WRONG: Readonly<Record<string, readonly [make: () => unknown, says: RegExp]>> = {
  'that the group may read': [() => chmodSync(path, 0o640), /mode 640, and is to be of user \d+ and of mode 600; nothing of it is done/],
  'that others may write': [() => chmodSync(path, 0o602), /mode 602/],
  'that is a link': [
    () => {
      renameSync(path, join(directory, 'elsewhere'));
      symlinkSync('elsewhere', path);
    },
    /cannot be read \(ELOOP\)/,
  ],
  'that is a pipe': [
    () => {
      rmSync(path);
      spawnSync('mkfifo', ['-m', '600', path]);
    },
    /no file of at most 256 bytes/,
  ],
  'that is large': [() => truncateSync(path, 2 ** 40), /no file of at most 256 bytes/],
  'that is damaged': [() => writeFileSync(path, readFileSync(path).fill(9, 20, 21)), /is not a request for a token that is whole/],
  'that is empty': [() => truncateSync(path, 0), /is not a request for a token that is whole/],
};

it.each(Object.entries(WRONG))('one %s is not followed, and stays', (_what, [make, says]) => {
  leaveTokenRequest(directory, REQUEST);
  make();
  expect(() => readTokenRequest(directory)).toThrow(says);
  expect(existsSync(path)).toBe(true);
});

it.runIf(process.getuid?.() === 0)('one of another user is not followed; root asks in the name of the directory’s owner', () => {
  chownSync(directory, 4711, 4712);
  leaveTokenRequest(directory, REQUEST);
  expect([statSync(path).uid, statSync(path).gid]).toEqual([4711, 4712]);
  expect(readTokenRequest(directory)).toEqual(REQUEST);
  chownSync(path, 4713, 4712);
  expect(() => readTokenRequest(directory)).toThrow('it is of user 4713 and of mode 600, and is to be of user 4711');
});
