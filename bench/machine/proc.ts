// What the system tells of a process: CPU time, resident memory and reads from storage, from /proc.

import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in ticks of 10 ms, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100;

/** Resident memory of a process, in bytes. */
export interface Resident {
  readonly now: number;
  /** Most since the process began. */
  readonly peak: number;
}

/** CPU seconds of a process, user and system, all its threads; undefined where the system does not tell. */
export function processCpuSeconds(pid: number): number | undefined {
  try {
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the line.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/** Resident memory of a process; undefined where the system does not tell. */
export function processResident(pid: number): Resident | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
  } catch {
    return undefined;
  }
}

/** How often the threads of a process that are there have given a processor back since they began, as each does before it is woken; undefined where the system does not tell. */
export function processSleeps(pid: number): number | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const sleeps = threads.map(
      (id) => /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8'))?.[1],
    );
    return sleeps.reduce((sum, count) => sum + Number(count), 0);
  } catch {
    return undefined;
  }
}

/** Bytes that a process had fetched from storage, so not from the page cache; undefined where the system does not tell. */
export function processStorageReadBytes(pid: number): number | undefined {
  try {
    return Number(/^read_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}
