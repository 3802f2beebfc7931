// Appends that wait for memory: what each costs, whose they are, and who pays when there are too many.

import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { HELD_APPEND_BYTES, HELD_APPENDS_PER_TURN, MAX_PENDING_APPENDS, MAX_UNACKNOWLEDGED_APPENDS } from '../../src/core/servingLimits.ts';
import { Gate } from '../../src/memory/gate.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { AppendRequest } from '../../src/node/appendPorts.ts';
import { AppendRows } from '../../src/node/appendRows.ts';
import { Appends } from '../../src/node/appends.ts';
import type { Appender } from '../../src/node/caller.ts';
import { HeldAppends, heldCostOf } from '../../src/node/heldAppends.ts';
import { APPEND, requestMessage } from '../../src/protocol/client.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { Canary } from '../server/support/canary.ts';
import { frameEntries } from '../server/support/entries.ts';
import { eventually } from '../server/support/fixture.ts';
import { HungDisk } from '../server/support/hungDisk.ts';
import { RawClient } from '../server/support/rawClient.ts';
import { repeatsIn } from '../support/repeats.ts';
import { startServer, stopServers } from '../support/server.ts';

afterAll(stopServers);

interface FakeSession extends Appender {
  readonly failures: [requestId: number, code: string][];
  readonly receipts: number[];
  isClosed: boolean;
}

function makeSession(): FakeSession {
  const caller: FakeSession = {
    unacknowledgedBytes: 0,
    unacknowledgedAppends: 0,
    isClosed: false,
    failures: [],
    receipts: [],
    sendError: (requestId, code) => void caller.failures.push([requestId, code]),
    fail: (requestId, code) => {
      caller.failures.push([requestId, code]);
      caller.isClosed = true;
    },
    addReceipt: (requestId) => caller.receipts.push(requestId) < 0,
    flushReceipts: () => undefined,
  };
  return caller;
}

function requestOf(caller: Appender, requestId: number, entries: Uint8Array, fields: Partial<AppendRequest> = {}): AppendRequest {
  return { caller, requestId, entries, entryCount: 1, received: false, condition: undefined, arrivedMs: requestId / 8, ...fields };
}

test('a queue of appends is what a list of them would be, however many come and go', () => {
  const random = new Random(7);
  const rows = new AppendRows<{ readonly id: number }, string>();
  let list: { id: number; place: number; extra: string | undefined }[] = [];
  for (let id = 0; id < 60_000; id += 1) {
    const extra = random.below(1000) < 100 ? `extra ${id}` : undefined;
    rows.push({ id }, id, id * 3, id * 2 ** 20, id / 4, extra);
    list.push({ id, place: id * 2 ** 20, extra });
    const out = id % 20_000 > 15_000 ? 5 : random.below(1000) < 400 ? 1 : 0;
    for (let i = 0; i < out && list.length > 0; i += 1) {
      const first = list.shift();
      const { id: firstId = 0, place, extra: firstExtra } = first ?? {};
      const found = [rows.owner().id, rows.requestId(), rows.bytes(), rows.place(), rows.arrivedMs(), rows.extra()];
      if (found.join() !== [firstId, firstId, firstId * 3, place, firstId / 4, firstExtra].join())
        throw new Error(`row ${firstId} is ${found.join()}`);
      rows.shift();
    }
    if (id % 9000 === 8999) {
      rows.rewrite((i) => (rows.requestId(i) % 3 === 0 ? undefined : rows.place(i) + 1));
      list = list.filter((each) => each.id % 3 !== 0).map((each) => ({ ...each, place: each.place + 1 }));
    }
    if (rows.size !== list.length) throw new Error(`${rows.size} rows, not ${list.length}`);
  }
});

test('held appends keep their order and their bytes, whoever leaves in between, and cost what they are counted as', () => {
  const random = new Random(3);
  const held = new HeldAppends();
  const sessions = Array.from({ length: 6 }, makeSession);
  let list: AppendRequest[] = [];
  const sum = (requests: readonly AppendRequest[]): number => requests.reduce((total, request) => total + heldCostOf(request), 0);
  for (let id = 0; id < 4_000; id += 1) {
    const caller = sessions[random.below(sessions.length)] as FakeSession;
    const size = random.below(1000) < 20 ? 5000 + random.below(9000) : 12 + random.below(300);
    const entries = new Uint8Array(size).fill(id & 0xff);
    const request = requestOf(caller, id, entries, random.below(1000) < 100 ? { entryCount: 3, received: true } : {});
    held.push({ ...request, entries: entries.slice() });
    list.push(request);
    if (random.below(1000) < 2) {
      held.drop(caller);
      list = list.filter((each) => each.caller !== caller);
    }
    if (id % 1000 > 700) {
      const first = held.first();
      if (id % 20 === 0) expect(first).toEqual(list[0]);
      expect(first?.requestId).toBe(list[0]?.requestId);
      if (first !== undefined) {
        held.shift();
        list.shift();
      }
    }
    if (id % 50 !== 0) continue;
    expect(held.bytes).toBe(sum(list));
    if (list.length > 0) {
      const shares = sessions.map((each) => list.filter((request) => request.caller === each));
      const most = Math.max(...shares.filter((share) => share.length > 1).map(sum));
      const payer = held.payer(makeSession(), 1);
      const paid = list.filter((request) => request.caller === payer?.caller);
      if (most > 0) expect(sum(paid)).toBe(most);
      expect([payer?.count, payer?.requestId]).toEqual([paid.length, paid[0]?.requestId]);
    }
  }
  const left = list.map(() => {
    const first = held.first();
    held.shift();
    return first;
  });
  expect(left).toEqual(list);
  expect([held.first(), held.bytes, held.isEmpty]).toEqual([undefined, 0, true]);
});

describe('when too many wait', () => {
  function makeAppends(): { appends: Appends; gate: Gate; turns: (() => void)[]; memory: TailMemory; tail: () => number } {
    const memory = smallMemory();
    const tail = new Tail(memory, () => undefined);
    tail.start(0, 0, undefined);
    memory.setWord(WORD.OPEN_TERM, 1);
    const gate = new Gate(memory);
    const turns: (() => void)[] = [];
    const loop = { wallMs: () => 5, afterTurn: (run: () => void) => void turns.push(run) };
    const appends = new Appends({
      memory,
      tail,
      gate,
      cluster: { self: 1, others: [], leaderUrl: () => '', noLeaderSentence: () => '' },
      loop,
      maxPayloadBytes: 60_000,
      repeats: repeatsIn(memory),
      awaitCommit: () => undefined,
    });
    return { appends, gate, turns, memory, tail: () => memory.tail };
  }

  const { entries } = makeBatch([1], new Random(1));

  test('the connection with most of it pays, from its first append on, and one with little is held', () => {
    const { appends } = makeAppends();
    const [hog, other, small] = [makeSession(), makeSession(), makeSession()];
    const big = new Uint8Array(1_000_000);
    appends.accept(requestOf(small, 1, entries));
    for (let id = 1; id <= 40; id += 1) appends.accept(requestOf(hog, id, big));
    for (let id = 1; id <= 30; id += 1) appends.accept(requestOf(other, id, big));
    expect([hog.failures, other.failures, small.failures]).toEqual([[[1, 'OVERLOADED']], [], []]);
    expect(appends.heldBytes).toBeLessThan(HELD_APPEND_BYTES / 2);
    // What is too much of its own ends it when all before that is answered, or when somebody needs the room.
    for (let id = 31; id <= 100; id += 1) appends.accept(requestOf(other, id, big));
    const full = appends.heldBytes;
    expect([other.failures, full <= HELD_APPEND_BYTES]).toEqual([[], true]);
    appends.accept(requestOf(small, 2, new Uint8Array(HELD_APPEND_BYTES - full + 1)));
    expect([other.failures, small.failures]).toEqual([[[1, 'OVERLOADED']], []]);
  });

  test('the connection that pays gets its receipts first, and is told exactly what was not done', () => {
    const { appends, gate, memory } = makeAppends();
    const [hog, other] = [makeSession(), makeSession()];
    const big = new Uint8Array(1_000_000);
    gate.open();
    for (let id = 1; id <= 3; id += 1) appends.accept(requestOf(hog, id, entries));
    gate.closeSync();
    for (let id = 4; id <= 40; id += 1) appends.accept(requestOf(hog, id, big));
    for (let id = 1; id <= 31; id += 1) appends.accept(requestOf(other, id, big));
    const { heldBytes } = appends;
    appends.accept(requestOf(hog, 41, entries));
    expect([appends.heldBytes, memory.tail]).toEqual([heldBytes, 3 * entries.length]);
    expect([hog.receipts, hog.failures, other.failures]).toEqual([[], [], []]);
    memory.setWord(WORD.COMMIT, memory.tail);
    appends.settle(1);
    expect([hog.receipts, hog.failures, other.failures]).toEqual([[1, 2, 3], [[4, 'OVERLOADED']], []]);
  });

  test('who has a single append does not pay for who has many, however large it is', () => {
    const { appends } = makeAppends();
    const [lone, ...others] = Array.from({ length: 20 }, makeSession);
    appends.accept(requestOf(lone as FakeSession, 1, new Uint8Array(16_000_000)));
    for (let id = 1; id <= 4; id += 1) for (const other of others) appends.accept(requestOf(other, id, new Uint8Array(1_000_000)));
    expect([lone?.failures, lone?.unacknowledgedAppends]).toEqual([[], 1]);
    expect(others.some(({ unacknowledgedAppends }) => unacknowledgedAppends < 4)).toBe(true);
  });

  test('what a connection left behind costs nothing any more, and is not ordered', () => {
    const { appends, gate, tail } = makeAppends();
    for (let round = 0; round < 10; round += 1) {
      const caller = makeSession();
      for (let id = 1; id <= 20; id += 1) appends.accept(requestOf(caller, id, new Uint8Array(1_000_000)));
      expect(caller.failures).toEqual([]);
      caller.isClosed = true;
      appends.closed(caller);
      expect(appends.heldBytes).toBe(0);
    }
    const honest = makeSession();
    appends.accept(requestOf(honest, 1, entries));
    gate.open();
    appends.retryHeld();
    expect([tail(), appends.heldBytes, honest.failures]).toEqual([entries.length, 0, []]);
  });

  test('a disk that is full refuses those that are held, too, and what comes until it has room', () => {
    const { appends, gate, tail } = makeAppends();
    const [one, other] = [makeSession(), makeSession()];
    for (let id = 1; id <= 3; id += 1) appends.accept(requestOf(id === 2 ? other : one, id, entries));
    appends.refuseAll('the disk has no room');
    appends.accept(requestOf(one, 4, entries));
    expect([one.failures.map(String), other.failures.map(String)]).toEqual([
      ['1,DISK_FULL', '3,DISK_FULL', '4,DISK_FULL'],
      ['2,DISK_FULL'],
    ]);
    expect([appends.heldBytes, one.unacknowledgedAppends, other.unacknowledgedBytes]).toEqual([0, 0, 0]);
    appends.refuseAll('');
    appends.accept(requestOf(one, 5, entries));
    gate.open();
    appends.retryHeld();
    expect([tail(), one.failures.length]).toEqual([entries.length, 3]);
  });

  test('they are ordered in turns, which leave the loop to others', () => {
    const { appends, gate, turns, tail } = makeAppends();
    const caller = makeSession();
    const count = HELD_APPENDS_PER_TURN + 10;
    for (let id = 0; id < count; id += 1) appends.accept(requestOf(caller, id, entries));
    gate.open();
    appends.retryHeld();
    expect(tail()).toBe(HELD_APPENDS_PER_TURN * entries.length);
    while (turns.length > 0) turns.shift()?.();
    expect([tail(), appends.heldBytes]).toEqual([count * entries.length, 0]);
  });
});

/** One WebSocket frame with an append of `payload`, many times over. */
function frames(payload: Buffer, count: number): Buffer {
  const message = Buffer.concat([requestMessage(APPEND, 0, 1, 0, 1), frameEntries([payload])]);
  const frame = Buffer.concat([Buffer.of(0x82, 0x80 | message.length, 0, 0, 0, 0), message]);
  return Buffer.concat(new Array<Buffer>(count).fill(frame));
}

test('as many tiny appends as clients may send, while the disk hangs, cost a bounded amount, and a client beside them gets its receipts', async () => {
  const disk = new HungDisk();
  const node = await startServer({ env: disk.env, flags: ['--slots', '3'] });
  const httpUrl = node.url.replace(/^ws/, 'http');
  const status = async (): Promise<{
    memory: { residentBytes: number };
    appends: { batches: number };
    clients: { heldAppendBytes: number };
  }> => (await (await fetch(`${httpUrl}/status`)).json()) as never;
  const canary = await Canary.start(node.url, 'canary');
  onTestFinished(() => canary.terminate());
  await canary.progress(20);
  const before = (await status()).memory.residentBytes;
  disk.hang();
  await disk.reached();
  const block = frames(Buffer.from('x'), MAX_UNACKNOWLEDGED_APPENDS);
  let closed = 0;
  /** As many as may be ordered, as many as may wait, and some more. Fills connections one after the other; all of them at once would have to share what may come in one turn. */
  const fill = async (connections: number): Promise<void> => {
    for (let i = 0; i < connections; i += 1) {
      const client = await RawClient.connect(node.url);
      onTestFinished(() => client.socket.terminate());
      client.socket.once('close', () => (closed += 1));
      // The raw socket below the WebSocket: frames are made once.
      (client.socket as unknown as { _socket: import('node:net').Socket })._socket.write(block);
      await client.end().catch(() => undefined);
    }
  };
  await Promise.all([fill(56), fill(56)]);
  let peak = 0;
  await eventually(async () => {
    const { memory, appends, clients } = await status();
    peak = Math.max(peak, memory.residentBytes);
    return appends.batches >= MAX_PENDING_APPENDS && clients.heldAppendBytes > HELD_APPEND_BYTES / 2 && closed > 0;
  }, 'all that may wait waits, and somebody pays');
  // What waits, what has come and waits for its turn, and garbage that is not collected yet.
  expect((peak - before) / 1e6).toBeLessThan(200);
  disk.release();
  await canary.progress(20);
  await canary.stop();
  await eventually(async () => (await status()).clients.heldAppendBytes === 0, 'all that was held is ordered');
});
