// Places in the log by time, of made-up segments on disk: whatever their indexes say of times, which may be made anew and wrong.

import { describe, expect, test } from 'vitest';
import { KIND_STATE, KIND_TIME } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { LogError } from '../../src/core/errors.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM, writeTime } from '../../src/format/controlEntries.ts';
import { entryBytesAt } from '../../src/format/entry.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import type { HotReader } from '../../src/memory/hotReader.ts';
import { WORD } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { type TimeCaller, type TimePorts, Times } from '../../src/node/times.ts';
import type { SealedSegment } from '../../src/storage/context.ts';
import { Random } from '../assembly/random.ts';

/** One entry; its payload is written by `write`. */
function entry(kind: number, bytes: number, write: (view: DataView, at: number) => void = () => undefined): Uint8Array {
  const made = new Uint8Array(bytes + 12);
  const view = viewOf(made);
  view.setUint32(4, ((kind << 24) | bytes) >>> 0, true);
  write(view, 8);
  return made;
}

function stateEntry(timeMs: number): Uint8Array {
  const generation = { number: 1, id: '1'.repeat(16) };
  const state: LogState = {
    dataEnd: 0,
    before: NO_TERM,
    trim: NO_TRIM,
    seal: NO_SEAL,
    timeMs,
    level: 1,
    generation,
    policy: NO_POLICY,
    access: NO_ACCESS,
    consumers: NO_CONSUMERS,
    nodes: NO_MEMBERS,
    sessions: NO_SESSIONS,
  };
  return entry(KIND_STATE, stateBytes(state), (view, at) => writeState(view, at, state));
}

interface Made {
  readonly bytes: Uint8Array;
  readonly sealed: SealedSegment[];
  /** Where the log's time changes, and to what. */
  readonly changes: readonly { readonly offset: number; readonly timeMs: number }[];
}

/** A log of so many segments, whose indexes lie about times with `lies`. */
function make(random: Random, count: number, lies: boolean): Made {
  const parts: Uint8Array[] = [];
  const sealed: SealedSegment[] = [];
  const changes: { offset: number; timeMs: number }[] = [];
  let [timeMs, end] = [1000, 0];
  const add = (bytes: Uint8Array, isChange: boolean): void => {
    if (isChange) changes.push({ offset: end, timeMs });
    parts.push(bytes);
    end += bytes.length;
  };
  for (let i = 0; i < count; i += 1) {
    const base = end;
    timeMs += random.below(3);
    const firstMs = timeMs;
    add(stateEntry(timeMs), true);
    for (let entries = random.below(20); entries > 0; entries -= 1) {
      if (random.oneIn(3)) {
        timeMs += random.below(5);
        add(
          entry(KIND_TIME, 8, (view, at) => writeTime(view, at, timeMs)),
          true,
        );
      }
      add(entry(0, random.below(60_000)), false);
    }
    const isLie = lies && random.oneIn(2);
    const wrong = 900 + random.below(300);
    const times = isLie ? { firstMs: wrong, lastMs: wrong } : { firstMs, lastMs: timeMs };
    sealed.push({ base, end, entries: 0, lastTerm: 1, terms: [], ...times });
  }
  const bytes = new Uint8Array(end);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, sealed, changes };
}

/** Ports to `made`, from `start` on; `reads` notes each read. */
function portsTo(made: Made, start = 0, reads: number[] = [], fails?: LogError): TimePorts {
  const { bytes, sealed } = made;
  const base = sealed.findLast((each) => each.base <= start)?.base ?? 0;
  const words = new Map<number, number>([
    [WORD.START, start],
    [WORD.BASE, base],
  ]);
  const kept = sealed.filter((each) => each.base >= base);
  return {
    memory: { commit: bytes.length, word: (word: number) => words.get(word) ?? 0 } as TailMemory,
    hot: { pin: () => -1 } as unknown as HotReader,
    segments: { sealed: kept, find: (offset) => kept.find((each) => each.base <= offset && offset < each.end) },
    diskReads: {
      timeBefore: (_base, offset) => Promise.resolve(made.changes.findLast((change) => change.offset < offset)?.timeMs ?? 0),
      readCopy: ({ from, limit, maxBytes }) => {
        reads.push(from);
        if (fails !== undefined) return Promise.reject(fails);
        let end = from;
        const view = viewOf(bytes);
        while (end < limit && (end === from || end + entryBytesAt(view, end) - from <= maxBytes)) end += entryBytesAt(view, end);
        return Promise.resolve({ bytes: bytes.slice(from, end), end });
      },
    },
    loop: { afterTurn: (run) => void setImmediate(run) },
  };
}

const caller = (): TimeCaller & { isClosed: boolean } => ({ isClosed: false, lookups: 0 });

describe('a place by time', () => {
  test.each([false, true])('is the first one at which the log’s time has come so far; with lies of indexes: %s', async (lies) => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = new Random(seed);
      const made = make(random, 1 + random.below(6), lies);
      const places = [0, ...made.changes.map(({ offset }) => offset)];
      const start = random.pick(0, ...places);
      const times = new Times(portsTo(made, start));
      const last = made.changes.at(-1)?.timeMs ?? 0;
      for (let i = 0; i < 8; i += 1) {
        const timeMs = random.pick(0, last + 1, 1000 + random.below(last - 998));
        const truth = made.changes.find((change) => change.timeMs >= timeMs)?.offset ?? made.bytes.length;
        expect([seed, timeMs, await times.find(caller(), timeMs)]).toEqual([seed, timeMs, Math.max(start, truth)]);
      }
    }
  });

  test('is looked for by callers in turns, and no more for one that has gone', async () => {
    const reads: number[] = [];
    const made = make(new Random(2), 4, false);
    expect(made.bytes.length).toBeGreaterThan(600_000);
    const times = new Times(portsTo(made, 0, reads));
    const [gone, other] = [caller(), caller()];
    const lost = Array.from({ length: 3 }, () => times.find(gone, 999_999).catch((thrown: unknown) => (thrown as LogError).code));
    const found = times.find(other, 0);
    expect(await found).toBe(0);
    // The other one did not wait for three walks.
    expect(reads.length).toBeLessThanOrEqual(6);
    gone.isClosed = true;
    expect(await Promise.all(lost)).toEqual(['CLOSED', 'CLOSED', 'CLOSED']);
    expect([gone.lookups, other.lookups]).toEqual([0, 0]);
  });

  test('where the disk is damaged is an error that says so', async () => {
    const times = new Times(portsTo(make(new Random(1), 2, false), 0, [], new LogError('DAMAGE', 'x')));
    await expect(times.find(caller(), 1)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});
