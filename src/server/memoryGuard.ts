// Messages that have not arrived whole, of all connections together. uWS keeps what has come of them, tells of whole messages only, and says of
// no connection what it holds. What it takes is seen in the resident memory of the process: what is there beyond shared memory, heap and the
// buffers that are counted. Above a bound of that, connections that may hold an unfinished message are closed, one after the other, until
// memory falls: those that have not shown who they are, where a node asks; where there are none, those that do not answer a ping, as nobody can in the middle of a frame; where there are none, those that wait for nothing; where
// there are none, any. Of each kind first those that have never finished a message, the newest first, then those that finished their last one longest
// ago: whoever was closed, and has come back and asked for something, goes last.
//
// The allocator may keep what is freed, for the next message: then memory does not fall, but does not grow either, until more is used than before.
// So closing ends after some that brought nothing, and goes on once memory has grown; of those in the middle of a frame only so many are left whose
// largest messages fit.
//
// They are cut. After a goodbye uWS keeps a connection, with all that it holds, until the client closes its end, which takes the unwilling 14 s.

import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { ErrorCode } from '../core/errors.ts';
import { SAY_AGAIN_MS } from '../core/peerLimits.ts';
import {
  MEMORY_CHECK_MS,
  MEMORY_CLOSE_TURN_MS,
  MEMORY_FRUITLESS_CLOSES,
  MEMORY_GROWTH_BYTES,
  MEMORY_PROBE_AGAIN_MS,
  MEMORY_PROBE_MS,
  MEMORY_PROBES,
  UNFINISHED_TOTAL_BYTES,
  UNFINISHED_TOTAL_MIN_BYTES,
} from '../core/servingLimits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop } from '../node/loop.ts';
import { residentBytes } from '../node/residentBytes.ts';
import { carefully } from './mistakes.ts';

/** What of a connection is looked at. */
export interface Guarded {
  readonly session: {
    readonly isClosed: boolean;
    /** Whether something that it asked for is still to come. */
    readonly isWaiting: boolean;
    /** Whether it has not shown yet who it is: those go first. */
    readonly isStranger?: boolean;
    ping(): void;
    /** Ends it at once, with a fatal error. */
    drop(code: ErrorCode, sentence: string): void;
  };
  /** When a message of it was whole last; 0: never. */
  readonly messageMs: number;
  /** When anything was: a message, a ping, a pong. */
  readonly startedMs: number;
}

/** The process, its clock and its event loop, so that a test can have its own. */
export interface GuardPorts {
  /** Resident bytes that are neither shared memory nor heap nor counted buffers. */
  unexplainedBytes(): number;
  nowMs(): number;
  /** Calls `run` once the event loop has taken what is there to be taken now. */
  afterTurn(run: () => void): void;
  warn(sentence: string): void;
  /** Something was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/**
 * Bytes that unfinished messages may take on this machine, or in this container: an eighth of its memory, within bounds.
 *
 * @param limit what the system says that this process may have; 0 or absurdly much where there is no limit
 */
export function unfinishedBound(total = totalmem(), limit = process.constrainedMemory()): number {
  const bytes = limit > 0 ? Math.min(total, limit) : total;
  return Math.min(UNFINISHED_TOTAL_BYTES, Math.max(UNFINISHED_TOTAL_MIN_BYTES, Math.floor(bytes / 8)));
}

/** Resident bytes besides `knownBytes`, and besides this thread's heap and the buffers that it knows of. */
export function unexplainedBytes(knownBytes: number): number {
  const bytes = residentBytes() - knownBytes;
  if (bytes <= 0) return bytes;
  const { total_heap_size, external_memory } = getHeapStatistics();
  return bytes - total_heap_size - external_memory;
}

/** Bytes of shared memory that may have been used since the log went on at `from`: of the images of segments only what was written to. */
export function usedSharedBytes(memory: TailMemory, from: number): number {
  const { segmentBytes, slots } = memory.shared.shape;
  const imageBytes = segmentBytes * slots;
  return memory.bytes.length - imageBytes + Math.min(imageBytes, Math.max(0, memory.tail - from));
}

/** Of this process. `toldBytes`: what the acceptor says that unfinished messages take, where it does; then nothing has to be measured. */
export function processPorts(
  loop: Pick<Loop, 'nowMs' | 'afterTurn'>,
  toldBytes: () => number | undefined,
  knownBytes: () => number,
  told: Pick<GuardPorts, 'warn' | 'broke'>,
): GuardPorts {
  return {
    unexplainedBytes: () => toldBytes() ?? unexplainedBytes(knownBytes()),
    nowMs: () => loop.nowMs(),
    afterTurn: (run) => loop.afterTurn(run),
    ...told,
  };
}

const SENTENCE = 'unfinished messages take too much of this node’s memory, and this connection may have one: connect again';

/** Less is no fall: other things of the process come and go. */
const FALL_BYTES = 1024 * 1024;

/** Who is to be closed, in this order; the first `surplus` of them as long as memory is above the bound. */
interface Order<G> {
  readonly all: readonly G[];
  readonly surplus: number;
}

export class MemoryGuard<G extends Guarded> {
  /** Connections that were closed. */
  closedCount = 0;
  readonly #boundBytes: number;
  /** So many connections in the middle of a frame fit into half of the bound, whatever they have sent. */
  readonly #mostMute: number;
  readonly #all: Iterable<G>;
  readonly #ports: GuardPorts;
  /** When each was pinged, since memory is more than usual. */
  #probedMs = new WeakMap<G, number>();
  /** What closing has not brought back: the allocator keeps it, or it is somebody else's. Only more than that is worth another try. */
  #keptBytes = 0;
  /** So many are closed without a fall of memory; doubled when that was not enough. */
  #fruitlessLimit = MEMORY_FRUITLESS_CLOSES;
  #isRelieving = false;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #saidMs = Number.NEGATIVE_INFINITY;

  /** `maxMessageBytes`: the largest message that a connection may send. */
  constructor(boundBytes: number, maxMessageBytes: number, all: Iterable<G>, ports: GuardPorts) {
    this.#boundBytes = boundBytes;
    this.#mostMute = Math.floor(boundBytes / 2 / maxMessageBytes);
    this.#all = all;
    this.#ports = ports;
  }

  /** There is a connection, maybe the first one: from now on its memory is looked at, until none is left. */
  came(): void {
    if (this.#isOver) return;
    this.#timer ??= setInterval(() => carefully(this.#ports.broke, () => this.#look()), MEMORY_CHECK_MS).unref();
  }

  stop(): void {
    this.#isOver = true;
    this.#rest();
  }

  #look(): void {
    this.check();
    if (this.#all[Symbol.iterator]().next().done === true) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks at the memory, and begins to close connections where it is too much. */
  check(): void {
    if (this.#isRelieving) return;
    const bytes = this.#ports.unexplainedBytes();
    this.#keptBytes = Math.min(this.#keptBytes, Math.max(0, bytes));
    if (bytes <= this.#boundBytes / 4) {
      this.#probedMs = new WeakMap();
      this.#fruitlessLimit = MEMORY_FRUITLESS_CLOSES;
      return;
    }
    const isGrowing = bytes > this.#keptBytes + MEMORY_GROWTH_BYTES / 4;
    if (isGrowing) this.#probe(MEMORY_PROBE_MS);
    else if (bytes > this.#boundBytes) this.#probe(MEMORY_PROBE_AGAIN_MS);
    if (bytes <= this.#boundBytes) return;
    const order = this.#worst();
    const isMore = bytes > this.#keptBytes + MEMORY_GROWTH_BYTES;
    if (!isMore && order.surplus <= 0) return;
    this.#isRelieving = true;
    // Answers to pings that have come, but were not read, count.
    this.#ports.afterTurn(() => {
      const { all, surplus } = this.#worst();
      this.#relieve({ all: isMore ? all : all.slice(0, Math.max(0, surplus)), surplus }, 0, bytes, 0);
    });
  }

  /** Asks those for a sign of life that gave none for a moment, and were not asked within `againMs`. */
  #probe(againMs: number): void {
    const nowMs = this.#ports.nowMs();
    let probes = 0;
    for (const guarded of this.#all) {
      if (nowMs - guarded.startedMs < MEMORY_PROBE_MS || this.#isMute(guarded)) continue;
      if (nowMs - (this.#probedMs.get(guarded) ?? Number.NEGATIVE_INFINITY) < againMs) continue;
      this.#probedMs.set(guarded, nowMs);
      guarded.session.ping();
      probes += 1;
      if (probes === MEMORY_PROBES) return;
    }
  }

  /** Whether it was pinged, and nothing has come since. */
  #isMute(guarded: G): boolean {
    const probedMs = this.#probedMs.get(guarded);
    return probedMs !== undefined && guarded.startedMs < probedMs;
  }

  /** Those of the first kind of which there are any; who is to be closed first comes first, and how many whether memory falls or not. */
  #worst(): Order<G> {
    const nowMs = this.#ports.nowMs();
    const kinds: G[][] = [[], [], [], []];
    for (const guarded of this.#all) kinds[this.#kindOf(guarded, nowMs)]?.push(guarded);
    const worst = kinds.find((kind) => kind.length > 0) ?? [];
    const surplus = worst === kinds[0] ? worst.length : worst === kinds[1] ? worst.length - this.#mostMute : 0;
    const isProbed = (guarded: G): number => (this.#probedMs.has(guarded) ? 1 : 0);
    worst.sort((a, b) => a.messageMs - b.messageMs || isProbed(a) - isProbed(b) || b.startedMs - a.startedMs);
    return { all: worst, surplus };
  }

  #kindOf(guarded: G, nowMs: number): 0 | 1 | 2 | 3 {
    if (guarded.session.isStranger === true) return 0;
    const probedMs = this.#probedMs.get(guarded);
    // It had a moment to answer.
    if (this.#isMute(guarded) && nowMs - (probedMs ?? nowMs) >= MEMORY_CHECK_MS) return 1;
    return guarded.session.isWaiting ? 3 : 2;
  }

  /**
   * Closes some from `from` on, looks, and goes on in the next turn: giving memory back takes its time. `lowest`: what memory was when it
   * fell last, or when this began; `fruitless`: how many were closed since then.
   */
  #relieve(order: Order<G>, from: number, lowest: number, fruitless: number): void {
    const { nowMs, afterTurn, unexplainedBytes } = this.#ports;
    const startedMs = nowMs();
    let closes = 0;
    let at = from;
    while (at < order.all.length && closes < MEMORY_FRUITLESS_CLOSES && nowMs() - startedMs < MEMORY_CLOSE_TURN_MS) {
      const session = order.all[at]?.session;
      at += 1;
      if (session === undefined || session.isClosed) continue;
      session.drop('OVERLOADED', SENTENCE);
      closes += 1;
    }
    this.closedCount += closes;
    const bytes = unexplainedBytes();
    const isFall = bytes <= lowest - FALL_BYTES;
    const fruitlessNow = isFall ? 0 : fruitless + closes;
    const goesOn = at < order.surplus || (at < order.all.length && fruitlessNow < this.#fruitlessLimit);
    if (bytes > (this.#boundBytes / 4) * 3 && goesOn) {
      afterTurn(() => this.#relieve(order, at, isFall ? bytes : lowest, fruitlessNow));
      return;
    }
    if (fruitlessNow >= this.#fruitlessLimit) this.#fruitlessLimit *= 2;
    this.#isRelieving = false;
    // Where the last ones brought something there may be more of their kind in a moment.
    this.#keptBytes = Math.max(0, fruitlessNow === 0 ? bytes - MEMORY_GROWTH_BYTES : bytes);
    this.#say(bytes);
  }

  #say(bytes: number): void {
    const nowMs = this.#ports.nowMs();
    if (nowMs - this.#saidMs < SAY_AGAIN_MS) return;
    this.#saidMs = nowMs;
    const mebibytes = (of: number): string => `${Math.round(of / 1024 / 1024)} MiB`;
    this.#ports.warn(
      `unfinished messages of clients took more than ${mebibytes(this.#boundBytes)} of memory: connections were closed, ${this.closedCount} since the start, and ${mebibytes(bytes)} are left`,
    );
  }
}
