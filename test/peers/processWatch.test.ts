// When two processes are known to be alive as one node, and when it may be one that was restarted.

import { describe, expect, test } from 'vitest';
import { mustBeSilent, ProcessWatch } from '../../src/peers/processWatch.ts';

const INSTANCE = '1'.repeat(16);

/** Node 2 is heard from processes named by letters, a second apart; what is known after the last one. */
function knownAfter(heard: string, restMs = 0): string | undefined {
  const watch = new ProcessWatch();
  for (const [i, process] of [...heard].entries()) watch.heard(2, { process, instance: INSTANCE, at: `${process}:1` }, i * 1000);
  return watch
    .rivals(2, heard.length * 1000 + restMs)
    ?.map(({ process }) => process)
    .join('');
}

describe('processes of one node', () => {
  test.each(['', 'aaaa', 'ab', 'abbb', 'abcdef', 'aabbccdd'])('that follow each other are lives of one node: %j', (heard) => {
    expect(knownAfter(heard)).toBeUndefined();
  });

  test('one that is heard again after the next one is not enough: its HELLO may have been long under way', () => {
    expect(knownAfter('aba')).toBeUndefined();
  });

  test('two that are heard in turn are both alive', () => {
    expect(knownAfter('abab')).toBe('ab');
    expect(knownAfter('baaabbbaab')).toBe('ab');
  });

  test('are forgotten when one of them is not heard any more, and when a third one comes', () => {
    expect(knownAfter('abab', 40_000)).toBeUndefined();
    expect(knownAfter(`abab${'b'.repeat(40)}`)).toBeUndefined();
    expect(knownAfter('ababc')).toBeUndefined();
    expect(knownAfter('ababcbcb')).toBe('bc');
  });

  test('of other nodes are others', () => {
    const watch = new ProcessWatch();
    for (const [i, process] of [...'abab'].entries()) watch.heard(1 + (i % 2), { process, instance: INSTANCE, at: '' }, i);
    expect([watch.rivals(1, 9), watch.rivals(2, 9)]).toEqual([undefined, undefined]);
  });
});

describe('a process that other nodes refuse', () => {
  test('A6: speaks while fewer than may fail refuse it, so that wrong addresses of one node stop no cluster of five', () => {
    const needed = [1, 2, 3, 4, 5, 6, 7].map((nodes) => [1, 2, 3, 4].find((refusers) => mustBeSilent(refusers, nodes)));
    expect(needed).toEqual([1, 1, 1, 1, 2, 2, 3]);
    for (let nodes = 1; nodes <= 7; nodes += 1) expect(mustBeSilent(0, nodes)).toBe(false);
  });

  test.each([3, 4, 5, 6, 7, 8, 9])(
    'A6: of %i nodes: two of one id never both speak and vote where that makes two leaders of one term',
    (nodes) => {
      const majority = Math.floor(nodes / 2) + 1;
      for (const doubled of [1, 2]) {
        const single = nodes - doubled;
        // Each single node hears one side and refuses the other one. Its vote it gives to whomever it likes, once.
        for (let hearFirst = 0; hearFirst <= single; hearFirst += 1) {
          const bothSpeak = !mustBeSilent(single - hearFirst, nodes) && !mustBeSilent(hearFirst, nodes);
          const canBeTwo = 2 * majority <= single + 2 * doubled;
          expect(bothSpeak && canBeTwo, `${doubled} twice, ${hearFirst} hear the first`).toBe(false);
        }
      }
    },
  );
});
