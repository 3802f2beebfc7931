// The judge of every system under the bench: what a log does wrong is found, and named.

import { describe, expect, it } from 'vitest';
import { Judge, Mismatch } from '../../bench/load/judge.ts';
import { indexOf, NumberedPayloads, Source } from '../../bench/load/numbered.ts';

const BYTES = 100;
const SEED = 7;
const ENTRIES = 1000;

const PAYLOADS = new NumberedPayloads(BYTES, SEED);

/** The log as it should be. */
function makeLog(entries = ENTRIES, payloads = PAYLOADS): Uint8Array[] {
  return Array.from({ length: entries }, (_, index) => Uint8Array.from(payloads.at(index)));
}

function judge(log: readonly Uint8Array[], entries = ENTRIES, isOrdered = true): void {
  const judging = new Judge(PAYLOADS, entries, isOrdered);
  for (const payload of log) judging.see(payload);
  judging.finish();
}

describe('the judge', () => {
  it('has nothing to say of a log that holds what was appended', () => {
    judge(makeLog());
    judge([], 0);
  });

  it('finds an entry that is missing, first, in the middle and last', () => {
    for (const index of [0, 500]) {
      const log = makeLog();
      log.splice(index, 1);
      expect(() => judge(log)).toThrow(new Mismatch(`entry ${index} is missing: entry ${index + 1} stands in its place`));
    }
    expect(() => judge(makeLog().slice(0, -1))).toThrow('entry 999 is missing: the log ends after 999 entries, and 1000 were acknowledged');
  });

  it('finds an entry that is there twice, at once or later', () => {
    const log = makeLog();
    log.splice(500, 0, log[499] ?? new Uint8Array());
    expect(() => judge(log)).toThrow('entry 499 is there twice: it comes again in place 500');
    const late = [...makeLog(), ...makeLog(1)];
    expect(() => judge(late)).toThrow('entry 0 is there twice: it comes again in place 1000');
  });

  it('lets only those be missing whose outcome is not known, and knows them when they are there', () => {
    const log = makeLog();
    const see = (payloads: readonly Uint8Array[]): void => {
      const judging = new Judge(PAYLOADS, ENTRIES, false, [{ from: 500, to: 502 }]);
      for (const payload of payloads) judging.see(payload);
      judging.finish();
    };
    see(log);
    see(log.filter((_, index) => index !== 501));
    expect(() => see(log.filter((_, index) => index !== 502))).toThrow('entry 502 is missing');
    expect(() => see([...log, ...log.slice(500, 501)])).toThrow('entry 500 is there twice');
  });

  it('finds two entries that changed places', () => {
    const log = makeLog();
    [log[3], log[4]] = [log[4] ?? new Uint8Array(), log[3] ?? new Uint8Array()];
    expect(() => judge(log)).toThrow('entry 3 is missing: entry 4 stands in its place');
  });

  it('finds every byte of an entry that changed', () => {
    for (let at = 0; at < BYTES; at++) {
      const log = makeLog(3);
      const changed = log[1] ?? new Uint8Array();
      const was = changed[at] ?? 0;
      changed[at] = was ^ 1;
      expect(() => judge(log, 3)).toThrow(`entry 1 is changed: byte ${at} is ${was ^ 1}, and was ${was}`);
    }
  });

  it('finds an entry that is shorter or longer', () => {
    for (const bytes of [0, 7, BYTES - 1, BYTES + 1]) {
      const log = makeLog(3);
      log[1] = Uint8Array.from({ length: bytes }, (_, i) => log[1]?.[i] ?? 0);
      expect(() => judge(log, 3)).toThrow(`entry 1 is changed: it has ${bytes} bytes, and had ${BYTES}`);
    }
  });

  it('finds entries that nobody appended, or nobody heard of', () => {
    expect(() => judge(makeLog(ENTRIES + 1))).toThrow('entry 1000 is there, and only 1000 entries were acknowledged');
    expect(() => judge([...makeLog(), new Uint8Array(BYTES)])).toThrow('100 bytes that were never appended follow the last entry');
    expect(() => judge(makeLog(ENTRIES, new NumberedPayloads(BYTES, SEED + 1)))).toThrow('entry 0 is changed');
  });
});

describe('the judge of entries without an order', () => {
  const reversed = (): Uint8Array[] => makeLog().reverse();
  const judgeAny = (log: readonly Uint8Array[]): void => judge(log, ENTRIES, false);

  it('has nothing to say of any order', () => {
    judgeAny(makeLog());
    judgeAny(reversed());
  });

  it('finds an entry that is missing, and one that is there twice, also instead of another', () => {
    const log = reversed();
    const [gone] = log.splice(300, 1);
    expect(() => judgeAny(log)).toThrow('entry 699 is missing: the log ends after 999 entries, and 1000 were acknowledged');
    expect(() => judgeAny([...log, log[0] ?? new Uint8Array()])).toThrow('entry 999 is there twice: it comes again in place 999');
    expect(() => judgeAny([...log, gone ?? new Uint8Array(), gone ?? new Uint8Array()])).toThrow('entry 699 is there twice');
  });

  it('finds an entry that is changed, and one that nobody appended', () => {
    const log = reversed();
    const changed = log[300] ?? new Uint8Array();
    changed[50] = (changed[50] ?? 0) ^ 1;
    expect(() => judgeAny(log)).toThrow('entry 699 is changed: byte 50');
    changed[7] = 1;
    expect(() => judgeAny(log)).toThrow('100 bytes that were never appended stand in place 300');
    expect(() => judgeAny([...reversed(), new Uint8Array(3)])).toThrow('3 bytes that were never appended follow the last entry');
    expect(() => judge(makeLog(ENTRIES + 1), ENTRIES, false)).toThrow('entry 1000 is there, and only 1000 entries were acknowledged');
  });
});

describe('numbered payloads', () => {
  it('say their index, also beyond the ring and beyond 32 bits', () => {
    const payloads = new NumberedPayloads(BYTES, SEED);
    for (const index of [0, 1, payloads.slots - 1, payloads.slots, 2 ** 32 - 1, 2 ** 32, 2 ** 45]) {
      expect(indexOf(payloads.at(index))).toBe(index);
    }
    expect(indexOf(new Uint8Array(7))).toBeUndefined();
  });

  it('are the same for the same seed, and differ from each other', () => {
    const texts = makeLog().map((payload) => Buffer.from(payload.subarray(8)).toString('hex'));
    expect(new Set(texts).size).toBe(ENTRIES);
    expect(makeLog(ENTRIES, new NumberedPayloads(BYTES, SEED))).toEqual(makeLog());
  });

  it('have room for their index', () => {
    expect(() => new NumberedPayloads(7, SEED)).toThrow('payloads must have 8 bytes or more, not 7');
    expect(new NumberedPayloads(8, SEED).at(5).length).toBe(8);
  });
});

describe('a source', () => {
  it('gives exactly as many entries as it was told, from where it was told', () => {
    const source = new Source(PAYLOADS, 70, 0, 130);
    const first = source.take(100).map(indexOf);
    expect(first).toEqual(Array.from({ length: 100 }, (_, i) => 70 + i));
    expect(source.index).toBe(170);
    expect(source.take(100)).toHaveLength(30);
    expect(source.next()).toBeUndefined();
    expect(source.count).toBe(130);
  });

  it('ends when its time is over', () => {
    const source = new Source(PAYLOADS, 0, 0, 0);
    expect(source.next()).toBeUndefined();
    expect(source.count).toBe(0);
  });
});
