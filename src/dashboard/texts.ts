// Numbers, times and payloads as people read them.

import { MAX_TIME_MS } from '../core/limits.ts';
import type { NodeStatus } from '../node/status.ts';

export type PayloadView = 'text' | 'JSON' | 'hex';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
const UNKNOWN = 'unknown';

export function bytesText(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  if (bytes < 999.5) return `${Math.round(bytes)} B`;
  let value = bytes;
  let power = 0;
  // As it is rounded: 999,999 bytes are 1.00 MB.
  for (; value >= 999.5 && power < UNITS.length - 1; power += 1) value /= 1000;
  return `${value < 999.5 ? value.toPrecision(3) : Math.round(value)} ${UNITS[power]}`;
}

export function timeText(ms: number | null | undefined): string {
  // Past all dates is what a node of somebody else says.
  return ms === null || ms === undefined || !(Math.abs(ms) <= MAX_TIME_MS) ? UNKNOWN : new Date(ms).toISOString();
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

/** The largest unit alone, as far as it has passed: `3 d`, `5 min`. */
export function durationText(ms: number): string {
  const [unit, seconds] = STEPS.find(([, length]) => ms >= length * 1000) ?? ['s', 1];
  return `${Math.floor(ms / 1000 / seconds)} ${unit}`;
}

/** A time that somebody has set, in the largest unit that it is a whole number of: `36 h`. */
export function exactText(ms: number): string {
  const [unit, seconds] = STEPS.find(([, length]) => ms > 0 && ms % (length * 1000) === 0) ?? ['ms', 1e-3];
  return `${Math.round(ms / 1000 / seconds)} ${unit}`;
}

/** The producers' sessions that a log has, and those that the node has had it forget. */
export function producersText({ count, most, evicted }: NodeStatus['sessions']): string {
  const forgotten = [
    evicted.age > 0 ? `${evicted.age} for their age` : '',
    evicted.room > 0 ? `${evicted.room} for the room of others` : '',
  ];
  const why = forgotten.filter((text) => text !== '').join(', ');
  return `${count} of ${most} sessions${why === '' ? '' : `; by this node forgotten: ${why}`}`;
}

const decoder = new TextDecoder();
/** Of a payload no more is shown. */
export const MAX_SHOWN_BYTES = 2048;

function hexText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

const JSON_TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
/** Deeper levels are no further to the right. */
const MAX_DEPTH = 32;

/** A text that is JSON, over several lines. Nothing of it but the space between changes: made anew from what it means, large numbers would be others. */
function indented(json: string): string {
  let depth = 0;
  let last = '';
  let text = '';
  const nextLine = (): void => {
    text += `\n${'  '.repeat(Math.min(depth, MAX_DEPTH))}`;
  };
  for (const [token] of json.matchAll(JSON_TOKEN)) {
    const isFirst = last === '{' || last === '[';
    const isEnd = token === '}' || token === ']';
    if (isEnd) depth -= 1;
    if (isFirst !== isEnd || last === ',') nextLine();
    text += token === ':' ? ': ' : token;
    if (token === '{' || token === '[') depth += 1;
    last = token;
  }
  return text;
}

/** A payload of so many bytes, or its beginning. What is no JSON is shown as text. */
export function payloadText(payload: Uint8Array, view: PayloadView, bytes = payload.length): string {
  const shown = payload.subarray(0, MAX_SHOWN_BYTES);
  const rest = bytes > shown.length ? ` … ${bytesText(bytes - shown.length)} more` : '';
  if (view === 'hex') return hexText(shown) + rest;
  const text = decoder.decode(shown);
  if (view === 'text' || rest !== '') return text + rest;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  return indented(text);
}
