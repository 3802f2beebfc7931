// Restoring backups on a disk in memory: the log that a node finds there, what is refused, and what each crash leaves.

import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { KIND_STATE, KIND_TIME, KIND_TRIM, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { BackupFolder } from '../../src/backup/folder.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { fileName } from '../../src/backup/names.ts';
import {
  RESTORE_RANDOM_BYTES,
  type RestoreOptions,
  type RestoreReport,
  refuseUsed,
  restore,
  restoredTerm,
} from '../../src/backup/restore.ts';
import { verifyBackup } from '../../src/backup/verifyBackup.ts';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { MAX_TERM_STEP } from '../../src/core/limits.ts';
import { foldAccess, NO_ACCESS } from '../../src/format/access.ts';
import { trimPayload } from '../../src/format/controlEntries.ts';
import type { LogState } from '../../src/format/stateEntry.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import { readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { readFile } from '../../src/storage/disk.ts';
import { IDENTITY_FILE, RESTORE_FILE, segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { NEW_STATE } from '../support/logState.ts';
import { CLUSTER, FakeLog, FOLDER, run, smallLog, workspace } from './support.ts';

const OPTIONS: RestoreOptions = {
  nodeId: 1,
  isSameCluster: false,
  random: new Uint8Array(RESTORE_RANDOM_BYTES).map((_, i) => i + 1),
  nowMs: 1_700_000_000_000,
};

let log: FakeLog;
let backed: DiskImage;
let manifest: Manifest;

beforeAll(async () => {
  log = smallLog();
  const disk = new MemoryDisk();
  ({ manifest } = await run(disk, log));
  backed = disk.image();
});

const restored = (disk: MemoryDisk, options: Partial<RestoreOptions> = {}, from = manifest): RestoreReport =>
  restore(disk, FOLDER, from, DIRECTORY, workspace, { ...OPTIONS, ...options });

/** The log bytes that the segments of a data directory have. */
function entriesIn(disk: MemoryDisk): Buffer {
  const { segments } = examineDirectory(disk, DIRECTORY, { everyEntry: true });
  return Buffer.concat(
    segments.map(({ base, end }) =>
      readFile(disk, `${DIRECTORY}/${segmentName(base)}`).subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end - base),
    ),
  );
}

it('a restored directory has the same entries at the same offsets, all committed, in a cluster and terms of its own', () => {
  const disk = new MemoryDisk(backed);
  const report = restored(disk);
  expect(report).toEqual({
    clusterId: expect.not.stringContaining(CLUSTER),
    start: 0,
    end: log.end,
    backupEnd: log.end,
    term: MAX_TERM_STEP,
    segments: 3,
    tokens: 0,
    droppedTokens: 0,
  });
  const facts = examineDirectory(disk, DIRECTORY, { everyEntry: true });
  expect([facts.damage, facts.end, facts.commit]).toEqual([[], log.end, log.end]);
  expect(facts.segments.map(({ state }) => state)).toEqual(['sealed', 'sealed', 'sealed']);
  expect(entriesIn(disk).equals(log.bytes(0, log.end))).toBe(true);
  expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: MAX_TERM_STEP, votedFor: 0, commit: log.end });
  expect(disk.openFiles).toBe(0);
  const node = new TestNode(disk, smallMemory(), new Uint8Array(32).fill(7), () => OPTIONS.nowMs);
  expect([node.recovered.end, node.recovered.commit, node.recovered.start]).toEqual([log.end, log.end, 0]);
  node.begin();
  node.settle();
  node.stop();
  expect(examineDirectory(disk, DIRECTORY, { everyEntry: true })).toMatchObject({ damage: [], end: log.end + 20 });
});

it('the cluster id is kept where that is asked for; the instance and the secret of marks never are', () => {
  const disk = new MemoryDisk(backed);
  expect(restored(disk, { isSameCluster: true, nodeId: 3 }).clusterId).toBe(CLUSTER);
  expect(readIdentity(disk, DIRECTORY)).toMatchObject({
    clusterId: CLUSTER,
    nodeId: 3,
    standing: 'voter',
    isFounder: true,
    nodes: null,
    known: {},
  });
  const other = new MemoryDisk(backed);
  restored(other, { random: OPTIONS.random.map((byte) => byte + 100) });
  expect(readIdentity(other, DIRECTORY)?.instance).not.toBe(readIdentity(disk, DIRECTORY)?.instance);
});

it('the term is above all that was found, in steps that no message leaps over, and ends where terms end', () => {
  const term = (lastTerm: number): number => restoredTerm({ lastTerm });
  expect([term(1), term(MAX_TERM_STEP - 1), term(MAX_TERM_STEP), term(MAX_TERM_STEP + 5)]).toEqual([
    MAX_TERM_STEP,
    MAX_TERM_STEP,
    2 * MAX_TERM_STEP,
    2 * MAX_TERM_STEP,
  ]);
  expect(() => term(2 ** 31 - 1)).toThrow(/terms end at 2147483647/);
});

it('a manifest that says another last entry than the files have is damage, whoever made its check', async () => {
  const high = new FakeLog().lead(MAX_TERM_STEP + 3).append([100], [20]);
  const disk = new MemoryDisk();
  const { manifest: own } = await run(disk, high);
  // In the term that it says, or another below the log's own, no node could go on.
  for (const wrong of [{ lastTerm: 1 }, { lastTerm: own.lastTerm + 1 }, { lastEntry: 0 }]) {
    const forged = new MemoryDisk(disk.image());
    expect(() => restored(forged, {}, { ...own, ...wrong })).toThrow(
      expect.objectContaining({
        code: 'DAMAGE',
        message: expect.stringMatching(/by it the last entry is at offset .*; nothing was restored/),
      }),
    );
    expect(forged.list(DIRECTORY)).toEqual([]);
  }
  expect(restored(disk, {}, own).term).toBe(2 * MAX_TERM_STEP);
});

it('a backup that begins above 0 is a log that begins there', async () => {
  for (const first of [0, 1]) {
    const trimmed = smallLog();
    trimmed.trim(trimmed.segments[first]?.end ?? 0);
    const disk = new MemoryDisk();
    const { manifest: late } = await run(disk, trimmed);
    restored(disk, {}, late);
    const facts = examineDirectory(disk, DIRECTORY, { everyEntry: true });
    expect([facts.damage, facts.start, facts.end]).toEqual([[], trimmed.start, trimmed.end]);
    const { recovered } = new TestNode(disk, smallMemory(), new Uint8Array(32).fill(7), () => OPTIONS.nowMs);
    expect([recovered.start, recovered.end]).toEqual([trimmed.start, trimmed.end]);
  }
});

describe('a log that describes itself', () => {
  const state: LogState = { ...NEW_STATE, policy: { bytes: 5_000, ageMs: 0 } };

  /** Two segments of one term, the second with `more` batches; and where it begins. */
  function selfDescribed(more = 3): { readonly own: FakeLog; readonly at: number } {
    const own = new FakeLog();
    own.term = 1;
    own.head(state).lead(1).append([100], [200, 7]).seal();
    const at = own.end;
    own.head({ ...state, dataEnd: at, before: { term: 1, leader: '01'.repeat(8) } });
    for (let i = 0; i < more; i += 1) own.append([500 + i]);
    return { own, at };
  }

  it('says nothing that no leader would write: a backup in which it does is damaged, although its checks are right', async () => {
    const trimTo = (start: number): Uint8Array => trimPayload({ start, dataEnd: 0 });
    const wrong: [kind: number, payload: Uint8Array, sentence: RegExp][] = [
      [KIND_STATE, new Uint8Array(60).fill(255), /does not say what those of its kind say/],
      [KIND_STATE, new Uint8Array(0), /does not say what those of its kind say/],
      [KIND_TIME, new Uint8Array(8).fill(255), /does not say what those of its kind say/],
      [KIND_TRIM, trimTo(2 ** 40), /speaks of offset 1099511627776, which is after it/],
    ];
    for (const [kind, payload, sentence] of wrong) {
      const own = selfDescribed().own.seal();
      const disk = new MemoryDisk();
      const { manifest: before } = await run(disk, own);
      const at = own.end;
      own.control(kind, payload);
      // No run takes it, and no folder in which it stands all the same is restored.
      await expect(run(disk, own)).rejects.toMatchObject({ code: 'DAMAGED', message: expect.stringMatching(sentence) });
      const bytes = new Uint8Array(own.bytes(at, own.end));
      const file = { base: at, end: own.end, sha256: createHash('sha256').update(bytes).digest('hex'), isPart: true };
      const forged = { ...before, end: own.end, lastEntry: at, files: [...before.files, file] };
      disk.write(disk.create(`${FOLDER}/${fileName(file)}`), [bytes], 0);
      new BackupFolder(disk, FOLDER).save(forged);
      const { damage } = verifyBackup(disk, FOLDER, { workspace });
      expect(damage).toMatchObject([{ position: 0, sentence: expect.stringMatching(sentence) }]);
      expect(() => restored(disk, {}, forged)).toThrow(sentence);
      expect(disk.list(DIRECTORY)).toEqual([]);
    }
  });

  it('has segments that begin at its state entries, wherever files of the backup do', async () => {
    const { own, at } = selfDescribed();
    own.fileBytes = 1_200;
    own.segments = [];
    const disk = new MemoryDisk();
    const { manifest: cut } = await run(disk, own);
    expect([cut.files.length > 1, cut.files.some(({ base }) => base === at)]).toEqual([true, false]);
    restored(disk, {}, cut);
    const facts = examineDirectory(disk, DIRECTORY, { everyEntry: true });
    expect([facts.damage, facts.segments.map(({ base }) => base)]).toEqual([[], [0, at, own.end]]);
    expect(entriesIn(disk).subarray(0, own.end).equals(own.bytes(0, own.end))).toBe(true);
  });

  it('goes on in another generation, which says what the last one said', async () => {
    const { own } = selfDescribed();
    const disk = new MemoryDisk();
    const { manifest: whole } = await run(disk, own);
    const report = restored(disk, {}, whole);
    expect([report.backupEnd, report.end > own.end]).toEqual([own.end, true]);
    expect(readVote(disk, DIRECTORY)).toEqual({ currentTerm: MAX_TERM_STEP, votedFor: 1, commit: report.end });
    const memory = smallMemory();
    const node = new TestNode(disk, memory, new Uint8Array(32).fill(7), () => OPTIONS.nowMs);
    expect([node.recovered.end, node.recovered.commit]).toEqual([report.end, report.end]);
    expect(readIdentity(disk, DIRECTORY)?.generation).toBe('292a2b2c2d2e2f30');
    const { generation, policy, timeMs } = new LogFold(memory);
    expect({ generation, policy, timeMs }).toEqual({
      generation: { number: 2, id: '292a2b2c2d2e2f30' },
      policy: state.policy,
      timeMs: state.timeMs,
    });
    node.begin();
    node.settle();
    node.stop();
    expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
  });

  it('has its tokens in force in the same cluster alone, and only if that was asked for', async () => {
    const record = { id: '0000000000z', hash: 'ab'.repeat(32), name: 'a', scopes: 5, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
    const access = foldAccess(NO_ACCESS, { what: 'put', record, isRequest: true });
    const own = new FakeLog();
    own.term = 1;
    own
      .head({ ...state, access })
      .lead(1)
      .append([100]);
    for (const [isSameCluster, tokens] of [
      [true, true],
      [true, false],
      [false, true],
    ] as const) {
      const disk = new MemoryDisk();
      const { manifest: whole } = await run(disk, own, undefined, tokens);
      const report = restored(disk, { isSameCluster }, whole);
      const memory = smallMemory();
      const node = new TestNode(disk, memory, new Uint8Array(32).fill(7), () => OPTIONS.nowMs);
      const isKept = isSameCluster && tokens;
      expect([report.tokens, report.droppedTokens, new LogFold(memory).access.slice()]).toEqual([
        isKept ? 1 : 0,
        isKept ? 0 : 1,
        isKept ? access : NO_ACCESS,
      ]);
      node.begin();
      node.settle();
      node.stop();
      expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
    }
  });

  it('is found by the same times as before: those of the log, not of the restore', async () => {
    const own = new FakeLog();
    own.term = 1;
    own.head(state).lead(1).append([100]).seal();
    const laterMs = state.timeMs + 5_000;
    own.head({ ...state, timeMs: laterMs, dataEnd: own.end, before: { term: 1, leader: '01'.repeat(8) } }).append([50]);
    const disk = new MemoryDisk();
    const { manifest: whole } = await run(disk, own);
    restored(disk, {}, whole);
    const { segments } = examineDirectory(disk, DIRECTORY, { everyEntry: true });
    expect(segments.map(({ firstMs, lastMs }) => [firstMs, lastMs])).toEqual([
      [state.timeMs, state.timeMs],
      [laterMs, laterMs],
      [laterMs, laterMs],
    ]);
  });

  it('that was trimmed begins at the segment in which it starts, after the entry that its state entry names', async () => {
    const { own, at } = selfDescribed();
    own.seal();
    own.trim(at);
    const disk = new MemoryDisk();
    const { manifest: late } = await run(disk, own);
    restored(disk, {}, late);
    expect(readIdentity(disk, DIRECTORY)).toMatchObject({ start: at, startTerm: 1, startLeader: '01'.repeat(8) });
    expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
  });
});

it('damage of the backup is named, and leaves nothing', () => {
  for (const { base, end } of manifest.files) {
    const name = `${FOLDER}/${fileName({ base, end })}`;
    const disk = new MemoryDisk(backed);
    const file = disk.openWrite(name);
    disk.write(file, [Uint8Array.of(0xee)], end - base - 5);
    disk.close(file);
    expect(() => restored(disk)).toThrow(/does not match its check; nothing was restored/);
    expect(disk.list(DIRECTORY)).toEqual([]);
    const missing = new MemoryDisk(backed);
    missing.remove(name);
    expect(() => restored(missing)).toThrow(/nothing was restored/);
    expect(missing.list(DIRECTORY)).toEqual([]);
    expect(disk.openFiles + missing.openFiles).toBe(0);
  }
});

it('a directory that has anything in it is refused, and stays as it is', () => {
  const used = new MemoryDisk(backed);
  restored(used);
  const before = used.image();
  expect(() => restored(used)).toThrow(/is a data directory already/);
  expect([...used.image()]).toEqual([...before]);
  const foreign = new MemoryDisk(backed);
  foreign.close(foreign.create(`${DIRECTORY}/photo.jpg`));
  expect(() => restored(foreign)).toThrow(/is not empty \(photo.jpg\)/);
  foreign.close(foreign.create(`${DIRECTORY}/${RESTORE_FILE}`));
  expect(() => refuseUsed(foreign, DIRECTORY)).toThrow(/is not empty \(photo.jpg\)/);
  expect(() => new BackupFolder(foreign, DIRECTORY)).toThrow(/not the folder of a backup/);
});

it('a power loss or a kill at any step leaves no log, which is restored again, or all of it', () => {
  const random = new Random(3);
  const model = new CrashModel(backed);
  const images: DiskImage[] = [];
  const disk = new MemoryDisk(backed, (operation) => {
    model.apply(operation);
    for (const { image } of model.states(4, random)) images.push(image);
  });
  restored(disk);
  let whole = 0;
  for (const image of images) {
    const left = new MemoryDisk(image);
    if (left.list(DIRECTORY).includes(IDENTITY_FILE)) {
      whole += 1;
      expect(() => restored(left)).toThrow(/is a data directory already/);
    } else {
      if (left.list(DIRECTORY).length > 0) expect(() => readIdentity(left, DIRECTORY)).toThrow(/did not come to its end/);
      restored(left);
    }
    const facts = examineDirectory(left, DIRECTORY, { everyEntry: true });
    expect([facts.damage, facts.end, facts.commit]).toEqual([[], log.end, log.end]);
    expect(entriesIn(left).equals(log.bytes(0, log.end))).toBe(true);
  }
  expect([images.length > 100, whole > 3]).toEqual([true, true]);
});
