// Loaded before a node of a test cluster, in each of its threads (node's flag --import): its file calls fail, or take long, as the test
// says. It stands between the node and the system, so the node itself is the one that everybody runs. Only files of its data directory are
// concerned.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { sep } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { FaultsReader, faultsFileOf } from './faults.ts';

type ErrorName = 'EIO' | 'ENOSPC';

const MESSAGES: Readonly<Record<ErrorName, string>> = { EIO: 'i/o error', ENOSPC: 'no space left on device' };

function failure(code: ErrorName, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${MESSAGES[code]}, ${syscall}`), { code, syscall });
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread, as a slow system call does. */
function blockMs(ms: number): void {
  if (ms > 0) Atomics.wait(never, 0, 0, ms);
}

function install(data: string): void {
  const faults = new FaultsReader(faultsFileOf(data));
  /** Open files of the data directory. */
  const ours = new Set<number>();
  const { openSync, closeSync, writevSync, writeSync, fsyncSync, fdatasyncSync, statfsSync, fstatSync } = fs;

  const beforeWrite = (file: number, bytes: number, position: number | null | undefined, syscall: string): void => {
    if (!ours.has(file)) return;
    const { isFailing, isFull } = faults.now;
    if (isFailing) throw failure('EIO', syscall);
    // What a file has already takes no room.
    if (isFull && (position ?? Number.POSITIVE_INFINITY) + bytes > fstatSync(file).size) throw failure('ENOSPC', syscall);
  };
  const beforeSync = (file: number, syscall: string): void => {
    if (!ours.has(file)) return;
    const { isFailing, syncDelayMs } = faults.now;
    blockMs(syncDelayMs);
    if (isFailing) throw failure('EIO', syscall);
  };

  fs.openSync = (path, ...rest) => {
    const file = openSync(path, ...rest);
    if (String(path).startsWith(data + sep)) ours.add(file);
    return file;
  };
  fs.closeSync = (file) => {
    ours.delete(file);
    closeSync(file);
  };
  fs.writevSync = (file, parts, position) => {
    const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    beforeWrite(file, bytes, position, 'writev');
    return writevSync(file, parts, position);
  };
  const write = (file: number, what: NodeJS.ArrayBufferView | string, ...rest: never[]): number => {
    // Storage writes by writev; whatever else writes into its directory appends.
    beforeWrite(file, typeof what === 'string' ? what.length : what.byteLength, undefined, 'write');
    return writeSync(file, what as string, ...rest);
  };
  fs.writeSync = write as typeof fs.writeSync;
  fs.fsyncSync = (file) => {
    beforeSync(file, 'fsync');
    fsyncSync(file);
  };
  fs.fdatasyncSync = (file) => {
    beforeSync(file, 'fdatasync');
    fdatasyncSync(file);
  };
  const statfs = (path: fs.PathLike): fs.StatsFs => {
    const found = statfsSync(path);
    return faults.now.isFull && String(path).startsWith(data) ? Object.assign(found, { bavail: 0, bfree: 0 }) : found;
  };
  fs.statfsSync = statfs as typeof fs.statfsSync;
  fs.promises.statfs = (async (path: fs.PathLike) => statfs(path)) as typeof fs.promises.statfs;
  // Modules that import functions of node:fs see these.
  syncBuiltinESMExports();
}

/** Threads have the environment of the process, and not its arguments. */
const VARIABLE = 'LOGLOG_TESTING_DATA';
const at = process.argv.indexOf('--data');
if (isMainThread && at >= 0) process.env[VARIABLE] = process.argv[at + 1];
const data = process.env[VARIABLE];
if (data === undefined) throw new TypeError('a node of a test cluster is started with --data');
install(data);
