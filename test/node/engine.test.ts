// An engine without a door: what a program in its process has. Its threads' code is what the build made, so all of it comes from there.

import { renameSync, rmSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NO_QUOTAS, type TokenRecord } from '../../dist/src/core/access.js';
import { configure } from '../../dist/src/core/config.js';
import type { LogError } from '../../dist/src/core/errors.js';
import { type Caller, CallerReadings } from '../../dist/src/node/caller.js';
import type { Door } from '../../dist/src/node/door.js';
import type { Engine } from '../../dist/src/node/engine.js';
import { startEngine } from '../../dist/src/node/startEngine.js';
import { frameEntries } from '../server/support/entries.ts';
import { eventually } from '../server/support/fixture.ts';
import { temporaryDirectory } from '../server/support/processNode.ts';

const SEGMENT_BYTES = 65536;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

function makeDirectory(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function open(data: string): Promise<Engine> {
  const engine = await startEngine({ config: configure({ data, segmentBytes: SEGMENT_BYTES, slots: 3 }), log: quiet });
  onTestFinished(() => engine.abandon());
  return engine;
}

function failureOf(engine: Engine): Promise<LogError> {
  return engine.failed.catch((thrown: unknown) => thrown as LogError);
}

/** A program that appends, and notes its answers. */
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
  readonly refusals: string[] = [];
  readonly read: Buffer[] = [];
  readonly #engine: Engine;
  #requestId = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  sendUploaded(): void {
    // It uploads nothing.
  }

  append(...payloads: Uint8Array[]): void {
    const entries = frameEntries(payloads);
    this.#requestId += 1;
    const request = {
      caller: this,
      requestId: this.#requestId,
      entries,
      entryCount: payloads.length,
      received: false,
      condition: undefined,
    };
    this.#engine.appends.accept({ ...request, arrivedMs: performance.now() });
  }

  subscribe(from: number): void {
    this.#engine.readings.start(
      {
        caller: this,
        requestId: 1,
        isSubscription: true,
        next: from,
        isBoundary: true,
        creditBytes: 1 << 30,
        deadline: undefined,
        neededBytes: 0,
        state: 'ready',
      },
      0,
    );
  }

  close(): void {
    this.isClosed = true;
    this.#engine.closed(this);
  }

  admits(): boolean {
    return true;
  }

  addReceipt(_requestId: number, _term: number, _first: number, end: number): boolean {
    this.committed.push(end);
    return true;
  }

  flushReceipts(): void {}

  sendError(_requestId: number, code: string, _offset: number, sentence: string): void {
    this.refusals.push(`${code}: ${sentence}`);
  }

  fail(requestId: number, code: string, sentence: string): void {
    this.sendError(requestId, code, 0, sentence);
  }

  sendData(_requestId: number, _offset: number, _commit: number, entries: Uint8Array): void {
    this.read.push(Buffer.from(entries));
  }

  sendEnd(): void {}
}

/** A token of the log. */
function tokenOf(number: number, name = 'n'.repeat(64)): TokenRecord {
  const id = String(number).padStart(11, '0');
  return { id, hash: 'ab'.repeat(32), name, scopes: 5, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
}

/** A door that notes what it is told. */
function noteDoor(told: string[]): Door {
  return {
    url: '',
    connections: 2,
    sendBufferedBytes: 3,
    greetingChanged: (whom) => void told.push(`greeting for ${whom}`),
    takeNoMore: () => void told.push('no more'),
    disconnect: async () => void told.push('goodbye'),
    close: () => void told.push('close'),
  };
}

describe('an engine', () => {
  test('serves a program in its process, without a port, and so do several beside it', async () => {
    const engines = await Promise.all([open(makeDirectory()), open(makeDirectory()), open(makeDirectory())]);
    const programs = engines.map((engine) => new Program(engine));
    for (const [i, program] of programs.entries()) {
      program.subscribe(engines[i]?.memory.commit ?? 0);
      for (let n = 0; n < 10; n += 1) program.append(Buffer.from(`log ${i}, entry ${n}`));
    }
    await eventually(() => programs.every(({ committed }) => committed.length === 10), 'all appends are committed');
    await eventually(() => programs.every(({ read }) => Buffer.concat(read).includes('entry 9')), 'all of it is read');
    for (const [i, { read }] of programs.entries()) {
      for (let n = 0; n < 3; n += 1) expect(Buffer.concat(read).includes(`log ${n}, entry 0`)).toBe(n === i);
    }
    expect(new Set(engines.map(({ processNumber }) => processNumber)).size).toBe(3);
    expect(engines[0]?.status()).toMatchObject({ node: { url: '', role: 'leader' }, clients: { connections: 0, sendBufferedBytes: 0 } });
    for (const program of programs) program.close();
    expect(await Promise.all(engines.map((engine) => engine.stop()))).toEqual(
      engines.map(() => ({ cut: [], undecidedAppends: 0, uncommittedBytes: 0 })),
    );
  });

  test('has its directory for itself, and lets it go when it has stopped', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    await expect(open(data)).rejects.toMatchObject({
      code: 'LOCKED',
      message: `the data directory ${data} is in use by this process ${process.pid}: close the log that has it open, or name another directory`,
    });
    const program = new Program(engine);
    program.append(Buffer.from('kept'));
    await eventually(() => program.committed.length === 1, 'the append is committed');
    await engine.stop();
    await engine.ended;
    const next = await open(data);
    expect(next.recovered.end).toBe(program.committed[0]);
    await next.stop();
  });

  test('that could not start leaves nothing open', async () => {
    const data = makeDirectory();
    const config = configure({ data, segmentBytes: SEGMENT_BYTES, slots: 3 });
    const beforeChange = (): Promise<void> => Promise.reject(new Error('no door'));
    await expect(startEngine({ config, log: quiet, beforeChange })).rejects.toThrow('no door');
    await (await open(data)).stop();
  });

  test('tells its doors what they have to know, in order', async () => {
    const engine = await open(makeDirectory());
    const told: string[] = [];
    engine.doors.add(noteDoor(told));
    expect(engine.status().clients).toEqual({ connections: 2, heldAppendBytes: 0, sendBufferedBytes: 3 });
    const [first, second] = [engine.stop(), engine.stop()];
    expect(await first).toBe(await second);
    expect(told).toEqual(['no more', 'goodbye', 'close']);
    new Program(engine).append(Buffer.from('too late'));
  });

  test('that fails says so once, acknowledges nothing more, closes its doors, refuses every append, and ends; the process goes on', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const told: string[] = [];
    engine.doors.add(noteDoor(told));
    const program = new Program(engine);
    program.append(Buffer.alloc(30_000));
    await eventually(() => program.committed.length === 1, 'the append is committed');
    // The next segment cannot be made. In one step: a spare file may be made meanwhile.
    const moved = `${data}-moved`;
    renameSync(data, moved);
    onTestFinished(() => rmSync(moved, { recursive: true, force: true }));
    for (let n = 0; n < 8; n += 1) program.append(Buffer.alloc(30_000));
    const error = await failureOf(engine);
    expect(error.code).toBe('IO');
    expect(engine.error).toBe(error);
    const { committed } = program;
    const acknowledged = committed.length;
    await engine.ended;
    expect(told).toEqual(['close']);
    program.append(Buffer.from('too late'));
    expect(program.refusals.at(-1)).toBe(`SHUTTING_DOWN: this node has failed, and takes no more appends: ${error.message}`);
    expect(committed).toHaveLength(acknowledged);
    await expect(engine.stop()).rejects.toBe(error);
  });

  test('keeps tokens: as many as its state has room for, over segments and restarts; what was revoked stays so', async () => {
    const data = makeDirectory();
    let engine = await open(data);
    const { access } = engine;
    expect([access.tokens, access.isSettled]).toEqual([[], true]);
    let changes = 0;
    access.onChanged(() => {
      changes += 1;
    });
    const put = (number: number) => engine.access.request({ what: 'put', record: tokenOf(number), isRequest: false });
    let count = 0;
    for (let error: unknown; error === undefined; ) {
      error = await put(count).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) count += 1;
      else expect(error).toMatchObject({ code: 'TOO_MANY_TOKENS', outcome: 'failed', details: { count, most: 12_272 } });
    }
    expect([count, changes, access.tokens.length]).toEqual([Math.floor((12_272 - 8) / 168), count, count]);
    await expect(put(0)).resolves.toEqual({ isNew: false });
    const other = { ...tokenOf(0), scopes: 16 };
    await expect(access.request({ what: 'put', record: other, isRequest: false })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    // A segment that begins with all of them, and one after it that begins with one less.
    const program = new Program(engine);
    program.append(Buffer.alloc(40_000));
    await eventually(() => program.committed.length === 1, 'the append is committed');
    await access.request({ what: 'remove', id: tokenOf(7).id });
    expect(access.find(tokenOf(7).id)).toBeUndefined();
    for (let n = 0; n < 3; n += 1) program.append(Buffer.alloc(40_000));
    await eventually(() => program.committed.length === 4, 'the appends are committed');
    await engine.stop();
    engine = await open(data);
    expect(await engine.access.list()).toHaveLength(count - 1);
    expect([engine.access.find(tokenOf(7).id), engine.access.find(tokenOf(8).id)]).toEqual([undefined, tokenOf(8)]);
    await put(7);
    await engine.stop();
  });
});
