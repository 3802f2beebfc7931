// Where the log begins on a node that runs, and how what is before that goes. The start may lie inside a segment, and holds for readers at
// once; files go by whole segments. What says that they may go is durable before the first of them is touched (invariant 11):
//
//   start moves ──► node.json says so (raft thread, who alone writes it) ──► files go, the oldest first ──► node.json says that they are gone
//
// A crash in between leaves files before the start that node.json names: recovery removes them. No segment goes that is not sealed, nor one
// whose end is the commit: so there is always one to go on in, and a truncation finds what it needs.

import { assert } from '../core/assert.ts';
import { REMOVE_PAUSE_MS, REMOVE_SEGMENTS } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Loop } from './loop.ts';
import type { RaftPort } from './raftPort.ts';
import type { Segments } from './segments.ts';

export interface TrimPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'after'>;
  readonly segments: Pick<Segments, 'baseBefore' | 'trim' | 'remove'>;
  /** Undefined while it is not there. */
  raft(): Pick<RaftPort, 'trim' | 'removed'> | undefined;
  readonly log: Pick<EngineLog, 'info'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

export class Trims {
  readonly #ports: TrimPorts;
  #isWorking = false;
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
    for (let base = this.#target; base > memory.word(WORD.BASE); base = this.#target) {
      await raft.trim(base);
      if (this.#isOver) return;
      const bases = segments.trim(base);
      if (!(await this.#remove(bases))) return;
      raft.removed(base);
      log.info(`the log starts at offset ${memory.word(WORD.START)}: ${bases.length} segments before offset ${base} were removed`);
    }
  }

  /** False: the engine ends, and the rest is left to its next start. */
  async #remove(bases: readonly number[]): Promise<boolean> {
    for (let at = 0; at < bases.length && !this.#isOver; ) {
      const next = at + REMOVE_SEGMENTS;
      const removal = this.#ports.segments.remove(bases.slice(at, next), next >= bases.length);
      if (removal !== undefined) {
        await removal;
        at = next;
      }
      if (at < bases.length) await new Promise<void>((resolve) => this.#ports.loop.after(REMOVE_PAUSE_MS, resolve, true));
    }
    return !this.#isOver;
  }
}
