// The judge of every system under the bench: what a log does wrong is found, and named.

import { describe, expect, it } from 'vitest';
import { Deliveries } from '../../bench/load/deliveries.ts';
import { Judge, judgeOfComing, Mismatch } from '../../bench/load/judge.ts';
import { Lane, type LaneRecord, type Lost } from '../../bench/load/lane.ts';
import { indexOf, NumberedPayloads, WORD } from '../../bench/load/numbered.ts';
import { Gate, Source } from '../../bench/load/source.ts';
import { LogError } from '../../src/client/index.ts';

const BYTES = 100;
const SEED = 7;
const ENTRIES = 1000;
const RING_BYTES = 1024 * 1024;

const PAYLOADS = new NumberedPayloads(BYTES, SEED, RING_BYTES);

function laneOf(sent = ENTRIES, lane = 0, lost: readonly Lost[] = []): LaneRecord {
  return { seed: SEED, ringBytes: RING_BYTES, payloadBytes: BYTES, lane, sent, lost, isOrdered: true };
}

function payloadOf(place: number, lane = 0): Uint8Array {
  return Uint8Array.from(PAYLOADS.at(lane * WORD + place));
}

/** A log as it should be. */
function makeLog(entries = ENTRIES, lane = 0): Uint8Array[] {
  return Array.from({ length: entries }, (_, place) => payloadOf(place, lane));
}

/** The same, in no order. */
function unordered(record: LaneRecord): LaneRecord {
  return { ...record, isOrdered: false };
}

function judge(log: readonly Uint8Array[], lanes: readonly LaneRecord[] = [laneOf()]): void {
  const judging = new Judge(lanes);
  for (const payload of log) judging.see(payload);
  judging.finish();
  expect(judging.count).toBe(log.length);
}

describe('the judge of one lane', () => {
  it('has nothing to say of a log that holds what was appended', () => {
    judge(makeLog());
    judge([], [laneOf(0)]);
    judge([], []);
  });

  it('finds an entry that is missing, first, in the middle and last', () => {
    for (const place of [0, 500]) {
      const log = makeLog();
      log.splice(place, 1);
      expect(() => judge(log)).toThrow(
        new Mismatch(`entry ${place + 1} stands in the place of entry ${place}, which is missing, in place ${place} of the log`),
      );
    }
    expect(() => judge(makeLog().slice(0, -1))).toThrow('entry 999 is missing: the log ends after 999 entries');
  });

  it('finds an entry that is there twice, at once or later', () => {
    const log = makeLog();
    log.splice(500, 0, log[499] ?? new Uint8Array());
    expect(() => judge(log)).toThrow('entry 499 is there twice, in place 500 of the log');
    expect(() => judge([...makeLog(), ...makeLog(1)])).toThrow('entry 0 is there twice, in place 1000 of the log');
  });

  it('finds two entries that changed places', () => {
    const log = makeLog();
    [log[3], log[4]] = [log[4] ?? new Uint8Array(), log[3] ?? new Uint8Array()];
    expect(() => judge(log)).toThrow('entry 4 stands in the place of entry 3, which is missing');
  });

  it('finds every byte of an entry that changed', () => {
    for (let at = 0; at < BYTES; at++) {
      const log = makeLog(3);
      const changed = log[1] ?? new Uint8Array();
      const was = changed[at] ?? 0;
      changed[at] = was ^ 1;
      expect(() => judge(log, [laneOf(3)])).toThrow(`entry 1 is changed: byte ${at} is ${was ^ 1}, and was ${was}`);
    }
  });

  it('finds an entry that is shorter or longer', () => {
    for (const bytes of [8, BYTES - 1, BYTES + 1]) {
      const log = makeLog(3);
      log[1] = Uint8Array.from({ length: bytes }, (_, i) => log[1]?.[i] ?? 0);
      expect(() => judge(log, [laneOf(3)])).toThrow(`entry 1 is changed: it has ${bytes} bytes, and had ${BYTES}`);
    }
  });

  it('finds entries that nobody appended', () => {
    expect(() => judge(makeLog(ENTRIES + 1))).toThrow('entry 1000 is there, and only 1000 entries were appended');
    for (const bytes of [0, 3, BYTES]) {
      const strange = new Uint8Array(bytes).fill(255);
      expect(() => judge([...makeLog(), strange])).toThrow(`${bytes} bytes that were never appended stand in place 1000`);
    }
    const others = new NumberedPayloads(BYTES, SEED + 1, RING_BYTES);
    expect(() => judge([Uint8Array.from(others.at(0))])).toThrow('entry 0 is changed');
  });
});

describe('the judge of entries whose outcome is not known', () => {
  const lost: readonly Lost[] = [
    { from: 3, to: 5, outcome: 'unknown' },
    { from: 8, to: 10, outcome: 'unknown' },
  ];
  const without = (...places: number[]): Uint8Array[] => makeLog(10).filter((_, place) => !places.includes(place));
  const judgeLost = (log: readonly Uint8Array[]): void => judge(log, [laneOf(10, 0, lost)]);

  it('has nothing to say of those that are there, nor of those that are not', () => {
    for (const places of [[], [3], [4], [3, 4], [8], [9], [3, 4, 8, 9]]) judgeLost(without(...places));
  });

  it('finds those that are there twice, or after later ones', () => {
    expect(() => judgeLost([...without(), payloadOf(9)])).toThrow('entry 9 is there twice, or after later ones, in place 10 of the log');
    expect(() => judgeLost([...without(3, 8, 9), payloadOf(3)])).toThrow('entry 3 is there twice, or after later ones');
  });

  it('finds an acknowledged one that is missing beside them', () => {
    expect(() => judgeLost(without(3, 4, 5))).toThrow('entry 6 stands in the place of entry 5, which is missing');
    expect(() => judgeLost(without(7, 8, 9))).toThrow('entry 7 is missing: the log ends after 7 entries');
  });

  it('finds those that surely were not appended', () => {
    const failed = [laneOf(10, 0, [{ from: 3, to: 5, outcome: 'failed' }])];
    judge(without(3, 4), failed);
    expect(() => judge(without(3), failed)).toThrow('entry 4 is there, and its append failed, in place 3 of the log');
  });
});

describe('the judge of several lanes', () => {
  const lanes = [laneOf(5), laneOf(5, 1), laneOf(5, 2 ** 20)];
  const logs = lanes.map(({ lane }) => makeLog(5, lane));
  const mixed = logs[0]?.flatMap((_, place) => logs.flatMap((log) => log[place] ?? [])) ?? [];

  it('has nothing to say of any order between them', () => {
    judge(logs.flat(), lanes);
    judge(logs.flat().reverse(), lanes.map(unordered));
    judge(mixed, lanes);
  });

  it('has lanes with entries of their own size', () => {
    const large = new NumberedPayloads(5000, SEED, RING_BYTES);
    judge([payloadOf(0), Uint8Array.from(large.at(WORD))], [laneOf(1), { ...laneOf(1, 1), payloadBytes: 5000 }]);
  });

  it('finds what is wrong in one of them', () => {
    const without = (gone: number): Uint8Array[] => mixed.filter((_, at) => at !== gone);
    expect(() => judge(without(4), lanes)).toThrow('entry 2 of lane 1 stands in the place of entry 1 of lane 1, which is missing');
    expect(() => judge(without(13), lanes)).toThrow('entry 4 of lane 1 is missing: the log ends after 14 entries');
    expect(() => judge([...mixed, payloadOf(2, 1)], lanes)).toThrow('entry 2 of lane 1 is there twice, in place 15 of the log');
    expect(() => judge([...mixed, payloadOf(0, 2)], lanes)).toThrow('100 bytes that were never appended stand in place 15');
  });

  it('finds an entry that changed, also in the bytes that say its lane', () => {
    for (const at of [0, 4, 50]) {
      const log = mixed.map((payload) => payload.slice());
      const changed = log[4] ?? new Uint8Array();
      changed[at] = (changed[at] ?? 0) ^ 64;
      expect(() => judge(log, lanes)).toThrow(`entry 1 of lane 1 is changed: byte ${at}`);
    }
  });

  it('wants each lane once', () => {
    expect(() => new Judge([laneOf(), laneOf()])).toThrow('two lanes of a log have the same number');
  });
});

describe('the judge of entries as they come', () => {
  const coming = (...places: readonly number[]): number => {
    const lane = new Lane(SEED, BYTES, 1);
    const judging = judgeOfComing(lane);
    for (const place of places) {
      // What is appended meanwhile uses the same bytes.
      lane.next();
      judging.see(payloadOf(place, 1));
    }
    return judging.count;
  };

  it('has nothing to say of each entry after the other, however many there will be', () => {
    expect(coming(0, 1, 2, 3)).toBe(4);
  });

  it('finds one that was left out, and one that came twice', () => {
    expect(() => coming(0, 2)).toThrow('entry 2 of lane 1 stands in the place of entry 1 of lane 1, which is missing');
    expect(() => coming(0, 1, 1)).toThrow('entry 1 of lane 1 is there twice, in place 2 of the log');
  });
});

describe('the judge of entries without an order', () => {
  const reversed = (): Uint8Array[] => makeLog().reverse();
  const judgeAny = (log: readonly Uint8Array[]): void => judge(log, [unordered(laneOf())]);

  it('has nothing to say of any order', () => {
    judgeAny(makeLog());
    judgeAny(reversed());
  });

  it('finds an entry that is missing, and one that is there twice, also instead of another', () => {
    const log = reversed();
    const [gone] = log.splice(300, 1);
    expect(() => judgeAny(log)).toThrow('entry 699 is missing: the log ends after 999 entries');
    expect(() => judgeAny([...log, log[0] ?? new Uint8Array()])).toThrow('entry 999 is there twice, in place 999 of the log');
    expect(() => judgeAny([...log, gone ?? new Uint8Array(), gone ?? new Uint8Array()])).toThrow('entry 699 is there twice');
  });

  it('finds an entry that is changed, and one that nobody appended', () => {
    const log = reversed();
    const changed = log[300] ?? new Uint8Array();
    changed[50] = (changed[50] ?? 0) ^ 1;
    expect(() => judgeAny(log)).toThrow('entry 699 is changed: byte 50');
    changed[7] = 1;
    expect(() => judgeAny(log)).toThrow('100 bytes that were never appended stand in place 300');
    expect(() => judgeAny([...reversed(), new Uint8Array(3)])).toThrow('3 bytes that were never appended stand in place 1000');
    expect(() => judge(makeLog(ENTRIES + 1), [unordered(laneOf())])).toThrow('entry 1000 is there, and only 1000 entries were appended');
  });
});

describe('a lane', () => {
  const unknown = new LogError('CONNECTION_LOST', 'the connection was lost');
  const failed = new LogError('NOT_LEADER', 'no node leads');

  it('gives the payloads that the judge expects, over the end of its ring, in every lane', () => {
    for (const number of [0, 1, 77]) {
      const lane = new Lane(SEED, BYTES, number);
      const places = Array.from({ length: 2 * PAYLOADS.slots + 1 }, (_, place) => place);
      expect(places.filter((place) => !lane.next().equals(payloadOf(place, number)))).toEqual([]);
    }
  });

  it('says that nothing is known of what was neither acknowledged nor rejected', () => {
    const lane = new Lane(SEED, BYTES, 3);
    lane.take(10);
    lane.acknowledgedTo(4);
    expect(lane.record()).toEqual(laneOf(10, 3, [{ from: 4, to: 10, outcome: 'unknown' }]));
    lane.acknowledgedTo(10);
    expect(lane.record()).toEqual(laneOf(10, 3));
  });

  it('keeps the outcome of each append that was rejected, those next to each other together', () => {
    const lane = new Lane(SEED, BYTES, 0);
    lane.take(10);
    for (const [place, error] of [
      [5, failed],
      [2, unknown],
      [1, unknown],
      [6, failed],
      [3, failed],
    ] as const)
      lane.lose(place, error);
    lane.acknowledgedTo(10);
    expect(lane.record().lost).toEqual([
      { from: 1, to: 3, outcome: 'unknown' },
      { from: 3, to: 4, outcome: 'failed' },
      { from: 5, to: 7, outcome: 'failed' },
    ]);
  });

  it('takes no other error for an outcome', () => {
    expect(() => new Lane(SEED, BYTES, 0).lose(0, new TypeError('a mistake'))).toThrow('a mistake');
  });

  it('does not give more at once than its ring has', () => {
    expect(() => new Lane(SEED, 100_000, 0).take(1000)).toThrow('1000 payloads of 100000 bytes are too many at once');
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
    const textOf = (payload: Uint8Array): string => Buffer.from(payload.subarray(8)).toString('hex');
    expect(new Set(makeLog().map(textOf)).size).toBe(ENTRIES);
    const same = new NumberedPayloads(BYTES, SEED, RING_BYTES);
    expect(makeLog().map((_, index) => textOf(same.at(index)))).toEqual(makeLog().map(textOf));
  });

  it('have room for their index', () => {
    expect(() => new NumberedPayloads(7, SEED)).toThrow('payloads must have 8 bytes or more, not 7');
    expect(new NumberedPayloads(8, SEED).at(5).length).toBe(8);
  });
});

describe('a source', () => {
  it('gives exactly as many entries as it was told, from where its lane is', () => {
    const lane = new Lane(SEED, BYTES, 3);
    lane.take(70);
    const source = new Source(lane, { seconds: 0, entries: 130 });
    const first = source.take(100).map(indexOf);
    expect(first).toEqual(Array.from({ length: 100 }, (_, i) => 3 * WORD + 70 + i));
    expect(source.index).toBe(3 * WORD + 170);
    expect(source.take(100)).toHaveLength(30);
    expect(source.next()).toBeUndefined();
    expect(source.count).toBe(130);
  });

  it('ends when its time is over, or when it is told to', () => {
    for (const plan of [
      { seconds: 0, entries: 0 },
      { seconds: 60, entries: 0, mustEnd: () => true },
    ]) {
      const source = new Source(new Lane(SEED, BYTES, 0), plan);
      expect(source.next()).toBeUndefined();
      expect(source.count).toBe(0);
    }
  });

  it('lets a producer be as far ahead of the slowest subscriber as its gate says, and wakes all that wait', async () => {
    const deliveries = new Deliveries();
    const [fast, slow] = [deliveries.join(), deliveries.join()];
    const source = new Source(new Lane(SEED, BYTES, 0), { seconds: 0, entries: 10_000, gate: new Gate(deliveries, 1000) });
    while (!source.mustWait) source.next();
    expect(source.count).toBe(1000);
    deliveries.add(fast, 1000);
    expect(source.mustWait).toBe(true);
    const waiting = Promise.all([source.ready(), source.ready()]);
    deliveries.add(slow, 500);
    await waiting;
    expect(source.mustWait).toBe(false);
    while (!source.mustWait) source.next();
    expect(source.count).toBe(1500);
  });

  it('notes what is acknowledged in order, so that a load that fails knows what is surely there', async () => {
    const lane = new Lane(SEED, BYTES, 0);
    const source = new Source(lane, { seconds: 0, entries: 200 });
    for (let payload = source.next(); payload !== undefined; payload = source.next()) source.noteAcknowledged(Promise.resolve());
    await Promise.resolve();
    expect(lane.record().lost).toEqual([{ from: 192, to: 200, outcome: 'unknown' }]);
  });
});
