// What a result was measured on: without it a number means nothing.

import { readFileSync, realpathSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/node/version.ts';
import { commitOf } from './commit.ts';

/** File system numbers of statfs(2) whose files are in memory only. */
const MEMORY_FILE_SYSTEMS: Readonly<Record<number, string>> = { 16914836: 'tmpfs', 2240043254: 'ramfs' };

export interface Environment {
  readonly version: string;
  /** Of the working tree; `+changes` when it is not clean. */
  readonly commit: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly disk: string;
  readonly fileSystem: string;
  readonly freeBytes: number;
  /** Whether a sync reaches storage that outlives the machine's power. */
  readonly isDurable: boolean;
  readonly fsync: string;
  readonly startedAt: string;
}

/** Device and file system that hold `directory`, from the longest mount point that leads to it. */
function mountOf(directory: string): { device: string; fileSystem: string } {
  try {
    const path = realpathSync(directory);
    let best = { point: '', device: 'unknown', fileSystem: 'unknown' };
    for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
      const [device, point, fileSystem] = line.split(' ');
      if (device === undefined || point === undefined || fileSystem === undefined || point.length < best.point.length) continue;
      if (path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`)) best = { point, device, fileSystem };
    }
    return best;
  } catch {
    return { device: 'unknown', fileSystem: 'unknown' };
  }
}

/** Describes the machine, and the disk under `directory`. */
export function describeEnvironment(directory: string): Environment {
  const { device, fileSystem } = mountOf(directory);
  const { type: number, bavail, bsize } = statfsSync(directory);
  const inMemory = MEMORY_FILE_SYSTEMS[number];
  const [cpu] = cpus();
  return {
    version: VERSION,
    commit: commitOf(dirname(fileURLToPath(import.meta.url))),
    node: process.version,
    system: `${type()} ${release()}`,
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    disk: device,
    fileSystem: inMemory ?? fileSystem,
    freeBytes: bavail * bsize,
    isDurable: inMemory === undefined,
    fsync: inMemory === undefined ? 'fdatasync before every acknowledgement' : `none: ${inMemory} is memory, nothing here is durable`,
    startedAt: new Date().toISOString(),
  };
}
