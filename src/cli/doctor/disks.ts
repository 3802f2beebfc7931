// What a disk must be for a log, and what it is: where the log lies, how much room there is, how long a sync takes, and whether a sync does anything.

import { randomInt } from 'node:crypto';
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SyncStatus } from '../../node/status.ts';
import { spareName } from '../../storage/names.ts';
import { readableBytes } from '../output.ts';
import { type Finding, finding } from './findings.ts';

/** Half of the syncs, and all but one in a hundred, should take less, in milliseconds: what disks for servers do, many times over. */
export const SLOW_SYNC_P50_MS = 20;
export const SLOW_SYNC_P99_MS = 100;
/** Fewer syncs than this say nothing. */
export const ENOUGH_SYNCS = 20;
/** No device makes 4 KiB durable in less, in milliseconds: what returns sooner has not asked it. */
export const IMPOSSIBLE_SYNC_MS = 0.005;

/** File systems that are memory. */
const IN_MEMORY = ['tmpfs', 'ramfs'];

/** Where the numbers of its files begin: spare files have numbers from 1 on. */
const FIRST_PROBE = 2 ** 40;
/** The name of a file to write: another one each time, and one that a start of a node removes. */
export function probeName(): string {
  return spareName(FIRST_PROBE + randomInt(FIRST_PROBE));
}

const PROBE_BYTES = 4096;
const PROBE_SYNCS = 256;
/** Of fewer than these, one that happens to be long would be one of a hundred. */
const ENOUGH_FOR_P99 = 200;
const PROBE_MS = 2_000;

const milliseconds = (ms: number): string => (ms < 1 ? `${ms.toFixed(3)} ms` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);

/**
 * How long a sync of 4 KiB takes in `directory`: some are made, of a file that goes again, as a spare one does that a crash has left. A node that runs there is
 * not disturbed. Throws what the system says.
 */
export function probeSyncs(directory: string): SyncStatus {
  const path = join(directory, probeName());
  const file = openSync(path, 'wx', 0o600);
  try {
    const bytes = new Uint8Array(PROBE_BYTES).fill(1);
    for (let i = 0; i < PROBE_SYNCS; i += 1) writeSync(file, bytes, 0, PROBE_BYTES, i * PROBE_BYTES);
    // From here on no sync has to make the file grow.
    fsyncSync(file);
    const times: number[] = [];
    const untilMs = performance.now() + PROBE_MS;
    for (let i = 0; i < PROBE_SYNCS && performance.now() < untilMs; i += 1) {
      writeSync(file, bytes, 0, PROBE_BYTES, i * PROBE_BYTES);
      const beforeMs = performance.now();
      fdatasyncSync(file);
      times.push(performance.now() - beforeMs);
    }
    times.sort((a, b) => a - b);
    const at = (share: number): number | null => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? null;
    return { count: times.length, p50Ms: at(0.5), p99Ms: times.length < ENOUGH_FOR_P99 ? null : at(0.99) };
  } finally {
    closeSync(file);
    // A node that started meanwhile has removed it.
    rmSync(path, { force: true });
  }
}

/** That nothing could be written there, and why. */
export function notWritten(about: string, thrown: unknown): Finding {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  const [expected, seen] = ['a file of 1 MiB can be written and synced', `nothing can be written there: ${why}`];
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return finding(
      'DISK_FULL',
      about,
      seen,
      expected,
      'make room: remove what others have put there, or enlarge the file system or its quota',
    );
  const todo = 'run it as the user of the node; look at the mount (mount), and at the disk (dmesg)';
  return finding('NOT_WRITABLE', about, seen, expected, todo);
}

/** That syncs take long. `effect`: who waits for them. */
export function slowDisk(about: string, { count, p50Ms, p99Ms }: SyncStatus, effect: string): Finding[] {
  if (count < ENOUGH_SYNCS || p50Ms === null) return [];
  if (p50Ms < SLOW_SYNC_P50_MS && (p99Ms ?? 0) < SLOW_SYNC_P99_MS) return [];
  const rare = p99Ms === null ? '' : `, and up to ${milliseconds(p99Ms)} in 99 of a hundred`;
  return [
    finding(
      'DISK_SLOW',
      about,
      `a write with its sync takes up to ${milliseconds(p50Ms)} in half of all cases${rare}; ${effect}`,
      `less than ${SLOW_SYNC_P50_MS} ms in half of all cases, and less than ${SLOW_SYNC_P99_MS} ms in 99 of a hundred`,
      'look for what else writes to this disk (iostat -x 1), and at the disk itself (smartctl -a, dmesg); give the log a disk of its own',
    ),
  ];
}

/** That a sync returns before anything can have become durable. */
export function lyingDisk(about: string, { count, p50Ms }: SyncStatus, fileSystem: string | null): Finding[] {
  if (fileSystem !== null && IN_MEMORY.includes(fileSystem)) return [];
  if (count < ENOUGH_SYNCS || p50Ms === null || p50Ms >= IMPOSSIBLE_SYNC_MS) return [];
  return [
    finding(
      'DISK_LIES',
      about,
      `fdatasync after a write of 4 KiB returns within ${milliseconds(IMPOSSIBLE_SYNC_MS)}, which no disk can do: nothing is durable when it is acknowledged`,
      'a sync that waits until the device has the bytes',
      'look for what makes syncs do nothing: libeatmydata or another LD_PRELOAD, a container or a file system with its syncs off; then run this again',
    ),
  ];
}

/** That the log lies in memory. */
export function inMemory(about: string, fileSystem: string | null): Finding[] {
  if (fileSystem === null || !IN_MEMORY.includes(fileSystem)) return [];
  return [
    finding(
      'NOT_DURABLE',
      about,
      `its directory is on ${fileSystem}, which is memory: all of it is gone when the machine stops`,
      'a file system on a disk',
      'stop the node, and start it with --data on a disk: copy the directory there, or begin with an empty one, which is fed',
    ),
  ];
}

/** That the disk is full, or soon will be. */
export function littleRoom(
  about: string,
  {
    level,
    roomBytes,
    lowBytes,
    criticalBytes,
  }: Readonly<Record<'lowBytes' | 'criticalBytes', number>> & {
    readonly level: 'ok' | 'low' | 'critical';
    readonly roomBytes: number | null;
  },
): Finding[] {
  if (level === 'ok') return [];
  const room = roomBytes === null ? 'too little room' : `room for ${readableBytes(roomBytes)}`;
  const todo = 'make room: remove what others have put there, enlarge the file system, or loglog trim --keep what is to stay';
  if (level === 'low')
    return [
      finding(
        'DISK_LOW',
        about,
        `${room} is left for the log; below ${readableBytes(criticalBytes)} it takes no appends`,
        `${readableBytes(lowBytes)} or more`,
        todo,
      ),
    ];
  return [
    finding('DISK_FULL', about, `${room} is left for the log, so it takes no appends`, `${readableBytes(criticalBytes)} or more`, todo),
  ];
}
