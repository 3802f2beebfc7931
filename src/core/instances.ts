// The bytes of instances: 8, in the order of their hexadecimal digits. Nodes name the same few over and over, so each is made a string of
// once, and that string is used again: what names a leader costs nothing for each message.

import { NO_INSTANCE } from './ids.ts';

interface Met {
  readonly high: number;
  readonly low: number;
  readonly instance: string;
}

/** More instances than a cluster has are met only where disks are lost. */
const MAX_MET = 16;

const met: Met[] = [];
let oldest = 0;

function meet(high: number, low: number, instance: string): Met {
  const entry = { high, low, instance };
  met[oldest] = entry;
  oldest = (oldest + 1) % MAX_MET;
  return entry;
}

/** The instance in the 8 bytes at `at`; NO_INSTANCE for zeros. */
export function readInstance(view: DataView, at: number): string {
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  if (high === 0 && low === 0) return NO_INSTANCE;
  for (const each of met) if (each.high === high && each.low === low) return each.instance;
  return meet(high, low, high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')).instance;
}

/** Writes `instance`, 16 hexadecimal digits, to the 8 bytes at `at`. */
export function writeInstance(view: DataView, at: number, instance: string): void {
  const known =
    met.find((each) => each.instance === instance) ??
    meet(Number.parseInt(instance.slice(0, 8), 16), Number.parseInt(instance.slice(8), 16), instance);
  view.setUint32(at, known.high);
  view.setUint32(at + 4, known.low);
}
