// The log certifies itself: of each sealed segment each node makes a digest, from its own disk, and tells it to the leader; what a majority has found, the
// leader puts into the log. So one bad memory or disk seals nothing, and whoever has the log can check a copy of a segment alone. A node whose
// own digest differs from what the log says has found out about itself.
//
//   sealed, committed ──► examined, at a pace ──► digest to the leader ──► a majority says the same ──► seal entry ──► compared when it is committed
//
// Seals may lag, and nothing waits for one.

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { EXAMINE_AGAIN_MS, MAX_SEAL_ROWS_AT_ONCE } from '../core/limits.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { SegmentDamage } from '../storage/examiner.ts';
import type { SealRow } from '../storage/sealsFile.ts';
import type { EngineLog } from './engineOptions.ts';
import { examineSegment } from './examinations.ts';
import type { Loop } from './loop.ts';
import type { OwnEntries } from './ownEntries.ts';
import type { RaftPort } from './raftPort.ts';
import type { Segments } from './segments.ts';

export interface SealPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'after' | 'nowMs'>;
  /** The state of the log. */
  readonly fold: Pick<LogFold, 'level' | 'seal'>;
  readonly own: Pick<OwnEntries, 'seal'>;
  readonly segments: Pick<Segments, 'sealed'>;
  readonly tasks: Pick<DiskTasks, 'examine' | 'readSeals' | 'addSeals'>;
  /** This node and the others. */
  readonly self: number;
  readonly others: readonly number[];
  /** 0: no digests are made. */
  readonly bytesPerSecond: number;
  /** Whether appends wait: what is examined waits, too. */
  isBusy(): boolean;
  /** Undefined while it is not there. */
  raft(): Pick<RaftPort, 'digest'> | undefined;
  /** A segment is damaged here. */
  damaged(segment: SealedSegment, damage: SegmentDamage): void;
  readonly log: Pick<EngineLog, 'error' | 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** What is known of a sealed segment: what this node has found on its own disk, and what the log says; undefined: nothing yet. */
interface Row {
  readonly base: number;
  readonly end: number;
  own: string | undefined;
  log: string | undefined;
}

const isSame = (left: Seal, right: Seal): boolean => left.base === right.base && left.end === right.end && left.digest === right.digest;

/** Of each segment there may be a row of each kind. */
const MAX_ROWS_A_SEGMENT = 2;
/** A file is written anew where less of it is of use. */
const MIN_USEFUL = 2;

export class Seals {
  readonly #ports: SealPorts;
  /** By base. */
  readonly #rows = new Map<number, Row>();
  /** What the log says in entries that may not be committed yet, in their order. */
  #pending: { readonly seal: Seal; readonly by: number }[] = [];
  /** What the nodes have found, as they told last; this one, too. */
  readonly #reports = new Map<number, Seal>();
  /** Where the last segment ends that the log seals, by a committed entry. */
  #end = 0;
  /** The last thing that was told to the raft thread. */
  #told: Seal | undefined;
  /** Rows that are not in the file yet. */
  #unsaved: SealRow[] = [];
  #savedTo = 0;
  /** Bases of segments that could not be examined, and when they may be again. */
  readonly #failed = new Map<number, number>();
  /** All segments before have been examined. */
  #examinedTo = 0;
  /** Rows of segments before this are gone. */
  #forgotTo = 0;
  #isLoaded = false;
  #isWorking = false;
  #isSaving = false;
  #isOver = false;

  constructor(ports: SealPorts) {
    this.#ports = ports;
  }

  /** Log offset before which all that can be is sealed by committed entries; 0: nothing is. */
  get end(): number {
    return this.#end;
  }

  /** Segments whose bytes here are valid, and are not what the log says that they are: ascending. */
  get different(): readonly number[] {
    const bases = [...this.#rows.values()].filter(isDifferent).map(({ base }) => base);
    return bases.sort((a, b) => a - b);
  }

  /** Whether this node must not serve the segment at `base`: it is not what the log says. */
  isDifferent(base: number): boolean {
    const row = this.#rows.get(base);
    return row !== undefined && isDifferent(row);
  }

  /** What the log says of the segment [base, end); undefined: nothing that this node knows of. */
  digestOf({ base, end }: Pick<SealedSegment, 'base' | 'end'>): string | undefined {
    const row = this.#rows.get(base);
    return row?.end === end ? row.log : undefined;
  }

  /** Begins, with what the directory remembers. `last` is what the log says last, by an entry that ends at or before its end `tail`. */
  start(last: Seal, tail: number): void {
    if (last.end > 0) this.#pending.push({ seal: last, by: tail });
    this.#load().catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  /** The engine ends. */
  stop(): void {
    this.#isOver = true;
  }

  /** The log says what a segment is, by an entry that ends at log offset `by`. Called as the entry is put there, in the gate: nothing else is done. */
  met(seal: Seal, by: number): void {
    this.#pending.push({ seal, by });
  }

  /** The log is cut at `offset`. */
  cut(offset: number): void {
    this.#pending = this.#pending.filter(({ by }) => by <= offset);
  }

  /** Another node says what it has found a segment to be. */
  reported(node: number, seal: Seal): void {
    this.#reports.set(node, seal);
    this.look();
  }

  /** Another copy of the segment at `base` is in place: it is looked at again. */
  healed(base: number): void {
    const row = this.#rows.get(base);
    if (row !== undefined) row.own = undefined;
    this.#examinedTo = Math.min(this.#examinedTo, base);
    this.#failed.delete(base);
    this.look();
  }

  /** The commit has moved: that may be all that an entry waited for. */
  committed(): void {
    if (this.#pending[0] !== undefined && this.#pending[0].by <= this.#ports.memory.commitBound) this.look();
  }

  /** Looks what there is to do: the commit has moved, a segment was sealed, a node has reported, or some time has passed. */
  look(): void {
    if (this.#isOver || !this.#isLoaded) return;
    const { commitBound } = this.#ports.memory;
    this.#forgetTrimmed();
    while (this.#pending[0] !== undefined && this.#pending[0].by <= commitBound) this.#adopt(this.#pending.shift()?.seal);
    this.#report();
    this.#propose();
    this.#save();
    this.#work();
  }

  async #load(): Promise<void> {
    try {
      const { rows, end } = await this.#ports.tasks.readSeals({});
      for (const row of rows) if (row.end > this.#ports.memory.word(WORD.BASE)) this.#put(row);
      // What is of no use any more is written no more: the rows that are kept go in its place.
      if (this.#rows.size * MAX_ROWS_A_SEGMENT >= rows.length / MIN_USEFUL) this.#savedTo = end;
      else this.#unsaved = this.#allRows();
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      // The log goes on without: what there was is left as it is, and what is learned is not kept.
      this.#ports.log.warn(`what is remembered of seals could not be read: ${thrown.message}`);
      this.#isSaving = true;
    }
    this.#isLoaded = true;
    this.look();
  }

  #allRows(): SealRow[] {
    const rows: SealRow[] = [];
    for (const { base, end, own, log } of this.#rows.values()) {
      if (own !== undefined) rows.push({ whose: 'own', base, end, digest: own });
      if (log !== undefined) rows.push({ whose: 'log', base, end, digest: log });
    }
    return rows;
  }

  /** Lets go of what is known of segments that were trimmed. */
  #forgetTrimmed(): void {
    const base = this.#ports.memory.word(WORD.BASE);
    if (base === this.#forgotTo) return;
    this.#forgotTo = base;
    for (const row of this.#rows.values()) {
      if (row.end <= base) this.#rows.delete(row.base);
    }
  }

  #put({ whose, base, end, digest }: SealRow): Row {
    let row = this.#rows.get(base);
    if (row?.end !== end) row = { base, end, own: undefined, log: undefined };
    row[whose] = digest;
    this.#rows.set(base, row);
    if (whose === 'log') this.#end = Math.max(this.#end, end);
    return row;
  }

  #remember(row: SealRow): void {
    const before = this.#rows.get(row.base);
    if (before?.end !== row.end || before[row.whose] !== row.digest) this.#unsaved.push(row);
    this.#compare(this.#put(row));
  }

  #adopt(seal: Seal | undefined): void {
    assert(seal !== undefined, 'there is one');
    this.#remember({ whose: 'log', ...seal });
  }

  #compare(row: Row): void {
    if (!isDifferent(row)) return;
    this.#ports.log.error(
      `the segment at log offset ${row.base} on this node is valid, and is not what the log says that it is: its SHA-256 is ${row.own}, and the log says ` +
        `${row.log}; nothing was changed, and nobody gets it from this node's disk any more: compare the nodes with loglog verify --cluster`,
    );
  }

  /** The first segment that is to be sealed next, as this node knows; undefined: there is none. */
  get #next(): SealedSegment | undefined {
    const { segments, memory, fold } = this.#ports;
    if (fold.level === 0) return undefined;
    const next = segments.sealed[firstFrom(segments.sealed, Math.max(this.#end, memory.word(WORD.BASE)))];
    return next !== undefined && next.end <= memory.commitBound ? next : undefined;
  }

  #report(): void {
    const next = this.#next;
    const row = next === undefined ? undefined : this.#rows.get(next.base);
    if (row?.own === undefined || row.end !== next?.end) return;
    const seal = { base: row.base, end: row.end, digest: row.own };
    if (this.#told !== undefined && isSame(this.#told, seal)) return;
    this.#told = seal;
    this.#reports.set(this.#ports.self, seal);
    if (this.#ports.others.length > 0) this.#ports.raft()?.digest(seal);
  }

  /** Seals what a majority of the voters have found alike. */
  #propose(): void {
    const { memory, own, fold, self, others } = this.#ports;
    if (memory.word(WORD.OPEN_TERM) === 0) return;
    const voters = [self, ...others].filter((node) => memory.peers.get(node).isVoter !== false || others.length === 0);
    const majority = Math.floor((1 + others.length) / 2) + 1;
    for (const node of voters) {
      const seal = this.#reports.get(node);
      // One at a time: the next one comes when this one is committed.
      if (seal === undefined || seal.base < Math.max(this.#end, fold.seal.end) || seal.end > memory.commit) continue;
      const alike = voters.filter((other) => {
        const said = this.#reports.get(other);
        return said !== undefined && isSame(said, seal);
      });
      if (alike.length < majority) continue;
      own.seal(seal);
      return;
    }
  }

  /** Writes what is new to the file. What cannot be written is made again after the next start. */
  #save(): void {
    if (this.#isSaving || this.#unsaved.length === 0) return;
    this.#isSaving = true;
    const rows = this.#unsaved.splice(0, MAX_SEAL_ROWS_AT_ONCE);
    this.#ports.tasks
      .addSeals({ rows, at: this.#savedTo })
      .then(
        (end) => {
          this.#savedTo = end;
        },
        (thrown: unknown) => {
          if (!(thrown instanceof LogError)) throw thrown;
        },
      )
      .then(
        () => {
          this.#isSaving = false;
          if (!this.#isOver) this.#save();
        },
        (thrown: unknown) => this.#ports.broke(thrown),
      );
  }

  #work(): void {
    if (this.#isWorking || this.#ports.bytesPerSecond === 0) return;
    const segment = this.#unexamined();
    if (segment === undefined) return;
    this.#isWorking = true;
    this.#examine(segment).then(
      () => {
        this.#isWorking = false;
        this.look();
      },
      (thrown: unknown) => this.#ports.broke(thrown),
    );
  }

  /** What is to be sealed next comes first; then what was sealed before this node had it. */
  #unexamined(): SealedSegment | undefined {
    const { segments, memory, fold, loop } = this.#ports;
    if (fold.level === 0) return undefined;
    const isDone = ({ base, end }: SealedSegment): boolean => {
      const row = this.#rows.get(base);
      return row?.end === end && row.own !== undefined;
    };
    const { sealed } = segments;
    const due = (from: number, to: number): SealedSegment | undefined => {
      for (let i = firstFrom(sealed, from); ; i += 1) {
        const segment = sealed[i];
        if (segment === undefined || segment.base >= to || segment.end > memory.commitBound) return undefined;
        if (!isDone(segment) && (this.#failed.get(segment.base) ?? 0) <= loop.nowMs()) return segment;
      }
    };
    let done = sealed[firstFrom(sealed, this.#examinedTo)];
    for (; done !== undefined && isDone(done); done = sealed[firstFrom(sealed, done.end)]) this.#examinedTo = done.end;
    return due(Math.max(this.#end, this.#examinedTo), Number.POSITIVE_INFINITY) ?? due(this.#examinedTo, this.#end);
  }

  async #examine(segment: SealedSegment): Promise<void> {
    const { tasks, loop, isBusy, segments, bytesPerSecond, damaged } = this.#ports;
    const isThere = (): boolean => !this.#isOver && segments.sealed.includes(segment);
    try {
      const found = await examineSegment({ tasks, loop, isBusy }, 'seal', segment, { bytesPerSecond, goesOn: isThere });
      if (found === undefined || !isThere()) return;
      if (found.outcome === 'whole') this.#remember({ whose: 'own', base: segment.base, end: segment.end, digest: found.sha256 });
      else {
        this.#failed.set(segment.base, loop.nowMs() + EXAMINE_AGAIN_MS);
        damaged(segment, found);
      }
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      // It says nothing about the segment: no descriptor, no thread, or the node ends.
      this.#failed.set(segment.base, loop.nowMs() + EXAMINE_AGAIN_MS);
    }
  }
}

/** Where the first segment of `sealed` stands that begins at log offset `from` or later. */
function firstFrom(sealed: readonly SealedSegment[], from: number): number {
  let low = 0;
  let high = sealed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sealed[middle]?.base ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isDifferent({ own, log }: Row): boolean {
  return own !== undefined && log !== undefined && own !== log;
}
