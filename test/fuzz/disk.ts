// Fuzzing of everything that a node reads from its disk: random and mutated files, some with checks made right again, are fed to a
// starting node. It may refuse with a LogError; it may never fail otherwise, hang, or lose entries that a seal covers without a word.

import { LogError } from '../../src/core/errors.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { largestUnsealedBytes, recover } from '../../src/storage/recovery.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { drawSizes, makeBatch } from '../crash/batches.ts';
import { type DiskImage, type ImageFile, MemoryDisk } from '../crash/memoryDisk.ts';
import { readLog } from '../crash/oracle.ts';
import { DIRECTORY, resetMemory, smallMemory, TestNode } from '../crash/testNode.ts';

export interface DiskFuzzResult {
  readonly rounds: number;
  /** Rounds in which the node started. */
  readonly started: number;
  /** Rounds in which it refused, by error code. */
  readonly refused: Readonly<Record<string, number>>;
  /** What must not happen, with the seed that replays it: `fuzzDisk(seed, 0)`. */
  readonly failure: string | undefined;
}

const nowMs = (): number => 1_700_000_000_000;
/** One file recovered in longer than this hangs. */
const HANG_MS = 5000;

interface Corpus {
  readonly image: DiskImage;
  readonly log: Uint8Array;
  /** End of the last sealed segment: everything before it is covered by a seal. */
  readonly sealedEnd: number;
}

function makeCorpus(seed: number, memory: TailMemory): Corpus {
  const random = new Random(seed);
  const disk = new MemoryDisk();
  const parts: Uint8Array[] = [];
  const events = { ordered: (_first: number, _end: number, bytes: Uint8Array) => parts.push(bytes.slice()) };
  let sealedEnd = 0;
  for (let run = 0; run < 3; run += 1) {
    const node = new TestNode(disk, memory, new Uint8Array(32).fill(3), nowMs, events);
    node.begin();
    for (let i = 0; i < 4; i += 1) {
      const { entries, entryCount } = makeBatch(drawSizes(random, 40_000), random);
      if (entryCount > 0) node.append(entries, entryCount);
      node.settle();
    }
    node.stop();
    sealedEnd = node.sealed.at(-1)?.end ?? sealedEnd;
  }
  return { image: disk.image(), log: Buffer.concat(parts), sealedEnd };
}

function randomBytes(random: Random, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => random.below(256));
}

/** Writes a number that parsers find hard at a random place. */
function putNumber(bytes: Uint8Array, random: Random): void {
  if (bytes.length < 8) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = random.below(Math.min(bytes.length - 7, random.pick(bytes.length, 120, 48)));
  const hard = random.pick(
    0n,
    1n,
    0xffn,
    0xffff_ffffn,
    1n << 31n,
    1n << 32n,
    (1n << 53n) - 1n,
    1n << 53n,
    (1n << 64n) - 1n,
    4096n,
    65_536n,
  );
  if (random.oneIn(2)) view.setUint32(at - (at % 4), Number(hard & 0xffff_ffffn), true);
  else view.setBigUint64(Math.min(at - (at % 8), bytes.length - 8), hard, true);
}

function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let mutated = bytes.slice();
  const times = random.pick(1, 1, 1, 2, 5);
  for (let i = 0; i < times; i += 1) {
    const at = random.below(mutated.length + 1);
    const length = random.below(random.pick(2, 16, 512, 5000));
    switch (random.below(7)) {
      case 0:
        if (at < mutated.length) mutated[at] = (mutated[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        mutated = mutated.slice(0, at);
        break;
      case 2:
        mutated.fill(random.oneIn(2) ? 0 : 0xff, at, at + length);
        break;
      case 3:
        mutated.copyWithin(at, random.below(mutated.length + 1), Math.min(mutated.length, at + length));
        break;
      case 4:
        mutated = Uint8Array.from([...mutated.subarray(0, at), ...randomBytes(random, length), ...mutated.subarray(at)]);
        break;
      case 5:
        mutated.set(randomBytes(random, Math.min(length, mutated.length - at)), at);
        break;
      default:
        putNumber(mutated, random);
    }
  }
  return mutated;
}

/** Makes the unkeyed check of a file right again, so that what is behind it is reached. */
function repairCheck(name: string, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let checkAt = -1;
  if (name === 'vote') checkAt = 24;
  else if (name.endsWith('.segment')) checkAt = 40;
  else if (name.endsWith('.index')) checkAt = bytes.length - 8;
  if (checkAt >= 0 && bytes.length >= checkAt + 8) view.setBigUint64(checkAt, xxh64(bytes.subarray(0, checkAt)), true);
}

/** The fields of an identity, in the order of their check. */
const WHOLE = {
  format: 3,
  clusterId: '00112233445566778899aabbccddeeff',
  nodeId: 1,
  markSeed: '0011223344556677',
  start: 0,
  startTerm: 0,
  startLeader: '0000000000000000',
  removeFrom: 0,
  instance: '8899aabbccddeeff',
  standing: 'voter',
  isFounder: true,
  nodes: [1, 2, 3],
  known: { 2: '0000000000000001' },
};

/** The same JSON with the check that node.json asks for; unchanged when it is none. */
function checkedJson(bytes: Uint8Array): Uint8Array {
  try {
    const { check: _, ...fields } = JSON.parse(new TextDecoder().decode(bytes));
    const check = xxh64(new TextEncoder().encode(JSON.stringify(fields)))
      .toString(16)
      .padStart(16, '0');
    return new TextEncoder().encode(JSON.stringify({ ...fields, check }));
  } catch {
    return bytes;
  }
}

/** Text that is JSON, or nearly. */
function randomJson(random: Random): Uint8Array {
  const value = random.pick(
    'null',
    '[]',
    '1',
    '-1',
    '1e999',
    '"x"',
    '{}',
    'true',
    '9007199254740993',
    '"00000000000000000000000000000000"',
  );
  const name = random.pick('__proto__', ...Object.keys(WHOLE));
  const text = JSON.stringify(WHOLE);
  const bytes = new TextEncoder().encode(random.oneIn(4) ? value : `${text.slice(0, -1)}, "${name}": ${value}}`);
  return random.oneIn(2) ? bytes : checkedJson(bytes);
}

interface Damage {
  readonly image: DiskImage;
  readonly what: string;
  /** Whether what was done could make a correct node believe in another log: forged checks, other identities, files renamed or gone. */
  readonly isForged: boolean;
}

function damage({ image }: Corpus, random: Random): Damage {
  const other = new Map<string, ImageFile>(image);
  const paths = [...image.keys()];
  const path = paths[random.below(paths.length)] ?? '';
  const name = path.slice(DIRECTORY.length + 1);
  const bytes = image.get(path)?.bytes ?? new Uint8Array(0);
  const put = (to: string, content: Uint8Array): void => {
    other.set(to, { file: 1000 + other.size, bytes: content });
  };
  switch (random.below(12)) {
    case 0:
      put(path, randomBytes(random, random.pick(0, 1, 24, 88, 4096, 5000)));
      return { image: other, what: `random ${name}`, isForged: false };
    case 1:
      other.delete(path);
      return { image: other, what: `no ${name}`, isForged: true };
    case 2: {
      const to = paths[random.below(paths.length)] ?? '';
      put(to, bytes);
      return { image: other, what: `${name} in the place of ${to}`, isForged: true };
    }
    case 3: {
      const digits = random.pick('00000000000000000001', '99999999999999999999', '00009007199254740993', '00000000004294967296');
      const suffix = random.pick('segment', 'index', 'segment.tmp');
      put(`${DIRECTORY}/${digits}.${suffix}`, bytes);
      return { image: other, what: `${name} also as ${digits}.${suffix}`, isForged: true };
    }
    case 4:
      put(`${DIRECTORY}/node.json`, randomJson(random));
      return { image: other, what: 'other node.json', isForged: true };
    case 5:
    case 6:
    case 7: {
      let mutated: Uint8Array = bytes.slice();
      if (random.oneIn(2)) putNumber(mutated, random);
      else mutated = mutate(bytes, random);
      repairCheck(name, mutated);
      put(path, name === 'node.json' ? checkedJson(mutated) : mutated);
      return { image: other, what: `mutated ${name} with a right check`, isForged: true };
    }
    default:
      put(path, mutate(bytes, random));
      return { image: other, what: `mutated ${name}`, isForged: name === 'node.json' };
  }
}

/** Everything that a start and the first reads do with the files. Throws when the outcome is one that must not be. */
function startOn({ image, isForged }: Damage, corpus: Corpus, memory: TailMemory): void {
  const disk = new MemoryDisk(image);
  resetMemory(memory);
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) throw new LogError('NOT_A_DATA_DIRECTORY', 'nothing is there');
  largestUnsealedBytes(disk, DIRECTORY);
  readVote(disk, DIRECTORY);
  const log = recover({ disk, directory: DIRECTORY, identity, memory, nowMs });
  if (!isForged && log.end < corpus.sealedEnd) {
    throw new Error(`the log ends at ${log.end}, but seals cover it up to ${corpus.sealedEnd}`);
  }
  // A sealed segment whose index is right is not looked into before it is read: then damage must be named.
  const reader = new SegmentReader(disk, DIRECTORY, memory);
  for (const { base, end } of log.sealed) {
    let from = base;
    while (from < end) {
      const bytes = reader.read({ base, from, isBoundary: true, limit: end, maxBytes: 1 << 20 }, 0);
      const at = memory.map.coldAt(0);
      const expected = corpus.log.subarray(from, from + bytes);
      if (!isForged && Buffer.compare(memory.bytes.subarray(at, at + bytes), expected) !== 0) throw new Error(`other bytes at ${from}`);
      from += bytes;
    }
    for (const offset of [base, Math.floor((base + end) / 2), end - 1]) readAnywhere(reader, base, offset, end);
  }
  if (!isForged && log.openBase !== undefined) {
    const found = readLog(disk, log).subarray(log.openBase - log.start);
    if (Buffer.compare(found, corpus.log.subarray(log.openBase, log.end)) !== 0) throw new Error('other bytes in the open segment');
  }
}

function readAnywhere(reader: SegmentReader, base: number, from: number, limit: number): void {
  try {
    reader.read({ base, from, isBoundary: false, limit, maxBytes: 1000 }, 0);
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'OFFSET_NOT_BOUNDARY') throw thrown;
  }
}

/** Reads what the offline tools read, whose outcome is a list of damage or a LogError. */
function examine(image: DiskImage): void {
  try {
    examineDirectory(new MemoryDisk(image), DIRECTORY, { everyEntry: true });
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
  }
}

const REFUSALS: readonly string[] = ['DAMAGE', 'NEWER_FORMAT', 'OLDER_FORMAT', 'NOT_A_DATA_DIRECTORY', 'USAGE'];
const ROUNDS_PER_CORPUS = 500;

/**
 * Fuzzes for `seconds`, and at least `minRounds` rounds. Round i has seed `seed + i`, so that a failing round is replayed alone with `seconds` 0.
 */
export function fuzzDisk(seed: number, seconds: number, minRounds = 1): DiskFuzzResult {
  const memory = smallMemory();
  const untilMs = performance.now() + seconds * 1000;
  const refused: Record<string, number> = {};
  let rounds = 0;
  let started = 0;
  let corpus: Corpus | undefined;
  let corpusSeed = -1;
  do {
    const roundSeed = seed + rounds;
    const wanted = Math.floor(roundSeed / ROUNDS_PER_CORPUS);
    if (corpus === undefined || wanted !== corpusSeed) corpus = makeCorpus(wanted, memory);
    corpusSeed = wanted;
    const damaged = damage(corpus, new Random(roundSeed));
    const startedMs = performance.now();
    rounds += 1;
    try {
      startOn(damaged, corpus, memory);
      started += 1;
    } catch (thrown) {
      if (!(thrown instanceof LogError && REFUSALS.includes(thrown.code))) {
        const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        return { rounds, started, refused, failure: `seed ${roundSeed}, ${damaged.what}: ${text}` };
      }
      refused[thrown.code] = (refused[thrown.code] ?? 0) + 1;
    }
    try {
      examine(damaged.image);
    } catch (thrown) {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      return { rounds, started, refused, failure: `seed ${roundSeed}, offline, ${damaged.what}: ${text}` };
    }
    if (performance.now() - startedMs > HANG_MS) {
      return { rounds, started, refused, failure: `seed ${roundSeed}, ${damaged.what}: took more than ${HANG_MS} ms` };
    }
  } while (performance.now() < untilMs || rounds < minRounds);
  return { rounds, started, refused, failure: undefined };
}
