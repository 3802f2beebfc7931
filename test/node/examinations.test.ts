// At which pace a segment is examined, on a clock that moves to the next timer, by a thread that ends when it has nothing to do for long.

import { expect, it } from 'vitest';
import { EXAMINE_TOUCH_MS, IDLE_THREAD_MS } from '../../src/core/limits.ts';
import { examineSegment } from '../../src/node/examinations.ts';
import type { Examined, ExamineRequest } from '../../src/storage/examiner.ts';

const ENTRY_BYTES = 1_000_000;
const ENTRIES = 4;

/** Examines a segment of a few entries that are read whole, each. */
async function examineAt(bytesPerSecond: number, isBusy: (nowMs: number) => boolean = () => false) {
  let nowMs = 0;
  let next: number | undefined;
  let usedAtMs = 0;
  const begunAtMs: number[] = [];
  const readAtMs: number[] = [];
  const examine = async ({ base, end, from, maxBytes }: ExamineRequest): Promise<Examined> => {
    if (nowMs - usedAtMs >= IDLE_THREAD_MS) next = undefined;
    usedAtMs = nowMs;
    if (from === base) begunAtMs.push(nowMs);
    else if (from !== next) return { outcome: 'lost', readBytes: 0 };
    if (maxBytes === 0) return { outcome: 'goes on', next: from, readBytes: 0 };
    readAtMs.push(nowMs);
    next = from + ENTRY_BYTES;
    if (next < end) return { outcome: 'goes on', next, readBytes: ENTRY_BYTES };
    return { outcome: 'whole', sha256: 'digest', readBytes: ENTRY_BYTES };
  };
  const ports = {
    tasks: { examine },
    loop: {
      nowMs: () => nowMs,
      after: (ms: number, run: () => void) => {
        nowMs += ms;
        queueMicrotask(run);
        return { cancel: () => undefined };
      },
    },
    isBusy: () => isBusy(nowMs),
  };
  // One that begins anew again and again is given up.
  const goesOn = (): boolean => begunAtMs.length < 3;
  const found = await examineSegment(ports, 'scrub', { base: 0, end: ENTRIES * ENTRY_BYTES }, { bytesPerSecond, goesOn });
  return { found, begunAtMs, readAtMs };
}

it('at a pace at which one entry takes longer than a thread stays, it ends, at that pace', async () => {
  const { found, begunAtMs, readAtMs } = await examineAt(65_536);
  expect(found).toMatchObject({ outcome: 'whole', sha256: 'digest' });
  expect(begunAtMs).toEqual([0]);
  for (const [i, atMs] of readAtMs.entries()) expect(atMs).toBeGreaterThanOrEqual((i * 1000 * ENTRY_BYTES) / 65_536);
  expect(EXAMINE_TOUCH_MS).toBeLessThan(IDLE_THREAD_MS / 2);
});

it('while appends wait for longer than a thread stays, it waits, and goes on where it was', async () => {
  const { found, begunAtMs, readAtMs } = await examineAt(1e9, (nowMs) => nowMs > 0 && nowMs < 60_000);
  expect(found).toMatchObject({ outcome: 'whole' });
  expect(begunAtMs).toEqual([0]);
  expect(readAtMs[1]).toBeGreaterThanOrEqual(60_000);
});
