// The disk of one node of a test cluster, and what a test does to it.

import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { type DiskFaults, faultsFileOf, makeFaultsFile, NO_FAULTS, writeFaults } from './faults.ts';

const SEGMENT_PATTERN = /^(\d{20})\.segment$/;

export class TestDisk {
  readonly #data: string;
  readonly #file: string;
  #faults = NO_FAULTS;

  constructor(data: string) {
    this.#data = data;
    this.#file = faultsFileOf(data);
    makeFaultsFile(this.#file);
  }

  set(faults: Partial<DiskFaults>): void {
    this.#faults = { ...this.#faults, ...faults };
    writeFaults(this.#file, this.#faults);
  }

  mend(): void {
    this.set(NO_FAULTS);
  }

  /** Turns one bit of the byte that stands at `offset` of the log. */
  flipBit(offset: number): void {
    const bases = readdirSync(this.#data).flatMap((name) => Number(SEGMENT_PATTERN.exec(name)?.[1] ?? Number.NaN));
    const base = Math.max(...bases.filter((each) => each <= offset));
    if (!Number.isFinite(base)) throw new RangeError(`${this.#data} has no segment with offset ${offset} of the log`);
    const file = openSync(join(this.#data, `${String(base).padStart(20, '0')}.segment`), 'r+');
    try {
      const byte = new Uint8Array(1);
      const position = SEGMENT_HEADER_BYTES + offset - base;
      if (readSync(file, byte, 0, 1, position) !== 1) throw new RangeError(`${this.#data} has no byte at offset ${offset} of the log`);
      byte[0] = (byte[0] ?? 0) ^ 1;
      writeSync(file, byte, 0, 1, position);
    } finally {
      closeSync(file);
    }
  }
}
