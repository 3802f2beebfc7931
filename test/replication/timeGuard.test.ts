// A clock that is wrong does not move the log's time: which clocks a leader may go by, and what it says when its own is none of them.

import { beforeEach, describe, expect, test } from 'vitest';
import { CLOCK_GUARD_MS, CLOCK_HEARD_MS, CLOCK_LOOK_MS } from '../../src/core/limits.ts';
import { TimeGuard } from '../../src/replication/timeGuard.ts';

const EPOCH_MS = 1_700_000_000_000;
const YEARS_MS = 10 * 365 * 24 * 3_600_000;

let nowMs: number;
/** How far this node's clock is from the right one. */
let wrongMs: number;
let said: string[];
let allowed: { readonly fromMs: number; readonly toMs: number } | undefined;

beforeEach(() => {
  [nowMs, wrongMs, said, allowed] = [5_000, 0, [], { fromMs: 0, toMs: 0 }];
});

const rightMs = (): number => EPOCH_MS + nowMs;
const wallMs = (): number => rightMs() + wrongMs;

function guardOf(nodeCount: number, trustsClock = false): TimeGuard {
  const nodes = Array.from({ length: nodeCount }, (_, i) => i + 1);
  const ports = { nowMs: () => nowMs, wallMs, log: (level: string, text: string) => void said.push(`${level} ${text}`) };
  return new TimeGuard({ self: 1, voters: () => nodes, trustsClock, fold: { allowTimes: (range) => (allowed = range) }, ports });
}

function look(guard: TimeGuard): boolean {
  nowMs += CLOCK_LOOK_MS;
  guard.look();
  return allowed !== undefined && allowed.fromMs <= wallMs() && wallMs() <= allowed.toMs;
}

describe('a leader of several', () => {
  test('moves time on only within 60 s of a majority, itself among it, of clocks that it has heard', () => {
    const guard = guardOf(5);
    expect(allowed).toBeUndefined();
    expect(look(guard)).toBe(false);
    guard.heard(2, rightMs() + 1_000);
    expect(look(guard)).toBe(false);
    guard.heard(3, rightMs() - YEARS_MS);
    guard.heard(4, rightMs() + YEARS_MS);
    expect(look(guard)).toBe(false);
    guard.heard(5, rightMs() - 2_000);
    expect(look(guard)).toBe(true);
    // As far as the nearer two are from it, and no further.
    expect(allowed).toEqual({ fromMs: rightMs() + 1_000 - CLOCK_GUARD_MS, toMs: rightMs() - 2_000 + CLOCK_GUARD_MS });
    for (const [byMs, isAllowed] of [
      [57_000, true],
      [59_000, false],
      [-58_000, true],
      [-60_000, false],
      [YEARS_MS, false],
      [-YEARS_MS, false],
    ] as const) {
      wrongMs = byMs;
      expect([byMs, look(guard)]).toEqual([byMs, isAllowed]);
    }
  });

  test('does not go by the clock of a minority that is near its own', () => {
    const guard = guardOf(5);
    wrongMs = YEARS_MS;
    guard.heard(2, wallMs());
    for (const node of [3, 4, 5]) guard.heard(node, rightMs());
    expect(look(guard)).toBe(false);
    // Of two, both agree.
    const two = guardOf(2);
    two.heard(2, rightMs());
    expect(look(two)).toBe(false);
    wrongMs = 0;
    expect(look(two)).toBe(true);
  });

  test('forgets what it has not heard again for long, and has the newest word of each node', () => {
    const guard = guardOf(3);
    guard.heard(2, rightMs() + YEARS_MS);
    expect(look(guard)).toBe(false);
    guard.heard(2, rightMs());
    expect(look(guard)).toBe(true);
    nowMs += CLOCK_HEARD_MS;
    expect(look(guard)).toBe(false);
  });

  test('goes by no clock while it does not lead, and looks at once when it begins to', () => {
    const guard = guardOf(3);
    guard.heard(2, rightMs());
    expect(look(guard)).toBe(true);
    guard.end();
    expect(allowed).toBeUndefined();
    guard.begin();
    expect(allowed).toBeDefined();
  });

  test('says once that time stands still, and why, and once that it goes on', () => {
    const guard = guardOf(3);
    expect(look(guard)).toBe(false);
    expect(said).toEqual([]);
    guard.heard(2, rightMs() - 3_600_000);
    guard.heard(3, rightMs() + 7_200_000);
    for (let i = 0; i < 3; i += 1) look(guard);
    expect(said).toEqual([
      "warn the clocks of too few nodes are within 60 s of this one's (node 2: 3600 s behind, node 3: 7200 s ahead), so the log's time stands still until they are: set the clocks of all nodes by NTP",
    ]);
    guard.heard(2, rightMs());
    for (let i = 0; i < 3; i += 1) expect(look(guard)).toBe(true);
    expect(said.slice(1)).toEqual(["info clocks agree again: the log's time goes on"]);
  });
});

describe('a node alone', () => {
  test('takes its clock as it is at its start, and then as time goes on', () => {
    wrongMs = -YEARS_MS;
    const guard = guardOf(1);
    guard.begin();
    expect(look(guard)).toBe(true);
    nowMs += 7 * 24 * 3_600_000;
    expect(look(guard)).toBe(true);
    wrongMs += 59_000;
    expect(look(guard)).toBe(true);
    wrongMs += 2_000;
    expect(look(guard)).toBe(false);
    wrongMs = 0;
    expect(look(guard)).toBe(false);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /^warn this node's clock went 61 s too far since the node started, so the log's time stands still: restart .*--trust-clock on$/,
    );
    wrongMs = -YEARS_MS;
    expect(look(guard)).toBe(true);
    // After another start it is right.
    wrongMs = 0;
    const next = guardOf(1);
    next.begin();
    expect(look(next)).toBe(true);
  });

  test('goes by its clock wherever that leaps, if it is told to', () => {
    const guard = guardOf(1, true);
    for (const byMs of [0, YEARS_MS, -YEARS_MS, -EPOCH_MS]) {
      wrongMs = byMs;
      expect([byMs, look(guard)]).toEqual([byMs, true]);
    }
    expect(said).toEqual([]);
  });
});

describe('a node that comes to be alone', () => {
  /** One of two, which the other one leaves; its clock is wrong by so much. */
  function left(byMs: number): boolean {
    wrongMs = byMs;
    let voters = [1, 2];
    const ports = { nowMs: () => nowMs, wallMs, log: () => undefined };
    const guard = new TimeGuard({
      self: 1,
      voters: () => voters,
      trustsClock: false,
      fold: { allowTimes: (range) => (allowed = range) },
      ports,
    });
    guard.heard(2, rightMs());
    look(guard);
    voters = [1];
    return look(guard);
  }

  test('goes by its clock as the others bore it out, and does not where they did not', () => {
    expect([left(1_000), left(YEARS_MS), left(0)]).toEqual([true, false, true]);
  });
});
