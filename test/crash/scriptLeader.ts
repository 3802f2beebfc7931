// The leaders that a script's node follows: they append what some history has, in terms that may be lower than the current one, cut
// what that history does not have, and often put entries of other contents exactly where the ones that went had stood.

import { ENTRY_OVERHEAD_BYTES, NO_OP_BYTES, NO_OP_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import { segmentCapacityBytes } from '../../src/core/capacities.ts';
import { WORD } from '../../src/memory/map.ts';
import type { Random } from '../assembly/random.ts';
import { drawSizes, makeBatch, stampBatch, stampNoOp } from './batches.ts';
import type { OrderedLog } from './orderedLog.ts';
import { MAX_PAYLOAD_BYTES, type TestNode } from './testNode.ts';

const SECTOR_BYTES = 512;

function anyInstance(random: Random): string {
  return random.pick('00000000000000a1', '00000000000000b2', 'ffffffffffffff00');
}

/** Sizes of payloads that end, after a no-op, where those of `sizes` do; where there is no room for that, a no-op alone. */
function afterNoOp(sizes: readonly number[]): number[] {
  const [first = 0, ...rest] = sizes;
  if (first >= NO_OP_BYTES) return [first - NO_OP_BYTES, ...rest];
  return first === NO_OP_PAYLOAD_BYTES ? rest : [];
}

export class ScriptLeader {
  readonly #random: Random;
  /** No leader ever cuts below it. Survives restarts: it is below what was durable. */
  #commit = 0;
  /** What the last truncation cut: where, and the sizes of the payloads. */
  #cut: { at: number; readonly sizes: number[] } = { at: -1, sizes: [] };

  constructor(random: Random) {
    this.#random = random;
  }

  /** Everything before this offset is committed. */
  get committed(): number {
    return this.#commit;
  }

  started(node: TestNode): void {
    this.#commit = Math.max(this.#commit, node.recovered.start);
    node.context.memory.setWord(WORD.COMMIT, this.#commit);
  }

  /** The node loses its leader, and finds another one or becomes it. */
  changeTerm(node: TestNode): string {
    const term = node.term + 1 + this.#random.below(3);
    const leads = this.#random.oneIn(3);
    node.changeTerm(term, leads);
    return `${leads ? 'lead' : 'follow'} in term ${term}`;
  }

  follow(node: TestNode): string {
    node.changeTerm(node.term + 1 + this.#random.below(3), false);
    return `follow in term ${node.term}`;
  }

  /** The commit moves a little. */
  commit(node: TestNode, ordered: OrderedLog): string {
    const places = ordered.entries().filter((place) => place.beginsBatch && place.offset >= this.#commit && place.offset <= node.durable);
    this.#commit = places[this.#random.below(Math.min(places.length, 5))]?.offset ?? this.#commit;
    node.context.memory.setWord(WORD.COMMIT, this.#commit);
    return `commit ${this.#commit}`;
  }

  /** Appends entries of one term, not lower than the log's last one, nor higher than the node's. */
  replicate(node: TestNode, ordered: OrderedLog): string {
    const random = this.#random;
    const lastTerm = Math.max(1, ordered.entries().at(-1)?.term ?? 1);
    const term = random.pick(lastTerm, lastTerm + random.below(node.term - lastTerm + 1), Math.min(lastTerm + 1, node.term));
    const sizes = this.#sizes(ordered.end, node.openBase ?? ordered.end);
    if (sizes.length === 0) return 'replicate nothing';
    const begins = ordered.entries().at(-1)?.term !== term;
    const { entries } = makeBatch(begins ? afterNoOp(sizes) : sizes, random, random.oneIn(2));
    const noOp = begins ? stampNoOp(anyInstance(random), term, ordered.end) : new Uint8Array(0);
    const bytes = Buffer.concat([noOp, stampBatch(entries, term, ordered.end + noOp.length)]);
    const base = this.#base(node, ordered.end, bytes.length);
    const status = node.appendReplicated(bytes, term, base);
    if (status === 'ordered') this.#followCut(ordered.end - bytes.length, bytes.length, sizes.length);
    return `replicate ${sizes.length} entries of term ${term}, ${bytes.length} bytes, in the segment at ${base}: ${status}`;
  }

  /** Where entries were cut, mostly as many bytes again, entry by entry; else anything, now and then just what fills the segment. */
  #sizes(end: number, base: number): number[] {
    const { at, sizes } = this.#cut;
    if (at !== end || sizes.length === 0 || this.#random.oneIn(4)) {
      const room = MAX_PAYLOAD_BYTES - (end - base);
      if (room >= 1 && this.#random.oneIn(12)) return [room - this.#random.below(2)];
      return !this.#random.oneIn(3)
        ? this.#whole(this.#random.pick(SECTOR_BYTES, 8 * SECTOR_BYTES), end - base)
        : drawSizes(this.#random, MAX_PAYLOAD_BYTES);
    }
    const count = this.#random.pick(1, 1 + this.#random.below(Math.min(3, sizes.length)));
    const taken: number[] = [];
    let bytes = 0;
    for (const size of sizes.slice(0, count)) {
      bytes += size + ENTRY_OVERHEAD_BYTES;
      if (bytes > MAX_PAYLOAD_BYTES) break;
      taken.push(size);
    }
    return taken;
  }

  /** Entries that end where sectors or pages end: of a torn write, the next one may be missing while all before it is there. */
  #whole(unitBytes: number, position: number): number[] {
    const sizes: number[] = [];
    const count = 1 + this.#random.below(6);
    for (let at = position; sizes.length < count; ) {
      const end = Math.ceil((at + ENTRY_OVERHEAD_BYTES) / unitBytes) * unitBytes;
      sizes.push(end - at - ENTRY_OVERHEAD_BYTES);
      at = end;
    }
    return sizes;
  }

  /** What was cut at `first` is replaced by as much; what follows may be replaced next. */
  #followCut(first: number, bytes: number, count: number): void {
    const { at, sizes } = this.#cut;
    const replaced = sizes.slice(0, count).reduce((sum, size) => sum + size + ENTRY_OVERHEAD_BYTES, 0);
    this.#cut = at === first && replaced === bytes ? { at: first + bytes, sizes: sizes.slice(count) } : { at: -1, sizes: [] };
  }

  /** The segment that a leader has the entries in: the open one, the next one when it must be or sometimes, rarely the one before. */
  #base(node: TestNode, end: number, bytes: number): number {
    const { openBase } = node;
    if (openBase === end && this.#random.oneIn(4)) return node.sealed.find((segment) => segment.end === end)?.base ?? end;
    if (openBase === undefined || this.#random.oneIn(12)) return end;
    const capacity = segmentCapacityBytes(node.context.memory.map.shape.segmentBytes);
    return end - openBase + bytes <= capacity ? openBase : end;
  }

  /** A place to cut at, between two batches: within the open segment, at or within one of those before it, the log's start or its end. */
  cutAt(node: TestNode, ordered: OrderedLog): number {
    const random = this.#random;
    const entries = ordered.entries().filter(({ offset }) => offset >= this.#commit);
    const places = entries.filter(({ beginsBatch }) => beginsBatch);
    const bases = [...node.sealed.map(({ base }) => base), node.openBase ?? ordered.end].filter((base) => base >= this.#commit);
    const open = bases.at(-1) ?? this.#commit;
    const within = places.filter(({ offset }) => offset >= open);
    const any = places[random.below(Math.max(1, places.length))]?.offset;
    const aligned = within.slice(0, -1).filter(({ offset }) => (offset - open) % SECTOR_BYTES === 0);
    const offset = random.pick(
      aligned[random.below(Math.max(1, aligned.length))]?.offset,
      aligned.at(-1)?.offset,
      aligned.at(-1)?.offset,
      within[random.below(Math.max(1, within.length))]?.offset,
      places.at(-1 - random.below(5))?.offset,
      places.at(-2 - random.below(3))?.offset,
      any,
      any,
      bases.at(-1),
      bases.at(-2),
      bases.at(-3),
      this.#commit,
      ordered.end,
    );
    const at = offset ?? ordered.end;
    this.#cut = { at, sizes: entries.filter((place) => place.offset >= at).map(({ payloadBytes }) => payloadBytes) };
    return at;
  }
}
