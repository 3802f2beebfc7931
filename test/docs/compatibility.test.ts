// What docs/COMPATIBILITY.md says, against the code.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { FORMAT_VERSION } from '../../src/format/version.ts';
import { PROTOCOL_VERSION } from '../../src/protocol/greeting.ts';
import { PEER_PROTOCOL_VERSION } from '../../src/protocol/peerHandshake.ts';

const text = readFileSync(new URL('../../docs/COMPATIBILITY.md', import.meta.url), 'utf8');

/** The number that the row of the table that begins so has, after `word`. */
function numberOf(row: string, word: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`| ${row}`)) ?? '';
  return Number(new RegExp(`\\| ${word} ?(\\d+)\\.`).exec(line)?.[1]);
}

test.each([
  ['the files of a data directory', 'format', FORMAT_VERSION],
  ['the protocol of clients', 'version', PROTOCOL_VERSION],
  ['the protocol between nodes', 'version', PEER_PROTOCOL_VERSION],
  ['the level of a log', '', LOG_LEVEL],
])('%s: the number is that of the code', (row, word, number) => {
  expect(numberOf(row, word)).toBe(number);
});
