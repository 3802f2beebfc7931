// The file by which a test tells a node's process how its disk behaves: read before each call that may fail, so that it holds at once and in
// every thread, also in one that waits for nothing but its disk.

import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';

export interface DiskFaults {
  /** Every write and sync fails, as when the device reports errors. */
  readonly isFailing: boolean;
  /** There is no room: what a file does not have yet cannot be written. */
  readonly isFull: boolean;
  /** Each sync takes so much longer. */
  readonly syncDelayMs: number;
}

export const NO_FAULTS: DiskFaults = { isFailing: false, isFull: false, syncDelayMs: 0 };

/** `failing full delay`, and blanks: always as long, so that no reader sees a part of it. */
const BYTES = 32;
const PATTERN = /^([01]) ([01]) (\d{1,10}) *$/;

/** Where the faults of the node with this data directory stand. */
export function faultsFileOf(data: string): string {
  return `${data}.faults`;
}

function textOf({ isFailing, isFull, syncDelayMs }: DiskFaults): string {
  return `${Number(isFailing)} ${Number(isFull)} ${Math.round(syncDelayMs)}`.padEnd(BYTES);
}

export function makeFaultsFile(file: string): void {
  writeFileSync(file, textOf(NO_FAULTS));
}

export function writeFaults(file: string, faults: DiskFaults): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, textOf(faults), 0);
  closeSync(handle);
}

/** Reads what stands in a file that stays open. */
export class FaultsReader {
  readonly #handle: number;
  readonly #bytes = Buffer.alloc(BYTES);

  constructor(file: string) {
    this.#handle = openSync(file, 'r');
  }

  get now(): DiskFaults {
    const length = readSync(this.#handle, this.#bytes, 0, BYTES, 0);
    const [, failing, full, delay] = PATTERN.exec(this.#bytes.toString('latin1', 0, length)) ?? [];
    if (delay === undefined) throw new TypeError('the file of faults has another form');
    return { isFailing: failing === '1', isFull: full === '1', syncDelayMs: Number(delay) };
  }
}
