// Numbers, times and payloads as people read them.

export type PayloadView = 'text' | 'JSON' | 'hex';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
const UNKNOWN = 'unknown';

export function bytesText(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  const power = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toPrecision(3)} ${UNITS[power]}`;
}

export function timeText(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? UNKNOWN : new Date(ms).toISOString();
}

export function msText(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? UNKNOWN : `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

const STEPS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** The largest unit alone: `3 d`, `5 min`. */
export function durationText(ms: number): string {
  const [unit, seconds] = STEPS.find(([, length]) => ms >= length * 1000) ?? ['s', 1];
  return `${Math.floor(ms / 1000 / seconds)} ${unit}`;
}

const decoder = new TextDecoder();
/** Of a payload no more is shown. */
export const MAX_SHOWN_BYTES = 2048;

function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** A payload of so many bytes, or its beginning. What is no JSON is shown as text. */
export function payloadText(payload: Uint8Array, view: PayloadView, bytes = payload.length): string {
  const shown = payload.subarray(0, MAX_SHOWN_BYTES);
  const rest = bytes > shown.length ? ` … ${bytesText(bytes - shown.length)} more` : '';
  if (view === 'hex') return hexText(shown) + rest;
  const text = decoder.decode(shown);
  if (view === 'text' || rest !== '') return text + rest;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
