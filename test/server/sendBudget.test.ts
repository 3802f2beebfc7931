// Who pays for slow readers: the policy alone, on a clock of its own.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MAX_READ_CREDIT_BYTE_SECONDS,
  OWED_SECONDS_MAX,
  OWED_SECONDS_MAX_LARGE,
  PAID_SECONDS,
  PRESSED_CHUNK_BYTES,
  SEND_BUFFER_BYTES,
  SEND_BUFFER_CUT_BYTES,
  SEND_BUFFER_TOTAL_BYTES,
} from '../../src/core/servingLimits.ts';
import { SendAccount, SendBudget } from '../../src/server/sendBudget.ts';

const MIB = 1024 * 1024;

/** Connections on one budget, and who of them was cut. */
class Room {
  nowMs = 1000;
  readonly cut: string[] = [];
  readonly budget = new SendBudget(() => this.nowMs);
  #all: Peer[] = [];

  open(name: string): Peer {
    const peer = new Peer(this, name);
    this.#all.push(peer);
    return peer;
  }

  get unsentBytes(): number {
    return this.#all.reduce((sum, { unsentBytes }) => sum + unsentBytes, 0);
  }
}

/** What a kernel's buffers take at once. */
const KERNEL_BYTES = 2_500_000;

class Peer {
  readonly account: SendAccount;
  readonly #room: Room;
  /** Room in the kernel's buffers; what is hostile has filled them. */
  #kernelRoom = 0;
  #takenBytes = 0;
  isCut = false;

  constructor(room: Room, name: string) {
    this.#room = room;
    this.account = new SendAccount(() => {
      this.isCut = true;
      room.cut.push(name);
      room.budget.book(this.account, 0, false);
    });
  }

  get unsentBytes(): number {
    return this.account.unsentBytes;
  }

  /** Is sent an entry of the log of `bytes`, or as much as there is room for. Returns how much. */
  data(bytes: number, isOneEntry = false): number {
    const room = this.#room.budget.roomFor(this.account);
    const sent = isOneEntry ? bytes : Math.min(bytes, room);
    if (this.isCut || room === 0 || !this.#room.budget.admits(this.account, sent)) return 0;
    if (this.unsentBytes === 0 && this.#kernelRoom >= sent) this.#kernelRoom -= sent;
    else this.#room.budget.book(this.account, this.unsentBytes + sent, true);
    return sent;
  }

  answer(bytes: number): void {
    if (this.isCut) return;
    this.#room.budget.book(this.account, this.unsentBytes + bytes, true);
    this.#room.budget.enforce();
  }

  /** Takes `bytes` of what is unsent. */
  take(bytes: number): void {
    const taken = Math.min(Math.floor(bytes), this.unsentBytes);
    if (taken > 0) this.#room.budget.book(this.account, this.unsentBytes - taken, false);
  }

  /** Takes `bytes` through the kernel's buffers, which let bytes go on only when a third of them is free. */
  read(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < KERNEL_BYTES / 3) return;
    const before = this.unsentBytes;
    this.take(this.#takenBytes);
    this.#kernelRoom = Math.min(KERNEL_BYTES, this.#kernelRoom + this.#takenBytes - (before - this.unsentBytes));
    this.#takenBytes = 0;
  }
}

/** A reader of 1 MB/s, for `seconds`. Returns what it was sent. */
function readSteadily(room: Room, reader: Peer, seconds: number, beside: () => void = () => undefined): number {
  let got = 0;
  for (let i = 0; i < seconds * 20; i += 1) {
    for (let sent = reader.data(256 * 1024); sent > 0; sent = reader.data(256 * 1024)) got += sent;
    room.nowMs += 50;
    beside();
    reader.read(50_000);
  }
  return got;
}

describe('who pays for slow readers', () => {
  test('eleven connections with one large entry each are cut, and an honest reader of 1 MB/s beside them is not', () => {
    const room = new Room();
    const honest = room.open('honest');
    readSteadily(room, honest, 5);
    const attackers = Array.from({ length: 11 }, (_, i) => room.open(`attacker ${i}`));
    const got = readSteadily(room, honest, 20, () => {
      for (const attacker of attackers) if (attacker.unsentBytes === 0) attacker.data(16 * MIB, true);
    });
    expect(got).toBeGreaterThan(18_000_000);
    expect(room.cut).not.toContain('honest');
    expect(room.cut.length).toBeGreaterThan(0);
    expect(room.unsentBytes).toBeLessThan(SEND_BUFFER_CUT_BYTES);
  });

  test('nor is one that reads the same large entries, from the moment on at which it has shown that it reads', () => {
    const room = new Room();
    const honest = room.open('honest');
    readSteadily(room, honest, 5);
    expect(honest.account.owedByteSeconds).toBeLessThan(0);
    honest.take(MIB);
    for (let i = 0; i < 300; i += 1) {
      honest.data(16 * MIB, true);
      room.open(`attacker ${i}`).data(16 * MIB, true);
      room.open(`small attacker ${i}`).data(MIB);
      room.nowMs += 100;
      if (i % 10 === 9) honest.take(1_600_000);
    }
    expect(room.cut.length).toBeGreaterThan(10);
    expect(room.cut).not.toContain('honest');
  });

  test('a byte taken now and then pays for nothing', () => {
    const room = new Room();
    const honest = room.open('honest');
    const tricklers = Array.from({ length: 200 }, (_, i) => room.open(`trickler ${i}`));
    readSteadily(room, honest, 60, () => {
      for (const trickler of tricklers) {
        trickler.data(MIB);
        trickler.take(1);
      }
    });
    expect(room.cut).toEqual([]);
    // Answers cannot wait for room: now somebody has to go.
    const flood = room.open('flood');
    while (room.cut.length < 20 && !flood.isCut) flood.answer(MIB);
    expect(room.cut.length).toBeGreaterThan(0);
    expect(room.cut).not.toContain('honest');
  });

  test('with equal shares those go first that have had them for longest', () => {
    const room = new Room();
    const peers = Array.from({ length: 63 }, (_, i) => room.open(`${i}`));
    for (const peer of peers) {
      peer.data(MIB);
      room.nowMs += 10;
    }
    for (const peer of peers) peer.answer(MIB + 1);
    for (const peer of peers) peer.answer(100_000);
    expect(room.cut).toEqual(['0', '1', '2', '3', '4'].slice(0, room.cut.length));
    expect(room.cut.length).toBeGreaterThan(0);
  });

  test('who takes within ten seconds what waits for it owes nothing, however long it reads', () => {
    const room = new Room();
    const slow = room.open('slow');
    for (let i = 0; i < 10_000; i += 1) {
      slow.data(256 * 1024);
      slow.data(256 * 1024);
      room.nowMs += 1000;
      slow.take((SEND_BUFFER_BYTES + 256 * 1024) / (PAID_SECONDS - 1));
    }
    expect(slow.account.owedAt(room.nowMs)).toBeLessThan(0);
  });

  test('the log itself cuts nobody who owes for less than two seconds, but waits', () => {
    const room = new Room();
    for (let i = 0; i < 2000; i += 1) room.open(`new ${i}`).data(MIB);
    const large = room.open('large');
    expect(large.data(16 * MIB, true)).toBe(0);
    room.nowMs += OWED_SECONDS_MAX * 1000 - 1;
    expect([large.data(16 * MIB, true), room.cut]).toEqual([0, []]);
    room.nowMs += 100;
    expect(large.data(16 * MIB, true)).toBe(16 * MIB);
    expect(room.cut.length).toBeGreaterThan(0);
  });

  test('whoever is sent a large entry must begin to take it soon, where another waits for the room', () => {
    const room = new Room();
    for (let i = 0; i < 5; i += 1) room.open(`${i}`).data(16 * MIB, true);
    const next = room.open('next');
    room.nowMs += OWED_SECONDS_MAX_LARGE * 1000 - 1;
    expect([next.data(16 * MIB, true), room.cut]).toEqual([0, []]);
    room.nowMs += 100;
    expect([next.data(16 * MIB, true), room.cut]).toEqual([16 * MIB, ['0']]);
  });

  test('while memory is short a message is small, and one that has unread bytes is sent none', () => {
    const room = new Room();
    const hoarders = Array.from({ length: 5 }, (_, i) => room.open(`${i}`));
    for (const hoarder of hoarders) hoarder.data(15 * MIB, true);
    expect(room.budget.bufferedBytes).toBeGreaterThan(SEND_BUFFER_TOTAL_BYTES);
    const reader = room.open('reader');
    expect(reader.data(MIB)).toBe(PRESSED_CHUNK_BYTES);
    expect(reader.data(MIB)).toBe(0);
    reader.take(PRESSED_CHUNK_BYTES - 1);
    expect(reader.data(MIB)).toBe(0);
    reader.take(1);
    expect(reader.data(MIB)).toBe(PRESSED_CHUNK_BYTES);
  });
});

describe('whatever hostile connections do', () => {
  /** One thing that one of the hostile connections does. */
  const action = fc.record({
    who: fc.nat(40),
    what: fc.constantFrom('entry', 'chunk', 'answer', 'trickle', 'leave'),
    bytes: fc.integer({ min: 1, max: 16 * MIB }),
    afterMs: fc.integer({ min: 0, max: 60 }),
  });

  test('an established reader with a modest buffer is never cut before them, and the log never passes the bound', () => {
    const bytesASecond = fc.integer({ min: 200_000, max: 20_000_000 });
    const property = fc.property(bytesASecond, fc.array(action, { minLength: 200, maxLength: 400 }), (rate, actions) => {
      const room = new Room();
      const honest = room.open('honest');
      while (honest.account.owedByteSeconds > -MAX_READ_CREDIT_BYTE_SECONDS) {
        while (honest.data(256 * 1024) > 0);
        room.nowMs += 200;
        honest.read(rate / 5);
      }
      const hostile = new Map<number, Peer>();
      for (const { who, what, bytes, afterMs } of actions) {
        let peer = hostile.get(who);
        if (peer === undefined || peer.isCut) peer = room.open('hostile');
        hostile.set(who, peer);
        if (what === 'entry') peer.data(bytes, true);
        else if (what === 'chunk') peer.data(Math.min(bytes, MIB));
        else if (what === 'answer') peer.answer(Math.min(bytes, 3 * MIB));
        else if (what === 'trickle') peer.take(Math.min(bytes, 1000));
        else peer.take(peer.unsentBytes);
        while (honest.data(256 * 1024) > 0);
        room.nowMs += afterMs;
        honest.read((rate * afterMs) / 1000);
        expect(room.cut).not.toContain('honest');
        expect(room.budget.bufferedBytes).toBe(room.unsentBytes);
        expect(room.unsentBytes).toBeLessThanOrEqual(SEND_BUFFER_CUT_BYTES);
      }
    });
    void fc.assert(property, { numRuns: 25, endOnFailure: true });
  });

  test('for answers costs one walk over all that owe, however many of them are cut, and cuts no more than it must', () => {
    const budget = new SendBudget(() => 1000);
    let cuts = 0;
    let looks = 0;
    const open = (): SendAccount => {
      const account: SendAccount = new SendAccount(() => {
        cuts += 1;
        budget.book(account, 0, false);
      });
      const owedAt = account.owedAt.bind(account);
      account.owedAt = (nowMs) => {
        looks += 1;
        return owedAt(nowMs);
      };
      return account;
    };
    const all = Array.from({ length: 2000 }, open);
    for (const account of all) budget.book(account, SEND_BUFFER_CUT_BYTES / 2000, true);
    looks = 0;
    for (let i = 1; i <= 500; i += 1) {
      const account = open();
      budget.book(account, SEND_BUFFER_CUT_BYTES / 2000, true);
      budget.enforce();
      expect([cuts, budget.bufferedBytes <= SEND_BUFFER_CUT_BYTES]).toEqual([i, true]);
    }
    expect(looks).toBeLessThan(100_000);
  });
});
