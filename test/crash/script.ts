// Scripts: what a node is made to do, drawn by seed. Everything that changes its disk goes into a journal, together with what
// the node had promised by then.

import { WORD } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { Identity, Vote } from '../../src/storage/dataDirectory.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { applyTrim, planTrim } from '../../src/storage/trim.ts';
import { Random } from '../assembly/random.ts';
import { dataEndOf, drawSizes, makeBatch } from './batches.ts';
import { CrashModel } from './crashModel.ts';
import { type DiskImage, type DiskOperation, MemoryDisk } from './memoryDisk.ts';
import { OrderedLog } from './orderedLog.ts';
import { ScriptLeader } from './scriptLeader.ts';
import { DIRECTORY, MAX_PAYLOAD_BYTES, type NodeEvents, TestNode } from './testNode.ts';

/** What a node has promised at some moment. */
export interface Promises {
  /** Everything below this log offset was durable. */
  readonly durable: number;
  /** What was ordered, up to `orderedEnd`: only this may ever be found. */
  readonly ordered: OrderedLog;
  readonly orderedEnd: number;
  /** The last vote that was written, and those that were being written since. */
  readonly voted: Vote | undefined;
  readonly voting: readonly Vote[];
  /** Set once it was written. */
  readonly identity: Identity | undefined;
  /** Where the log starts since the last trim that was done, and where it will start by the one that may be under way. */
  readonly trimmed: number;
  readonly trimming: number;
  /** The commit bound that was on disk, and what was committed: the one that is recovered lies between. */
  readonly bound: number;
  readonly committed: number;
}

/** One place in the journal: what was promised when everything before `operation` had been done. */
export interface JournalEntry {
  readonly operation: DiskOperation | { readonly kind: 'powerCut'; readonly image: DiskImage } | { readonly kind: 'end' };
  readonly promises: Promises;
}

export interface Recording {
  readonly journal: readonly JournalEntry[];
  /** What the node did, one line an action. */
  readonly actions: readonly string[];
  /** A failure of the script itself: a restart that did not work. */
  readonly failure: Error | undefined;
}

/** Puts a fault between a node and its disk. Made anew for every process. */
export type WrapDisk = (disk: Disk) => Disk;

/** Thrown by the disk when the process dies. */
class Killed extends Error {}

class Recorder {
  readonly journal: JournalEntry[] = [];
  readonly actions: string[] = [];
  readonly random: Random;
  readonly #memory: TailMemory;
  readonly #wrap: WrapDisk;
  #disk: MemoryDisk;
  #node: TestNode | undefined;
  #nowMs = 1_700_000_000_000;
  /** The process dies before this many more operations. */
  #fuse = Number.POSITIVE_INFINITY;
  #durable = 0;
  #bound = 0;
  #ordered = new OrderedLog(new Uint8Array(0));
  #voted: Vote | undefined;
  #voting: readonly Vote[] = [];
  #identity: Identity | undefined;
  #trimmed = 0;
  #trimming = 0;
  /** Where a truncation that may be under way cuts. */
  #truncating: number | undefined;
  /** Where the last data entry ends; the log's start where there is none. */
  #dataEnd = 0;
  readonly #leader: ScriptLeader;

  constructor(seed: number, memory: TailMemory, wrap: WrapDisk) {
    this.random = new Random(seed);
    this.#memory = memory;
    this.#wrap = wrap;
    this.#disk = new MemoryDisk(new Map(), this.#observe);
    this.#leader = new ScriptLeader(this.random);
  }

  readonly #observe = (operation: DiskOperation): void => {
    if (this.#fuse <= 0) throw new Killed('the process died');
    this.#fuse -= 1;
    this.record(operation);
  };

  record(operation: JournalEntry['operation']): void {
    this.#noteDurable();
    const promises: Promises = {
      durable: this.#durable,
      ordered: this.#ordered,
      orderedEnd: this.#ordered.end,
      voted: this.#voted,
      voting: this.#voting,
      identity: this.#identity,
      trimmed: this.#trimmed,
      trimming: this.#trimming,
      bound: this.#bound,
      committed: Math.max(this.#leader.committed, this.#trimming),
    };
    this.journal.push({ operation, promises });
  }

  /** Conditions of appends are compared with it. */
  #checkDataEnd(): void {
    const { dataEnd } = this.#memory;
    if (dataEnd !== this.#dataEnd) throw new Error(`the node takes its data to end at ${dataEnd}; it ends at ${this.#dataEnd}`);
  }

  /** What is durable is a promise, up to where a truncation cuts. */
  #noteDurable(): void {
    this.#bound = Math.max(this.#bound, this.#node?.bound ?? 0);
    if (this.#truncating !== undefined) this.#durable = Math.min(this.#durable, this.#truncating);
    else if (this.#node !== undefined) this.#durable = Math.max(this.#durable, this.#node.durable);
  }

  readonly #events: NodeEvents = {
    identified: (identity) => {
      this.#identity = identity;
    },
    voting: (vote) => {
      this.#voting = [...this.#voting, vote];
    },
    voted: (vote) => {
      this.#voted = vote;
      this.#voting = [];
    },
    recovered: ({ start, end }) => {
      if (end < this.#durable || end > this.#ordered.end) {
        throw new Error(`a restart found the log's end at ${end}; durable was ${this.#durable}, ordered ${this.#ordered.end}`);
      }
      this.#truncating = undefined;
      this.#ordered = new OrderedLog(this.#ordered.slice(0, end));
      this.#durable = end;
      this.#dataEnd = Math.max(start, dataEndOf(this.#ordered.slice(0, end), 0, 0));
    },
    trimming: (base) => {
      this.#trimming = Math.max(this.#trimming, base);
    },
    trimmed: (base) => {
      this.#trimmed = base;
    },
    truncating: (offset) => {
      this.#noteDurable();
      this.#truncating = offset;
    },
    truncated: (offset) => {
      this.#truncating = undefined;
      this.#ordered = new OrderedLog(this.#ordered.slice(0, offset));
      this.#durable = offset;
      if (this.#dataEnd > offset) this.#dataEnd = Math.max(this.#memory.word(WORD.BASE), dataEndOf(this.#ordered.slice(0, offset), 0, 0));
      this.#checkDataEnd();
    },
    ordered: (first, _end, bytes) => {
      this.#ordered.add(first, bytes);
      this.#dataEnd = dataEndOf(bytes, first, this.#dataEnd);
      this.#checkDataEnd();
    },
  };

  /** Starts a node on what the disk holds, until one start is not cut short. */
  start(): void {
    for (;;) {
      try {
        if (this.#durable > 0 && this.random.oneIn(5)) this.#trim();
        this.actions.push('start');
        const random = Uint8Array.from({ length: 32 }, () => this.random.below(256));
        const clock = (): number => {
          this.#nowMs += 8;
          return this.#nowMs;
        };
        const node = new TestNode(this.#wrap(this.#disk), this.#memory, random, clock, this.#events);
        this.#node = node;
        if (this.random.oneIn(2)) node.begin();
        else node.follow(node.term + this.random.below(3));
        this.#leader.started(node);
        return;
      } catch (thrown) {
        if (!(thrown instanceof Killed)) throw thrown;
        this.#died();
      }
    }
  }

  /** Trims the stopped log, as the offline tool does. */
  #trim(): void {
    const disk = this.#wrap(this.#disk);
    // Often the same again: what a trim that was cut short leaves behind must not confuse the next one.
    const before = this.random.oneIn(2) ? Math.min(this.#trimming, this.#durable) : this.random.below(this.#durable);
    const plan = planTrim(disk, DIRECTORY, before);
    this.actions.push(`trim before ${before}: start ${plan.newStart}, ${plan.bases.length} segments`);
    this.#trimming = Math.max(this.#trimming, plan.newStart);
    applyTrim(disk, plan);
    this.#trimmed = Math.max(this.#trimmed, plan.bases.length > 0 ? plan.newStart : 0);
  }

  /** The process is gone; half of the time the machine went with it, and with that what was not synced. */
  #died(): void {
    this.#fuse = Number.POSITIVE_INFINITY;
    this.#noteDurable();
    this.#node = undefined;
    this.#disk.processDied();
    if (this.random.oneIn(2)) {
      this.actions.push('the process died');
    } else {
      this.actions.push('power cut');
      const model = new CrashModel();
      for (const { operation } of this.journal) {
        if (operation.kind === 'powerCut') model.reset(operation.image);
        else if (operation.kind !== 'end') model.apply(operation);
      }
      const image = model.anyState(this.random);
      this.record({ kind: 'powerCut', image });
      this.#disk = new MemoryDisk(image, this.#observe);
    }
    // A third of the starts after a death is cut short too.
    if (this.random.oneIn(3)) this.#fuse = this.random.below(12);
  }

  /** Restarts after a clean stop, or a death in the middle of whatever comes next. */
  #restart(node: TestNode): void {
    if (this.random.oneIn(3)) {
      this.actions.push('stop');
      node.stop();
      if (this.#disk.openFiles > 0) throw new Error('a clean stop leaves files open');
      this.#died();
    } else {
      this.#fuse = this.random.below(6);
      this.actions.push(`die after ${this.#fuse} operations`);
      node.settle();
      this.#died();
    }
    this.start();
  }

  /** One random action of a running node. */
  act(): void {
    const node = this.#node;
    if (node === undefined) throw new Error('no node runs');
    try {
      this.#actOn(node);
    } catch (thrown) {
      if (!(thrown instanceof Killed)) throw thrown;
      this.#died();
      this.start();
    }
  }

  #actOn(node: TestNode): void {
    const choice = this.random.below(118);
    if (choice >= 110) {
      this.actions.push(this.#writeAtOnce(node));
    } else if (choice < 40) {
      this.actions.push(node.isLeader ? this.#append(node) : this.#leader.replicate(node, this.#ordered));
    } else if (choice < 76) {
      const writer = this.random.below(node.writers);
      const steps = this.random.pick(1, 2, 2, 3);
      this.actions.push(`step ${writer}, ${steps} times`);
      for (let i = 0; i < steps; i += 1) node.step(writer);
    } else if (choice < 83) {
      const writer = this.random.below(node.writers);
      this.actions.push(`seal ${writer}`);
      node.seal(writer);
    } else if (choice < 89) {
      const writer = this.random.below(node.writers);
      this.actions.push(`mark ${writer}`);
      node.mark(writer);
    } else if (choice < 91 && node.spares === 0) {
      this.actions.push('allocate');
      node.allocate();
    } else if (choice < 92) {
      this.actions.push('settle');
      node.settle();
    } else if (choice < 94) {
      this.#trimRunning(node);
    } else if (choice < 98) {
      this.#restart(node);
    } else if (choice < 102) {
      this.actions.push(this.#leader.changeTerm(node));
    } else if (choice < 104) {
      this.actions.push(this.#leader.commit(node, this.#ordered));
    } else {
      this.#truncate(node);
    }
  }

  /** Orders something while the writer of the open segment rests, which is then written in its place. */
  #writeAtOnce(node: TestNode): string {
    const last = node.writers - 1;
    for (let i = 0; i < 4; i += 1) node.step(last);
    const ordered = node.isLeader ? this.#append(node) : this.#leader.replicate(node, this.#ordered);
    return `${ordered}; written at once: ${node.writeAtOnce()}`;
  }

  /** Some steps of a trim; one in four dies of it. */
  #trimRunning(node: TestNode): void {
    const start = this.random.below(this.#ordered.end + 1);
    const steps = 1 + this.random.below(4);
    if (this.random.oneIn(4)) this.#fuse = this.random.below(10);
    this.actions.push(`trim to ${start}, or go on with it, ${steps} steps, ${this.#fuse} operations until it dies`);
    for (let i = 0; i < steps; i += 1) node.trim(start);
    this.#fuse = Number.POSITIVE_INFINITY;
  }

  #append(node: TestNode): string {
    const { entries, entryCount } = makeBatch(drawSizes(this.random, MAX_PAYLOAD_BYTES), this.random, this.random.oneIn(2));
    // A batch that is refused may have begun a segment, which then is empty.
    if (this.random.oneIn(12) && entryCount > 0) entries[entries.length - 1] = (entries.at(-1) ?? 0) ^ 1;
    const status = entryCount === 0 ? 'empty' : node.append(entries, entryCount);
    return `append ${entryCount} entries, ${entries.length} bytes: ${status}`;
  }

  /** Cuts the log as a new leader asks for it; one in four dies of it. */
  #truncate(node: TestNode): void {
    if (node.isLeader) this.actions.push(this.#leader.follow(node));
    node.settle();
    const offset = this.#leader.cutAt(node, this.#ordered);
    const dies = this.random.oneIn(4);
    if (dies) this.#fuse = this.random.below(10);
    this.actions.push(`truncate at ${offset} of ${this.#ordered.end}${dies ? `, die after ${this.#fuse} operations` : ''}`);
    node.truncate(offset);
    this.#fuse = Number.POSITIVE_INFINITY;
    // What takes the place of what was cut is soon written.
    for (let i = 1 + this.random.below(2); i > 0; i -= 1) {
      this.actions.push(`${this.#leader.replicate(node, this.#ordered)}; step ${node.writers - 1} twice`);
      node.step(node.writers - 1);
      node.step(node.writers - 1);
    }
  }
}

/** Runs the script of `seed`: `actionCount` actions, then a clean end. */
export function record(seed: number, actionCount: number, memory: TailMemory, wrap: WrapDisk = (disk) => disk): Recording {
  const recorder = new Recorder(seed, memory, wrap);
  let failure: Error | undefined;
  try {
    recorder.start();
    for (let i = 0; i < actionCount; i += 1) recorder.act();
    recorder.record({ kind: 'end' });
  } catch (thrown) {
    failure = thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  return { journal: recorder.journal, actions: recorder.actions, failure };
}
