// What must hold after any crash (design invariants 5 and 7): a node starts on what the disk holds, finds a prefix of what was ordered
// with all that was durable in it and no batch in part, remembers its identity and its vote, finds the same when it starts again, and can go on.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { type EntryTerm, NO_TERM } from '../../src/core/ids.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { LogTerm } from '../../src/storage/context.ts';
import { beforeStart } from '../../src/storage/dataDirectory.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import type { RecoveredLog } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { type Batch, dataEndOf, entriesOf, makeBatch, termsOf } from './batches.ts';
import { type DiskImage, type DiskOperation, MemoryDisk } from './memoryDisk.ts';
import type { Promises, WrapDisk } from './script.ts';
import { DIRECTORY, type NodeEvents, TestNode } from './testNode.ts';

/** A state that breaks a promise. */
export class BrokenPromise extends Error {}

function require(condition: boolean, sentence: () => string): asserts condition {
  if (!condition) throw new BrokenPromise(sentence());
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

const nowMs = (): number => 1_800_000_000_000;

/** Log bytes [start, end) as the files hold them. */
export function readLog(disk: Disk, log: RecoveredLog): Uint8Array {
  const bytes = new Uint8Array(log.end - log.start);
  const segments = log.sealed.map(({ base, end }) => ({ base, end }));
  if (log.openBase !== undefined) segments.push({ base: log.openBase, end: log.end });
  let end = log.start;
  for (const segment of segments) {
    require(segment.base === end, () => `recovery lists a segment at ${segment.base}; the one before it ends at ${end}`);
    end = segment.end;
    const file = disk.openRead(`${DIRECTORY}/${segmentName(segment.base)}`);
    const read = disk.read(file, bytes.subarray(segment.base - log.start, end - log.start), SEGMENT_HEADER_BYTES);
    disk.close(file);
    require(read === end - segment.base, () => `${segmentName(segment.base)} has only ${read} bytes after its header`);
  }
  require(end === log.end, () => `recovery says that the log ends at ${log.end}, but its segments end at ${end}`);
  return bytes;
}

/** Whether two images hold the same files. */
function difference(a: DiskImage, b: DiskImage): string | undefined {
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const first = a.get(path)?.bytes;
    const second = b.get(path)?.bytes;
    if (first === second) continue;
    if (first === undefined || second === undefined || !equal(first, second)) return path;
  }
  return undefined;
}

function sameLog(a: RecoveredLog, b: RecoveredLog): boolean {
  const plain = (log: RecoveredLog): string =>
    JSON.stringify([
      log.start,
      log.end,
      log.lastTerm,
      log.openBase,
      log.commit,
      log.sealed.map((s) => [s.base, s.end, s.entries, s.lastTerm, s.firstMs, s.lastMs]),
    ]);
  return plain(a) === plain(b);
}

/** The terms of [start, end) in a log, and whose the entry before `start` is. */
function termsFrom(all: readonly LogTerm[], start: number, end: number): { before: EntryTerm; terms: LogTerm[] } {
  const terms = all.filter(({ offset }) => offset >= start);
  const last = all.findLast(({ offset }) => offset < start);
  const before = last === undefined ? NO_TERM : { term: last.term, leader: last.leader };
  // A term that goes on after a trim begins at the start.
  if (last !== undefined && start < end && terms[0]?.offset !== start) terms.unshift({ ...last, offset: start });
  return { before, terms };
}

/** No segment ends inside a batch, and so does not the log. */
function requireWholeBatches(log: RecoveredLog, found: Uint8Array): void {
  for (const end of [...log.sealed.map((segment) => segment.end), log.end]) {
    const last = [...entriesOf(found.subarray(0, end - log.start), log.start)].at(-1);
    require(last?.isContinued !== true, () => `the batch with the entry at ${last?.offset} is in the log only up to ${end}`);
  }
}

export class Oracle {
  readonly #memory: TailMemory;
  readonly #wrap: WrapDisk;
  readonly #small: Batch;
  readonly #large: Batch;
  readonly #identityBytes = new Uint8Array(32).fill(0xab);

  constructor(memory: TailMemory, wrap: WrapDisk = (disk) => disk) {
    this.#memory = memory;
    this.#wrap = wrap;
    this.#small = makeBatch([100, 0, 700], new Random(1), true);
    this.#large = makeBatch([30_000, 25_000], new Random(2), true);
  }

  /** Throws when a node that finds `image` breaks one of `promises`. `observe` sees what its first recovery does to the disk. */
  check(image: DiskImage, promises: Promises, observe?: (operation: DiskOperation) => void): void {
    const watch = { isOn: true };
    const disk = new MemoryDisk(image, (operation) => {
      if (watch.isOn) observe?.(operation);
    });
    const identities: string[] = [];
    const log: Uint8Array[] = [];
    const events: NodeEvents = {
      identified: ({ clusterId, markSeed }) => identities.push(`${clusterId} ${markSeed}`),
      ordered: (_first, _end, bytes) => log.push(bytes.slice()),
    };
    const first = new TestNode(this.#wrap(disk), this.#memory, this.#identityBytes, nowMs, events);
    watch.isOn = false;
    if (promises.identity !== undefined) {
      const { clusterId, markSeed } = promises.identity;
      require(identities[0] === `${clusterId} ${markSeed}`, () => 'the identity changed');
    }
    this.#checkVote(first, promises);
    const found = this.#checkLog(disk, first.recovered, promises);
    require(disk.openFiles === 0, () => 'recovery leaves files open');

    const recovered = disk.image();
    const second = new TestNode(this.#wrap(disk), this.#memory, this.#identityBytes, nowMs, events);
    const differs = difference(recovered, disk.image());
    require(differs === undefined, () => `a second recovery changes ${differs}`);
    require(sameLog(first.recovered, second.recovered), () => 'a second recovery finds another log');
    require(second.recovered.cutBytes === 0, () => `a second recovery cuts ${second.recovered.cutBytes} bytes`);

    log.push(found);
    this.#goOn(disk, second, log);
  }

  #checkVote({ vote, recovered }: TestNode, { voted, voting }: Promises): void {
    const possible = [voted ?? { currentTerm: 0, votedFor: 0, commit: 0 }, ...voting].map((each) => JSON.stringify(each));
    require(possible.includes(JSON.stringify(vote)), () => `the vote is ${JSON.stringify(vote)}, not one of ${possible}`);
    require(recovered.lastTerm <= vote.currentTerm, () => `the log has term ${recovered.lastTerm}, the vote only ${vote.currentTerm}`);
  }

  #checkLog(disk: MemoryDisk, log: RecoveredLog, promises: Promises): Uint8Array {
    const { durable, ordered, orderedEnd, trimmed, trimming, bound, committed } = promises;
    require(log.start >= trimmed && log.start <= trimming, () => `the log starts at ${log.start}, not in ${trimmed} to ${trimming}`);
    require(log.end >= durable, () => `the log ends at ${log.end}, but everything up to ${durable} was durable`);
    require(log.end <= orderedEnd, () => `the log ends at ${log.end}, but only ${orderedEnd} bytes were ever ordered`);
    require(log.commit >= bound, () => `the commit is ${log.commit}, but a bound of ${bound} was on disk`);
    require(log.commit <= committed, () => `the commit is ${log.commit}, but only ${committed} bytes were ever committed`);
    const found = readLog(disk, log);
    require(equal(found, ordered.slice(log.start, log.end)), () => 'the log is not a prefix of what was ordered');
    requireWholeBatches(log, found);
    const expected = termsFrom(termsOf(ordered.slice(0, log.end), 0), log.start, log.end);
    const terms = JSON.stringify(expected.terms);
    require(JSON.stringify(log.terms) === terms, () => `the terms are ${terms}, but recovery says ${JSON.stringify(log.terms)}`);
    const dataEnd = dataEndOf(found, log.start, log.start);
    require(log.dataEnd === dataEnd, () => `the data ends at ${dataEnd}, but recovery says ${log.dataEnd}`);
    const start = JSON.stringify(beforeStart(log.identity));
    require(JSON.stringify(expected.before) === start, () => `the log begins after ${JSON.stringify(expected.before)}, not after ${start}`);
    if (log.openBase !== undefined) {
      const image = this.#memory.slotBytes(0, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + log.end - log.openBase);
      require(equal(image, found.subarray(log.openBase - log.start)), () => 'the slot is not the image of the open segment');
    }
    return found;
  }

  /** The recovered node appends, rolls over, stops and starts again. `log` gets what it orders. */
  #goOn(disk: MemoryDisk, node: TestNode, log: readonly Uint8Array[]): void {
    node.begin();
    for (const batch of [this.#small, this.#large]) {
      const status = node.append(batch.entries, batch.entryCount);
      require(status === 'ordered', () => `an append after recovery is ${status}`);
      node.step(0);
    }
    node.stop();
    require(disk.openFiles === 0, () => 'a clean stop leaves files open');
    const third = new TestNode(this.#wrap(disk), this.#memory, this.#identityBytes, nowMs);
    const all = Buffer.concat(log);
    const end = node.recovered.start + all.length;
    require(third.recovered.end === end, () => `after a clean stop at ${end} the log ends at ${third.recovered.end}`);
    require(equal(readLog(disk, third.recovered), all), () => 'after a clean stop the log is another one');
    for (const name of disk.list(DIRECTORY)) {
      require(!name.endsWith('.tmp'), () => `recovery leaves ${name}`);
    }
    for (const { base } of third.recovered.sealed) {
      require(disk.list(DIRECTORY).includes(indexName(base)), () => `recovery leaves ${segmentName(base)} without index`);
    }
  }
}
