// Seals: what the log says of its segments is what was committed there, on every node that knows of it, although the memory of one
// node may be wrong about what its disk has. A node that takes its copy for another one than the log's gives it to nobody.

import { createHash } from 'node:crypto';
import { WORD } from '../../src/memory/map.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import type { Examined, ExamineRequest } from '../../src/storage/examiner.ts';
import type { ToRaft } from '../../src/threads/messages.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** The fewest nodes of which one may be wrong. */
const FEWEST = 3;

export class SealCheck {
  /** Whose memory is wrong; 0: nobody's. */
  readonly #wrong: NodeId;
  /** How far each process has been looked at. */
  readonly #looked = new WeakMap<Process, number>();
  /** Bases of segments that the raft thread of each process knows not to be what the log says. */
  readonly #different = new WeakMap<Process, ReadonlySet<number>>();

  constructor({ seed, nodes, isGrown, hasSets }: Pick<World, 'seed' | 'nodes' | 'isGrown' | 'hasSets'>) {
    // A node that is alone, as a founder is at first and any node may be once the set has shrunk, is its own majority.
    this.#wrong = nodes.length >= FEWEST && isGrown && !hasSets && seed % 2 === 0 ? 1 + ((seed >> 1) % nodes.length) : 0;
  }

  /** What a node finds in a segment, where its memory may be wrong. */
  found(node: NodeId, { purpose }: ExamineRequest, examined: Examined): Examined {
    if (node !== this.#wrong || purpose !== 'seal' || examined.outcome !== 'whole') return examined;
    return { ...examined, sha256: [...examined.sha256].reverse().join('') };
  }

  /** The raft thread of a node hears of this. */
  told(process: Process, message: ToRaft): void {
    if (message.kind === 'different') this.#different.set(process, new Set(message.bases));
  }

  /** The raft thread of a node sends `bodyBytes` after a message. */
  sends(process: Process, message: PeerMessage, bodyBytes: number): void {
    const known = this.#different.get(process);
    if (known === undefined || known.size === 0 || bodyBytes === 0) return;
    const from = message.kind === 'appendRequest' ? message.prevOffset : message.kind === 'fetched' ? message.from : undefined;
    const base = from === undefined ? undefined : process.engine.segments.find(from)?.base;
    const isWithheld = base === undefined || !known.has(base);
    promise(
      isWithheld,
      'seals',
      () => `node ${process.id} gives another node the segment at ${base}, which it knows not to be what the log says`,
    );
  }

  /** A node shows a client entries from `from` on. */
  shows({ id, engine }: Process, from: number, bytes: number): void {
    const base = bytes === 0 ? undefined : engine.segments.find(from)?.base;
    const isWithheld = base === undefined || !engine.seals.isDifferent(base);
    promise(isWithheld, 'seals', () => `node ${id} shows a client the segment at ${base}, which it knows not to be what the log says`);
  }

  /** Something happened on a node. */
  look(process: Process): void {
    const { ledger } = process.world.checker;
    const { seals } = process.engine;
    const looked = this.#looked.get(process) ?? 0;
    if (seals.end === looked) return;
    this.#looked.set(process, seals.end);
    const inLog = process.memory.word(WORD.SEAL_END);
    // What it remembers of them stays true where its disk has lost the entries that say so.
    const isDamaged = process.recovered.damage !== undefined;
    promise(
      isDamaged || seals.end <= inLog,
      'seals',
      () => `node ${process.id} takes its log for sealed up to ${seals.end}, but its log says ${inLog}`,
    );
    for (const { base, end } of process.engine.segments.sealed) {
      const log = seals.digestOf({ base, end });
      if (end <= looked || base < ledger.start || log === undefined) continue;
      const isCommitted = end <= ledger.end;
      promise(
        isCommitted,
        'seals',
        () => `node ${process.id} has a seal of ${base} to ${end}, but the log is committed up to ${ledger.end}`,
      );
      const digest = createHash('sha256')
        .update(ledger.committedBefore(end).subarray(base - ledger.start))
        .digest('hex');
      promise(log === digest, 'seals', () => `the log says that the segment ${base} to ${end} is ${log}, and it is ${digest}`);
      const isRight = !seals.isDifferent(base) || process.id === this.#wrong;
      promise(isRight, 'seals', () => `node ${process.id} has found the segment ${base} to ${end} to be something else than ${digest}`);
    }
  }
}
