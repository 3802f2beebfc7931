// A node of a cluster whose open segment is damaged, and that dies at any moment of being mended, or of giving up what follows the damage.

import { describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { createIdentity, readIdentity, saveGeneration, saveStanding, writeIdentity, writeVote } from '../../src/storage/dataDirectory.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { mend } from '../../src/storage/mender.ts';
import { segmentName } from '../../src/storage/names.ts';
import { RECOVERY_SLOT } from '../../src/storage/openSegment.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import { truncateLog } from '../../src/storage/truncation.ts';
import { Random } from '../assembly/random.ts';
import { isSimulated, SimDisk } from '../sim/simDisk.ts';
import { makeBatch } from './batches.ts';
import { CrashModel } from './crashModel.ts';
import { type DiskImage, MemoryDisk } from './memoryDisk.ts';
import { startIn } from './starts.ts';
import { DIRECTORY, resetMemory, smallMemory, TestNode } from './testNode.ts';

const RANDOM_BYTES = new Uint8Array(32).fill(7);
const PATH = `${DIRECTORY}/${segmentName(0)}`;
/** Sync errors are tried at so many operations. */
const OPERATIONS = 12;

const memory = smallMemory();
const nowMs = (): number => 1_700_000_000_000;

/** The log as it was, where its batches end, and its disk with a bit turned in the third one. */
interface Damaged {
  readonly log: Uint8Array;
  readonly ends: readonly number[];
  readonly image: DiskImage;
}

/** `isStopped`: as a node leaves it that was stopped; otherwise one that was killed, and no mark says that its last write is durable. */
function build(isStopped = true): Damaged {
  const random = new Random(3);
  const disk = new MemoryDisk();
  createIdentity(disk, DIRECTORY, RANDOM_BYTES, { nodes: [1, 2, 3] });
  const node = new TestNode(disk, memory, RANDOM_BYTES, nowMs);
  node.begin();
  const ends: number[] = [];
  for (const size of [300, 9000, 5000, 700, 4000]) {
    expect(node.append(makeBatch([size], random).entries, 1)).toBe('ordered');
    node.settle();
    ends.push(memory.tail);
    memory.setWord(WORD.COMMIT, isStopped ? memory.tail : (ends.at(-2) ?? 0));
  }
  const end = memory.tail;
  const killed = disk.image();
  node.stop();
  const log = memory.slotBytes(RECOVERY_SLOT, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end).slice();
  const left = isStopped ? disk : new MemoryDisk(killed);
  left.flipBit(PATH, SEGMENT_HEADER_BYTES + (ends[1] ?? 0) + 2000);
  return { log, ends, image: left.image() };
}

/** What a start finds. */
function start(disk: Disk): ReturnType<typeof startIn> {
  resetMemory(memory);
  return startIn(disk, memory, nowMs);
}

function takeOver({ end, dataEnd }: RecoveredLog): void {
  new Tail(memory, () => undefined).start(end, dataEnd, RECOVERY_SLOT);
}

/** Starts, has what is damaged from another node in two pieces, and is what it was. */
function mendAll(disk: Disk, { log, ends }: Damaged): void {
  const { recovered, identity } = start(disk);
  takeOver(recovered);
  const context = { disk, directory: DIRECTORY, identity, memory, nowMs };
  let { lastTerm } = recovered;
  let [from, rightTo] = [recovered.end, 0];
  for (const end of ends.filter((each) => each > from).slice(0, 2)) {
    memory.bytes.set(log.subarray(from, end), memory.map.coldAt(memory.map.healBuffer));
    const answer = mend(context, { step: 'patch', from, bytes: end - from, lastTerm, durable: recovered.damage?.durable ?? 0 });
    if (answer.outcome !== 'patched') throw new Error(JSON.stringify(answer));
    ({ lastTerm, rightTo } = answer);
    from = end;
  }
  expect(rightTo).toBe(log.length);
  const answer = mend(context, { step: 'finish', bound: recovered.damage?.bound ?? 0 });
  expect(answer).toMatchObject({ outcome: 'mended', log: { end: log.length, commit: recovered.damage?.bound } });
  expect([memory.tail, memory.durable]).toEqual([log.length, log.length]);
  saveStanding(disk, DIRECTORY, identity, identity.beforeDamage ?? 'voter');
}

/** Does `act` on the damaged disk; returns what a crash before or after each of its operations can leave. */
function statesOf({ image }: Damaged, act: (disk: Disk) => void): DiskImage[] {
  const random = new Random(5);
  const model = new CrashModel(image);
  const images: DiskImage[] = [image];
  const disk = new MemoryDisk(image, (operation) => {
    model.apply(operation);
    for (const state of model.states(48, random)) images.push(state.image);
  });
  act(disk);
  images.push(disk.image());
  return images;
}

function logOf(end: number): Buffer {
  return Buffer.from(memory.slotBytes(RECOVERY_SLOT, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end));
}

describe('a damaged open segment', () => {
  const damaged = build();
  const { log, ends, image } = damaged;
  const [, from = 0] = ends;

  it('is found at the start of a node that has others: it does not count from then on, and nothing of its entries is touched', () => {
    const disk = new MemoryDisk(image);
    const { recovered, identity } = start(disk);
    expect(recovered).toMatchObject({ end: from, commit: from, cutBytes: 0 });
    expect(recovered.damage).toMatchObject({ from, bound: log.length, durable: log.length, path: PATH });
    expect(identity).toMatchObject({ standing: 'damaged', beforeDamage: 'voter' });
    const [left, was] = [disk.image().get(PATH)?.bytes, image.get(PATH)?.bytes];
    expect(left?.subarray(SEGMENT_HEADER_BYTES)).toEqual(was?.subarray(SEGMENT_HEADER_BYTES));
    // Again, the same.
    expect(start(disk).recovered).toEqual(recovered);
  });

  it('E125: counts again where the damage is gone at the next start, unless its last write is damaged then, which nobody could tell from a torn one', () => {
    const killed = build(false);
    const fourth = killed.ends[3] ?? 0;
    const healedAt = SEGMENT_HEADER_BYTES + from + 2000;
    const again = (disk: MemoryDisk): ReturnType<typeof start> => {
      expect(start(disk).identity).toMatchObject({ standing: 'damaged', beforeDamage: 'voter' });
      disk.flipBit(PATH, healedAt);
      return start(disk);
    };
    const whole = again(new MemoryDisk(killed.image));
    expect([whole.recovered.end, whole.identity.standing]).toEqual([killed.log.length, 'voter']);
    const harmed = new MemoryDisk(killed.image);
    harmed.flipBit(PATH, SEGMENT_HEADER_BYTES + fourth + 100);
    const { recovered, identity } = again(harmed);
    expect([recovered.end, recovered.damage]).toEqual([fourth, undefined]);
    expect([identity.standing, identity.beforeDamage]).toEqual(['damaged', undefined]);
    // For good: only a leader says when.
    expect(start(harmed).identity).toEqual(identity);
  });

  it('E167: that is gone, file and all, is missing still after a vote that was saved meanwhile: the node never counts by itself', () => {
    const disk = new MemoryDisk(image);
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit: log.length });
    for (const name of disk.list(DIRECTORY)) if (name.endsWith('.segment')) disk.remove(`${DIRECTORY}/${name}`);
    for (const currentTerm of [2, 3, 4]) {
      const { recovered, identity } = start(disk);
      expect([recovered.end, identity.standing]).toEqual([0, 'damaged']);
      // A vote says how far what is there is committed.
      writeVote(disk, DIRECTORY, { currentTerm, votedFor: 2, commit: recovered.commit });
    }
  });

  it('E187: before one that is gone, file and all, that was not sealed yet is all there, and does not say how far the log went: the node never counts by itself', () => {
    const disk = new MemoryDisk(image);
    disk.flipBit(PATH, SEGMENT_HEADER_BYTES + from + 2000);
    expect(start(disk).recovered).toMatchObject({ end: log.length, damage: undefined });
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit: log.length + 5000 });
    for (const currentTerm of [2, 3, 4]) {
      const { recovered, identity } = start(disk);
      expect([recovered.end, identity.standing, identity.beforeDamage]).toEqual([log.length, 'damaged', undefined]);
      expect(recovered.damage).toMatchObject({ from: log.length, bound: log.length + 5000, hasKnownEnd: false });
      writeVote(disk, DIRECTORY, { currentTerm, votedFor: 2, commit: recovered.commit });
    }
  });

  it('E168: of a node that came to a log of others, and has no list of them yet, is damaged, and not refused', () => {
    const disk = new MemoryDisk(image);
    const before = readIdentity(disk, DIRECTORY);
    if (before === undefined) throw new Error('the directory has an identity');
    const came = { ...before, nodes: null, isFounder: false };
    writeIdentity(disk, DIRECTORY, came);
    expect(start(disk).identity).toMatchObject({ standing: 'damaged', beforeDamage: 'voter', nodes: null });
    // Once it knows by the log that it is alone, there is nobody to have it from; and so it is where the log began with it, and nobody ever came.
    for (const alone of [
      { ...came, generation: '0123456789abcdef' },
      { ...came, isFounder: true },
    ]) {
      writeIdentity(disk, DIRECTORY, alone);
      expect(() => start(disk)).toThrow(/the log was durable up to offset/);
    }
  });

  it('E185: of a node that came to a log of others is never refused, at whichever moment it notes that log’s generation and its nodes', () => {
    const disk = new MemoryDisk(image);
    const before = readIdentity(disk, DIRECTORY);
    if (before === undefined) throw new Error('the directory has an identity');
    const came = { ...before, nodes: null, isFounder: false };
    writeIdentity(disk, DIRECTORY, came);
    const found = new Set<string>();
    const states = statesOf({ ...damaged, image: disk.image() }, (acting) => {
      saveGeneration(acting, DIRECTORY, came, '0123456789abcdef', [1, 2, 3]);
    });
    for (const state of states) {
      const { identity } = start(new MemoryDisk(state));
      expect(identity).toMatchObject({ standing: 'damaged', beforeDamage: 'voter' });
      found.add(`${identity.generation} ${identity.nodes}`);
    }
    expect([...found].sort()).toEqual(['0123456789abcdef 1,2,3', 'undefined null']);
  });

  it('that is being mended is damaged, or what it was, after any crash', () => {
    const found = new Set<string>();
    for (const state of statesOf(damaged, (disk) => mendAll(disk, damaged))) {
      const { recovered, identity } = start(new MemoryDisk(state));
      found.add(`${recovered.end} ${identity.standing}`);
      expect(logOf(recovered.end).equals(log.subarray(0, recovered.end))).toBe(true);
      expect(identity.standing === 'damaged').toBe(recovered.end < log.length);
      if (identity.standing === 'damaged') expect([identity.beforeDamage, recovered.damage?.bound]).toEqual(['voter', log.length]);
    }
    expect(found).toContain(`${from} damaged`);
    expect(found).toContain(`${log.length} voter`);
  });

  it('counts again only with what is on the disk, although a sync failed while it was mended', () => {
    let failures = 0;
    for (let operation = 1; operation <= OPERATIONS; operation += 1) {
      const disk = new SimDisk(new Random(operation));
      disk.restore(image);
      disk.failIn(operation, 'EIO');
      try {
        mendAll(disk, damaged);
      } catch (thrown) {
        if (!isSimulated(thrown)) throw thrown;
        failures += 1;
      }
      disk.processDied(false);
      const { recovered, identity } = start(disk);
      if (identity.standing === 'damaged') continue;
      expect(disk.surelyHas(PATH, SEGMENT_HEADER_BYTES, log.subarray(0, recovered.end)), `after operation ${operation}`).toBe(true);
    }
    expect(failures).toBeGreaterThan(4);
  });

  it('whose end is given up never counts by itself, and none of it comes back, after any crash', () => {
    const was = image.get(PATH)?.bytes.subarray(SEGMENT_HEADER_BYTES);
    const states = statesOf(damaged, (disk) => {
      const { recovered, identity } = start(disk);
      takeOver(recovered);
      const given = saveStanding(disk, DIRECTORY, identity, 'damaged');
      truncateLog({ disk, directory: DIRECTORY, identity: given, memory, nowMs }, from);
    });
    let changed = 0;
    for (const state of states) {
      const isChanged = Buffer.compare(state.get(PATH)?.bytes.subarray(SEGMENT_HEADER_BYTES) ?? Buffer.of(), was ?? Buffer.of()) !== 0;
      changed += Number(isChanged);
      const { recovered, before, identity } = start(new MemoryDisk(state));
      expect([recovered.end, identity.standing, recovered.damage?.bound]).toEqual([from, 'damaged', log.length]);
      if (isChanged) expect([before.standing, before.beforeDamage]).toEqual(['damaged', undefined]);
    }
    expect(changed).toBeGreaterThan(4);
  });

  it('E123: that may lack more than what is known to have been there is not mended without a leader, and nothing of it is written', () => {
    const last = build(false);
    for (const isWide of [false, true]) {
      const disk = new MemoryDisk(last.image);
      // The damage reaches into what was written last: where nothing else is wrong, that is taken for torn by a crash.
      if (isWide) disk.flipBit(PATH, SEGMENT_HEADER_BYTES + (ends[3] ?? 0) + 50);
      const { recovered, identity } = start(disk);
      expect(recovered.damage).toMatchObject({ from, durable: ends[3], hasKnownEnd: true });
      takeOver(recovered);
      const context = { disk, directory: DIRECTORY, identity, memory, nowMs };
      const left = disk.image().get(PATH)?.bytes.slice();
      const bytes = (ends[2] ?? 0) - from;
      memory.bytes.set(log.subarray(from, from + bytes), memory.map.coldAt(memory.map.healBuffer));
      const answer = mend(context, { step: 'patch', from, bytes, lastTerm: recovered.lastTerm, durable: ends[3] ?? 0 });
      if (!isWide) {
        expect(answer).toMatchObject({ outcome: 'patched', rightTo: log.length });
        continue;
      }
      expect(answer).toMatchObject({ outcome: 'refused' });
      expect(disk.image().get(PATH)?.bytes).toEqual(left);
      expect(start(disk).identity).toMatchObject({ standing: 'damaged', beforeDamage: 'voter' });
    }
  });

  it('is refused where there is nobody to have it from, and where what was sent is not right nothing is written', () => {
    const disk = new MemoryDisk(image);
    const { recovered, identity } = start(disk);
    takeOver(recovered);
    const context = { disk, directory: DIRECTORY, identity, memory, nowMs };
    const left = disk.image().get(PATH)?.bytes.slice();
    const bytes = (ends[2] ?? 0) - from;
    for (const wrong of [log.slice(from, from + bytes).with(100, 1), log.slice(from + 1, from + 1 + bytes), log.slice(0, bytes)]) {
      memory.bytes.set(wrong, memory.map.coldAt(memory.map.healBuffer));
      expect(mend(context, { step: 'patch', from, bytes, lastTerm: recovered.lastTerm, durable: log.length }).outcome).toBe('refused');
    }
    expect(mend(context, { step: 'finish', bound: log.length })).toMatchObject({ outcome: 'refused' });
    expect([memory.tail, disk.image().get(PATH)?.bytes]).toEqual([from, left]);
    const alone = { ...identity, standing: 'voter', nodes: null } as const;
    resetMemory(memory);
    expect(() => recover({ ...context, identity: alone })).toThrow(/at byte \d+: the log was durable up to offset/);
  });
});
