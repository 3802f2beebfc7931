// Heals what is damaged of this node's sealed segments, from the other nodes, or that of a mirror from its source. Only what fails its own check is
// ever replaced; only by what passes all checks and is the segment that this node had; and the damaged file is kept until the next tour of the
// scrub has ended.
//
//   a read, a peer or the scrub meets damage ──► examined: all of it right ──► nothing to do, the read is tried again
//     ├──► only the index is damaged ──► made anew from the entries
//     └──► asked of one node after the other, in pieces, each verified and made durable ──► compared ──► put in place
//
// One segment at a time. What could not be healed is tried again after a while, for as long as it is damaged.

import { LogError } from '../core/errors.ts';
import { HEAL_ANSWER_MS, HEAL_BYTES_PER_SECOND, HEAL_RETRY_MS, HEAL_WAIT_MS } from '../core/limits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { HealAnswer } from '../storage/healer.ts';
import type { Damages } from './damages.ts';
import type { EngineLog } from './engineOptions.ts';
import { examineSegment } from './examinations.ts';
import { fetchFrom, REFUSALS } from './fetching.ts';
import type { Loop, Timer } from './loop.ts';
import type { RaftPort } from './raftPort.ts';
import { Retries } from './retries.ts';
import type { Segments } from './segments.ts';

export interface HealPorts {
  readonly memory: Pick<TailMemory, 'commitBound'>;
  readonly loop: Pick<Loop, 'after' | 'nowMs'>;
  readonly tasks: Pick<DiskTasks, 'examine' | 'heal'>;
  readonly segments: Pick<Segments, 'find' | 'replace' | 'beside'>;
  readonly damages: Damages;
  /** Ids of the other nodes; none: this node is alone. Of a mirror: {@link SOURCE}. */
  readonly others: readonly number[];
  /** Undefined while it is not there. */
  raft(): Pick<RaftPort, 'fetch'> | undefined;
  /** Whether the disk has room for another segment. */
  hasRoom(): boolean;
  isBusy(): boolean;
  /** SHA-256 of the segment's entries, 64 hexadecimal digits, where the log has sealed it. */
  sealOf(segment: SealedSegment): string | undefined;
  /** Another file is in place of the segment at `base`. */
  healed(base: number): void;
  readonly log: Pick<EngineLog, 'info' | 'warn' | 'error'>;
  /** So long it waits for an answer, for the next try, and a read for all of it. Default: HEAL_ANSWER_MS, HEAL_RETRY_MS, HEAL_WAIT_MS. */
  readonly times?: { readonly answer: number; readonly retry: number; readonly wait: number } | undefined;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** In place of a node's id: whose log a mirror follows. */
export const SOURCE = 0;

const nameOf = (node: number): string => (node === SOURCE ? 'the source' : `node ${node}`);

const TIMES = { answer: HEAL_ANSWER_MS, retry: HEAL_RETRY_MS, wait: HEAL_WAIT_MS };

export class Heals {
  readonly #ports: HealPorts;
  readonly #times: { readonly answer: number; readonly retry: number; readonly wait: number };
  /** By base: those that wait for their turn or are being healed. Resolves to whether the segment is right. */
  readonly #under = new Map<number, Promise<boolean>>();
  /** Those that were tried in vain. */
  readonly #failed: Retries;
  /** What was said last of a segment that could not be healed, by base. */
  readonly #said = new Map<number, string>();
  #turn: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #isOver = false;
  /** Names of damaged files that go when the tour that has begun ends. */
  #kept: readonly string[] = [];

  constructor(ports: HealPorts) {
    this.#ports = ports;
    this.#times = ports.times ?? TIMES;
    this.#failed = new Retries(this.#times.retry);
  }

  /** The engine ends: nothing more is begun. */
  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** As {@link at}, but resolves to false after HEAL_WAIT_MS: it may be healed later. */
  async within(offset: number): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = this.#ports.loop.after(this.#times.wait, () => resolve(false), true);
    });
    try {
      return await Promise.race([this.at(offset), late]);
    } finally {
      timer?.cancel();
    }
  }

  /**
   * The sealed segment that holds log offset `offset` may be damaged: it is looked at, and healed if it can be. Resolves to whether it is right now, by
   * itself or because it was healed; to false at once if that was tried in vain a moment ago. Never rejects.
   */
  at(offset: number): Promise<boolean> {
    const segment = this.#ports.segments.find(offset);
    // A truncation could still open it again.
    if (segment === undefined || segment.end >= this.#ports.memory.commitBound || this.#isOver) return Promise.resolve(false);
    const { base } = segment;
    const known = this.#under.get(base);
    if (known !== undefined) return known;
    if (!this.#failed.isDue(base, this.#ports.loop.nowMs())) return Promise.resolve(false);
    const healed = this.#turn.then(() => this.#carefully(segment));
    this.#turn = healed;
    this.#under.set(base, healed);
    return healed;
  }

  /** A tour of the scrub has ended: the damaged files that were there when it began go. */
  toured(): void {
    const names = this.#kept;
    this.#turn = this.#turn.then(async () => {
      if (this.#isOver) return;
      try {
        const answer = await this.#ports.tasks.heal({ step: 'kept', names });
        this.#kept = answer.outcome === 'done' ? (answer.names ?? []) : [];
      } catch (thrown) {
        if (!(thrown instanceof LogError)) this.#ports.broke(thrown);
      }
    });
  }

  /** Does `work`, which asks other nodes for entries, too: one question is open at a time. Rejects as that does. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #carefully(segment: SealedSegment): Promise<boolean> {
    const { base } = segment;
    let isRight = false;
    try {
      isRight = !this.#isOver && (await this.#heal(segment));
    } catch (thrown) {
      if (!(thrown instanceof LogError)) this.#ports.broke(thrown);
      else if (!this.#isOver) this.#say(base, `the segment at log offset ${base} could not be healed: ${thrown.message}`);
    }
    this.#under.delete(base);
    if (isRight) {
      this.#failed.forget(base);
      this.#said.delete(base);
    } else {
      this.#failed.failed(base, this.#ports.loop.nowMs());
    }
    this.#planRetry();
    return isRight;
  }

  #say(base: number, sentence: string, level: 'warn' | 'error' = 'warn'): void {
    if (this.#said.get(base) === sentence) return;
    this.#said.set(base, sentence);
    this.#ports.log[level](sentence);
  }

  #planRetry(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { loop, damages, others } = this.#ports;
    const bases = new Set(damages.now.map(({ base }) => base));
    for (const base of this.#failed.bases) if (!bases.has(base)) this.#failed.forget(base);
    // Alone, nothing changes but by hand, and then the next read or tour sees it.
    if (this.#isOver || others.length === 0) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const base of this.#failed.bases) if (!this.#under.has(base)) nextMs = Math.min(nextMs, this.#failed.dueMs(base));
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = loop.after(Math.max(0, nextMs - loop.nowMs()) + 1, () => this.#retryDue(), true);
  }

  #retryDue(): void {
    for (const base of this.#failed.bases) {
      if (!this.#failed.isDue(base, this.#ports.loop.nowMs())) continue;
      void this.at(base);
      // It is no segment that could be healed any more.
      if (!this.#under.has(base)) this.#failed.forget(base);
    }
    this.#planRetry();
  }

  async #heal(segment: SealedSegment): Promise<boolean> {
    const { damages, others } = this.#ports;
    const { base, end } = segment;
    const goesOn = (): boolean => !this.#isOver && damages.isOfLog(base, end);
    const found = await examineSegment(this.#ports, 'heal', segment, { bytesPerSecond: HEAL_BYTES_PER_SECOND, goesOn });
    if (found === undefined || !goesOn()) return false;
    if (found.outcome === 'whole') {
      damages.right(base);
      return true;
    }
    damages.found(base, end, found);
    if (found.reason === 'index') return this.#healIndex(segment);
    const reasons: string[] = [];
    for (const node of others) {
      const reason = await this.#healFrom(node, segment);
      if (!goesOn()) return false;
      if (reason === undefined) {
        this.#isHealed(segment, `with the copy of ${nameOf(node)}; the damaged file is kept beside it, with .damaged after its name`);
        return true;
      }
      reasons.push(reason);
    }
    const [first] = found.sentence.split('\n');
    const why = others.length === 0 ? 'there is no other node to have it from' : reasons.join('; ');
    this.#say(base, `log offset ${found.offset} stays damaged (${first}): ${why}; the rest of the log is served`);
    return false;
  }

  #isHealed({ base, end }: SealedSegment, how: string): void {
    this.#ports.damages.healed(base);
    this.#ports.healed(base);
    this.#ports.log.info(`the sealed segment [${base}, ${end}) was healed ${how}`);
  }

  async #healIndex(segment: SealedSegment): Promise<boolean> {
    const { tasks, segments, sealOf } = this.#ports;
    const answer = await segments.beside(() => tasks.heal({ step: 'index', segment, sha256: sealOf(segment) }));
    if (answer === undefined) return false;
    if (answer.outcome === 'done') {
      this.#isHealed(segment, 'by making its index anew');
      return true;
    }
    this.#alarm(segment, answer, 'this node itself');
    return false;
  }

  /** Two copies that are both right by themselves: nothing is written. */
  #alarm({ base }: SealedSegment, answer: HealAnswer, whose: string): void {
    if (answer.outcome === 'differs')
      this.#say(
        base,
        `two copies of a committed segment differ, and nothing was written: that of ${whose} passes its checks, but ${answer.sentence}: compare the nodes`,
        'error',
      );
  }

  /** Undefined: the segment was healed with what `node` has. Otherwise why not. */
  async #healFrom(node: number, segment: SealedSegment): Promise<string | undefined> {
    const { tasks, segments, hasRoom, sealOf } = this.#ports;
    if (!hasRoom()) return 'the disk has no room for another copy';
    try {
      const reason = await this.#fetchAll(node, segment);
      if (reason !== undefined) return reason;
      // It may make the index anew: beside a segment that is dropped meanwhile, that would keep the node from its next start.
      const checked = await segments.beside(() => tasks.heal({ step: 'check', segment, sha256: sealOf(segment) }));
      if (checked === undefined) return 'the log is being cut';
      this.#alarm(segment, checked, nameOf(node));
      if (checked.outcome !== 'done')
        return `the copy of ${nameOf(node)} is not used: ${'sentence' in checked ? checked.sentence : checked.outcome}`;
      const placed = await segments.replace(() => tasks.heal({ step: 'place', segment }));
      if (placed?.outcome === 'done') return undefined;
      return placed === undefined ? 'the log is being cut' : 'it is no longer part of the log';
    } finally {
      // Where it was put in place there is nothing left to remove.
      if (!this.#isOver) await tasks.heal({ step: 'abandon', segment });
    }
  }

  /** Has all of the segment written to a file beside it. Returns why not. */
  async #fetchAll(node: number, segment: SealedSegment): Promise<string | undefined> {
    const { tasks, loop, damages } = this.#ports;
    const { base, end } = segment;
    await tasks.heal({ step: 'begin', segment });
    let lastTerm = 0;
    for (let from = base; from < end; ) {
      const startedMs = loop.nowMs();
      const answer = await fetchFrom(this.#ports.raft(), loop, this.#times.answer, { node, from, end, isOpen: false });
      if (this.#isOver || !damages.isOfLog(base, end)) return 'it is no longer part of the log';
      if (answer.outcome !== 'entries') return `${nameOf(node)} ${REFUSALS[answer.outcome]}`;
      const written = await tasks.heal({ step: 'write', segment, from, bytes: answer.bytes, lastTerm });
      if (written.outcome !== 'done') return `${nameOf(node)}: ${'sentence' in written ? written.sentence : written.outcome}`;
      lastTerm = written.lastTerm ?? lastTerm;
      from += answer.bytes;
      const waitMs = Math.ceil(startedMs + (1000 * answer.bytes) / HEAL_BYTES_PER_SECOND - loop.nowMs());
      if (waitMs > 0) await new Promise<void>((resolve) => void loop.after(waitMs, resolve, true));
    }
    return undefined;
  }
}
