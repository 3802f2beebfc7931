import * as childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
import { type Disk, readFile, writeFileAtomically } from '../../src/storage/disk.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { type DiskOperation, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY } from '../crash/testNode.ts';
import { errorOf, TemporaryDisk, temporaryDirectory } from './support.ts';

const PATH = `${DIRECTORY}/file`;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const encode = (string: string): Uint8Array => new TextEncoder().encode(string);

describe('a file that another thread opened', () => {
  it('is not written once that has ended, and its number is another file’s', () => {
    const directory = temporaryDirectory();
    const [own, other] = [`${directory}/own`, `${directory}/other`];
    for (const path of [own, other]) fs.writeFileSync(path, 'as it was');
    const disk = new NodeDisk();
    const file = fs.openSync(own, 'r+');
    disk.adopt(file, own);
    disk.write(file, [encode('written')], 0);
    // As the system does with what a thread leaves open.
    fs.closeSync(file);
    expect(errorOf(() => disk.write(file, [encode('lost')], 0))).toMatchObject({ code: 'IO', details: { errno: 'EBADF' } });
    expect(fs.openSync(other, 'r+')).toBe(file);
    expect(errorOf(() => disk.write(file, [encode('lost')], 0))).toMatchObject({ code: 'IO', details: { file: own, errno: 'EBADF' } });
    // Nor is what was written taken for durable, because another file was synced.
    expect(errorOf(() => disk.dataSync(file))).toMatchObject({ code: 'IO', details: { file: own, errno: 'EBADF' } });
    expect(errorOf(() => disk.adopt(file, own))).toMatchObject({ code: 'IO', details: { file: own, errno: 'EBADF' } });
    expect(fs.readFileSync(other, 'utf8')).toBe('as it was');
    expect(fs.readFileSync(own, 'utf8')).toBe('writtenas');
    disk.adopt(file, other);
    disk.write(file, [encode('now')], 0);
    fs.closeSync(file);
    // Whoever opens a file here needs no such look.
    const opened = disk.openWrite(other);
    expect(opened).toBe(file);
    disk.write(opened, [encode('its own')], 0);
    disk.close(opened);
  });
});

/** What every Disk does. */
function behavesAsDisk(name: string, make: () => Disk): void {
  describe(`a disk: ${name}`, () => {
    it('holds what was written, in parts and at positions', () => {
      const disk = make();
      const file = disk.create(PATH);
      disk.write(file, [encode('hello '), new Uint8Array(0), encode('world')], 0);
      disk.write(file, [encode('W')], 6);
      expect(disk.size(file)).toBe(11);
      disk.dataSync(file);
      disk.close(file);
      expect(text(readFile(disk, PATH))).toBe('hello World');
    });

    it('reads fewer bytes only at the end of the file', () => {
      const disk = make();
      const file = disk.create(PATH);
      disk.write(file, [encode('abcdef')], 0);
      const into = new Uint8Array(4);
      expect(disk.read(file, into, 1)).toBe(4);
      expect(text(into)).toBe('bcde');
      expect(disk.read(file, into, 4)).toBe(2);
      expect(disk.read(file, into, 6)).toBe(0);
      expect(disk.read(file, into, 100)).toBe(0);
      disk.close(file);
    });

    it('reads the beginning of a file by its path, as much as there is room for', () => {
      const disk = make();
      const file = disk.create(PATH);
      disk.write(file, [encode('abcdef')], 0);
      disk.close(file);
      const into = new Uint8Array(8);
      expect(disk.readHead(PATH, into)).toBe(6);
      expect(text(into.subarray(0, 6))).toBe('abcdef');
      expect(disk.readHead(PATH, into.subarray(0, 4))).toBe(4);
      expect(errorOf(() => disk.readHead(`${PATH}2`, into))).toMatchObject({ code: 'IO', details: { errno: 'ENOENT' } });
    });

    it('has zeros where a file grew without being written', () => {
      const disk = make();
      const file = disk.create(PATH);
      disk.write(file, [encode('abcdef')], 0);
      disk.truncate(file, 2);
      disk.truncate(file, 4);
      disk.write(file, [encode('x')], 6);
      disk.close(file);
      expect([...readFile(disk, PATH)]).toEqual([97, 98, 0, 0, 0, 0, 120]);
    });

    it('does not make a file over another, and does not open what is not there', () => {
      const disk = make();
      disk.close(disk.create(PATH));
      expect(errorOf(() => disk.create(PATH))).toMatchObject({ code: 'IO', details: { errno: 'EEXIST' } });
      expect(errorOf(() => disk.openRead(`${PATH}2`))).toMatchObject({ code: 'IO', details: { errno: 'ENOENT' } });
      expect(errorOf(() => disk.openWrite(`${PATH}2`))).toMatchObject({ code: 'IO', details: { errno: 'ENOENT' } });
    });

    it('lists, renames over another file, and removes', () => {
      const disk = make();
      for (const name of ['a', 'b']) {
        const file = disk.create(`${DIRECTORY}/${name}`);
        disk.write(file, [encode(name)], 0);
        disk.close(file);
      }
      disk.rename(`${DIRECTORY}/a`, `${DIRECTORY}/b`);
      disk.syncDirectory(DIRECTORY);
      expect(disk.list(DIRECTORY)).toEqual(['b']);
      expect(text(readFile(disk, `${DIRECTORY}/b`))).toBe('a');
      disk.remove(`${DIRECTORY}/b`);
      expect(disk.list(DIRECTORY)).toEqual([]);
    });

    it('replaces a file as a whole, and leaves no temporary one', () => {
      const disk = make();
      writeFileAtomically(disk, DIRECTORY, 'name', encode('a long first content'));
      writeFileAtomically(disk, DIRECTORY, 'name', encode('second'));
      expect(text(readFile(disk, `${DIRECTORY}/name`))).toBe('second');
      expect(disk.list(DIRECTORY)).toEqual(['name']);
    });
  });
}

behavesAsDisk('in memory', () => new MemoryDisk());
behavesAsDisk("node's", () => new TemporaryDisk());

it('an atomic file is synced before it gets its name, and the name before the call returns', () => {
  const operations: DiskOperation[] = [];
  writeFileAtomically(new MemoryDisk(new Map(), (operation) => operations.push(operation)), DIRECTORY, 'name', encode('content'));
  expect(operations.map(({ kind }) => kind)).toEqual(['create', 'write', 'dataSync', 'rename', 'syncDirectory']);
});

describe("node's disk: errors", () => {
  const original = { ...fs };
  let replaced: (keyof typeof fs)[] = [];

  afterEach(() => {
    for (const call of replaced) Object.assign(fs, { [call]: original[call] });
    replaced = [];
    syncBuiltinESMExports();
  });

  /** Replaces some of node's calls until the test ends. */
  function fake(replacements: Partial<typeof fs>): void {
    Object.assign(fs, replacements);
    replaced.push(...(Object.keys(replacements) as (keyof typeof fs)[]));
    syncBuiltinESMExports();
  }

  function failing(code: string): () => never {
    return () => {
      throw Object.assign(new Error(`${code}: it failed`), { code });
    };
  }

  it('a short write is an error that names file and position', () => {
    const disk = new TemporaryDisk();
    const file = disk.create(PATH);
    fake({ writevSync: () => 10 });
    const error = errorOf(() => disk.write(file, [new Uint8Array(8), new Uint8Array(8)], 4096));
    expect(error).toMatchObject({ code: 'IO', details: { file: `${disk.root}/file`, position: 4096, errno: 'SHORT_WRITE' } });
    expect(error.message).toContain('10 of 16 bytes');
    expect(error.message).toContain(`${disk.root}/file at byte 4096`);
  });

  it.each(['ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EWHATEVER'])('%s on a write names file and position', (code) => {
    const disk = new TemporaryDisk();
    const file = disk.create(PATH);
    fake({ writevSync: failing(code) });
    const error = errorOf(() => disk.write(file, [new Uint8Array(8)], 77));
    expect(error).toMatchObject({ code: 'IO', outcome: 'unknown', details: { file: `${disk.root}/file`, position: 77, errno: code } });
    expect(error.message).toContain('writing ');
  });

  it.each([
    ['fdatasyncSync', 'syncing', (disk: Disk, file: number) => disk.dataSync(file)],
    ['ftruncateSync', 'truncating', (disk: Disk, file: number) => disk.truncate(file, 5)],
    ['readSync', 'reading', (disk: Disk, file: number) => disk.read(file, new Uint8Array(1), 0)],
    ['fstatSync', 'measuring', (disk: Disk, file: number) => disk.size(file)],
    ['lstatSync', 'looking at', (disk: Disk) => disk.sizeOf(PATH)],
    ['lstatSync', 'looking for', (disk: Disk) => disk.has(PATH)],
    ['renameSync', 'renaming', (disk: Disk) => disk.rename(PATH, `${PATH}2`)],
    ['unlinkSync', 'removing', (disk: Disk) => disk.remove(PATH)],
    ['fsyncSync', 'syncing', (disk: Disk) => disk.syncDirectory(DIRECTORY)],
    ['readdirSync', 'listing', (disk: Disk) => disk.list(DIRECTORY)],
  ] as const)('a failing %s is an IO error that says "%s" and names the file', (call, word, act) => {
    const disk = new TemporaryDisk();
    const file = disk.create(PATH);
    fake({ [call]: failing('EIO') });
    const error = errorOf(() => act(disk, file));
    expect(error).toMatchObject({ code: 'IO', details: { errno: 'EIO' } });
    expect(error.message).toContain(word);
    expect(error.message).toContain(disk.root);
  });

  it('links are not followed', () => {
    const disk = new TemporaryDisk();
    disk.close(disk.create(`${DIRECTORY}/target`));
    fs.symlinkSync(`${disk.root}/target`, `${disk.root}/link`);
    expect(errorOf(() => disk.openWrite(`${DIRECTORY}/link`)).details.errno).toBe('ELOOP');
    expect(errorOf(() => disk.openRead(`${DIRECTORY}/link`)).details.errno).toBe('ELOOP');
    expect(errorOf(() => disk.create(`${DIRECTORY}/link`)).details.errno).toBe('EEXIST');
  });

  it('a size and a name are looked up without opening anything', () => {
    const disk = new TemporaryDisk();
    const file = disk.create(PATH);
    disk.write(file, [new Uint8Array(17)], 0);
    disk.close(file);
    fs.symlinkSync(`${disk.root}/file`, `${disk.root}/link`);
    fs.mkdirSync(`${disk.root}/folder`);
    fake({ openSync: failing('EMFILE') });
    expect([disk.sizeOf(PATH), disk.has(PATH), disk.has(`${DIRECTORY}/none`)]).toEqual([17, true, false]);
    expect(errorOf(() => disk.sizeOf(`${DIRECTORY}/none`)).details.errno).toBe('ENOENT');
    for (const [name, what] of [
      ['link', 'symbolic link'],
      ['folder', 'not a regular file'],
    ]) {
      expect(disk.has(`${DIRECTORY}/${name}`)).toBe(true);
      const error = errorOf(() => disk.sizeOf(`${DIRECTORY}/${name}`));
      expect([error.details.errno, error.message]).toEqual(['NOT_OURS', expect.stringContaining(what ?? '')]);
    }
  });

  it('files are for their owner only', () => {
    const disk = new TemporaryDisk();
    disk.close(disk.create(PATH));
    expect(fs.statSync(`${disk.root}/file`).mode & 0o777).toBe(0o600);
  });

  it('a directory is made with its parents, and the entry of each is synced', () => {
    const root = temporaryDirectory();
    const opened = new Map<number, string>();
    const synced: string[] = [];
    const { openSync, fsyncSync } = original;
    fake({
      openSync: (path, flags, mode) => {
        const file = openSync(path, flags, mode);
        opened.set(file, String(path));
        return file;
      },
      fsyncSync: (file) => {
        synced.push(opened.get(file) ?? '');
        fsyncSync(file);
      },
    });
    const disk = new NodeDisk();
    disk.makeDirectory(`${root}/a/b/c`);
    expect(fs.statSync(`${root}/a/b/c`).isDirectory()).toBe(true);
    expect(synced.sort()).toEqual([root, `${root}/a`, `${root}/a/b`]);
    disk.makeDirectory(`${root}/a/b/c`);
    expect(synced.length).toBe(3);
  });
});

/** A real full disk: the file size limit of a child process makes its write come back short, without an error, as ENOSPC does. */
it("node's disk: a write that the kernel cut short is an error", () => {
  const root = temporaryDirectory();
  const module = new URL('../../dist/src/storage/nodeDisk.js', import.meta.url).href;
  const script = `
    const { NodeDisk } = await import(${JSON.stringify(module)});
    const disk = new NodeDisk();
    const file = disk.create(${JSON.stringify(`${root}/file`)});
    try {
      disk.write(file, [new Uint8Array(3000), new Uint8Array(4000)], 1000);
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, details: error.details }));
    }`;
  // 8 blocks of 512 or 1024 bytes; without the trap the signal would end the process.
  const { stdout, stderr } = childProcess.spawnSync(
    'sh',
    ['-c', `trap '' XFSZ; ulimit -f 8; exec "$0" --input-type=module -e "$1"`, process.execPath, script],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ code: 'IO', details: { file: `${root}/file`, position: 1000, errno: 'SHORT_WRITE' } });
});
