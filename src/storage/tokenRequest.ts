// The file `token-request` of a data directory: a token that whoever owns the directory asks for, and that its node puts into the log. The way to the
// first token of a log, and to another one when the last is lost: who may write there may do all with the node anyway.
//
//   0 u32 magic "LLTR" │ 4 u32 format │ 8 u32 payload bytes │ 12 u32 zero │ 16 payload of an access entry, what 3 │ … u64 XXH64 of all before
//
// It is left by `loglog token create --data`, beside a node that runs or not, which never touches the log: two writers would fork it.

import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { type AccessChange, accessPayload, readAccess } from '../format/access.ts';
import { FORMAT_VERSION, refuseOtherFormat } from '../format/version.ts';
import { xxh64 } from '../format/xxh64.ts';
import type { Disk } from './disk.ts';
import { isRequestTemporary, requestTemporaryName, TOKEN_REQUEST_FILE } from './names.ts';
import { diskFailure, NodeDisk } from './nodeDisk.ts';

const MAGIC = 0x5254_4c4c; // "LLTR"
const HEADER_BYTES = 16;
const CHECK_BYTES = 8;
/** Of a file of ours: the largest payload is that of a token with a long name. */
const MAX_REQUEST_BYTES = 256;
/** Nobody but the owner may do anything with it. */
const OWNER_ALONE = 0o600;
const OTHERS = 0o077;
/** A request is written within this time, or its process is gone. */
const UNFINISHED_MS = 60_000;

/** A token that is asked for. */
export type TokenRequest = Extract<AccessChange, { readonly what: 'put' }>;

export function encodeTokenRequest(request: TokenRequest): Uint8Array {
  const payload = accessPayload({ ...request, isRequest: true });
  const bytes = new Uint8Array(HEADER_BYTES + payload.length + CHECK_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  view.setUint32(8, payload.length, true);
  bytes.set(payload, HEADER_BYTES);
  view.setBigUint64(HEADER_BYTES + payload.length, xxh64(bytes.subarray(0, -CHECK_BYTES)), true);
  return bytes;
}

/** Reads the bytes of a request. Throws a LogError that names `path`: NEWER_FORMAT, OLDER_FORMAT, or DAMAGE for what no LogLog wrote. */
export function decodeTokenRequest(bytes: Uint8Array, path: string): TokenRequest {
  const view = viewOf(bytes);
  const damaged = (): LogError =>
    refusal(path, 'is not a request for a token that is whole: remove it, and make another one with loglog token create --data');
  if (bytes.length < HEADER_BYTES + CHECK_BYTES || view.getUint32(0, true) !== MAGIC) throw damaged();
  if (view.getBigUint64(bytes.length - CHECK_BYTES, true) !== xxh64(bytes.subarray(0, -CHECK_BYTES))) throw damaged();
  refuseOtherFormat(view.getUint32(4, true), path);
  const payloadBytes = view.getUint32(8, true);
  if (payloadBytes !== bytes.length - HEADER_BYTES - CHECK_BYTES || view.getUint32(12, true) !== 0) throw damaged();
  const change = readAccess(view, HEADER_BYTES, payloadBytes);
  if (change?.what !== 'put' || !change.isRequest) throw damaged();
  return change;
}

function refusal(path: string, sentence: string): LogError {
  return new LogError('DAMAGE', `${path} ${sentence}`, { file: path });
}

/**
 * The request in `directory`; undefined: there is none. Throws a LogError when there is one that is not followed: others than the directory's owner may have
 * written it, it is damaged, or the disk does not give it.
 */
export function readTokenRequest(directory: string): TokenRequest | undefined {
  const path = `${directory}/${TOKEN_REQUEST_FILE}`;
  let file: number;
  try {
    // No link: it would be a file of another place.
    file = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw refusal(
      path,
      `cannot be read (${code}): it is to be a file that this node's user owns; make another one with loglog token create --data`,
    );
  }
  try {
    return diskCall('reading', path, () => requestIn(file, path, fs.statSync(directory).uid));
  } finally {
    fs.closeSync(file);
  }
}

function requestIn(file: number, path: string, ownerUid: number): TokenRequest {
  const { uid, mode, size } = checkedFacts(file, path);
  if (uid !== ownerUid || (mode & OTHERS) !== 0) {
    const found = `it is of user ${uid} and of mode ${(mode & 0o777).toString(8).padStart(3, '0')}, and is to be of user ${ownerUid} and of mode 600`;
    throw refusal(
      path,
      `asks for a token, but others than the owner of the directory may have written it: ${found}; nothing of it is done`,
    );
  }
  const bytes = new Uint8Array(size);
  return decodeTokenRequest(bytes.subarray(0, fs.readSync(file, bytes, 0, size, 0)), path);
}

function checkedFacts(file: number, path: string): fs.Stats {
  const facts = fs.fstatSync(file);
  if (facts.isFile() && facts.size <= MAX_REQUEST_BYTES) return facts;
  throw refusal(path, `is not a request for a token: it is no file of at most ${MAX_REQUEST_BYTES} bytes; move it away`);
}

/** Removes the request for the token `id`, durably; nothing where there is none, or another one. */
export function removeTokenRequest(disk: Disk, directory: string, id: string, there: TokenRequest | undefined): void {
  if (there?.record.id !== id) return;
  disk.remove(`${directory}/${TOKEN_REQUEST_FILE}`);
  disk.syncDirectory(directory);
}

/**
 * Leaves a request in `directory`, durably: for its owner, or for root in the owner's name. Of several at once one is left. Throws a LogError `USAGE` where one
 * waits already, or for anybody else, and `IO`; nothing was changed then.
 */
export function leaveTokenRequest(directory: string, request: TokenRequest): void {
  const disk = new NodeDisk();
  const path = `${directory}/${TOKEN_REQUEST_FILE}`;
  const { uid, gid } = diskCall('looking at', directory, () => fs.statSync(directory));
  const self = process.geteuid?.() ?? uid;
  if (self !== uid && self !== 0) {
    throw new LogError(
      'USAGE',
      `${directory} is of user ${uid}, and this is user ${self}: only its owner may ask for a token there; nothing was changed`,
    );
  }
  if (disk.has(path)) throw waitsAlready(path);
  removeOld(disk, directory);
  const temporary = `${directory}/${requestTemporaryName(randomInt(2 ** 31))}`;
  const file = disk.create(temporary);
  try {
    diskCall('giving away', temporary, () => {
      fs.fchmodSync(file, OWNER_ALONE);
      if (self !== uid) fs.fchownSync(file, uid, gid);
    });
    disk.write(file, [encodeTokenRequest(request)], 0);
    disk.dataSync(file);
    putInPlace(disk, temporary, path);
  } finally {
    disk.close(file);
    if (disk.has(temporary)) disk.remove(temporary);
  }
  disk.syncDirectory(directory);
}

/** Gives the file its name, unless another one has it by now, from whoever asked at the same moment. */
function putInPlace(disk: Disk, temporary: string, path: string): void {
  try {
    if (!disk.link(temporary, path)) disk.rename(temporary, path);
  } catch (thrown) {
    throw thrown instanceof LogError && thrown.details.errno === 'EEXIST' ? waitsAlready(path) : thrown;
  }
}

function waitsAlready(path: string): LogError {
  return new LogError(
    'USAGE',
    `${path} is there already: its node takes it within some seconds, or when it is started; nothing was changed. If the token of that request is lost, remove the file, and try again`,
  );
}

/** Removes what runs that were cut short have left; no file that somebody may be writing. */
function removeOld(disk: Disk, directory: string): void {
  for (const name of disk.list(directory).filter(isRequestTemporary)) {
    const path = `${directory}/${name}`;
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() === true && Date.now() - stat.mtimeMs > UNFINISHED_MS)
      diskCall('removing', path, () => fs.rmSync(path, { force: true }));
  }
}

/** Runs `call`. What the system says becomes a LogError `IO`. */
function diskCall<T>(operation: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw thrown instanceof LogError ? thrown : diskFailure(operation, path, undefined, thrown);
  }
}
