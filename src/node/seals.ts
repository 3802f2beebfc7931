// The log certifies itself: of each sealed segment each node makes a digest, from its own disk, and tells it to the leader; what a majority has found, the
// leader puts into the log. So one bad memory or disk seals nothing, and whoever has the log can check a copy of a segment alone. A node whose
// own digest differs from what the log says has found out about itself.
//
//   sealed, committed ──► examined, at a pace ──► digest to the leader ──► a majority says the same ──► seal entry ──► compared when it is committed
//
// Seals may lag, and nothing waits for one.

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { EXAMINE_AGAIN_MS, SEAL_SKIP_MS } from '../core/limits.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { SegmentDamage, WholeSegment } from '../storage/examiner.ts';
import type { EngineLog } from './engineOptions.ts';
import { examineSegment } from './examinations.ts';
import type { Loop } from './loop.ts';
import type { OwnEntries } from './ownEntries.ts';
import type { RaftPort } from './raftPort.ts';
import { Retries } from './retries.ts';
import { type KnownSegment, SealRows } from './sealRows.ts';
import type { Segments } from './segments.ts';
import type { SealStatus } from './status.ts';

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
  raft(): Pick<RaftPort, 'digest' | 'different'> | undefined;
  /** A segment is damaged here. */
  damaged(segment: SealedSegment, damage: SegmentDamage): void;
  readonly log: Pick<EngineLog, 'error' | 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

const isSame = (left: Seal, right: Seal): boolean => left.base === right.base && left.end === right.end && left.digest === right.digest;

export class Seals {
  readonly #ports: SealPorts;
  readonly #rows: SealRows;
  /** What the log says in entries that may not be committed yet, in their order. */
  #pending: { readonly seal: Seal; readonly by: number }[] = [];
  /** What the nodes have found, as they told last; this one, too. */
  readonly #reports = new Map<number, Seal>();
  /** Where the last segment ends that the log seals, by a committed entry. */
  #end = 0;
  /** What is to be sealed next, since when, and whether it was said that it waits. */
  #waiting: { readonly base: number; readonly sinceMs: number; isSaid: boolean } | undefined;
  /** The last thing that was told to the raft thread. */
  #told: Seal | undefined;
  /** Segments that could not be examined. */
  readonly #failed = new Retries(EXAMINE_AGAIN_MS);
  /** Bases of segments that are damaged here, and since when. */
  readonly #damagedAtMs = new Map<number, number>();
  /** All segments before have been examined. */
  #examinedTo = 0;
  /** Rows of segments before this are gone. */
  #forgotTo = 0;
  #isLoaded = false;
  #isWorking = false;
  #isOver = false;

  constructor(ports: SealPorts) {
    this.#ports = ports;
    const { loop, tasks, log, broke } = ports;
    this.#rows = new SealRows({ loop, tasks, log, different: (bases) => ports.raft()?.different(bases), broke });
  }

  /** Log offset before which all that can be is sealed by committed entries; 0: nothing is. */
  get end(): number {
    return this.#end;
  }

  /** Segments whose bytes here are valid, and are not what the log says that they are: ascending. */
  get different(): readonly number[] {
    return this.#rows.different;
  }

  /** Whether this node must not serve the segment at `base`: it is not what the log says. */
  isDifferent(base: number): boolean {
    return this.#rows.isDifferent(base);
  }

  get status(): SealStatus {
    const next = this.#next;
    const { end, different } = this;
    if (next === undefined) return { end, different, next: null, waitsMs: null, why: null };
    const waitsMs = this.#waiting?.base === next.base ? Math.round(this.#ports.loop.nowMs() - this.#waiting.sinceMs) : 0;
    return { end, different, next: next.base, waitsMs, why: this.#whyNot(next) };
  }

  /** What the log says of the segment [base, end); undefined: nothing that this node knows of. */
  digestOf({ base, end }: Pick<SealedSegment, 'base' | 'end'>): string | undefined {
    const row = this.#rows.get(base);
    return row?.end === end ? row.log : undefined;
  }

  /** What this node has found the segment [base, end) to be; undefined: nothing yet. */
  ownDigestOf({ base, end }: Pick<SealedSegment, 'base' | 'end'>): string | undefined {
    const row = this.#rows.get(base);
    return row?.end === end ? row.own : undefined;
  }

  /** Begins, with what the directory remembers. `last` is what the log says last, by an entry that ends at or before its end `tail`. */
  start(last: Seal, tail: number): void {
    if (last.end > 0) this.#pending.push({ seal: last, by: tail });
    this.#load().catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  /** The engine ends. */
  stop(): void {
    this.#isOver = true;
    this.#rows.stop();
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

  /** All of `segment` was read and passes its checks: what it is now, and what the log before it says. */
  examined({ base, end }: SealedSegment, { sha256, lastSeal }: WholeSegment): void {
    if (this.#ports.fold.level === 0) return;
    this.#damagedAtMs.delete(base);
    this.#failed.forget(base);
    this.#rows.remember({ whose: 'own', base, end, digest: sha256 });
    // A row of the log's that was lost, or came before this node had the log.
    if (lastSeal !== undefined && !this.isDifferent(base) && this.#isUnknown(lastSeal)) this.#adopt(lastSeal);
    this.look();
  }

  /** Whether this node has a segment without knowing that the log has sealed it so. */
  #isUnknown({ base, end }: Seal): boolean {
    const { sealed } = this.#ports.segments;
    return sealed[firstFrom(sealed, base)]?.end === end && this.#rows.get(base)?.log === undefined;
  }

  /** Another copy of the segment at `base` is in place: it is looked at again. */
  healed(base: number): void {
    this.#damagedAtMs.delete(base);
    this.#rows.forgetOwn(base);
    this.#examinedTo = Math.min(this.#examinedTo, base);
    this.#failed.forget(base);
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
    while (this.#pending[0] !== undefined && this.#pending[0].by <= commitBound) this.#adoptNext();
    this.#report();
    this.#propose();
    this.#warn();
    this.#rows.save();
    this.#work();
  }

  async #load(): Promise<void> {
    this.#end = Math.max(this.#end, await this.#rows.load(this.#ports.memory.word(WORD.BASE)));
    this.#isLoaded = true;
    this.look();
  }

  /** Lets go of what is known of segments that were trimmed. */
  #forgetTrimmed(): void {
    const base = this.#ports.memory.word(WORD.BASE);
    if (base === this.#forgotTo) return;
    this.#forgotTo = base;
    this.#rows.forgetBefore(base);
    for (const at of this.#damagedAtMs.keys()) if (at < base) this.#damagedAtMs.delete(at);
    for (const at of this.#failed.bases) if (at < base) this.#failed.forget(at);
  }

  #adoptNext(): void {
    const next = this.#pending.shift();
    assert(next !== undefined, 'there is one');
    this.#adopt(next.seal);
  }

  /** The log says what a segment is, by a committed entry. */
  #adopt(seal: Seal): void {
    this.#rows.remember({ whose: 'log', ...seal });
    this.#end = Math.max(this.#end, seal.end);
  }

  /** The first segment that is to be sealed next, as this node knows; undefined: there is none. */
  get #next(): SealedSegment | undefined {
    const { segments, memory, fold } = this.#ports;
    if (fold.level === 0) return undefined;
    const next = segments.sealed[firstFrom(segments.sealed, Math.max(this.#end, memory.word(WORD.BASE)))];
    return next !== undefined && next.end <= memory.commitBound ? next : undefined;
  }

  /** What this node has found of the first segment that is to be sealed, or of a later one where those before have been damaged here for long. */
  get #nextFound(): KnownSegment | undefined {
    const { segments, memory, loop } = this.#ports;
    const first = this.#next;
    if (first === undefined) return undefined;
    for (let i = firstFrom(segments.sealed, first.base); ; i += 1) {
      const segment = segments.sealed[i];
      if (segment === undefined || segment.end > memory.commitBound) return undefined;
      const row = this.#rows.get(segment.base);
      if (row?.end === segment.end && row.own !== undefined) return row;
      const sinceMs = this.#damagedAtMs.get(segment.base);
      if (sinceMs === undefined || loop.nowMs() < sinceMs + SEAL_SKIP_MS) return undefined;
    }
  }

  #report(): void {
    const row = this.#nextFound;
    if (row?.own === undefined) return;
    const seal = { base: row.base, end: row.end, digest: row.own };
    if (this.#told !== undefined && isSame(this.#told, seal)) return;
    this.#told = seal;
    this.#reports.set(this.#ports.self, seal);
    if (this.#ports.others.length > 0) this.#ports.raft()?.digest(seal);
  }

  /** The nodes that count for majorities. */
  get #voters(): readonly number[] {
    const { self, others, memory } = this.#ports;
    return [self, ...others].filter((node) => memory.peers.get(node).isVoter !== false || others.length === 0);
  }

  /** Why the segment `next` is not sealed yet, as far as this node knows. */
  #whyNot({ base }: SealedSegment): string {
    const { memory, others, bytesPerSecond } = this.#ports;
    if (this.#damagedAtMs.has(base)) return 'it is damaged on this node';
    if (this.#rows.get(base)?.own === undefined)
      return bytesPerSecond === 0 ? 'this node makes no digests' : 'this node has not read it through yet';
    if (memory.word(WORD.OPEN_TERM) === 0) return 'the leader has not sealed it yet';
    const said = this.#voters.flatMap((node) => this.#reports.get(node) ?? []).filter((seal) => seal.base === base);
    const isSplit = new Set(said.map(({ digest }) => digest)).size > 1;
    const counted = `${said.length} of ${1 + others.length} nodes have said what it is`;
    return isSplit ? `${counted}, and not the same: compare the nodes with loglog verify --cluster` : `${counted}, and a majority must`;
  }

  /** Says it where what is to be sealed next waits for long, although this node, which leads, has read it. */
  #warn(): void {
    const { loop, memory, log } = this.#ports;
    const next = this.#next;
    if (next?.base !== this.#waiting?.base) this.#waiting = next && { base: next.base, sinceMs: loop.nowMs(), isSaid: false };
    const waiting = this.#waiting;
    if (next === undefined || waiting === undefined || waiting.isSaid || loop.nowMs() < waiting.sinceMs + SEAL_SKIP_MS) return;
    if (memory.word(WORD.OPEN_TERM) === 0 || this.#rows.get(next.base)?.own === undefined) return;
    waiting.isSaid = true;
    log.warn(`the segment at log offset ${next.base} waits for its seal, and so do those after it: ${this.#whyNot(next)}`);
  }

  /** Seals what a majority of the voters have found alike. */
  #propose(): void {
    const { memory, own, fold, others } = this.#ports;
    if (memory.word(WORD.OPEN_TERM) === 0) return;
    const voters = this.#voters;
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
        if (!isDone(segment) && this.#failed.isDue(segment.base, loop.nowMs())) return segment;
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
      if (found.outcome === 'whole') this.examined(segment, found);
      else {
        this.#failed.failed(segment.base, loop.nowMs());
        if (!this.#damagedAtMs.has(segment.base)) this.#damagedAtMs.set(segment.base, loop.nowMs());
        damaged(segment, found);
      }
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      // It says nothing about the segment: no descriptor, no thread, or the node ends.
      this.#failed.failed(segment.base, loop.nowMs());
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
