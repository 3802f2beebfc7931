// Reads and subscriptions: one state machine for both. From tail memory when the bytes are there, from the cold pool when not, so
// that catch-up passes into live without a gap, a repeat or a reconnection. Connections take turns (turns.ts), one message each, and within
// one its readings do.
//
//   ready ──(message sent)──► ready, behind the others of its connection; one whose connection has no room stays where it is
//     ├──(wants the log's time at its place)──► timing ──(found)──► ready
//     ├──(at the commit)──► waiting ──(commit moved)──► ready
//     ├──(no credit)──► starved ──(CREDIT)──► ready
//     └──(not in tail memory)──► cold ──(read)──► ready

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { MAX_CREDIT_BYTES, MAX_READ_BYTES, MAX_SHARED_READINGS, SUBSCRIPTION_CHUNK_BYTES } from '../core/servingLimits.ts';
import type { HotReader } from '../memory/hotReader.ts';
import { SLOT, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import { isDamage } from '../storage/examiner.ts';
import { notBoundary } from '../storage/segmentReader.ts';
import { type Caller, partyOf, type Reading } from './caller.ts';
import { ColdReads } from './coldReads.ts';
import { Deadlines } from './deadlines.ts';
import { type DiskReadPorts, DiskReads, trimmedSentence } from './diskReads.ts';
import type { Loop } from './loop.ts';
import { Roomless } from './roomless.ts';
import type { Segments } from './segments.ts';
import { Shares } from './shares.ts';
import { Turns } from './turns.ts';

export interface ReadingCounters {
  readBytes: number;
  coldReads: number;
}

export interface ReadingPorts extends DiskReadPorts {
  readonly segments: Segments;
  readonly tasks: Pick<DiskTasks, 'readCold' | 'findBatch' | 'findTime'>;
  readonly loop: Loop;
  /** The log's time before `offset`, see {@link Times.before}. */
  timeBefore(caller: Caller, offset: number, isOver: () => boolean): number | Promise<number>;
  /** Called when the commit is to be watched, for as long as {@link Readings.awaitsCommit}. */
  awaitCommit(): void;
  /** What goes before readers in each turn of the event loop. */
  beforeTurn(): void;
  /** Whether the segment at `base` is valid here, and not what the log says. */
  isDifferent(base: number): boolean;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

export class Readings {
  readonly #memory: TailMemory;
  readonly #hot: HotReader;
  readonly #ports: ReadingPorts;
  readonly #cold: ColdReads;
  readonly #turns: Turns<Caller>;
  readonly #shares = new Shares(MAX_SHARED_READINGS);
  readonly #deadlines: Deadlines<Reading>;
  #readBytes = 0;
  #openCount = 0;
  /** Connections with readings at the commit, until it moves. */
  #waiting = new Set<Caller>();
  readonly #roomless: Roomless;
  /** For whoever is no reading: it takes turns with them. */
  readonly diskReads: DiskReads;

  constructor(ports: ReadingPorts) {
    this.#ports = ports;
    this.#memory = ports.memory;
    this.#hot = ports.hot;
    this.#deadlines = new Deadlines(ports.loop, (reading) => this.#stopWaiting(reading));
    this.#turns = new Turns(
      ports.loop,
      (caller) => {
        const goesOn = this.#serve(caller);
        if (!goesOn) caller.rested?.();
        return goesOn;
      },
      () => ports.beforeTurn(),
      partyOf,
    );
    this.#cold = new ColdReads(ports.memory, ports.segments, ports.tasks, {
      read: (reading, entries) => this.#sendCold(reading, entries),
      again: (reading) => this.#tryAgain(reading),
      failed: (reading, error) => this.#failed(reading, error),
      isDifferent: (base) => ports.isDifferent(base),
      broke: (thrown) => ports.broke(thrown),
    });
    this.#roomless = new Roomless(ports.loop, (caller) => this.#turns.add(caller));
    this.diskReads = new DiskReads(ports, this.#cold);
  }

  get counters(): ReadingCounters {
    return { readBytes: this.#readBytes, coldReads: this.#cold.count };
  }

  /** Readings that have not ended, of all callers. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Whether {@link committed} is to be called when the commit moves. */
  get awaitsCommit(): boolean {
    return this.#waiting.size > 0;
  }

  /** Starts a reading; a READ waits `waitMs` for entries. Returns why not, in a sentence; empty: it has started. */
  start(reading: Reading, waitMs: number): string {
    const { caller } = reading;
    const own = caller.readings;
    const refusal = this.#shares.take(own.open.size, 'reads and subscriptions open');
    if (refusal !== '') return refusal;
    own.open.set(reading.requestId, reading);
    this.#openCount += 1;
    if (waitMs > 0) reading.deadline = this.#deadlines.add(reading, waitMs);
    const isAlone = own.ready.size === 0 && own.first === undefined;
    own.ready.add(reading);
    if (!isAlone || !this.#turns.isFree) this.#turns.add(caller);
    else if (this.#serve(caller)) this.#turns.add(caller);
    return '';
  }

  /** Ends a reading without a word to the client. */
  drop(reading: Reading): void {
    const { caller, deadline } = reading;
    const own = caller.readings;
    if (deadline !== undefined) this.#deadlines.remove(deadline);
    reading.state = 'done';
    this.#shares.release(own.open.size);
    if (own.open.delete(reading.requestId)) this.#openCount -= 1;
    assert(this.#openCount >= 0, 'a reading ends once');
    own.ready.delete(reading);
    own.cold.delete(reading);
    own.timing.delete(reading);
    own.waiting.delete(reading);
    if (own.waiting.size === 0) this.#waiting.delete(caller);
    if (own.first !== reading) return;
    own.first = undefined;
    this.#turns.add(caller);
  }

  /** The caller is gone. */
  closed(caller: Caller): void {
    for (const reading of caller.readings.open.values()) this.drop(reading);
    this.#turns.remove(caller);
    this.#cold.closed(caller);
    const { open, ready, timing, waiting, cold, first } = caller.readings;
    assert(
      open.size + ready.size + timing.size + waiting.size + cold.size === 0 && first === undefined,
      'a caller that is gone reads nothing',
    );
  }

  /** The commit moved: all who wait for entries get them in their turn. */
  committed(): void {
    if (this.#waiting.size === 0) return;
    const woken = this.#waiting;
    this.#waiting = new Set();
    for (const caller of woken) {
      caller.readings.isWoken = true;
      this.#turns.add(caller);
    }
    this.#turns.run();
  }

  /** A caller's socket has room again. */
  drained(caller: Caller): void {
    this.#cold.resume(caller);
    if (caller.readings.ready.size > 0 || caller.readings.isWoken) this.#turns.add(caller);
  }

  /** The consumer grants `bytes` more. */
  grant(reading: Reading, bytes: number): void {
    reading.creditBytes = Math.min(MAX_CREDIT_BYTES, reading.creditBytes + bytes);
    if (reading.state === 'starved') this.#makeReady(reading);
  }

  #makeReady(reading: Reading): void {
    reading.state = 'ready';
    reading.caller.readings.ready.add(reading);
    this.#turns.add(reading.caller);
  }

  /** A READ's wait is over: it answers with what there is, which may be nothing. */
  #stopWaiting(reading: Reading): void {
    reading.deadline = undefined;
    if (reading.state === 'waiting' && reading.caller.readings.waiting.delete(reading)) this.#makeReady(reading);
  }

  /** Sends at most one message to a caller. Returns whether it can be sent more now. */
  #serve(caller: Caller): boolean {
    const own = caller.readings;
    if (caller.isClosed) return false;
    if (own.isWoken) {
      own.isWoken = false;
      for (const reading of own.waiting) {
        reading.state = 'ready';
        own.ready.add(reading);
      }
      own.waiting.clear();
    }
    for (const next of own.ready) {
      const reading = own.first ?? next;
      // What comes first is being read from the disk.
      if (reading.state !== 'ready') return false;
      const outcome = this.#advance(reading);
      if (outcome === 'no room' || caller.isClosed) return false;
      if (outcome === 'sent') break;
    }
    return own.ready.size > 0;
  }

  /** Sends at most one message for a reading that is ready, and puts it into its next state. Where there is no room it stays where it is. */
  #advance(reading: Reading): 'sent' | 'nothing' | 'no room' {
    const { caller } = reading;
    if (reading.next < this.#startOf(reading) && !this.#skipTrimmed(reading)) return this.#refuseTrimmed(reading);
    const { commit } = this.#memory;
    if (reading.isTimeDue === true && reading.timeMs === undefined && reading.next <= commit && !this.#isTimed(reading)) return 'nothing';
    if (reading.next >= commit) return this.#waitForCommit(reading);
    const { dataRoom } = caller;
    if (dataRoom === 0) return 'no room';
    if (reading.neededBytes > 0 && !caller.admits(reading.neededBytes)) return this.#waitForRoom(caller);
    caller.readings.ready.delete(reading);
    if (reading.creditBytes <= 0) {
      reading.state = 'starved';
      return 'nothing';
    }
    const slot = this.#hot.pin(reading.next);
    // What is not what the log says is refused there, wherever it is.
    const isWithheld = slot >= 0 && this.#ports.isDifferent(this.#memory.slotWord(slot, SLOT.BASE));
    if (isWithheld) this.#hot.release(slot);
    if (slot < 0 || isWithheld) {
      this.#cold.add(reading);
      return 'nothing';
    }
    const outcome = this.#sendHot(reading, slot, dataRoom);
    this.#hot.release(slot);
    return outcome;
  }

  /** Whether it is known what time it was where the reading goes on. If not, it is looked for. */
  #isTimed(reading: Reading): boolean {
    const { caller } = reading;
    const found = this.#ports.timeBefore(caller, reading.next, () => reading.state === 'done');
    if (typeof found === 'number') {
      reading.timeMs = found;
      return true;
    }
    reading.state = 'timing';
    caller.readings.ready.delete(reading);
    caller.readings.timing.add(reading);
    found.then(
      (timeMs) => {
        if (!caller.readings.timing.delete(reading)) return;
        reading.timeMs = timeMs;
        this.#makeReady(reading);
      },
      (thrown: unknown) => this.#ports.broke(thrown),
    );
    return false;
  }

  /** Where what a reading may be sent begins. */
  #startOf({ isKept }: Reading): number {
    return this.#memory.word(isKept === true ? WORD.BASE : WORD.START);
  }

  /** Whether only entries of the log's own are gone of what the reading is to be sent: then it goes on at the start. */
  #skipTrimmed(reading: Reading): boolean {
    if (reading.isKept === true || reading.next < this.#memory.word(WORD.START_DATA_END)) return false;
    reading.next = this.#memory.word(WORD.START);
    reading.isBoundary = true;
    reading.hasSkipped = true;
    // Entries that said the time may be among those that are gone.
    reading.isTimeDue = reading.isTimed === true;
    reading.timeMs = undefined;
    reading.neededBytes = 0;
    return true;
  }

  /** What the reading is to be sent next is gone. */
  #refuseTrimmed(reading: Reading): 'sent' {
    const { caller, requestId, next } = reading;
    const start = this.#startOf(reading);
    this.drop(reading);
    caller.sendError(requestId, 'OFFSET_TRIMMED', start, trimmedSentence(next, start));
    return 'sent';
  }

  #waitForCommit(reading: Reading): 'sent' | 'nothing' {
    const { caller } = reading;
    caller.readings.ready.delete(reading);
    if (reading.isSubscription || reading.deadline !== undefined) {
      reading.state = 'waiting';
      caller.readings.waiting.add(reading);
      this.#waiting.add(caller);
      this.#ports.awaitCommit();
      return 'nothing';
    }
    caller.sendData(reading.requestId, reading.next, this.#memory.commit, new Uint8Array(0), reading.hasSkipped === true, reading.timeMs);
    this.drop(reading);
    return 'sent';
  }

  #sendHot(reading: Reading, slot: number, dataRoom: number): 'sent' | 'nothing' | 'no room' {
    if (!reading.isBoundary) {
      const beginning = this.#hot.beginningOf(slot, reading.next);
      if (beginning !== reading.next) {
        this.#refuse(reading, notBoundary(reading.next, beginning));
        return 'sent';
      }
    }
    const chunkBytes = reading.isSubscription ? SUBSCRIPTION_CHUNK_BYTES : MAX_READ_BYTES;
    const entries = this.#hot.read(slot, reading.next, Math.min(chunkBytes, reading.creditBytes, dataRoom));
    if (!reading.caller.admits(entries.length)) {
      reading.caller.readings.ready.add(reading);
      return this.#waitForRoom(reading.caller);
    }
    this.#send(reading, entries);
    return 'sent';
  }

  #sendCold(reading: Reading, entries: Uint8Array): void {
    const { caller } = reading;
    const isAdmitted = caller.dataRoom > 0 && caller.admits(entries.length);
    if (isAdmitted) {
      this.#send(reading, entries);
      if (caller.readings.ready.size > 0) this.#turns.add(caller);
      return;
    }
    // Others of its connection have taken the room. It is read again when there is some: where only one entry needs it, for that.
    caller.readings.first ??= reading;
    reading.neededBytes = entries.length > MAX_READ_BYTES ? entries.length : 0;
    reading.state = 'ready';
    caller.readings.ready.add(reading);
    if (caller.dataRoom > 0) this.#waitForRoom(caller);
  }

  /** Tail memory has what was not on the disk. */
  #tryAgain(reading: Reading): void {
    if (reading.state !== 'cold') return;
    // It may have come into tail memory while the reading stood in the queue.
    if (reading.next < this.#startOf(reading) || this.#hot.slotOf(reading.next) >= 0) this.#makeReady(reading);
    else this.#refuse(reading, new LogError('DAMAGE', `no segment holds log offset ${reading.next}`));
  }

  #waitForRoom(caller: Caller): 'no room' {
    this.#roomless.add(caller);
    return 'no room';
  }

  #send(reading: Reading, entries: Uint8Array): void {
    const { caller } = reading;
    caller.sendData(reading.requestId, reading.next, this.#memory.commit, entries, reading.hasSkipped === true, reading.timeMs);
    if (reading.hasSkipped === true) reading.hasSkipped = false;
    reading.isTimeDue = false;
    reading.timeMs = undefined;
    // Sending can cut a caller that does not read.
    if (caller.isClosed) return;
    if (caller.readings.first === reading) caller.readings.first = undefined;
    this.#readBytes += entries.length;
    reading.next += entries.length;
    reading.isBoundary = true;
    reading.neededBytes = 0;
    reading.creditBytes -= entries.length;
    if (!reading.isSubscription) this.drop(reading);
    else if (reading.next >= this.#memory.commit) this.#waitForCommit(reading);
    else this.#makeReady(reading);
  }

  /** What is damaged on this disk is healed first, once for one place: the reading waits meanwhile. */
  #failed(reading: Reading, error: LogError): void {
    const { caller, next } = reading;
    // What differs from its seal passes its checks: nothing heals it.
    const base = this.#ports.segments.find(next)?.base;
    const isDifferent = base !== undefined && this.#ports.isDifferent(base);
    if (!isDamage(error) || isDifferent || reading.healedAt === next) {
      this.#refuse(reading, error);
      return;
    }
    reading.healedAt = next;
    const goOn = (isRight: boolean): void => {
      if (reading.state !== 'cold' || caller.isClosed) return;
      if (isRight) this.#makeReady(reading);
      else this.#refuse(reading, error);
    };
    this.#ports
      .heal(next)
      .then(goOn)
      .catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  #refuse(reading: Reading, error: LogError): void {
    const { caller, requestId, next } = reading;
    // Its file may be gone.
    if (next < this.#startOf(reading)) {
      this.#makeReady(reading);
      return;
    }
    this.drop(reading);
    if (error.code === 'OFFSET_NOT_BOUNDARY') {
      caller.sendError(requestId, error.code, Number(error.details.beginning), error.message);
      return;
    }
    // Many clients may ask for the same entry: its damage is logged once.
    this.diskReads.report(error);
    if (!isDamage(error)) {
      caller.sendError(requestId, 'OVERLOADED', next, 'this node cannot read its disk now; its log says why: try again later');
      return;
    }
    caller.sendError(requestId, 'DAMAGED', next, `the entry at offset ${next} is damaged on this node's disk; its log names the file`);
  }
}
