// What a node remembers of its last day, and of what it said.

import { expect, it } from 'vitest';
import { EventLog } from '../../src/server/eventLog.ts';
import { History, type Measured } from '../../src/server/history.ts';

/** A clock and a loop whose timers go off when the clock is moved. */
function rig() {
  let nowMs = 0;
  let due: { readonly atMs: number; readonly run: () => void } | undefined;
  const counts = [0, 0, 0, 0];
  const measured = { entries: 0, bytes: 0, connections: 2, residentBytes: 1000 };
  const loop = {
    nowMs: () => nowMs,
    wallMs: () => 1_000_000 + nowMs,
    after: (delayMs: number, run: () => void) => {
      due = { atMs: nowMs + delayMs, run };
      return {
        cancel: () => {
          due = undefined;
        },
      };
    },
  };
  const measure = (): Measured => ({ ...measured, appendCounts: [...counts], syncCounts: [...counts], roomBytes: undefined });
  const pass = (ms: number): void => {
    const endMs = nowMs + ms;
    while (due !== undefined && due.atMs <= endMs) {
      const { atMs, run } = due;
      nowMs = atMs;
      run();
    }
    nowMs = endMs;
  };
  return {
    history: new History({ loop, measure, firstAppendSeconds: 1e-3, firstSyncSeconds: 2e-3 }),
    measured,
    counts,
    pass,
    isWaiting: () => due !== undefined,
  };
}

it('a step has the rates of its own time, and no times where there were none', () => {
  const { history, measured, counts, pass } = rig();
  expect(history.spans().map(({ stepMs, atMs }) => [stepMs, atMs.length])).toEqual([
    [5000, 0],
    [300_000, 0],
  ]);
  measured.entries = 500;
  measured.bytes = 50_000;
  counts[1] = 99;
  counts[3] = 1;
  pass(5000);
  pass(5000);
  const [short] = history.spans();
  expect(short?.atMs).toEqual([1_005_000, 1_010_000]);
  expect(short?.series).toEqual({
    entriesPerSecond: [100, 0],
    bytesPerSecond: [10_000, 0],
    appendP50Ms: [2, null],
    appendP99Ms: [2, null],
    syncP99Ms: [4, null],
    connections: [2, 2],
    residentBytes: [1000, 1000],
    roomBytes: [null, null],
  });
});

it('keeps 15 minutes and 24 hours, however long it runs, and nothing once it was stopped', () => {
  const { history, measured, pass, isWaiting } = rig();
  for (let hour = 0; hour < 25; hour += 1) {
    measured.entries += 3600;
    pass(3_600_000);
  }
  const [short, long] = history.spans();
  expect([short?.atMs.length, long?.atMs.length]).toEqual([180, 288]);
  expect((long?.atMs.at(-1) ?? 0) - (long?.atMs[0] ?? 0)).toBe(287 * 300_000);
  expect(long?.series.entriesPerSecond.reduce((sum: number, value) => sum + (value ?? 0), 0)).toBeCloseTo((24 * 3600) / 300, 5);
  history.stop();
  expect(isWaiting()).toBe(false);
});

it('what the node said last is kept, as it was said, but for who it was; who did what is not among it', () => {
  const said: string[] = [];
  const log = new EventLog({ info: (text) => void said.push(text), warn: () => undefined, error: () => undefined }, () => 7);
  for (let i = 0; i < 300; i += 1) log.info(`line ${i}`);
  log.warn('x'.repeat(5000));
  log.warn('token abc was refused', 'somebody was refused');
  log.audit({ token: 'abc' }, 'token abc trimmed');
  expect(said).toHaveLength(301);
  expect(log.events).toHaveLength(256);
  expect(log.events[0]).toEqual({ atMs: 7, level: 'info', text: 'line 46' });
  expect(log.events.slice(-2)).toEqual([
    { atMs: 7, level: 'warn', text: 'x'.repeat(1000) },
    { atMs: 7, level: 'warn', text: 'somebody was refused' },
  ]);
});
