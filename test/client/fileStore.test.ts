// The file store of named consumers: who has a name, that no position is lost when it changes hands, and what an operator does.

import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileStore, fileStore } from '../../src/client/consumers/fileStore.node.ts';
import type { PositionLease } from '../../src/client/consumers/store.ts';
import { failureOf } from './support/failure.ts';
import { interpose, replace } from './support/patchedFs.ts';

let directory: string;
let store: FileStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'loglog-positions-'));
  store = fileStore(directory);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (offset: number): string => `${'5f'.repeat(16)}.${'01'.repeat(8)}@${offset}`;
const offsetOf = ({ bookmark }: Pick<PositionLease, 'bookmark'>): number => Number(bookmark?.split('@')[1] ?? -1);
const filesOf = (folder: string): string[] => readdirSync(join(directory, folder)).sort();

/** As if what is to be put in its place were written only after what was left had been removed. Returns what ends that. */
function leaveTemporaries(): () => void {
  const { rm } = fs.promises;
  return replace('rm', async (path, options) => void (String(path).endsWith('.tmp') || (await rm(path, options))));
}

/** Whether a save was kept. */
async function isKept(lease: PositionLease, offset: number): Promise<boolean> {
  const code = await lease.save(at(offset)).then(
    () => 'kept',
    ({ code }) => code,
  );
  expect(['kept', 'FENCED']).toContain(code);
  return code === 'kept';
}

describe('a name that changes hands', () => {
  test('goes on at what was kept; the one before can keep no more, and changes nothing', async () => {
    const first = await store.take('n');
    expect(first.bookmark).toBeUndefined();
    await first.save(at(12));
    const second = await store.take('n');
    expect(second.bookmark).toBe(at(12));
    expect((await failureOf(first.save(at(50)))).code).toBe('FENCED');
    expect([filesOf('n'), readFileSync(join(directory, 'n/2.position'), 'utf8')]).toEqual([['2.position'], `0 ${at(12)}\n`]);
    await second.save(at(25));
    expect(await store.position('n')).toBe(at(25));
  });

  test('of many that take it at once, the last has it, and none loses what was kept', async () => {
    await (await store.take('n')).save(at(12));
    const leases = await Promise.all(Array.from({ length: 20 }, () => store.take('n')));
    expect(leases.map(offsetOf)).toEqual(leases.map(() => 12));
    const kept = await Promise.all(leases.map((lease, i) => isKept(lease, 100 + i)));
    expect(kept.filter(Boolean)).toHaveLength(1);
    expect(offsetOf(await store.take('n'))).toBe(100 + kept.indexOf(true));
  });

  test('loses nothing that was kept in that moment, by however many it is taken', async () => {
    // Each who has it keeps more and more, until somebody else has it; three at once take it.
    let kept = -1;
    let onKept: () => void = () => undefined;
    const save = async (lease: PositionLease): Promise<void> => {
      for (let next = offsetOf(lease) + 1; await isKept(lease, next); next++) {
        expect(next).toBeGreaterThan(kept);
        kept = next;
        onKept();
      }
    };
    let savers = [save(await store.take('n'))];
    for (let round = 0; round < 40; round++) {
      // At another point of its saves each time, and every other time after one.
      if (round % 2 === 1)
        await new Promise<void>((resolve) => {
          onKept = resolve;
        });
      for (let turns = 0; turns < round % 17; turns++) await new Promise((resolve) => setImmediate(resolve));
      const leases = await Promise.all([1, 2, 3].map(() => store.take('n')));
      await Promise.all(savers);
      savers = leases.map(save);
    }
    const last = await store.take('n');
    await Promise.all(savers);
    // What was not acknowledged may be there as well.
    expect(offsetOf(last)).toBeGreaterThanOrEqual(kept);
    expect(kept).toBeGreaterThan(10);
  });

  test('is looked at once more when it was taken: what was kept since the first look counts', async () => {
    const first = await store.take('n');
    interpose('link', () => first.save(at(70)));
    expect((await store.take('n')).bookmark).toBe(at(70));
    expect(readFileSync(join(directory, 'n/2.position'), 'utf8')).toBe(`0 ${at(70)}\n`);
  });

  test('says FENCED of what was in its place only when that counted no more', async () => {
    const first = await store.take('n');
    let taken: PositionLease | undefined;
    interpose('rename', async () => {
      const restore = leaveTemporaries();
      taken = await store.take('n');
      restore();
    });
    expect([await isKept(first, 12), taken?.bookmark]).toEqual([false, undefined]);
    // Nor where the bytes are gone before they are in their place.
    const { rename } = fs.promises;
    replace('rename', async (from, to) => {
      fs.rmSync(String(from));
      await store.take('n');
      await rename(from, to);
    });
    expect(taken && (await isKept(taken, 13))).toBe(false);
  });

  test('is not had by whoever comes with an epoch that is over', async () => {
    await (await store.take('n')).save(at(5));
    let newest: PositionLease | undefined;
    interpose('link', async () => {
      const restore = leaveTemporaries();
      // The second of them removes the file of the first, so that its epoch seems to be free.
      await store.take('n');
      newest = await store.take('n');
      await newest.save(at(12));
      restore();
    });
    const late = await store.take('n');
    // What it saw first is not there any more, and counts all the same.
    expect(late.bookmark).toBe(at(5));
    expect([await isKept(late, 25), newest && (await isKept(newest, 26)), await store.position('n')]).toEqual([false, true, at(26)]);
    expect([(await store.take('n')).bookmark, filesOf('n')]).toEqual([at(26), ['4.position']]);
  });

  test('may be lost while it is taken: nothing else is', async () => {
    const first = await store.take('n');
    let newest: PositionLease | undefined;
    interpose('link', async () => {
      await first.save(at(70));
      interpose('rename', async () => {
        newest = await store.take('n');
      });
    });
    const late = await store.take('n');
    expect([late.bookmark, newest?.bookmark]).toEqual([at(70), at(70)]);
    expect([await isKept(late, 71), newest && (await isKept(newest, 72))]).toEqual([false, true]);
  });

  test('goes on at the furthest position after a kill in the midst of it, and what was left is removed', async () => {
    mkdirSync(join(directory, 'n'));
    const write = (file: string, text: string): void => writeFileSync(join(directory, 'n', file), text);
    write('2.position', `0 ${at(70)}\n`);
    write('3.position', `0 ${at(50)}\n`);
    write('4.position', '0 -\n');
    write('4.0123456789abcdef.tmp', `0 ${at(90)}\n`);
    expect((await store.take('n')).bookmark).toBe(at(70));
    expect([filesOf('n'), readFileSync(join(directory, 'n/5.position'), 'utf8')]).toEqual([['5.position'], `0 ${at(70)}\n`]);
  });
});

describe('a position in a file', () => {
  test('is durable before it is told: the bytes before they are in their place, the place and new folders after that', async () => {
    const steps: string[] = [];
    const { open, rename, link } = fs.promises;
    const shown = (path: unknown): string => (String(path).endsWith('.tmp') ? 'bytes' : basename(String(path)));
    replace('open', async (...args) => {
      const file = await open(...args);
      const { sync } = file;
      file.sync = async () => {
        await sync.call(file);
        steps.push(`sync ${shown(args[0])}`);
      };
      return file;
    });
    replace('rename', async (from, to) => {
      await rename(from, to);
      steps.push('rename');
    });
    replace('link', async (from, to) => {
      await link(from, to);
      steps.push('link');
    });
    const lease = await fileStore(join(directory, 'a/b')).take('n');
    // The folder of the name is listed in b, that in a, and a in the directory.
    expect(steps).toEqual(['sync b', 'sync a', `sync ${basename(directory)}`, 'sync bytes', 'link', 'sync n', 'sync b']);
    steps.length = 0;
    await lease.save(at(12));
    expect(steps).toEqual(['sync bytes', 'rename', 'sync n']);
  });

  test('costs the same beside many names: no other folder is looked into', async () => {
    for (const name of ['a', 'b', 'c']) await store.take(name);
    const lease = await store.take('n');
    const looked = new Set<string>();
    const { readdir } = fs.promises;
    // Only the one form of it is called.
    replace(
      'readdir',
      Object((path: string) => {
        looked.add(path);
        return readdir(path);
      }),
    );
    await lease.save(at(12));
    expect([...looked]).toEqual([join(directory, 'n')]);
  });

  test('is of one name each, also where the file system takes upper and lower case for the same', async () => {
    const names = ['n', 'N', 'é', 'É', '.', '..', 'a/b', 'a%2Fb', 'con', 'x.1.position', 'x'.repeat(64)];
    for (const [i, name] of names.entries()) await (await store.take(name)).save(at(i));
    const folders = readdirSync(directory);
    expect(new Set(folders.map((folder) => folder.toLowerCase())).size).toBe(names.length);
    expect(readdirSync(dirname(directory))).not.toContain('1.position');
    writeFileSync(join(directory, 'notes.txt'), 'of somebody else');
    const list = await store.list();
    expect(list.map(({ name }) => name)).toEqual(names.toSorted());
    for (const { name, bookmark, savedMs } of list) {
      expect(bookmark).toBe(at(names.indexOf(name)));
      expect(Math.abs(savedMs - Date.now())).toBeLessThan(600_000);
    }
    await expect(store.take('')).rejects.toThrow(TypeError);
  });

  test('that is empty, cut, or none is refused, and the error says what to do', async () => {
    const bad = ['', '0', '0 -', `0 ${at(70)}`, `${at(70)}\n`, 'nonsense\n', `2 ${at(70)}\n`, '0 -\n0 -\n'];
    for (const [i, text] of bad.entries()) {
      mkdirSync(join(directory, `${i}`));
      const path = join(directory, `${i}`, '1.position');
      writeFileSync(path, text);
      const error = await failureOf(store.take(`${i}`));
      expect([error.code, error.message]).toEqual(['DAMAGE', expect.stringContaining(path)]);
      expect(error.message).toContain('reset');
      expect((await store.list()).find(({ name }) => name === `${i}`)?.error?.code).toBe('DAMAGE');
      await store.reset(`${i}`, at(70));
      expect((await store.take(`${i}`)).bookmark).toBe(at(70));
    }
    await expect(store.reset('n', 'nonsense')).rejects.toThrow(TypeError);
    await expect((await store.take('n')).save('nonsense')).rejects.toThrow(TypeError);
  });
});

describe('a name that is begun anew', () => {
  test('has no position, or the one that is given, and whoever had it can keep no more', async () => {
    for (const bookmark of [undefined, at(3)]) {
      const old = await store.take('n');
      await old.save(at(70));
      await store.reset('n', bookmark);
      expect(await store.position('n')).toBe(bookmark);
      const lease = await store.take('n');
      expect([lease.bookmark, await isKept(old, 90), await isKept(lease, 5)]).toEqual([bookmark, false, true]);
      expect((await store.take('n')).bookmark).toBe(at(5));
    }
    expect(filesOf('n')).toEqual(['8.position']);
  });

  test('stays so when whoever did it was killed before what is over was removed', async () => {
    await (await store.take('n')).save(at(70));
    replace('rm', async () => {
      throw new Error('killed');
    });
    await expect(store.reset('n')).rejects.toThrow('killed');
    expect(filesOf('n').filter((file) => file.endsWith('.position'))).toEqual(['1.position', '2.position']);
    expect(await store.position('n')).toBeUndefined();
    // What is over may be damaged, too.
    writeFileSync(join(directory, 'n/1.position'), '');
    expect(await store.position('n')).toBeUndefined();
  });

  test('is begun anew for one who was about to take it, too', async () => {
    await (await store.take('n')).save(at(70));
    interpose('link', () => store.reset('n'));
    expect((await store.take('n')).bookmark).toBeUndefined();
  });

  test('is so although somebody else takes it meanwhile, as often as that happens', async () => {
    await (await store.take('n')).save(at(70));
    interpose('link', async () => {
      const restore = leaveTemporaries();
      await store.take('n');
      await (await store.take('n')).save(at(80));
      restore();
    });
    await store.reset('n');
    expect([await store.position('n'), filesOf('n')]).toEqual([undefined, ['4.position']]);
  });

  test('and removed is not there any more, and its epochs go on, so that nobody comes back', async () => {
    expect([await store.remove('n'), readdirSync(directory)]).toEqual([false, []]);
    const old = await store.take('n');
    await old.save(at(70));
    expect([await store.remove('n'), await store.list(), await store.remove('n')]).toEqual([true, [], false]);
    expect([await isKept(old, 90), await store.position('n')]).toEqual([false, undefined]);
    const lease = await store.take('n');
    expect((await store.list()).map(({ name, bookmark }) => [name, bookmark])).toEqual([['n', undefined]]);
    expect([lease.bookmark, await isKept(old, 90), await isKept(lease, 1)]).toEqual([undefined, false, true]);
    expect((await store.list()).map(({ name, bookmark }) => [name, bookmark])).toEqual([['n', at(1)]]);
  });
});
