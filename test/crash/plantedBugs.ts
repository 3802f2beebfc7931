// Storage bugs as faults between a node and its disk, each one that some system once had. They prove that the crash test can fail:
// every one of them must be found. An index that is torn or missing is not among them: recovery makes it again.

import { SCAN_WHOLE_BATCHES } from '../../assembly/layout.ts';
import { MARK_BYTES } from '../../src/core/capacities.ts';
import { encodeMark } from '../../src/format/durableMark.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import type { ServerWasm } from '../../src/memory/wasm.ts';
import { readIdentity } from '../../src/storage/dataDirectory.ts';
import { DIRECT_BYTES, type Disk, type FileHandle } from '../../src/storage/disk.ts';
import { BOUND_BUGS } from './boundBugs.ts';
import { FaultyDisk, type PlantedBug, SEGMENT_PATTERN } from './faultyDisk.ts';
import { DIRECTORY } from './testNode.ts';
import { TRIM_BUGS } from './trimBugs.ts';
import { TRUNCATION_BUGS } from './truncationBugs.ts';

/** A name that a file has only until it is whole: `vote.tmp`, `node.json.tmp`, `….index.tmp`. */
function isAtomicWrite(path: string): boolean {
  return path.endsWith('.tmp') && !path.includes('spare');
}

class NoDataSync extends FaultyDisk {
  override dataSync(): void {}
}

class NoDirectorySync extends FaultyDisk {
  override syncDirectory(): void {}
}

/** The directory is synced for segments, but not after a file was replaced (KAFKA-3968 the other way round). */
class NoDirectorySyncAfter extends FaultyDisk {
  readonly #matches: (path: string) => boolean;
  #skip = false;

  constructor(disk: Disk, matches: (path: string) => boolean) {
    super(disk);
    this.#matches = matches;
  }

  override rename(from: string, to: string): void {
    super.rename(from, to);
    this.#skip = this.#matches(to);
  }

  override syncDirectory(path: string): void {
    if (!this.#skip) super.syncDirectory(path);
    this.#skip = false;
  }
}

/** Returns from the sync of entries at once, and does it before the next call: the acknowledgement comes first (etcd#14370). */
class LateSync extends FaultyDisk {
  #late: FileHandle | undefined;

  #catchUp(): void {
    const file = this.#late;
    this.#late = undefined;
    if (file !== undefined) super.dataSync(file);
  }

  override dataSync(file: FileHandle): void {
    this.#catchUp();
    if (SEGMENT_PATTERN.test(this.pathOf(file))) this.#late = file;
    else super.dataSync(file);
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    this.#catchUp();
    super.write(file, parts, position);
  }

  override close(file: FileHandle): void {
    this.#catchUp();
    super.close(file);
  }
}

/** Files that are replaced as a whole are renamed before their bytes are synced (KAFKA-16541). */
class NoSyncBeforeRename extends FaultyDisk {
  readonly #matches: (path: string) => boolean;

  constructor(disk: Disk, matches: (path: string) => boolean) {
    super(disk);
    this.#matches = matches;
  }

  override dataSync(file: FileHandle): void {
    if (!isAtomicWrite(this.pathOf(file)) || !this.#matches(this.pathOf(file))) super.dataSync(file);
  }
}

/** The vote is written over the old one instead of beside it. */
class VoteInPlace extends FaultyDisk {
  override create(path: string): FileHandle {
    const target = path.replace(/\.tmp$/, '');
    if (!target.endsWith('/vote') || !this.disk.list(DIRECTORY).includes('vote')) return super.create(path);
    const file = super.openWrite(target);
    super.truncate(file, 0);
    return file;
  }

  override rename(from: string, to: string): void {
    const isThere = this.disk.list(DIRECTORY).some((name) => `${DIRECTORY}/${name}` === from);
    if (isThere) super.rename(from, to);
  }
}

/** The sealed segment's length is not synced before its index says so. */
class NoSyncOfTruncation extends FaultyDisk {
  readonly #truncated = new Set<FileHandle>();

  override truncate(file: FileHandle, bytes: number): void {
    super.truncate(file, bytes);
    this.#truncated.add(file);
  }

  override dataSync(file: FileHandle): void {
    if (!this.#truncated.delete(file)) super.dataSync(file);
  }
}

/** A segment gets its name before its header is on disk. */
class NoSyncOfHeader extends FaultyDisk {
  #header: FileHandle | undefined;

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    super.write(file, parts, position);
    this.#header = position === 0 && parts[0]?.length === 4096 ? file : undefined;
  }

  override dataSync(file: FileHandle): void {
    if (this.#header !== file) super.dataSync(file);
    this.#header = undefined;
  }
}

/** The mark that is written with entries says that they are durable already. */
class BoastfulMark extends FaultyDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [entries, mark] = parts;
    if (entries === undefined || mark === undefined) {
      super.write(file, parts, position);
      return;
    }
    const seed = readIdentity(this.disk, DIRECTORY)?.markSeed ?? 0n;
    const view = new DataView(mark.buffer, mark.byteOffset, mark.length);
    const at = Number(view.getBigUint64(16, true));
    const boast = new Uint8Array(mark.length);
    encodeMark(boast, { durable: at, at, commit: Number(view.getBigUint64(24, true)) }, seed);
    super.write(file, [entries, boast], position);
  }
}

/** Recovery vouches for entries that it read from the page cache, without syncing them first. */
class RecoveryMarksFirst extends FaultyDisk {
  readonly #seen = new Set<FileHandle>();

  override openWrite(path: string): FileHandle {
    const file = super.openWrite(path);
    if (SEGMENT_PATTERN.test(path)) this.#seen.add(file);
    return file;
  }

  /** The first sync of a file that was opened, not made: recovery's, of what it found. */
  override dataSync(file: FileHandle): void {
    if (!this.#seen.delete(file)) super.dataSync(file);
  }
}

/** On a full disk the rest of a write is lost without an error. */
class ShortWrite extends FaultyDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [first] = parts;
    if (first === undefined || first.length <= 20_000) super.write(file, parts, position);
    else super.write(file, [first.subarray(0, 20_000)], position);
  }
}

/** Every seventh sync of entries reports success without having synced (a failed fsync that is tried again). */
class LyingRetry extends FaultyDisk {
  #syncs = 0;

  override dataSync(file: FileHandle): void {
    this.#syncs += 1;
    if (this.#syncs % 7 !== 0) super.dataSync(file);
  }
}

/** Recovery writes its mark over the torn tail, and leaves the rest of it. */
class TornTailStays extends FaultyDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [patch] = parts;
    const isCut = parts.length === 1 && patch !== undefined && position % DIRECT_BYTES !== 0 && SEGMENT_PATTERN.test(this.pathOf(file));
    super.write(file, isCut ? [patch.subarray(0, MARK_BYTES)] : parts, position);
  }
}

/** Every walk takes whole entries instead of whole batches. */
function forgetBatches(memory: TailMemory): void {
  const { wasm } = memory;
  const clip: ServerWasm['clip'] = (at, length, offset, limitBytes, flags, result) =>
    wasm.clip(at, length, offset, limitBytes, flags & ~SCAN_WHOLE_BATCHES, result);
  const index: ServerWasm['index'] = (at, length, offset, minTerm, flags, ...rest) =>
    wasm.index(at, length, offset, minTerm, flags & ~SCAN_WHOLE_BATCHES, ...rest);
  Object.defineProperty(memory, 'wasm', { value: { ...wasm, clip, index } });
}

/** No walk says where data ends. */
function forgetDataEnd(memory: TailMemory): void {
  const readResult: TailMemory['readResult'] = (result, into) =>
    Object.assign(TailMemory.prototype.readResult.call(memory, result, into), { dataEnd: 0 });
  Object.defineProperty(memory, 'readResult', { value: readResult });
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  { name: 'fdatasync does nothing', plant: (disk) => new NoDataSync(disk) },
  { name: 'the directory is never synced', plant: (disk) => new NoDirectorySync(disk) },
  {
    name: 'no directory sync after a segment was named',
    plant: (disk) => new NoDirectorySyncAfter(disk, (path) => SEGMENT_PATTERN.test(path)),
  },
  {
    name: 'no directory sync after the vote was replaced',
    plant: (disk) => new NoDirectorySyncAfter(disk, (path) => path.endsWith('/vote')),
  },
  {
    name: 'no directory sync after the identity was made',
    plant: (disk) => new NoDirectorySyncAfter(disk, (path) => path.endsWith('.json')),
  },
  { name: 'appends are acknowledged before the sync', plant: (disk) => new LateSync(disk) },
  { name: 'the vote is renamed before it is synced', plant: (disk) => new NoSyncBeforeRename(disk, (path) => path.includes('/vote')) },
  { name: 'the identity is renamed before it is synced', plant: (disk) => new NoSyncBeforeRename(disk, (path) => path.includes('.json')) },
  { name: 'the vote is overwritten in place', plant: (disk) => new VoteInPlace(disk) },
  { name: 'the length of a sealed segment is not synced before its index', plant: (disk) => new NoSyncOfTruncation(disk), foundAt: 2 },
  { name: 'a segment is named before its header is synced', plant: (disk) => new NoSyncOfHeader(disk) },
  { name: 'a mark claims its own write as durable', plant: (disk) => new BoastfulMark(disk) },
  { name: 'recovery marks what it found before it syncs it', plant: (disk) => new RecoveryMarksFirst(disk) },
  { name: 'a short write passes for a whole one', plant: (disk) => new ShortWrite(disk) },
  { name: 'one sync in seven only claims to have worked', plant: (disk) => new LyingRetry(disk) },
  { name: 'recovery leaves a torn tail behind its mark', plant: (disk) => new TornTailStays(disk) },
  { name: 'recovery keeps the beginning of a torn batch', plant: (disk) => disk, plantInMemory: forgetBatches },
  { name: 'nobody remembers where data ends', plant: (disk) => disk, plantInMemory: forgetDataEnd },
  ...TRUNCATION_BUGS,
  ...TRIM_BUGS,
  ...BOUND_BUGS,
];
