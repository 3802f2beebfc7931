// Backups into a disk in memory, of a log in memory: what is copied, what is refused, and what each crash leaves.

import { describe, expect, it } from 'vitest';
import { BackupFolder, readManifest } from '../../src/backup/folder.ts';
import { fileName, MANIFEST_FILE } from '../../src/backup/names.ts';
import { verifyBackup } from '../../src/backup/verifyBackup.ts';
import { LogError } from '../../src/core/errors.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { contents, FakeLog, FOLDER, run, smallLog, workspace } from './support.ts';

const verify = (disk: MemoryDisk): ReturnType<typeof verifyBackup> => verifyBackup(disk, FOLDER, { workspace });

describe('a backup', () => {
  it('has each sealed segment in a file, and the rest in a part', async () => {
    const log = smallLog();
    const disk = new MemoryDisk();
    const { manifest, from, addedFiles } = await run(disk, log);
    expect([manifest.start, manifest.end, from, addedFiles]).toEqual([0, log.end, 0, 3]);
    expect(manifest.files.map(({ base, end, isPart }) => [base, end, isPart])).toEqual([
      ...log.segments.map(({ base, end }) => [base, end, false]),
      [log.segments[1]?.end, log.end, true],
    ]);
    expect(contents(disk, manifest).equals(log.bytes(0, log.end))).toBe(true);
    expect(verify(disk)).toMatchObject({ damage: [], manifest });
    expect(disk.openFiles).toBe(0);
  });

  it('copies only what is new the next time, replaces the part, and touches no other file', async () => {
    const log = smallLog();
    const disk = new MemoryDisk();
    const first = await run(disk, log);
    log.append([10], [2_000]).seal().append([7]);
    const touched: string[] = [];
    const next = new MemoryDisk(disk.image(), (operation) => {
      if ('path' in operation) touched.push(operation.path);
      if (operation.kind === 'rename') touched.push(operation.to);
    });
    log.reads.length = 0;
    const second = await run(next, log);
    // The last entry is compared, then what is new is read.
    expect(log.reads.slice(1).map(({ from }) => from)).toEqual([first.manifest.end, log.segments[2]?.end]);
    expect(second.from).toBe(first.manifest.end);
    expect(contents(next, second.manifest).equals(log.bytes(0, log.end))).toBe(true);
    for (const { base } of log.segments.slice(0, 2)) {
      expect(touched.filter((path) => path.includes(`/${String(base).padStart(20, '0')}`))).toEqual([]);
    }
    expect(next.list(FOLDER)).not.toContain(fileName(first.manifest.files[2] ?? { base: 0, end: 0 }));
    const third = await run(next, log);
    expect([third.addedFiles, third.manifest.takenMs > second.manifest.takenMs]).toEqual([0, true]);
    expect(verify(next).damage).toEqual([]);
  });

  it('cuts files where batches end when nothing is said to be sealed', async () => {
    const log = new FakeLog();
    for (let i = 0; i < 30; i += 1) log.append([100 + i, 200, 3]);
    log.append([5_000]).append([1]);
    const disk = new MemoryDisk();
    const { manifest } = await run(disk, log);
    expect(contents(disk, manifest).equals(log.bytes(0, log.end))).toBe(true);
    expect(manifest.files.map(({ isPart }) => isPart).filter(Boolean)).toHaveLength(1);
    // One batch has more than a file: it is alone.
    expect(manifest.files.filter(({ base, end }) => end - base > log.fileBytes).map(({ base, end }) => end - base)).toEqual([5_012]);
    log.append([600]);
    const next = await run(disk, log);
    expect(contents(disk, next.manifest).equals(log.bytes(0, log.end))).toBe(true);
    expect(verify(disk).damage).toEqual([]);
  });

  it('goes on with what a run left that ended early, and asks again only for the rest', async () => {
    const log = new FakeLog();
    for (let i = 0; i < 20; i += 1) log.append([200]);
    log.seal();
    log.fileBytes = 10_000;
    const disk = new MemoryDisk();
    log.onPiece = (offset) => {
      if (offset > 2_000) throw new Error('the connection was lost');
    };
    await expect(run(disk, log)).rejects.toThrow('the connection was lost');
    expect(verify(disk)).toMatchObject({ damage: [], manifest: { end: 0, takenMs: 0 } });
    log.onPiece = () => undefined;
    log.reads.length = 0;
    const { manifest } = await run(disk, log);
    expect(log.reads[0]?.from).toBeGreaterThan(1_500);
    expect(contents(disk, manifest).equals(log.bytes(0, log.end))).toBe(true);
    expect(disk.list(FOLDER).sort()).toEqual([...manifest.files.map(fileName), MANIFEST_FILE].sort());
  });

  it('takes nothing from leftovers that are torn, or are not of this place in the log', async () => {
    for (const change of ['tear', 'garbage', 'beyond', 'other'] as const) {
      const log = smallLog();
      const disk = new MemoryDisk();
      await run(disk, new FakeLog());
      const file = disk.create(`${FOLDER}/${'0'.repeat(20)}.unfinished`);
      const bytes = log.bytes(0, log.end);
      if (change === 'garbage') bytes.fill(7, 30);
      if (change === 'other') bytes.set(new FakeLog(2).append([8], [100, 5, 0], [700], [1_000]).bytes(0, 1_000));
      disk.write(file, [change === 'tear' ? bytes.subarray(0, 70) : bytes], 0);
      disk.close(file);
      const { manifest } = await run(disk, log);
      if (change !== 'other') expect(contents(disk, manifest).equals(log.bytes(0, log.end)), change).toBe(true);
      expect(verify(disk).damage, change).toEqual([]);
    }
  });
});

describe('what is refused', () => {
  it('a folder of somebody else, another cluster, another generation, a log that ends earlier, a log with other entries', async () => {
    const foreign = new MemoryDisk();
    foreign.close(foreign.create(`${FOLDER}/photo.jpg`));
    expect(() => new BackupFolder(foreign, FOLDER)).toThrow(/not the folder of a backup.*photo\.jpg/);
    const disk = new MemoryDisk();
    await run(disk, smallLog());
    const before = disk.image();
    const others: [(log: FakeLog) => void, RegExp][] = [
      [(log) => Object.assign(log, { clusterId: 'f'.repeat(32) }), /is of cluster 0123.* this is cluster ffff/],
      [(log) => Object.assign(log, { generation: 'f'.repeat(16) }), /generation f{16}: the log was begun anew/],
    ];
    for (const [change, sentence] of others) {
      const log = smallLog();
      change(log);
      await expect(run(disk, log)).rejects.toMatchObject({ code: 'OTHER_CLUSTER', message: expect.stringMatching(sentence) });
    }
    await expect(run(disk, new FakeLog().append([8]))).rejects.toThrow(/and this one ends at 20/);
    const sameSizes = new FakeLog(2).append([8], [100, 5, 0], [700], [3], [8], [900], [300, 20], [50], [60, 0, 70]);
    await expect(run(disk, sameSizes)).rejects.toThrow(/their entries at offset \d+ are not the same/);
    expect([...disk.image()]).toEqual([...before]);
  });

  it('a log that was trimmed past the end of the backup; one trimmed before it goes on', async () => {
    const disk = new MemoryDisk();
    const log = smallLog();
    const { manifest } = await run(disk, log);
    log.append([1]).seal().append([2_000]).seal().append([3]);
    log.trim(log.segments[1]?.end ?? 0);
    const second = await run(disk, log);
    expect([second.manifest.start, second.manifest.end]).toEqual([0, log.end]);
    log.append([2_000]).seal().append([4]);
    const { end } = log;
    log.append([5]).seal();
    log.trim(end);
    await expect(run(disk, log)).rejects.toMatchObject({
      code: 'OFFSET_TRIMMED',
      message: expect.stringMatching(
        new RegExp(`trimmed up to offset ${end} before what is from offset ${second.manifest.end} on was backed up`),
      ),
    });
    expect(readManifest(disk, FOLDER)).toEqual(second.manifest);
    expect(manifest.end).toBeLessThan(second.manifest.end);
  });

  it('a log that is trimmed while it is backed up keeps what came before', async () => {
    const disk = new MemoryDisk();
    const log = smallLog();
    const [first, second] = log.segments;
    log.onPiece = (offset) => {
      if (offset === first?.base) log.trim(second?.end ?? 0);
    };
    await expect(run(disk, log, () => false)).rejects.toMatchObject({
      code: 'OFFSET_TRIMMED',
      details: { start: second?.end, end: first?.end },
    });
    expect(verify(disk)).toMatchObject({ damage: [], manifest: { end: first?.end, takenMs: 0 } });
  });

  it('a part that is damaged', async () => {
    const disk = new MemoryDisk();
    const log = smallLog();
    const { manifest } = await run(disk, log);
    const part = `${FOLDER}/${fileName(manifest.files.at(-1) ?? { base: 0, end: 0 })}`;
    const file = disk.openWrite(part);
    disk.write(file, [Uint8Array.of(9)], 20);
    disk.close(file);
    log.append([3]);
    await expect(run(disk, log)).rejects.toMatchObject({ code: 'DAMAGED' });
  });
});

describe('a file that the manifest names', () => {
  const files = async (): Promise<{ disk: MemoryDisk; log: FakeLog; paths: string[] }> => {
    const disk = new MemoryDisk();
    const log = smallLog();
    const { manifest } = await run(disk, log);
    return { disk, log, paths: manifest.files.map((file) => `${FOLDER}/${fileName(file)}`) };
  };

  it.each([
    ['the first', 0],
    ['the part at the end', 2],
  ])('and that is not there, %s, ends a run before it says that all is there; so does one of another size', async (_which, at) => {
    const { disk, log, paths } = await files();
    const path = paths[at] ?? '';
    const before = disk.image();
    for (const isNew of [false, true]) {
      if (isNew) log.append([3]);
      const gone = new MemoryDisk(before);
      gone.remove(path);
      const failure = { code: 'DAMAGE', message: expect.stringContaining(`${path} is not what the manifest says: it is not there.`) };
      await expect(run(gone, log)).rejects.toMatchObject(failure);
      const short = new MemoryDisk(before);
      const file = short.openWrite(path);
      short.truncate(file, 7);
      short.close(file);
      await expect(run(short, log)).rejects.toMatchObject({
        code: 'DAMAGE',
        message: expect.stringMatching(/: it has 7 bytes, and \d+ by the manifest\./),
      });
      expect(short.openFiles).toBe(0);
    }
    // With the file back in its place it goes on.
    expect((await run(new MemoryDisk(before), log)).manifest.end).toBe(log.end);
  });
});

describe('crashes', () => {
  /** What a run does from `image` on, and the states that a power loss may leave after each of its operations. */
  async function crashStates(image: DiskImage, log: FakeLog, random: Random): Promise<{ images: DiskImage[]; last: DiskImage }> {
    const model = new CrashModel(image);
    const images: DiskImage[] = [];
    const disk = new MemoryDisk(image, (operation) => {
      model.apply(operation);
      for (const state of model.states(6, random)) images.push(state.image);
    });
    await run(disk, log);
    return { images, last: disk.image() };
  }

  it('a power loss or a kill at any step leaves a valid backup, not older than the last one, and the next run completes it', async () => {
    const random = new Random(5);
    const log = smallLog();
    const empty = await crashStates(new MemoryDisk().image(), log, random);
    const first = readManifest(new MemoryDisk(empty.last), FOLDER)?.end ?? 0;
    log.append([10], [1_500]).seal().append([7]);
    const grown = await crashStates(empty.last, log, random);
    let count = 0;
    for (const [images, atLeast] of [
      [empty.images, 0],
      [grown.images, first],
    ] as const) {
      for (const image of images) {
        count += 1;
        const disk = new MemoryDisk(image);
        if (disk.list(FOLDER).includes(MANIFEST_FILE)) {
          const facts = verify(disk);
          expect(facts.damage).toEqual([]);
          expect(facts.manifest?.end).toBeGreaterThanOrEqual(atLeast);
        } else {
          expect(atLeast).toBe(0);
        }
        const { manifest } = await run(disk, log);
        expect(contents(disk, manifest).equals(log.bytes(0, log.end))).toBe(true);
        expect(verify(disk).damage).toEqual([]);
        expect(disk.list(FOLDER).sort()).toEqual([...manifest.files.map(fileName), MANIFEST_FILE].sort());
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  it('a disk that fills up keeps what was finished, says so first, and takes the rest when it has room', async () => {
    const log = smallLog();
    const [, second] = log.segments;
    const disk = new MemoryDisk();
    const full = new LogError('IO', 'no space is left on the disk', { errno: 'ENOSPC' });
    let room = 1_900;
    const sizes = new Map<number, number>();
    const files = new Map<string, number>();
    const small = new MemoryDisk(disk.image(), (operation) => {
      if (operation.kind === 'create') files.set(operation.path, operation.file);
      if (operation.kind === 'remove') room += sizes.get(files.get(operation.path) ?? 0) ?? 0;
      if (operation.kind !== 'write') return;
      // Manifests take the place of each other.
      if (operation.bytes[0] === '{'.charCodeAt(0)) {
        if (room < 100) throw full;
        return;
      }
      if (operation.bytes.length > room) {
        room = 0;
        throw full;
      }
      room -= operation.bytes.length;
      sizes.set(operation.file, (sizes.get(operation.file) ?? 0) + operation.bytes.length);
    });
    await expect(run(small, log, () => false)).rejects.toBe(full);
    const left = new MemoryDisk(small.image());
    expect(verify(left)).toMatchObject({ damage: [], manifest: { end: second?.base } });
    expect([left.list(FOLDER).filter((name) => name.endsWith('.unfinished')), small.openFiles]).toEqual([[], 0]);
    const { manifest } = await run(left, log);
    expect(contents(left, manifest).equals(log.bytes(0, log.end))).toBe(true);
  });

  it('a disk that fails at any step leaves a valid backup', async () => {
    const log = smallLog();
    const before = new MemoryDisk();
    await run(before, log);
    log.append([10], [1_500]).seal().append([7]);
    let steps = 1;
    for (let at = 0; at < steps; at += 1) {
      let step = 0;
      const disk = new MemoryDisk(before.image(), () => {
        step += 1;
        if (step > at) throw new Error('no space');
      });
      await run(disk, log).catch(() => undefined);
      steps = Math.max(steps, step + 1);
      if (step <= at) break;
      const after = new MemoryDisk(disk.image());
      expect(verify(after).damage).toEqual([]);
      const { manifest } = await run(after, log);
      expect(contents(after, manifest).equals(log.bytes(0, log.end))).toBe(true);
    }
    expect(steps).toBeGreaterThan(10);
  });
});
