// What others wrote must not be obeyed by the terminal of whoever reads it.

import { describe, expect, it } from 'vitest';
import { formatBatch } from '../../src/cli/entryFormat.ts';
import { visible, visibleBytes } from '../../src/cli/terminal.ts';
import { Batch } from '../../src/client/read/entries.ts';

/** A batch of one entry with this payload; nothing here looks at its check. */
function batchOf(payload: Uint8Array, timeMs?: number): Batch {
  const bytes = new Uint8Array(12 + payload.length);
  new DataView(bytes.buffer).setUint32(0, 1, true);
  new DataView(bytes.buffer).setUint32(4, payload.length, true);
  bytes.set(payload, 8);
  return new Batch(0, bytes.length, bytes, timeMs);
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('control characters', () => {
  it.each([
    ['sets the title', '\u001b]0;pwned\u0007', '\\u001b]0;pwned\\u0007'],
    ['writes the clipboard', '\u001b]52;c;cm0gLXJmIH4=\u001b\\', '\\u001b]52;c;cm0gLXJmIH4=\\u001b\\'],
    ['clears the screen', '\u001b[2J\u001b[H', '\\u001b[2J\\u001b[H'],
    ['begins a sequence with one character (C1)', '\u009b2J', '\\u009b2J'],
    ['goes back to the start of the line', 'secret\rpublic', 'secret\\u000dpublic'],
    ['goes back by one', 'a\bb\u007f', 'a\\u0008b\\u007f'],
    ['turns the direction of writing', 'abc\u202etxt.exe\u2066', 'abc\\u202etxt.exe\\u2066'],
    ['is harmless', 'Grüße,\t世界 👋\nnext', 'Grüße,\t世界 👋\nnext'],
  ])('what %s is shown as an escape', (_what, text, shown) => {
    expect(visible(text)).toBe(shown);
    expect(visibleBytes(utf8(text))).toBe(shown);
  });

  it('every one of them is, but newline and tab', () => {
    for (let code = 0; code < 0xa0; code += 1) {
      const character = String.fromCharCode(code);
      const isControl = code < 0x20 || code >= 0x7f;
      expect(visible(character) === character).toBe(!isControl || character === '\n' || character === '\t');
    }
  });

  it('of bytes that are not UTF-8, each above ASCII is shown, too', () => {
    expect(visibleBytes(Uint8Array.of(0x41, 0x9b, 0x32, 0x4a, 0xff, 0x1b))).toBe('A\\x9b2J\\xff\\u001b');
  });
});

describe('entries', () => {
  const payload = '\u001b[2J\u009bhello\u202e';
  const batch = batchOf(utf8(payload));
  const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

  it('on a terminal are shown as escapes, as lines and as JSON, which says the same as before', () => {
    expect(textOf(formatBatch(batch, 'lines', true))).toBe('\\u001b[2J\\u009bhello\\u202e\n');
    const json = textOf(formatBatch(batch, 'json', true));
    expect(json).toBe(visible(json));
    expect((JSON.parse(json) as { payload: string }).payload).toBe(payload);
  });

  it('go as they are into a file or a pipe, and with --raw to a terminal', () => {
    expect(textOf(formatBatch(batch, 'lines', false))).toBe(`${payload}\n`);
    expect(textOf(formatBatch(batch, 'raw', true))).toBe(payload);
  });
});

it('entries may come with their times, in one zone and of one width, also where none is known', () => {
  const line = (timeMs: number | undefined, isTerminal: boolean): string =>
    Buffer.from(formatBatch(batchOf(utf8('a\u0007'), timeMs), 'times', isTerminal)).toString();
  expect(line(1_760_936_591_360, true)).toBe('2025-10-20T05:03:11.360Z a\\u0007\n');
  expect(line(1_760_936_591_360, false)).toBe('2025-10-20T05:03:11.360Z a\u0007\n');
  expect(line(undefined, false)).toBe('unknown time             a\u0007\n');
  expect(line(Number.MAX_SAFE_INTEGER, false)).toBe('unknown time             a\u0007\n');
});
