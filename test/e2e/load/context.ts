// What all clients of a run share: the history that they write, where the log is known to have entries, and what went wrong.

import { LogError } from '../../../src/core/errors.ts';
import type { HistoryRecorder } from '../../../src/history/recorder.ts';
import type { AppendResult } from '../../../src/history/types.ts';
import type { Random } from '../../assembly/random.ts';

/** Errors that a client meets when nodes die, stop, change roles, are cut off or have no room. Any other is a fault of the cluster. */
const EXPECTED_ERRORS = new Set<string>([
  'CONDITION_FAILED',
  'CHAIN_BROKEN',
  'CONNECTION_LOST',
  'UNREACHABLE',
  'NOT_LEADER',
  'BEHIND',
  'SHUTTING_DOWN',
  'OVERLOADED',
  'DISK_FULL',
  'TOO_MANY_REQUESTS',
  'TIMEOUT',
  'QUEUE_FULL',
  'OFFSET_BEYOND_END',
  'OFFSET_TRIMMED',
]);

/** Boundaries of entries that readers may begin at: so many of the latest, and a sample of older ones. */
const MAX_PLACES = 4096;

export class LoadContext {
  readonly recorder: HistoryRecorder;
  readonly random: Random;
  /** Longest pause of who appends after an append that succeeded. */
  readonly thinkMs: number;
  readonly ended = new AbortController();
  /** How often each error was met, by its code. */
  readonly errors = new Map<string, number>();
  /** What must not happen, in sentences. */
  readonly problems: string[] = [];
  committedEntries = 0;
  /** Highest end that was acknowledged as committed. */
  acknowledgedEnd = 0;
  /** Terms in which appends were acknowledged as committed. */
  readonly terms = new Set<number>();
  /** Longest time between two committed acknowledgements, in ms. */
  longestGapMs = 0;
  #lastCommitMs: number | undefined;
  #places: number[] = [0];
  #nextId = 0;
  #nextChainId = 0;

  constructor(recorder: HistoryRecorder, random: Random, thinkMs: number) {
    this.recorder = recorder;
    this.random = random;
    this.thinkMs = thinkMs;
  }

  /** An id that no entry has. */
  newId(): number {
    return this.#nextId++;
  }

  /** An id that no chain has. */
  newChainId(): number {
    return this.#nextChainId++;
  }

  get isEnded(): boolean {
    return this.ended.signal.aborted;
  }

  /** A boundary of the log: where some entry begins or ended. */
  place(): number {
    return this.#places[this.random.below(this.#places.length)] ?? 0;
  }

  committed(term: number, end: number, entryCount: number): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - (this.#lastCommitMs ?? nowMs));
    this.#lastCommitMs = nowMs;
    this.committedEntries += entryCount;
    this.acknowledgedEnd = Math.max(this.acknowledgedEnd, end);
    this.terms.add(term);
    if (this.#places.length < MAX_PLACES) this.#places.push(end);
    else this.#places[this.random.below(MAX_PLACES)] = end;
  }

  /** The log begins at `start`, or soon does: most readers begin after it. */
  trimmed(start: number): void {
    this.#places = this.#places.filter((place) => place >= start || this.random.oneIn(10));
    this.#places.push(start);
  }

  /** Takes note of a failure, and says what it means for an append. */
  failed(what: string, thrown: unknown): Exclude<AppendResult, { kind: 'ok' }> {
    if (!(thrown instanceof Error)) throw thrown;
    const code = thrown instanceof LogError ? thrown.code : thrown.constructor.name;
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    const isOver = this.isEnded && (code === 'ABORTED' || code === 'CLOSED');
    if (!isOver && !EXPECTED_ERRORS.has(code)) this.problem(`${what} failed with ${code}: ${thrown.message}`);
    const outcome = thrown instanceof LogError ? thrown.outcome : 'unknown';
    return { kind: outcome, why: `${code}: ${thrown.message}` };
  }

  problem(sentence: string): void {
    if (this.problems.length < 50) this.problems.push(sentence);
  }

  /** A random pause of 0 to `maxMs`; none when the run ends. */
  pause(maxMs: number): Promise<void> {
    return this.isEnded ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, this.random.below(maxMs + 1)));
  }
}
