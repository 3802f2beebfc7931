// Runs the real functions of a thread up to one of their accesses to shared memory, and stops them there. Synchronous code cannot be
// suspended, but it can be run again: with the same answers from shared memory it does the same. So a thread is continued by running it
// from its start, with the answers that it got, plus one; the next access to a word that others use throws it out again.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { apply, isWrite, type Operation, type Place, type Result, type Value } from './operations.ts';

/** A thread of a scenario: what it does alone before the others begin, and then, returned, what it does among them. */
export type Body = (bench: Bench) => () => void | Promise<void>;

/** What a scenario keeps for itself: a word that only its own bodies use. */
export interface Ghost {
  get(): Value;
  set(value: Value): void;
  add(value: number): number;
  /** Sets it, and wakes who waits in {@link waitWhile}. */
  announce(value: Value): void;
  /** Waits until it holds something else. */
  waitWhile(value: Value): void;
}

/** What bodies work with. */
export interface Bench {
  readonly memory: TailMemory;
  ghost(name: string): Ghost;
  /** Others may come in between here, before this thread touches bytes that are no words. */
  pause(): void;
}

/** Thrown through a thread's functions to stop them. */
export const SUSPENDED = Symbol('suspended');

/** Views of memory that several threads use without atomics. */
export type PlainRanges = readonly Uint8Array[];

/** What the words and the bytes in the plain ranges are at one moment. */
export type Words = Map<Place, Value>;

/** The answers that a thread got so far, one for each access to a shared word, with the plain bytes as they were then. */
export interface Answer {
  readonly result: Result;
  readonly plain: Uint8Array;
}

/** How far a thread came. */
export interface Progress {
  /** The access before which it stands; undefined: it has ended. */
  readonly pending: Operation | undefined;
  readonly plain: Uint8Array;
  /** What it threw. */
  readonly error: unknown;
}

/** Where a thread begins. */
export interface Start {
  readonly thread: number;
  readonly body: Body;
  /** The words before what it does alone, and once all threads have done that. */
  readonly before: Words;
  readonly initial: Words;
  readonly initialPlain: Uint8Array;
}

interface Run {
  readonly thread: number;
  readonly words: Words;
  readonly answers: readonly Answer[];
  next: number;
  isAmongOthers: boolean;
  isOver: boolean;
  pending: Operation | undefined;
  settle: () => void;
}

export class Threads {
  readonly memory: TailMemory;
  readonly #plainRanges: PlainRanges;
  /** Words that more than one thread uses, and one of them changes: the others may come in before each access to them. */
  readonly shared: Set<Place>;
  readonly #users = new Map<Place, { threads: number; writers: number }>();
  /** Whether a word turned out to be shared that was not known to be. */
  hasNewShared = false;
  #run: Run | undefined;
  readonly #bench: Bench;

  constructor(memory: TailMemory, plainRanges: PlainRanges, shared: Set<Place>) {
    this.memory = memory;
    this.#plainRanges = plainRanges;
    this.shared = shared;
    if (plainRanges.length > 0) shared.add('bytes');
    this.#bench = {
      memory,
      ghost: (name) => this.#ghost(name),
      pause: () => this.pause(),
    };
  }

  #ghost(name: string): Ghost {
    const get = (): Value => this.operate({ kind: 'load', at: name });
    const set = (value: Value): void => void this.operate({ kind: 'store', at: name, value });
    return {
      get,
      set,
      add: (value) => Number(this.operate({ kind: 'add', at: name, value, is32: false })),
      announce: (value) => {
        set(value);
        this.operate({ kind: 'notify', at: name });
      },
      waitWhile: (value) => {
        while (get() === value) this.operate({ kind: 'wait', at: name, seen: value });
      },
    };
  }

  /** Does `act` alone on `words`, which it changes. */
  setUp(words: Words, act: (bench: Bench) => unknown): void {
    this.#run = {
      thread: -1,
      words,
      answers: [],
      next: 0,
      isAmongOthers: false,
      isOver: false,
      pending: undefined,
      settle: () => undefined,
    };
    try {
      act(this.#bench);
    } finally {
      this.#run = undefined;
    }
  }

  /**
   * Runs a thread from its start, alone and then among others with `answers`, up to the access after them.
   */
  async run({ thread, body, before, initial, initialPlain }: Start, answers: readonly Answer[]): Promise<Progress> {
    const words = new Map(before);
    const run: Run = { thread, words, answers, next: 0, isAmongOthers: false, isOver: false, pending: undefined, settle: () => undefined };
    const suspended = new Promise<void>((resolve) => {
      run.settle = resolve;
    });
    this.#run = run;
    let error: unknown;
    try {
      const go = body(this.#bench);
      run.isAmongOthers = true;
      words.clear();
      for (const [at, value] of initial) words.set(at, value);
      this.#restore(initialPlain);
      const done = go();
      if (done !== undefined) {
        await Promise.race([done, suspended]);
        // What the thread's other asynchronous functions have to do yet; those that are stopped reject.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (thrown) {
      if (thrown !== SUSPENDED) error = thrown;
    } finally {
      this.#run = undefined;
    }
    return { pending: run.pending, plain: this.plain(), error: run.isOver ? undefined : error };
  }

  pause(): void {
    if (this.#plainRanges.length > 0) this.operate({ kind: 'pause', at: 'bytes' });
  }

  /** An access by the thread that runs. */
  operate(operation: Operation): Value {
    const run = this.#run;
    if (run === undefined) throw new Error('shared memory is used although no thread runs');
    if (run.isOver) throw SUSPENDED;
    if (!run.isAmongOthers || !this.#isShared(run.thread, operation)) return this.#operateAlone(run, operation);
    const answer = run.answers[run.next];
    if (answer === undefined) {
      run.isOver = true;
      run.pending = operation;
      run.settle();
      throw SUSPENDED;
    }
    run.next += 1;
    this.#restore(answer.plain);
    return answer.result;
  }

  /** The bytes of the plain ranges. */
  plain(): Uint8Array {
    const all = new Uint8Array(this.#plainRanges.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#plainRanges) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #restore(plain: Uint8Array): void {
    let at = 0;
    for (const part of this.#plainRanges) {
      part.set(plain.subarray(at, at + part.length));
      at += part.length;
    }
  }

  #operateAlone(run: Run, operation: Operation): Value {
    const before = run.words.get(operation.at) ?? 0;
    const [result, after] = apply(operation, before);
    run.words.set(operation.at, after);
    return result;
  }

  #isShared(thread: number, operation: Operation): boolean {
    const { at } = operation;
    if (this.shared.has(at)) return true;
    const users = this.#users.get(at) ?? { threads: 0, writers: 0 };
    users.threads |= 1 << thread;
    if (isWrite(operation)) users.writers |= 1 << thread;
    this.#users.set(at, users);
    const isOfOne = (users.threads & (users.threads - 1)) === 0;
    // Whoever waits lets the others on, also when none of them has come to the word so far.
    if (operation.kind !== 'wait' && (users.writers === 0 || isOfOne)) return false;
    this.shared.add(at);
    this.hasNewShared = true;
    return true;
  }
}
