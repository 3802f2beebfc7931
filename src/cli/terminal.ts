// What others wrote, as a terminal can show it. A payload, a server's sentence or a file's name may hold characters that a terminal obeys:
// they set its title, its clipboard, its cursor, or turn the direction of what follows. On a terminal each of them is shown as an escape
// of JSON, so that a line of JSON stays one. Nothing is changed on the way into a file or a pipe.

import { isUtf8 } from 'node:buffer';

/** Everything that a terminal obeys, besides what {@link visible} keeps. */
const OBEYED = /[\p{Cc}\p{Bidi_Control}]/gu;
const KEPT = '\n\t';

function escapeOf(character: string): string {
  return KEPT.includes(character) ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** `text` with control characters and those that change the direction of writing as `\u001b`; newline and tab stay. */
export function visible(text: string): string {
  return text.replace(OBEYED, escapeOf);
}

/** The same for bytes: of what is not UTF-8, each byte above ASCII is shown as `\x9b`. */
export function visibleBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return visible(buffer.toString('utf8'));
  return visible(buffer.toString('latin1').replace(/[\x80-\xff]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`));
}
