// Where the log begins on a node that runs, and how what is before that goes. The start may lie inside a segment, and holds for readers at
// once; files go by whole segments. What says that they may go is durable before the first of them is touched (invariant 11):
//
//   start moves ──► node.json says so (raft thread, who alone writes it) ──► files go, the oldest first ──► node.json says that they are gone
//
// A crash in between leaves files before the start that node.json names: recovery removes them. No segment goes that is not sealed, nor one
// whose end is the commit: so there is always one to go on in, and a truncation finds what it needs.

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { MAX_TRIMS, REMOVE_PAUSE_MS, REMOVE_SEGMENTS } from '../core/limits.ts';
import type { Policy, TrimEntry } from '../format/controlEntries.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Loop } from './loop.ts';
import type { OwnEntries } from './ownEntries.ts';
import type { RaftPort } from './raftPort.ts';
import { RemovalPace } from './removalPace.ts';
import type { Segments } from './segments.ts';

export interface TrimPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'after' | 'nowMs'>;
  /** The state of the log. */
  readonly fold: Pick<LogFold, 'settledTrim'>;
  readonly own: Pick<OwnEntries, 'trim'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** See {@link DiskReads.batchBefore}. */
  batchBefore(offset: number): Promise<TrimEntry | undefined>;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
  readonly segments: Pick<Segments, 'baseBefore' | 'trim' | 'remove'>;
  /** Whether the disk has room, so that there is no hurry. */
  hasRoom(): boolean;
  /** Undefined while it is not there. */
  raft(): Pick<RaftPort, 'trim' | 'removed'> | undefined;
  readonly log: Pick<EngineLog, 'info'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

export class Trims {
  readonly #ports: TrimPorts;
  #isWorking = false;
  /** Requests under way. */
  #asked = 0;
  #isOver = false;

  constructor(ports: TrimPorts) {
    this.#ports = ports;
  }

  /**
   * The log begins at `start` from now on, which is committed and durable; `dataEnd` is the end of the last data entry before it, or more.
   * Nothing where it begins there or later already.
   */
  moveTo(start: number, dataEnd: number): void {
    const { memory } = this.#ports;
    if (start <= memory.word(WORD.START)) return;
    assert(dataEnd <= start && start <= memory.commitBound, 'only what is committed and durable is trimmed');
    memory.setWord(WORD.START_DATA_END, dataEnd);
    memory.setWord(WORD.START, start);
    this.sealed();
  }

  /** The log is dropped, and begins at `base`: for readers from now on. */
  beginAt(base: number): void {
    const { memory } = this.#ports;
    memory.setWord(WORD.START_DATA_END, base);
    memory.setWord(WORD.START, Math.max(base, memory.word(WORD.START)));
  }

  /** Looks whether a trim has come into force: the commit has moved, or some time has passed. */
  look(): void {
    const { memory, fold } = this.#ports;
    if (memory.word(WORD.TRIM_START) <= memory.word(WORD.START)) return;
    const trim = fold.settledTrim;
    if (trim === undefined || trim.end === 0 || trim.end > memory.commitBound) return;
    this.moveTo(trim.start, trim.dataEnd);
  }

  /**
   * Trims the log to begin at the last end of a batch at or before `to`, on all nodes. Resolves to where it begins when that is committed, with `isDryRun` to
   * where it would. Rejects with a LogError: NOT_LEADER, SHUTTING_DOWN, OFFSET_BEYOND_END, UNSUPPORTED, TOO_MANY_REQUESTS, DAMAGED; NOT_LEADER may
   * come although it was done. To trim to the same again is nothing; so is one for a `policy` that is not the log's any more.
   */
  async request(to: number, isDryRun: boolean, policy?: Policy): Promise<number> {
    if (this.#asked >= MAX_TRIMS) throw new LogError('TOO_MANY_REQUESTS', `${MAX_TRIMS} trims are under way: try again`);
    this.#asked += 1;
    try {
      return await this.#carryOut(to, isDryRun, policy);
    } finally {
      this.#asked -= 1;
    }
  }

  async #carryOut(to: number, isDryRun: boolean, policy: Policy | undefined): Promise<number> {
    const { memory, batchBefore } = this.#ports;
    this.#refuse();
    const { commitBound } = memory;
    if (to > commitBound) {
      const sentence = `offset ${to} is beyond what is committed, which ends at ${commitBound}: nothing was trimmed`;
      throw new LogError('OFFSET_BEYOND_END', sentence, { end: commitBound });
    }
    const trim = to <= memory.word(WORD.START) ? undefined : await batchBefore(to);
    const start = memory.word(WORD.START);
    if (trim === undefined || trim.start <= start) return start;
    if (isDryRun) return trim.start;
    const term = await this.#order(trim, policy);
    if (term === 'unwanted') return start;
    while (memory.word(WORD.START) < trim.start) {
      if (this.#isOver || memory.word(WORD.OPEN_TERM) !== term) {
        const sentence =
          'this node leads no longer, or stops, and does not know what becomes of this trim: to ask for it again does no harm';
        throw new LogError('NOT_LEADER', sentence, {}, 'unknown');
      }
      await this.#ports.progress();
    }
    return trim.start;
  }

  /** Orders the trim as soon as there is room for it in memory. Returns as {@link OwnEntries.trim}. */
  async #order(trim: TrimEntry, policy: Policy | undefined): Promise<number | 'unwanted'> {
    for (;;) {
      this.#refuse();
      const term = this.#ports.own.trim(trim, policy);
      if (term !== undefined) return term;
      await this.#ports.progress();
    }
  }

  #refuse(): void {
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** A segment is sealed, or the start has moved: files may be there that can go. */
  sealed(): void {
    if (this.#isWorking || this.#isOver) return;
    this.#isWorking = true;
    this.#work().then(
      () => {
        this.#isWorking = false;
      },
      (thrown: unknown) => this.#ports.broke(thrown),
    );
  }

  /** The engine ends: no more files go. */
  stop(): void {
    this.#isOver = true;
  }

  /** Where the log may begin on disk: in front of the segment that has the start, or of an earlier one that is to stay for now. */
  get #target(): number {
    const { memory, segments } = this.#ports;
    const start = Math.min(memory.word(WORD.START), memory.commitBound - 1);
    return segments.baseBefore(start);
  }

  async #work(): Promise<void> {
    const { memory, segments, log } = this.#ports;
    const raft = this.#ports.raft();
    if (raft === undefined) return;
    for (let base = this.#target; base > memory.word(WORD.BASE) && !this.#isOver; base = this.#target) {
      await raft.trim(base);
      if (this.#isOver) return;
      // Where the log began anew meanwhile, nothing of it is left.
      if (base <= memory.word(WORD.BASE)) continue;
      const bases = segments.trim(base);
      if (!(await this.#remove(bases, base))) continue;
      raft.removed(base);
      log.info(`the log starts at offset ${memory.word(WORD.START)}: ${bases.length} segments before offset ${base} were removed`);
    }
  }

  /** False: the engine ends, and the rest is left to its next start; or the log began anew, and the rest has gone. */
  async #remove(bases: readonly number[], base: number): Promise<boolean> {
    const { memory, segments, loop, hasRoom } = this.#ports;
    const goesOn = (): boolean => !this.#isOver && memory.word(WORD.BASE) === base;
    const pace = new RemovalPace(memory.map.shape.segmentBytes, { nowMs: loop.nowMs(), logEnd: memory.tail });
    for (let at = 0; at < bases.length && goesOn(); ) {
      const next = at + REMOVE_SEGMENTS;
      const startedMs = loop.nowMs();
      const removal = segments.remove({ bases: bases.slice(at, next), pieceBytes: pace.pieceBytes, isLast: next >= bases.length });
      let pauseMs = REMOVE_PAUSE_MS;
      if (removal !== undefined) {
        const removed = await removal;
        at += removed.gone;
        pauseMs = pace.pauseMs(removed, startedMs, { nowMs: loop.nowMs(), logEnd: memory.tail }, hasRoom());
      }
      if (at < bases.length) await new Promise<void>((resolve) => loop.after(pauseMs, resolve, true));
    }
    return goesOn();
  }
}
