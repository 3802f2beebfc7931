// Tries every schedule of a few threads that run the real functions on shared memory, without a bound on how often they take turns: not
// schedule by schedule, but as a graph. A state is what the shared words hold and how far each thread came; how far it came is the list of
// answers that it got. From each state each thread that can go on does one access more. Schedules that lead to the same state are one.
//
//     words, [reader: 3 answers, taker: 5]  ──reader──►  words, [4, 5]  ──taker──►  …
//                    └──────────────────────taker──►  words, [3, 6]  ──reader──►  (may be the same state)
//
// Memory is sequentially consistent, as that of JavaScript's and WebAssembly's atomics is. Waits are part of the state: a thread that
// waits goes on when it is notified, and no time runs out, so that a lost wake-up is a state in which nobody can go on.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { resetMemory } from '../crash/testNode.ts';
import { hook } from './hooks.ts';
import { apply, describe, type Operation, type Place, type Result, type Value } from './operations.ts';
import { type Answer, type Bench, type Body, type PlainRanges, type Start, Threads, type Words } from './threads.ts';

/** What a check may look at. */
export interface View {
  word(at: Place): Value;
  isDone(thread: string): boolean;
}

export interface Scenario {
  readonly name: string;
  /** What must hold, as a sentence. */
  readonly what: string;
  /** Shared memory beside the log's: whoever makes one of its size gets this one. */
  readonly staging?: SharedArrayBuffer;
  /** Words that are shared also where a thread comes to them only if another one was stopped there. Others are found out. */
  readonly shared?: readonly Place[];
  /** Memory without words that more than one thread uses. */
  plain?(memory: TailMemory): PlainRanges;
  /** Makes the memory as the threads find it. */
  readonly setUp: (bench: Bench) => void;
  readonly threads: Readonly<Record<string, Body>>;
  /** Threads that need not end: in the end they wait for more to do. */
  readonly daemons?: readonly string[];
  /** Throws when something is wrong although no thread threw: in every state, or in those in which nobody can go on. */
  readonly always?: (view: View) => void;
  readonly final?: (view: View) => void;
}

/** A schedule that breaks something. */
export interface Finding {
  readonly sentence: string;
  /** One line an access. */
  readonly trace: readonly string[];
}

export interface Exploration {
  readonly states: number;
  /** Schedules that were tried: the ways through these states. */
  readonly schedules: number;
  readonly finding: Finding | undefined;
}

/** How far one thread came, whatever the others did meanwhile. */
interface History {
  readonly id: number;
  readonly before: History | undefined;
  /** The last answer. */
  readonly answer: Answer | undefined;
  readonly pending: Operation | undefined;
  readonly plain: Uint8Array;
  readonly error: unknown;
  readonly next: Map<string, History>;
}

type Status = 'ready' | 'waiting' | 'woken';

interface State {
  readonly words: readonly Value[];
  readonly plain: Uint8Array;
  readonly histories: readonly History[];
  readonly statuses: readonly Status[];
  readonly before: State | undefined;
  readonly step: string;
  /** Schedules that lead here. */
  schedules: number;
}

/** More states than this are too many for a test that runs every time. */
const MAX_STATES = 400_000;

export class Explorer {
  readonly #scenario: Scenario;
  readonly #memory: TailMemory;
  readonly #nameOf: (at: Place) => string;
  readonly #names: readonly string[];
  readonly #bodies: readonly Body[];
  readonly #shared = new Set<Place>();
  /** Words that a check looked at. */
  readonly #watched = new Set<Place>();
  #threads: Threads;
  #places: readonly Place[] = [];
  #indexes = new Map<Place, number>();
  #starts: readonly Start[] = [];
  #historyCount = 0;

  constructor(scenario: Scenario, memory: TailMemory, nameOf: (at: Place) => string) {
    this.#scenario = scenario;
    this.#memory = memory;
    this.#nameOf = nameOf;
    this.#names = Object.keys(scenario.threads);
    this.#bodies = Object.values(scenario.threads);
    for (const at of scenario.shared ?? []) this.#shared.add(at);
    this.#threads = new Threads(memory, [], this.#shared);
  }

  async explore(): Promise<Exploration> {
    const plainRanges = this.#scenario.plain?.(this.#memory) ?? [];
    for (;;) {
      this.#threads = new Threads(this.#memory, plainRanges, this.#shared);
      const unhook = hook(
        this.#memory,
        this.#scenario.staging,
        (operation) => this.#threads.operate(operation),
        () => this.#threads.pause(),
      );
      try {
        const exploration = await this.#search();
        if (exploration !== undefined) return exploration;
      } finally {
        unhook();
      }
    }
  }

  /** Undefined: a word turned out to be shared; begin again. */
  async #search(): Promise<Exploration | undefined> {
    const first = await this.#begin();
    if (first === undefined) return undefined;
    const states = new Map<string, State>([[this.#keyOf(first), first]]);
    let finding = this.#look(first);
    let schedules = 0;
    for (const state of states.values()) {
      if (finding !== undefined) break;
      let hasNext = false;
      for (let thread = 0; thread < this.#names.length; thread += 1) {
        const next = await this.#step(state, thread);
        if (this.#threads.hasNewShared) return undefined;
        if (next === undefined) continue;
        hasNext = true;
        const key = this.#keyOf(next);
        const known = states.get(key);
        if (known !== undefined) {
          known.schedules += state.schedules;
          continue;
        }
        states.set(key, next);
        finding ??= this.#look(next);
      }
      if (!hasNext) {
        schedules += state.schedules;
        finding ??= this.#lookAtEnd(state);
      }
      if (states.size > MAX_STATES) throw new Error(`scenario ${this.#scenario.name} has more than ${MAX_STATES} states: make it smaller`);
      if (this.#hasNewWatched()) return undefined;
    }
    return { states: states.size, schedules, finding };
  }

  async #begin(): Promise<State | undefined> {
    this.#historyCount = 0;
    resetMemory(this.#memory);
    if (this.#scenario.staging !== undefined) new Uint8Array(this.#scenario.staging).fill(0);
    const words: Words = new Map();
    this.#threads.setUp(words, this.#scenario.setUp);
    const befores = this.#bodies.map((body) => {
      const before = new Map(words);
      this.#threads.setUp(words, body);
      return before;
    });
    let plain = this.#threads.plain();
    const starts: Start[] = [];
    const histories: History[] = [];
    for (const [thread, body] of this.#bodies.entries()) {
      const start: Start = { thread, body, before: befores[thread] ?? words, initial: words, initialPlain: plain };
      const history = await this.#continue(start, undefined, undefined);
      if (this.#threads.hasNewShared) return undefined;
      starts.push(start);
      histories.push(history);
      // What the thread did to plain bytes before its first access to a shared word.
      plain = history.plain;
    }
    this.#starts = starts;
    this.#places = [...new Set([...this.#shared, ...this.#watched])];
    this.#indexes = new Map(this.#places.map((at, i) => [at, i]));
    return {
      words: this.#places.map((at) => words.get(at) ?? 0),
      plain,
      histories,
      statuses: histories.map(() => 'ready'),
      before: undefined,
      step: '',
      schedules: 1,
    };
  }

  /** The history after one more answer. */
  async #continue(start: Start, before: History | undefined, answer: Answer | undefined): Promise<History> {
    const answers: Answer[] = answer === undefined ? [] : [answer];
    for (let each = before; each?.answer !== undefined; each = each.before) answers.unshift(each.answer);
    const { pending, plain, error } = await this.#threads.run(start, answers);
    this.#historyCount += 1;
    return { id: this.#historyCount, before, answer, pending, plain, error, next: new Map() };
  }

  /** The state after one access of `thread`; undefined when it cannot go on. */
  async #step(state: State, thread: number): Promise<State | undefined> {
    const history = state.histories[thread];
    const operation = history?.pending;
    const status = state.statuses[thread];
    const start = this.#starts[thread];
    if (history === undefined || operation === undefined || start === undefined || status === 'waiting' || history.error !== undefined)
      return undefined;
    const index = this.#indexes.get(operation.at);
    const before = (index === undefined ? undefined : state.words[index]) ?? 0;
    if (operation.kind === 'wait' && status === 'ready' && before === operation.seen) {
      const step = `${this.#names[thread]} waits on ${this.#nameOf(operation.at)}`;
      return { ...state, statuses: state.statuses.with(thread, 'waiting'), before: state, step };
    }
    const [result, after]: readonly [Result, Value] = status === 'woken' ? ['woken', before] : apply(operation, before);
    const key = `${String(result)}|${String(state.plain)}`;
    let next = history.next.get(key);
    if (next === undefined) {
      next = await this.#continue(start, history, { result, plain: state.plain });
      history.next.set(key, next);
    }
    let statuses = state.statuses.with(thread, 'ready');
    if (operation.kind === 'notify')
      statuses = statuses.map((each, i) => (each === 'waiting' && waitsOn(state, i, operation.at) ? 'woken' : each));
    return {
      words: index === undefined || after === before ? state.words : state.words.with(index, after),
      plain: next.plain,
      histories: state.histories.with(thread, next),
      statuses,
      before: state,
      schedules: state.schedules,
      step: `${this.#names[thread]} ${describe(operation, result, this.#nameOf)}`,
    };
  }

  #keyOf({ words, plain, histories, statuses }: State): string {
    return `${JSON.stringify(words)}|${String(plain)}|${histories.map(({ id }) => id).join()}|${statuses.join()}`;
  }

  /** What is wrong in a state. */
  #look(state: State): Finding | undefined {
    for (const [thread, { error }] of state.histories.entries()) {
      if (error !== undefined) return finding(state, `${this.#names[thread]}: ${messageOf(error)}`);
    }
    return this.#check(state, this.#scenario.always);
  }

  #lookAtEnd(state: State): Finding | undefined {
    for (const [thread, { pending }] of state.histories.entries()) {
      const name = this.#names[thread] ?? '';
      if (pending === undefined || this.#scenario.daemons?.includes(name)) continue;
      return finding(state, `${name} waits for ever on ${this.#nameOf(pending.at)}`);
    }
    return this.#check(state, this.#scenario.final);
  }

  #check(state: State, check: ((view: View) => void) | undefined): Finding | undefined {
    if (check === undefined) return undefined;
    try {
      check({
        word: (at) => {
          const index = this.#indexes.get(at);
          if (index !== undefined) return state.words[index] ?? 0;
          this.#watched.add(at);
          this.#shared.add(at);
          return 0;
        },
        isDone: (name) => state.histories[this.#names.indexOf(name)]?.pending === undefined,
      });
    } catch (thrown) {
      if (this.#hasNewWatched()) return undefined;
      return finding(state, messageOf(thrown));
    }
    return undefined;
  }

  #hasNewWatched(): boolean {
    return [...this.#watched].some((at) => !this.#indexes.has(at));
  }
}

function waitsOn(state: State, thread: number, at: Place): boolean {
  return state.histories[thread]?.pending?.at === at;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function finding(state: State, sentence: string): Finding {
  const trace: string[] = [];
  for (let each: State | undefined = state; each?.before !== undefined; each = each.before) trace.unshift(each.step);
  return { sentence, trace };
}
