// What a disk may hold after a crash: everything synced, and of what was not, any part. Follows a journal one operation at a time and
// makes the states that a power cut between two operations can leave.
//
// Each 512-byte sector (or each 4 KiB block) of a file independently holds what was last synced, or what it held after any later
// write: writes are thus lost, torn and reordered. The file's size is likewise any of those since the last sync; where it grew but
// the data did not arrive, the file reads as zeros. Each name in a directory independently is what was last synced or what any later
// operation made of it: a rename may have reached the disk as both names, one, or none.

import type { Random } from '../assembly/random.ts';
import type { DiskImage, DiskOperation, ImageFile } from './memoryDisk.ts';

const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;

/** A file's bytes after one operation that is not synced yet, and which of them it changed. */
interface Version {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

class FileModel {
  durable: Uint8Array;
  pending: Version[] = [];
  /** How often what was synced has become something else. */
  syncs = 0;

  constructor(durable: Uint8Array) {
    this.durable = durable;
  }

  get current(): Uint8Array {
    return this.pending.at(-1)?.bytes ?? this.durable;
  }

  write(position: number, bytes: Uint8Array): void {
    const before = this.current;
    const after = new Uint8Array(Math.max(before.length, position + bytes.length));
    after.set(before);
    after.set(bytes, position);
    this.pending.push({ bytes: after, from: Math.min(position, before.length), to: position + bytes.length });
  }

  truncate(size: number): void {
    const before = this.current;
    const after = new Uint8Array(size);
    after.set(before.subarray(0, size));
    this.pending.push({ bytes: after, from: Math.min(size, before.length), to: Math.max(size, before.length) });
  }

  sync(): void {
    if (this.pending.length > 0) this.syncs += 1;
    this.durable = this.current;
    this.pending = [];
  }

  /** For each unit that something pending changed: the versions that it may hold (0: what was synced). */
  units(unitBytes: number): Map<number, number[]> {
    const units = new Map<number, number[]>();
    this.pending.forEach(({ from, to }, i) => {
      for (let unit = Math.floor(from / unitBytes); unit * unitBytes < to; unit += 1) {
        const versions = units.get(unit) ?? [0];
        versions.push(i + 1);
        units.set(unit, versions);
      }
    });
    return units;
  }

  #version(version: number): Uint8Array {
    return this.pending[version - 1]?.bytes ?? this.durable;
  }

  /** The file with its size of version `size`, and each unit from the version that `picks` says. */
  compose(size: number, unitBytes: number, picks: ReadonlyMap<number, number>): Uint8Array {
    const bytes = new Uint8Array(this.#version(size).length);
    bytes.set(this.durable.subarray(0, bytes.length));
    for (const [unit, version] of picks) {
      const from = unit * unitBytes;
      if (from >= bytes.length) continue;
      const to = Math.min(from + unitBytes, bytes.length);
      bytes.fill(0, from, to);
      bytes.set(this.#version(version).subarray(from, to), from);
    }
    return bytes;
  }
}

/** One state that a crash can leave, and what tells it from the others at its place in the journal. */
export interface CrashState {
  readonly key: string;
  readonly image: DiskImage;
}

/** What one state takes from each file and name. */
interface Choice {
  readonly unitBytes: number;
  readonly sizes: ReadonlyMap<number, number>;
  readonly units: ReadonlyMap<number, ReadonlyMap<number, number>>;
  readonly names: ReadonlyMap<string, number>;
}

interface Variable {
  readonly options: readonly number[];
  set(value: number): void;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

export class CrashModel {
  #files = new Map<number, FileModel>();
  #durableNames = new Map<string, number>();
  /** What operations since the directory's last sync made of a name, in order; undefined: removed. */
  #pendingNames = new Map<string, (number | undefined)[]>();

  constructor(image: DiskImage = new Map()) {
    this.reset(image);
  }

  /** The disk holds `image`, all of it synced: the machine came up again after a power cut. */
  reset(image: DiskImage): void {
    this.#files = new Map([...image.values()].map(({ file, bytes }) => [file, new FileModel(bytes)]));
    this.#durableNames = new Map([...image].map(([path, { file }]) => [path, file]));
    this.#pendingNames = new Map();
  }

  #name(path: string, file: number | undefined): void {
    const values = this.#pendingNames.get(path) ?? [];
    values.push(file);
    this.#pendingNames.set(path, values);
  }

  #fileOf(path: string): number | undefined {
    const pending = this.#pendingNames.get(path);
    return pending === undefined ? this.#durableNames.get(path) : pending.at(-1);
  }

  #model(file: number): FileModel {
    const model = this.#files.get(file);
    if (model === undefined) throw new Error(`the journal names file ${file}, which was never made`);
    return model;
  }

  apply(operation: DiskOperation): void {
    switch (operation.kind) {
      case 'create':
        this.#files.set(operation.file, new FileModel(new Uint8Array(0)));
        this.#name(operation.path, operation.file);
        break;
      case 'write':
        this.#model(operation.file).write(operation.position, operation.bytes);
        break;
      case 'truncate':
        this.#model(operation.file).truncate(operation.bytes);
        break;
      case 'dataSync':
        this.#model(operation.file).sync();
        break;
      case 'rename':
        this.#name(operation.to, this.#fileOf(operation.from));
        this.#name(operation.from, undefined);
        break;
      case 'link':
        this.#name(operation.to, this.#fileOf(operation.from));
        break;
      case 'remove':
        this.#name(operation.path, undefined);
        break;
      case 'syncDirectory':
        this.#syncDirectory(operation.path);
        break;
    }
  }

  #syncDirectory(directory: string): void {
    for (const [path, values] of this.#pendingNames) {
      if (parentOf(path) !== directory) continue;
      const file = values.at(-1);
      if (file === undefined) this.#durableNames.delete(path);
      else this.#durableNames.set(path, file);
      this.#pendingNames.delete(path);
    }
  }

  /** What a crash may leave now: all states when there are at most `most`, else that many drawn from `random` without repeats. */
  states(most: number, random: Random): CrashState[] {
    const all = this.#every(most);
    if (all !== undefined) return all;
    const found = new Map<string, CrashState>();
    for (let tries = 0; tries < most * 2 && found.size < most; tries += 1) {
      const state = this.#state(this.#draw(tries, random));
      found.set(state.key, state);
    }
    return [...found.values()];
  }

  /** One random state: what the power cut left. */
  anyState(random: Random): DiskImage {
    return this.#state(this.#draw(2 + random.below(1000), random)).image;
  }

  /** Every state by its sectors; undefined when there are more than `most`. */
  #every(most: number): CrashState[] | undefined {
    const sizes = new Map<number, number>();
    const units = new Map<number, Map<number, number>>();
    const names = new Map<string, number>();
    const variables: Variable[] = [];
    for (const [path, values] of this.#pendingNames) {
      variables.push({ options: [0, ...values.keys()].map((_, i) => i), set: (value) => names.set(path, value) });
    }
    for (const [file, model] of this.#files) {
      if (model.pending.length === 0) continue;
      const picks = new Map<number, number>();
      units.set(file, picks);
      variables.push({ options: this.#distinctSizes(model), set: (value) => sizes.set(file, value) });
      for (const [unit, options] of model.units(SECTOR_BYTES)) variables.push({ options, set: (value) => picks.set(unit, value) });
    }
    const count = variables.reduce((product, { options }) => Math.min(product * options.length, Number.MAX_SAFE_INTEGER), 1);
    if (count > most) return undefined;
    const found = new Map<string, CrashState>();
    for (let i = 0; i < count; i += 1) {
      let rest = i;
      for (const { options, set } of variables) {
        set(options[rest % options.length] ?? 0);
        rest = Math.floor(rest / options.length);
      }
      const state = this.#state({ unitBytes: SECTOR_BYTES, sizes, units, names });
      found.set(state.key, state);
    }
    return [...found.values()];
  }

  /** Versions whose sizes differ from those before them. */
  #distinctSizes(model: FileModel): number[] {
    const lengths = new Map([[model.durable.length, 0]]);
    model.pending.forEach(({ bytes }, i) => {
      if (!lengths.has(bytes.length)) lengths.set(bytes.length, i + 1);
    });
    return [...lengths.values()];
  }

  /** The first two draws are "nothing arrived" and "everything did"; the others differ in what kind of part arrived. */
  #draw(number: number, random: Random): Choice {
    const unitBytes = random.oneIn(2) ? SECTOR_BYTES : BLOCK_BYTES;
    const sizes = new Map<number, number>();
    const units = new Map<number, Map<number, number>>();
    const names = new Map<string, number>();
    const shape = (): (typeof SHAPES)[number] => (number === 0 ? 'none' : number === 1 ? 'all' : random.pick(...SHAPES));
    const nameShape = shape();
    for (const [path, values] of this.#pendingNames) {
      names.set(path, nameShape === 'none' ? 0 : nameShape === 'all' ? values.length : random.below(values.length + 1));
    }
    for (const [file, model] of this.#files) {
      if (model.pending.length === 0) continue;
      const fileShape = shape();
      units.set(file, drawUnits(fileShape, model.units(unitBytes), random));
      const last = model.pending.length;
      sizes.set(file, fileShape === 'none' ? 0 : fileShape === 'all' || random.oneIn(2) ? last : random.below(last + 1));
    }
    return { unitBytes, sizes, units, names };
  }

  #state({ unitBytes, sizes, units, names }: Choice): CrashState {
    const paths = new Map(this.#durableNames);
    for (const [path, values] of this.#pendingNames) {
      const pick = names.get(path) ?? 0;
      if (pick === 0) continue;
      const file = values[pick - 1];
      if (file === undefined) paths.delete(path);
      else paths.set(path, file);
    }
    const image = new Map<string, ImageFile>();
    const composed = new Map<number, Uint8Array>();
    const parts: string[] = [];
    for (const [path, file] of paths) {
      const model = this.#model(file);
      const picks = units.get(file);
      let bytes = composed.get(file) ?? model.durable;
      if (picks !== undefined && model.pending.length > 0 && !composed.has(file)) {
        bytes = model.compose(sizes.get(file) ?? 0, unitBytes, picks);
        composed.set(file, bytes);
      }
      image.set(path, { file, bytes });
      parts.push(`${path}=${file}.${model.syncs}`);
    }
    for (const file of composed.keys()) {
      const landed = [...(units.get(file) ?? [])].filter(([, version]) => version !== 0);
      parts.push(`${file}:${unitBytes}:${sizes.get(file)}:${landed.map(([unit, version]) => `${unit}v${version}`).join(',')}`);
    }
    return { key: parts.join(' '), image };
  }
}

const SHAPES = ['random', 'none', 'all', 'prefix', 'suffix', 'one missing', 'one landed', 'sparse'] as const;

/** Picks a version for each unit. "Landed" is the newest one, except in `random`, where it is any. */
function drawUnits(shape: (typeof SHAPES)[number], units: ReadonlyMap<number, readonly number[]>, random: Random): Map<number, number> {
  const picks = new Map<number, number>();
  const edge = random.below(units.size + 1);
  let i = 0;
  for (const [unit, versions] of units) {
    const newest = versions.at(-1) ?? 0;
    const landed = {
      random: versions[random.below(versions.length)] ?? 0,
      none: 0,
      all: newest,
      prefix: i < edge ? newest : 0,
      suffix: i >= edge ? newest : 0,
      'one missing': i === edge ? 0 : newest,
      'one landed': i === edge ? newest : 0,
      sparse: random.oneIn(8) ? newest : 0,
    }[shape];
    picks.set(unit, landed);
    i += 1;
  }
  return picks;
}
