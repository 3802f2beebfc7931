// What the checker of a test cluster makes of payloads that it did not choose: equal ones, some of them of unknown fate, and those of strangers.

import { describe, expect, test } from 'vitest';
import type { AppendResult } from '../../src/history/types.ts';
import type { FinalEntry } from '../../src/testing/finalLog.ts';
import { judge } from '../../src/testing/judge.ts';
import { fingerprintOf, Recording } from '../../src/testing/recording.ts';

const BYTES = 10;
const UNKNOWN: AppendResult = { kind: 'unknown', why: 'lost' };
const FAILED: AppendResult = { kind: 'failed', why: 'refused' };

/** The log, an entry of {@link BYTES} bytes for each text; '' is one of the log's own. */
function logOf(...texts: string[]): FinalEntry[] {
  return texts.map((text, i) => ({
    offset: i * BYTES,
    end: (i + 1) * BYTES,
    term: 1,
    fingerprint: text === '' ? undefined : fingerprintOf(text),
  }));
}

/** The receipt of `count` entries from place `at` on. */
function at(place: number, count = 1): AppendResult {
  return { kind: 'ok', offset: place * BYTES, end: (place + count) * BYTES, term: 1, nodes: [1, 2] };
}

function append(recording: Recording, texts: readonly string[], result: AppendResult, more: { expectedEnd?: number } = {}): void {
  const ids = texts.map((text) => recording.fingerprints.push(fingerprintOf(text)) - 1);
  recording.recorder.append({ client: 1, ids, level: 'committed', ...more })(result);
}

function read(recording: Recording, from: number, ...texts: readonly [place: number, text: string][]): void {
  const entries = texts.map(([place, text]) => ({
    offset: place * BYTES,
    end: (place + 1) * BYTES,
    term: 1,
    fingerprint: fingerprintOf(text),
    completed: recording.recorder.now(),
  }));
  recording.readings.push({ client: 1, subscription: recording.readings.length, invoked: recording.recorder.now(), from, entries });
}

function kinds(recording: Recording, log: readonly FinalEntry[]): string[] {
  return judge(recording, log, 2).violations.map(({ kind }) => kind);
}

describe('the checker', () => {
  test('takes equal payloads for what they are: as many appends', () => {
    const recording = new Recording();
    append(recording, ['x'], at(1));
    append(recording, ['x'], UNKNOWN);
    append(recording, ['x'], FAILED);
    append(recording, ['x', 'y'], at(4, 2), { expectedEnd: 4 * BYTES });
    append(recording, ['x'], UNKNOWN, { expectedEnd: 0 });
    expect(kinds(recording, logOf('', 'x', 'x', '', 'x', 'y'))).toEqual([]);
  });

  test.each<[string, string[], string[]]>([
    ['an acknowledged append that is gone', ['', 'x', 'b', 'c'], ['lost']],
    ['one that is there twice', ['', 'a', 'b', 'c', 'a'], ['duplicate', 'not linearizable']],
    ['one whose place another has', ['', 'b', 'a', 'c'], ['misplaced', 'not linearizable']],
    ['one that was refused and is there', ['', 'a', 'b', 'c', 'refused'], ['failed append present']],
    ['a batch of which only a part is there', ['', 'a', 'b', 'x'], ['lost']],
    ['nothing wrong', ['', 'a', 'b', 'c', 'a stranger', ''], []],
  ])('finds %s', (_, texts, expected) => {
    const recording = new Recording();
    append(recording, ['a'], at(1));
    append(recording, ['b', 'c'], at(2, 2));
    append(recording, ['refused'], FAILED);
    expect(new Set(kinds(recording, logOf(...texts)))).toEqual(new Set(expected));
  });

  test('finds an append whose answer was lost where it can be, not before what was done when it began', () => {
    const recording = new Recording();
    append(recording, ['a'], at(2));
    append(recording, ['b'], UNKNOWN);
    expect(kinds(recording, logOf('', 'b', 'a'))).toEqual(['not linearizable']);
    expect(kinds(recording, logOf('', '', 'a', 'b'))).toEqual([]);
  });

  test.each<[string, [number, string][], string[]]>([
    [
      'whole reads over entries of the log itself',
      [
        [1, 'a'],
        [3, 'b'],
      ],
      [],
    ],
    ['one that leaves something out', [[3, 'b']], ['read differs']],
    [
      'one that has something twice',
      [
        [1, 'a'],
        [1, 'a'],
      ],
      ['subscription gap', 'read differs'],
    ],
    [
      'one with something that is not in the log',
      [
        [1, 'a'],
        [3, 'never'],
      ],
      ['precommitted read'],
    ],
    ['one with what is elsewhere in the log', [[1, 'b']], ['read differs']],
  ])('finds %s', (_, entries, expected) => {
    const recording = new Recording();
    append(recording, ['a'], at(1));
    append(recording, ['b'], at(3));
    read(recording, 0, ...entries);
    const found = new Set(kinds(recording, logOf('', 'a', '', 'b')));
    if (expected.length === 0) expect(found).toEqual(new Set());
    else expect([...found].some((kind) => expected.includes(kind))).toBe(true);
  });

  test('finds an end that does not count what was done before it was asked for', () => {
    const recording = new Recording();
    append(recording, ['a'], at(1));
    const { recorder } = recording;
    const invoked = recorder.now();
    recorder.end({ client: 2, node: '1', session: undefined, invoked, isLinearizable: true, atLeast: undefined, commit: BYTES });
    expect(kinds(recording, logOf('', 'a'))).toEqual(['not linearizable']);
  });
});
