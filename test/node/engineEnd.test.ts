// How an engine ends when something throws: it tries every step, lets its directory go, and says that it has ended; never does it end the process.

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { configure } from '../../dist/src/core/config.js';
import { LogError } from '../../dist/src/core/errors.js';
import { TailMemory } from '../../dist/src/memory/tailMemory.js';
import type { Appender } from '../../dist/src/node/caller.js';
import type { Door } from '../../dist/src/node/door.js';
import { Engine } from '../../dist/src/node/engine.js';
import type { EnginePorts } from '../../dist/src/node/enginePorts.js';
import { Failure } from '../../dist/src/node/failure.js';
import { LoneWrites } from '../../dist/src/node/loneWrites.js';
import { NodeLoop } from '../../dist/src/node/loop.js';
import type { RaftPort } from '../../dist/src/node/raftPort.js';
import { startEngine } from '../../dist/src/node/startEngine.js';

import { frameEntries } from '../server/support/entries.ts';
import { eventually } from '../server/support/fixture.ts';
import { temporaryDirectory } from '../server/support/processNode.ts';

const SEGMENT_BYTES = 65536;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

function makeDirectory(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function open(data: string): Promise<Engine> {
  const engine = await startEngine({ config: configure({ data, segmentBytes: SEGMENT_BYTES, slots: 3 }), log: quiet });
  onTestFinished(() => engine.abandon().catch(() => undefined));
  return engine;
}

/** A door in which a step of the engine's end is a mistake. */
function brokenDoor(step: 'takeNoMore' | 'disconnect' | 'close'): Door {
  const door: Door = {
    url: '',
    connections: 0,
    sendBufferedBytes: 0,
    greetingChanged: () => undefined,
    takeNoMore: () => undefined,
    disconnect: () => Promise.resolve(),
    close: () => undefined,
  };
  return {
    ...door,
    [step]: () => {
      throw new Error(`a mistake in ${step}`);
    },
  };
}

describe('the end of an engine', () => {
  test('is told to whoever waits for what it ordered: that is not to be committed here any more', async () => {
    const engine = await open(makeDirectory());
    vi.spyOn(engine.appends, 'isSettled', 'get').mockReturnValue(false);
    const settled = engine.settled();
    await engine.abandon();
    await settled;
  });

  test('has nothing written at once any more: its threads, whose files that would be, end', async () => {
    const engine = await open(makeDirectory());
    const written = vi.spyOn(LoneWrites.prototype, 'write');
    onTestFinished(() => written.mockRestore());
    const receipts: number[] = [];
    const caller: Appender = {
      unacknowledgedBytes: 0,
      unacknowledgedAppends: 0,
      isClosed: false,
      addReceipt: (requestId) => receipts.push(requestId) > 0,
      flushReceipts: () => undefined,
      sendError: () => undefined,
      fail: () => undefined,
    };
    const append = (requestId: number): void => {
      const entries = frameEntries([Buffer.from('alone')]);
      engine.appends.accept({
        caller,
        requestId,
        entries,
        entryCount: 1,
        received: false,
        condition: undefined,
        arrivedMs: performance.now(),
      });
    };
    for (let requestId = 1; written.mock.calls.length === 0; requestId += 1) {
      append(requestId);
      await eventually(() => receipts.at(-1) === requestId, 'the append is committed');
    }
    const before = written.mock.calls.length;
    append(1_000);
    void engine.abandon();
    await new Promise<void>((resolve) => engine.loop.afterTurn(resolve));
    expect(written.mock.calls.length).toBe(before);
  });

  test('is tried to its end by an abandonment when a door throws', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const closed: string[] = [];
    engine.doors.add(brokenDoor('close'));
    engine.doors.add({ ...brokenDoor('takeNoMore'), close: () => void closed.push('closed') });
    await engine.abandon();
    await engine.ended;
    expect(closed).toEqual(['closed']);
    expect(engine.error?.message).toContain('a mistake in close');
    await (await open(data)).stop();
  });

  test.each(['takeNoMore', 'close'] as const)('comes when a door throws in %s of a stop', async (step) => {
    const data = makeDirectory();
    const engine = await open(data);
    engine.doors.add(brokenDoor(step));
    await expect(engine.stop()).rejects.toThrow(`a mistake in ${step}`);
    await engine.ended;
    expect(engine.error?.message).toContain(`a mistake in ${step}`);
    await (await open(data)).stop();
  });

  test('comes after a failure during a stop, which then leaves alone what the next engine has in the directory', async () => {
    const data = makeDirectory();
    const engine = await open(data);
    const [reached, goOn] = [gate(), gate()];
    const stop = engine.segments.stop.bind(engine.segments);
    vi.spyOn(engine.segments, 'stop').mockImplementation(async () => {
      await stop();
      reached.open();
      await goOn.passed;
    });
    const stopping = engine.stop();
    stopping.catch(() => undefined);
    await reached.passed;
    engine.broke(new Error('the disk is gone'));
    await expect(stopping).rejects.toThrow('the disk is gone');
    await engine.ended;
    const next = await open(data);
    writeFileSync(`${data}/spare-99.tmp`, 'of the next engine');
    goOn.open();
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(existsSync(`${data}/spare-99.tmp`)).toBe(true);
    await next.stop();
  });
});

describe('an engine on ports', () => {
  let told: string[] = [];
  beforeEach(() => {
    told = [];
  });

  const raft: RaftPort = {
    started: Promise.resolve(),
    sealed: () => undefined,
    trim: () => Promise.resolve(),
    removed: () => undefined,
    staging: () => undefined,
    staged: () => undefined,
    digest: () => undefined,
    askAccess: () => undefined,
    different: () => undefined,
    fetch: () => new Promise(() => undefined),
    mending: () => undefined,
    mended: () => undefined,
    readIndex: () => Promise.resolve(undefined),
    transfer: () => Promise.resolve(true),
    changeNodes: () => new Promise(() => undefined),
    prove: () => undefined,
    stop: () => Promise.resolve(),
    terminate: async () => void told.push('terminate'),
  };

  /** One of three nodes, so that it begins without a leader. */
  function portsOf(failure: Failure, given: Partial<EnginePorts> = {}): EnginePorts {
    const memory = TailMemory.create({ segmentBytes: SEGMENT_BYTES, slots: 3 });
    return {
      config: configure({ data: '/nowhere', node: 1, peers: '1=a:1/2,2=b:1/2,3=c:1/2', segmentBytes: SEGMENT_BYTES, slots: 3 }),
      processNumber: '0'.repeat(16),
      version: 'test',
      log: quiet,
      directory: '/nowhere',
      recovered: {
        start: 4096,
        end: 4096,
        lastTerm: 0,
        dataEnd: 4096,
        terms: [],
        sealed: [],
        openBase: undefined,
        cutBytes: 0,
        commit: 4096,
        identity: { nodeId: 1, nodes: [1, 2, 3], isFounder: true, known: {} },
        nodes: { configurations: [], removed: [], isUnknown: false },
      } as never,
      memory,
      failure,
      loop: new NodeLoop(memory, failure.broke),
      tasks: {
        write: () => new Promise(() => undefined),
        writeAtOnce: () => false,
        allocate: () => Promise.resolve(true),
        truncate: () => Promise.reject(new Error('nothing to truncate')),
        remove: ({ bases }) => Promise.resolve({ gone: bases.length, isPart: false }),
        empty: () => Promise.resolve(true),
        mend: () => Promise.reject(new Error('nothing to mend')),
        findTime: () => Promise.reject(new Error('nothing to find')),
        findBatch: () => Promise.reject(new Error('nothing to find')),
        examine: () => Promise.reject(new Error('nothing to examine')),
        heal: () => Promise.reject(new Error('nothing to heal')),
        readScrub: () => Promise.resolve(undefined),
        saveScrub: () => Promise.resolve(true),
        readTokenRequest: () => Promise.resolve(undefined),
        removeTokenRequest: () => Promise.resolve(true),
        readSeals: () => Promise.resolve({ rows: [], end: 0 }),
        addSeals: () => Promise.resolve(0),
        readCold: () => Promise.resolve(0),
        freeBytes: () => Promise.resolve(2 ** 40),
      },
      discard: () => undefined,
      startRaft: () => {
        told.push('raft');
        return raft;
      },
      close: async () => void told.push('close'),
      destroy: async () => void told.push('destroy'),
      ...given,
    };
  }

  test('that fails while it begins starts no raft thread', async () => {
    const failure = new Failure();
    const ready = gate();
    const ports = portsOf(failure);
    const allocate = (): Promise<true> => ready.passed.then(() => true);
    const engine = new Engine({ ...ports, tasks: { ...ports.tasks, allocate } });
    const begun = engine.begin();
    begun.catch(() => undefined);
    failure.fail(new LogError('IO', 'the disk is gone'));
    await engine.ended;
    ready.open();
    await expect(begun).rejects.toThrow('the disk is gone');
    expect(told).toEqual(['destroy']);
  });

  test('that cannot end its threads says what is wrong, and that it has ended', async () => {
    const failure = new Failure();
    const terminate = (): Promise<void> => Promise.reject(new Error('a thread that does not end'));
    const engine = new Engine(portsOf(failure, { startRaft: () => ({ ...raft, terminate }) }));
    await engine.begin();
    await engine.abandon();
    await engine.ended;
    expect(told).toEqual(['destroy']);
    await expect(engine.failed).rejects.toThrow('a thread that does not end');
  });

  test('whose stop waits for a thread ends when it is abandoned, and is not ended a second time', async () => {
    const ready = gate();
    const engine = new Engine(portsOf(new Failure(), { startRaft: () => ({ ...raft, stop: () => ready.passed }) }));
    await engine.begin();
    const door = brokenDoor('close');
    const closed: string[] = [];
    engine.doors.add({
      ...door,
      disconnect: async () => void setImmediate(() => void engine.abandon()),
      close: () => void closed.push('closed'),
    });
    const stopped = engine.stop();
    await engine.ended;
    ready.open();
    await stopped;
    expect(closed).toEqual(['closed']);
    expect(told).toEqual(['terminate', 'destroy']);
  });

  test('that fails by what its own failure does says the first', () => {
    const failure = new Failure();
    failure.whenFailed(() => {
      throw new Error('a second mistake');
    });
    failure.broke(new Error('the first'));
    expect(failure.error?.message).toContain('the first');
  });
});
