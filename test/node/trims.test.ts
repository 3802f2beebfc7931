// Trims of an engine that runs, on real files. Its threads' code is what the build made, so all of it comes from there.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { configure } from '../../dist/src/core/config.js';
import { WORD } from '../../dist/src/memory/map.js';
import { type Caller, CallerReadings, type Reading } from '../../dist/src/node/caller.js';
import type { Engine } from '../../dist/src/node/engine.js';
import { startEngine } from '../../dist/src/node/startEngine.js';
import { frameEntries } from '../server/support/entries.ts';
import { eventually } from '../server/support/fixture.ts';
import { temporaryDirectory } from '../server/support/processNode.ts';

const SEGMENT_BYTES = 65536;
const errors: string[] = [];
const log = { info: () => undefined, warn: () => undefined, error: (text: string) => void errors.push(text) };

function makeDirectory(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function open(data: string): Promise<Engine> {
  errors.length = 0;
  const engine = await startEngine({ config: configure({ data, segmentBytes: SEGMENT_BYTES, slots: 3, sealBytesPerSecond: 0 }), log });
  onTestFinished(() => engine.abandon());
  return engine;
}

/** A program that appends and reads, and notes its answers. */
class Program implements Caller {
  unacknowledgedBytes = 0;
  unacknowledgedAppends = 0;
  isClosed = false;
  chain = undefined;
  readonly ends = new Set<never>();
  readonly readings = new CallerReadings();
  readonly dataRoom = 1 << 20;
  readonly hasUnsent = false;
  /** Ends of the appends that are committed. */
  readonly committed: number[] = [];
  /** What was read by each request: its bytes, or why not. */
  readonly read = new Map<number, (number | string)[]>();
  readonly #engine: Engine;
  #requestId = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Appends so many entries of 30,000 bytes, two of which fit into a segment, one after the other. */
  async append(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const entries = frameEntries([Buffer.alloc(30_000, i)]);
      this.#requestId += 1;
      const request = { caller: this, requestId: this.#requestId, entries, entryCount: 1, received: false, condition: undefined };
      const before = this.committed.length;
      this.#engine.appends.accept({ ...request, arrivedMs: performance.now() });
      await eventually(() => this.committed.length > before, 'the append is committed');
    }
  }

  start(from: number, isSubscription: boolean, creditBytes = 1 << 30): Reading {
    this.#requestId += 1;
    const requestId = this.#requestId;
    const reading: Reading = {
      caller: this,
      requestId,
      isSubscription,
      next: from,
      isBoundary: true,
      creditBytes,
      deadline: undefined,
      neededBytes: 0,
      state: 'ready',
    };
    this.read.set(requestId, []);
    this.#engine.readings.start(reading, 0);
    return reading;
  }

  /** What a reading has brought so far. */
  of({ requestId }: Reading): (number | string)[] {
    return this.read.get(requestId) ?? [];
  }

  admits(): boolean {
    return true;
  }

  addReceipt(_requestId: number, _term: number, _first: number, end: number): boolean {
    this.committed.push(end);
    return true;
  }

  flushReceipts(): void {}
  sendUploaded(): void {}
  sendEnd(): void {}

  sendError(requestId: number, code: string, offset: number): void {
    this.read.get(requestId)?.push(`${code} ${offset}`);
  }

  fail(requestId: number, code: string): void {
    this.sendError(requestId, code, 0);
  }

  sendData(requestId: number, offset: number, _commit: number, entries: Uint8Array): void {
    this.read.get(requestId)?.push(offset + entries.length);
  }
}

const basesOf = (data: string): number[] =>
  readdirSync(data)
    .filter((name) => name.endsWith('.segment'))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b);

const identityOf = (data: string): { start: number; removeFrom: number; startTerm: number } =>
  JSON.parse(readFileSync(`${data}/node.json`, 'utf8'));

describe('a trim of an engine that runs', () => {
  test('that a policy of before asked for is none: who has set another one has seen what is kept', async () => {
    const engine = await open(makeDirectory());
    const program = new Program(engine);
    await program.append(9);
    await eventually(() => engine.segments.sealedCount === 4, 'four segments are sealed');
    const before = { bytes: 70_000, ageMs: 0 };
    const { policy } = await engine.retention.request({ bytes: 1e9 });
    const to = engine.segments.sealed[1]?.base ?? 0;
    expect(await engine.trims.request(to, false, before)).toBe(0);
    expect(engine.status().log.start).toBe(0);
    // The one in force may.
    expect(await engine.trims.request(to, false, policy)).toBe(to);
    expect(engine.status().log.start).toBe(to);
  });

  test('moves the start at once, then removes whole segments, and a restart finds the same', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const program = new Program(engine);
    await program.append(9);
    await eventually(() => engine.segments.sealedCount === 4, 'four segments are sealed');
    const [, second, third] = engine.segments.sealed;
    // Between the two entries of the third segment.
    const start = program.committed[4] ?? 0;
    expect([start > (third?.base ?? 0), start < (third?.end ?? 0)]).toEqual([true, true]);
    engine.trims.moveTo(start, start);
    expect(engine.status().log.start).toBe(start);
    await eventually(() => identityOf(data).removeFrom === third?.base, 'the segments before are removed');
    expect(identityOf(data)).toMatchObject({ start: third?.base, startTerm: 1 });
    expect(basesOf(data)[0]).toBe(third?.base);
    expect(readdirSync(data).filter((name) => name.endsWith('.index'))).toHaveLength(2);
    const readings = [program.start(second?.base ?? 0, false), program.start(start, false), program.start(start - 30_012, true)];
    await eventually(() => readings.every((reading) => program.of(reading).length > 0), 'all are answered');
    expect(readings.map((reading) => program.of(reading)[0])).toEqual([
      `OFFSET_TRIMMED ${start}`,
      program.committed[5],
      `OFFSET_TRIMMED ${start}`,
    ]);
    // The same again, and to before it, is nothing.
    engine.trims.moveTo(start, start);
    engine.trims.moveTo(second?.base ?? 0, 0);
    expect(engine.status().log.start).toBe(start);
    await program.append(3);
    await engine.stop();
    const again = await open(data);
    expect([again.recovered.start, again.recovered.identity.startTerm, again.recovered.end]).toEqual([
      third?.base,
      1,
      program.committed.at(-1),
    ]);
    expect(errors).toEqual([]);
    await again.stop();
  });

  test('never takes the segment in which the log goes on, nor the one that holds the start', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const program = new Program(engine);
    await program.append(5);
    await eventually(() => engine.segments.sealedCount === 2, 'two segments are sealed');
    const { commit } = engine.memory;
    engine.trims.moveTo(commit, commit);
    await eventually(() => identityOf(data).removeFrom > 0, 'what can go has gone');
    expect(basesOf(data)).toHaveLength(1);
    const openBase = basesOf(data)[0] ?? 0;
    expect(openBase).toBe(identityOf(data).removeFrom);
    expect(openBase).toBeLessThan(commit);
    expect(() => engine.trims.moveTo(commit + 1, commit)).toThrow('only what is committed and durable is trimmed');
    // That one has no end yet: it stays, with the start in it, until the start lies in another one.
    await program.append(2);
    await eventually(() => engine.segments.sealedCount === 1, 'the segment that holds the start is sealed');
    const reading = program.start(commit, true);
    await eventually(() => program.of(reading).at(-1) === program.committed.at(-1), 'all that is left is read');
    expect(identityOf(data).removeFrom).toBe(openBase);
    engine.trims.moveTo(engine.memory.commit, engine.memory.commit);
    await eventually(() => identityOf(data).removeFrom > openBase, 'it goes when the start has left it');
    await engine.stop();
  });

  test('ends a subscription that falls below the start, whatever it waits for', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const program = new Program(engine);
    await program.append(13);
    await eventually(() => engine.segments.sealedCount === 6, 'six segments are sealed');
    const starved = program.start(0, true, 1);
    await eventually(() => starved.state === 'starved', 'one has no credit');
    // One reads from disk while the file goes; what it has begun with it may finish.
    const cold = program.start(0, true);
    expect(cold.state).toBe('cold');
    const range = { base: 0, from: 0, isBoundary: true, limit: engine.segments.sealed[0]?.end ?? 0, maxBytes: 1 << 20 };
    const readCopy = (): Promise<{ readonly end: number }> => engine.readings.diskReads.readCopy(range, { from: 0, to: 100 }, () => false);
    const copy = readCopy();
    const start = program.committed[9] ?? 0;
    engine.trims.moveTo(start, start);
    const copied = await copy.then(
      ({ end }) => end > 0,
      (thrown: { code: string }) => thrown.code,
    );
    expect([true, 'OFFSET_TRIMMED']).toContain(copied);
    await eventually(() => program.of(cold).at(-1) === `OFFSET_TRIMMED ${start}`, 'the one that reads hears of it');
    await eventually(() => identityOf(data).removeFrom > 0, 'the segments are removed');
    engine.readings.grant(starved, 1 << 20);
    await eventually(() => program.of(starved).at(-1) === `OFFSET_TRIMMED ${start}`, 'the one without credit hears of it when it asks');
    await expect(readCopy()).rejects.toMatchObject({
      code: 'OFFSET_TRIMMED',
      details: { start },
    });
    expect(errors).toEqual([]);
    expect(engine.memory.word(WORD.BASE)).toBe(identityOf(data).start);
    await engine.stop();
  });
});
