import { describe, expect, it } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import type { ScrubPosition } from '../../src/format/scrubPosition.ts';
import { Damages } from '../../src/node/damages.ts';
import { Scrub, type ScrubPorts } from '../../src/node/scrub.ts';
import type { SealedSegment } from '../../src/storage/context.ts';
import type { Examined, ExamineRequest } from '../../src/storage/examiner.ts';

const DAY_MS = 86_400_000;
const BEGAN_MS = 1_700_000_000_000;

function segmentOf(base: number, end: number): SealedSegment {
  return { base, end, entries: 1, lastTerm: 1, firstMs: 0, lastMs: 0, terms: [] };
}

interface Options {
  readonly segments?: SealedSegment[];
  readonly commitBound?: number;
  readonly saved?: ScrubPosition;
  readonly examine?: (request: ExamineRequest) => Examined | LogError;
  readonly random?: number;
}

/** A scrub on a clock of its own, which moves to the next timer. */
function makeScrub({ segments = [0, 1, 2, 3].map((i) => segmentOf(i * 100, i * 100 + 100)), ...options }: Options) {
  let wallMs = BEGAN_MS;
  const timers: { atMs: number; run: () => void }[] = [];
  const read: { base: number; atMs: number }[] = [];
  const lines: string[] = [];
  const damaged: number[] = [];
  const whole: [number, string][] = [];
  let saved: ScrubPosition | undefined = options.saved;
  const find = (offset: number): SealedSegment | undefined => segments.find(({ base, end }) => base <= offset && offset < end);
  const log = { warn: (text: string) => lines.push(text), error: (text: string) => lines.push(text), info: () => undefined };
  const damages = new Damages({ find }, log);
  const ports: ScrubPorts = {
    memory: { commitBound: options.commitBound ?? 1_000_000 },
    loop: {
      nowMs: () => wallMs,
      wallMs: () => wallMs,
      after: (delayMs, run) => {
        const timer = { atMs: wallMs + delayMs, run };
        timers.push(timer);
        return { cancel: () => void timers.splice(timers.indexOf(timer), 1) };
      },
    },
    tasks: {
      examine: async (request) => {
        if (request.from === request.base) read.push({ base: request.base, atMs: wallMs });
        const found = options.examine?.(request) ?? ({ outcome: 'whole', sha256: '', readBytes: request.end - request.base } as const);
        if (found instanceof LogError) throw found;
        return found;
      },
      readScrub: async () => saved,
      saveScrub: async ({ position }) => {
        saved = position;
        return true;
      },
    },
    segments: { sealed: segments },
    damages,
    days: 8,
    bytesPerSecond: 1_000_000,
    random: () => options.random ?? 0,
    isBusy: () => false,
    damaged: ({ base }) => damaged.push(base),
    whole: ({ base }, { sha256 }) => whole.push([base, sha256]),
    toured: () => undefined,
    log,
    broke: (thrown) => {
      throw thrown;
    },
  };
  const scrub = new Scrub(ports);
  scrub.start();
  /** Lets `ms` pass. */
  const pass = async (ms: number): Promise<void> => {
    const untilMs = wallMs + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      timers.sort((a, b) => a.atMs - b.atMs);
      const [next] = timers;
      if (next === undefined || next.atMs > untilMs) break;
      timers.shift();
      wallMs = Math.max(wallMs, next.atMs);
      next.run();
    }
    wallMs = untilMs;
  };
  return { scrub, pass, read, lines, damaged, whole, damages, segments, saved: () => saved, bases: () => read.map(({ base }) => base) };
}

describe('scrub', () => {
  it('reads all sealed segments in as many days as it is given, evenly, from an origin of its own, again and again', async () => {
    const { pass, read, bases, scrub, saved, whole } = makeScrub({ random: 0.6 });
    await pass(60_000);
    expect(scrub.status).toMatchObject({ isOn: true, position: 200, beganMs: BEGAN_MS, endsMs: BEGAN_MS + 8 * DAY_MS, sinceMs: null });
    await pass(8 * DAY_MS);
    expect(bases()).toEqual([200, 300, 0, 100]);
    expect(whole.map(([base]) => base)).toEqual(bases());
    for (const [i, { atMs }] of read.entries()) {
      expect(atMs - BEGAN_MS).toBeGreaterThanOrEqual((i + 1) * 2 * DAY_MS);
      expect(atMs - BEGAN_MS).toBeLessThan((i + 1) * 2 * DAY_MS + 120_000);
    }
    // Each is read in the tour that follows, too; and all bytes were read since the one before began.
    await pass(8 * DAY_MS + 60_000);
    expect(bases()).toEqual([200, 300, 0, 100, 200, 300, 0, 100]);
    expect(scrub.status.sinceMs).toBeGreaterThanOrEqual(BEGAN_MS + 8 * DAY_MS);
    expect(saved()?.origin).toBe(200);
  });

  it('goes on where it was after a restart, and does not begin anew', async () => {
    const saved = { origin: 200, position: 100, hasWrapped: true, beganMs: BEGAN_MS - 7 * DAY_MS, previousMs: 5 };
    const { pass, bases, scrub } = makeScrub({ saved });
    await pass(DAY_MS + 60_000);
    expect(bases()).toEqual([100]);
    expect(scrub.status).toMatchObject({ position: 200, sinceMs: BEGAN_MS - 7 * DAY_MS });
  });

  it('leaves alone what a truncation could still reach, and reads what is sealed later', async () => {
    const { pass, bases, segments } = makeScrub({ commitBound: 300 });
    await pass(9 * DAY_MS);
    expect(bases().slice(0, 2)).toEqual([0, 100]);
    expect(bases()).not.toContain(200);
    expect(segments.length).toBe(4);
  });

  it('tells what is damaged, once; a segment that was trimmed while it was read is not', async () => {
    const damage = {
      outcome: 'damaged',
      reason: 'entry',
      offset: 130,
      position: 4126,
      sentence: 'x at byte 4126: bad',
      readBytes: 1,
    } as const;
    const trimmed: SealedSegment[] = [];
    const made = makeScrub({
      examine: ({ base }) => {
        if (base === 0) trimmed.push(...made.segments.splice(0, 1));
        return base <= 100 ? damage : { outcome: 'whole', sha256: '', readBytes: 1 };
      },
    });
    await made.pass(20 * DAY_MS);
    expect(trimmed.length).toBe(1);
    expect(made.damaged[0]).toBe(100);
    expect(made.lines).toEqual(["a sealed segment is damaged on this node's disk: x at byte 4126: bad (log offset 130)"]);
    expect(made.damages.status).toMatchObject({ damaged: 1, found: 1, healed: 0, segments: [{ base: 100, end: 200, offset: 130 }] });
  });

  it('pauses after a disk that fails it, and tries the same segment again; stops at once', async () => {
    let failures = 2;
    const { pass, bases, lines, scrub } = makeScrub({
      examine: ({ base }) =>
        base === 0 && failures-- > 0 ? new LogError('IO', 'no descriptor') : { outcome: 'whole', sha256: '', readBytes: 1 },
    });
    await pass(2 * DAY_MS + 10 * 60_000);
    expect(bases()).toEqual([0, 0, 0]);
    expect(lines).toEqual(['scrubbing pauses: no descriptor', 'scrubbing pauses: no descriptor']);
    scrub.stop();
    await pass(20 * DAY_MS);
    expect(bases()).toEqual([0, 0, 0]);
  });

  it('goes on at its pace after a clock was set back by years', async () => {
    const { pass, bases } = makeScrub({ saved: { origin: 0, position: 200, hasWrapped: false, beganMs: BEGAN_MS + 1e12, previousMs: 0 } });
    await pass(2 * DAY_MS + 120_000);
    expect(bases()).toEqual([200]);
  });
});
