// docs/ERRORS.md has every code of the code, with what the code says of it, and no other.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EXIT, exitCodeOf } from '../../src/cli/exit.ts';
import { ERRORS, type ErrorCode, LogError } from '../../src/core/errors.ts';
import * as protocol from '../../src/protocol/client.ts';
import { REFUSALS } from '../../src/protocol/peerHandshake.ts';

const text = readFileSync(new URL('../../docs/ERRORS.md', import.meta.url), 'utf8');

/** The rows of all tables in a section, without their heads. */
function rowsOf(section: string): string[][] {
  const from = text.indexOf(`\n## ${section}\n`);
  expect(from, section).toBeGreaterThan(0);
  const end = text.indexOf('\n## ', from + 1);
  return text
    .slice(from, end === -1 ? undefined : end)
    .split('\n')
    .filter((line, i, lines) => line.startsWith('|') && !line.startsWith('|--') && !lines[i + 1]?.startsWith('|--'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

const CODES = Object.keys(ERRORS) as ErrorCode[];

describe('docs/ERRORS.md', () => {
  test('has every code, with its number, whether to try again, and its outcome', () => {
    const listed = rowsOf('Codes').map(([code, number, retry, outcome]) => [code, number, retry, outcome]);
    const known = Object.entries(ERRORS).map(([code, { number, retryable, outcome }]) => [
      code,
      number === 0 ? '–' : String(number),
      retryable ? 'yes' : 'no',
      outcome,
    ]);
    expect(listed).toEqual(known);
  });

  test('says of each what it means and what to do', () => {
    for (const [code, , , , meaning = '', wayOut = ''] of rowsOf('Codes'))
      expect([code, meaning !== '' && wayOut !== '']).toEqual([code, true]);
  });

  test('has every exit code, and which errors end so', () => {
    const listed = rowsOf('Exit codes of the command').map(([exit, , errors = '']) => [Number(exit), errors.split(', ').toSorted()]);
    const known = Object.values(EXIT).map((exit) => {
      const codes = CODES.filter((code) => exitCodeOf(new LogError(code, '')) === exit).toSorted();
      return [exit, exit === EXIT.FAILURE ? ['all others'] : codes.length === 0 ? [''] : codes];
    });
    expect(listed).toEqual(known);
  });

  test('has every close code', () => {
    const listed = rowsOf('Close codes of a connection').map(([code]) => Number(code));
    const known = Object.entries(protocol).flatMap(([name, value]) => (name.startsWith('CLOSE_') ? [Number(value)] : []));
    expect(listed).toEqual([...known.toSorted(), 1008, 1006]);
  });

  test('has every refusal between nodes', () => {
    const listed = rowsOf('Refusals between nodes').map(([code = '', number]) => [code, Number(number)]);
    expect(listed).toEqual(Object.entries(REFUSALS));
  });
});
