// CPU time that the machine spent on anything but the bench, so that a number measured beside a compiler run shows as such.

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS_PER_SECOND = 100;

function ticks(path: string, line: RegExp, fields: readonly number[]): number {
  const text = line.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  const numbers = text.trim().split(/\s+/).map(Number);
  return fields.reduce((sum, field) => sum + (numbers[field] ?? Number.NaN), 0);
}

/** CPU seconds of the whole machine; user, nice, system, and what its host took away. Interrupts belong to nobody. */
function machineSeconds(): number {
  return ticks('/proc/stat', /^cpu +(.*)$/m, [0, 1, 2, 7]) / TICKS_PER_SECOND;
}

/** CPU seconds of this process and of its children that have ended: fields 14 to 17 of the line, counted after the name. */
function ownSeconds(): number {
  return ticks('/proc/self/stat', /^.*\) (.*)$/m, [11, 12, 13, 14]) / TICKS_PER_SECOND;
}

/** More than this used by other processes makes a number doubtful. The kernel's own threads count among them. */
export const BUSY_PERCENT = 15;

const LOOK_MS = 1000;

/** Waits until the machine is quiet for a second, at most `seconds`. Returns whether it is. */
export async function untilQuiet(seconds: number): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const look = new OtherLoad();
    await sleep(LOOK_MS);
    if (!(look.percent() > BUSY_PERCENT)) return true;
    if (performance.now() > deadline) return false;
  }
}

/** Measures the share of the machine that others use between its making and {@link percent}. No child may outlive the interval. */
export class OtherLoad {
  readonly #started = performance.now();
  readonly #before = OtherLoad.#seconds();

  static #seconds(): number {
    try {
      return machineSeconds() - ownSeconds();
    } catch {
      return Number.NaN;
    }
  }

  /** Percent of all cores; NaN where the system does not tell. */
  percent(): number {
    const seconds = (performance.now() - this.#started) / 1000;
    return Math.max(0, ((OtherLoad.#seconds() - this.#before) / (seconds * cpus().length)) * 100);
  }
}
