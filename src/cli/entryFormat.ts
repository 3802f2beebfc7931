// Entries as bytes for stdout: a whole batch becomes one chunk, so that a million lines cost a few hundred writes.

import { isUtf8 } from 'node:buffer';
import { ENTRY_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Batch } from '../client/index.ts';
import { MAX_TIME_MS } from '../core/limits.ts';
import { entryBytesOf, isData, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { fillTemplate, givenTemplate, type Template } from './template.ts';
import { visible, visibleBytes } from './terminal.ts';

export type EntryFormat = 'lines' | 'times' | 'raw' | 'json';

const NEWLINE = 0x0a;
const LINE_END = Uint8Array.of(NEWLINE);
/** Below this a loop copies faster than a call. */
const SHORT_BYTES = 48;

/** All payloads of a batch one after the other, each followed by a newline if `newline`. */
function joinPayloads({ bytes }: Batch, newline: boolean): Uint8Array {
  // An entry's overhead is larger than a newline: what comes out is shorter than what goes in.
  const out = Buffer.allocUnsafe(bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let to = 0;
  for (let at = 0; at < bytes.length; ) {
    const kindSize = kindSizeAt(view, at);
    const size = payloadBytesOf(kindSize);
    const from = at + ENTRY_HEADER_BYTES;
    at += entryBytesOf(kindSize);
    if (!isData(kindSize)) continue;
    if (size < SHORT_BYTES) {
      for (let i = 0; i < size; i += 1) out[to + i] = bytes[from + i] ?? 0;
    } else {
      out.set(bytes.subarray(from, from + size), to);
    }
    to += size;
    if (newline) out[to++] = NEWLINE;
  }
  return out.subarray(0, to);
}

/** One payload a line, for a terminal. */
function visibleLines(batch: Batch): string {
  let text = '';
  for (const { payload } of batch) text += `${visibleBytes(payload)}\n`;
  return text;
}

const UNKNOWN_TIME = 'unknown time'.padEnd('2025-10-20T05:03:11.360Z'.length);

/** One payload a line, after when it was ordered and a space. */
function timedLines(batch: Batch, isTerminal: boolean): Uint8Array {
  const parts: Uint8Array[] = [];
  let last: number | undefined;
  let prefix = Buffer.from(`${UNKNOWN_TIME} `);
  for (const { timeMs, payload } of batch) {
    // Many entries have one time.
    if (timeMs !== last)
      prefix = Buffer.from(`${timeMs === undefined || timeMs > MAX_TIME_MS ? UNKNOWN_TIME : new Date(timeMs).toISOString()} `);
    last = timeMs;
    parts.push(prefix, isTerminal ? Buffer.from(visibleBytes(payload)) : payload, LINE_END);
  }
  return Buffer.concat(parts);
}

/** One JSON object a line, or with `--format` its template; a payload that is not UTF-8 is in base64, and `encoding` says so. */
function jsonLines(batch: Batch): string {
  const template = givenTemplate();
  let text = '';
  for (const { offset, nextOffset, term, timeMs, payload } of batch) {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const fields = isUtf8(bytes) ? { payload: bytes.toString('utf8') } : { payload: bytes.toString('base64'), encoding: 'base64' };
    text += asLine({ offset, nextOffset, term, timeMs, ...fields }, template);
  }
  return text;
}

/** One thing of many as a line of JSON, or as `template` has it, which may end its line itself. */
export function asLine(value: unknown, template: Template | undefined = givenTemplate()): string {
  if (template === undefined) return `${JSON.stringify(value)}\n`;
  const line = fillTemplate(template, value);
  return line.endsWith('\n') ? line : `${line}\n`;
}

/** The entries of `batch` as stdout gets them. On a terminal, control characters are shown and not obeyed, unless the format is `raw`. */
export function formatBatch(batch: Batch, format: EntryFormat, isTerminal = process.stdout.isTTY === true): Uint8Array {
  if (format === 'json') return Buffer.from(isTerminal ? visible(jsonLines(batch)) : jsonLines(batch));
  if (format === 'times') return timedLines(batch, isTerminal);
  if (format === 'lines' && isTerminal) return Buffer.from(visibleLines(batch));
  return joinPayloads(batch, format === 'lines');
}
