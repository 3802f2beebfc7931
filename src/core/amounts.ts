// Amounts as people write them: sizes such as 64MiB, durations such as 30d.

const MIB = 1024 * 1024;

const SIZE_UNITS = { PiB: 2 ** 50, TiB: 2 ** 40, GiB: 1024 * MIB, MiB: MIB, KiB: 1024 } as const;

const DURATION_UNITS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** Bytes as people write them, `10GiB` or a whole number; undefined for what is neither. */
export function bytesOf(text: string): number | undefined {
  const bytes = /^\d+$/.test(text) ? Number(text) : sizeOf(text);
  return bytes !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The bytes of `64MiB`, and of what has another unit of 1,024s; undefined for what is no such size. */
export function sizeOf(text: string): number | undefined {
  const [, number = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]ib)\s*$/i.exec(text) ?? [];
  const [, factor] = Object.entries(SIZE_UNITS).find(([name]) => name.toLowerCase() === unit.toLowerCase()) ?? [];
  return factor === undefined ? undefined : Number(number) * factor;
}

/** Bytes as people write them: `64MiB`; with their unit where none of these fits. */
export function sizeText(bytes: number): string {
  for (const [unit, factor] of Object.entries(SIZE_UNITS)) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes} bytes`;
}

/** The milliseconds of `30d`, `12h` and the like, which may be fractional; undefined for what is no such duration. */
export function durationOf(text: string): number | undefined {
  const [, number = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$/.exec(text) ?? [];
  const factor = Object.entries(DURATION_UNITS).find(([name]) => name === unit)?.[1];
  return factor === undefined ? undefined : Number(number) * factor;
}

/** Milliseconds as people write them: `30d`, in the largest unit that fits, but for weeks. */
export function durationText(durationMs: number): string {
  for (const [unit, factor] of Object.entries(DURATION_UNITS)) {
    if (unit !== 'w' && durationMs >= factor && durationMs % factor === 0) return `${durationMs / factor}${unit}`;
  }
  return `${durationMs}ms`;
}
