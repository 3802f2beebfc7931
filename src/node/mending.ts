// Mends what is damaged of this node's open segment, where that was committed, with what the other nodes have: as soon as the node has started, and without a
// leader, because there may be none before it counts again. Nothing but what is at or below the commit bounds of both nodes is asked for or put in place:
// of what was committed there is one thing only that it can be.
//
//   others are asked, one after the other, for [damage, commit bound) ──► each piece written over the damage ──► all that follows is right: it was mended
//     └──► nobody has it: where there is a leader, what is after the damage is left to it; otherwise all are asked again after a while
//
// While it is under way, nothing of what the file has is given up.

import { HEAL_ANSWER_MS, MEND_RETRY_MS, MEND_TRIES } from '../core/limits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { EngineLog } from './engineOptions.ts';
import { fetchFrom, REFUSALS } from './fetching.ts';
import type { Heals } from './heals.ts';
import type { Loop } from './loop.ts';
import type { RaftPort } from './raftPort.ts';
import type { Segments } from './segments.ts';

export interface MendingPorts {
  readonly memory: Pick<TailMemory, 'word32'>;
  readonly loop: Pick<Loop, 'after' | 'nowMs'>;
  readonly tasks: Pick<DiskTasks, 'mend'>;
  readonly segments: Pick<Segments, 'mend'>;
  readonly heals: Pick<Heals, 'alone'>;
  /** Ids of the other nodes. */
  readonly others: readonly number[];
  raft(): Pick<RaftPort, 'fetch' | 'mending' | 'mended'> | undefined;
  hasLeader(): boolean;
  /** The log ends later, where it did before the damage. */
  mended(end: number): void;
  readonly log: Pick<EngineLog, 'info' | 'warn'>;
  /** So long it waits for an answer, and for the next try. Default: HEAL_ANSWER_MS, MEND_RETRY_MS, which is also the most. */
  readonly times?: { readonly answer: number; readonly retry: number } | undefined;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

/** What is damaged of the open segment, as /status shows it. */
export interface OpenDamageStatus {
  /** Log offset up to which the log is right, and where it ends for now. */
  readonly from: number;
  /** Log offset below which it was committed, and durable, as far as this node knows. */
  readonly committed: number;
  readonly durable: number;
  /** Names the file and the byte. */
  readonly sentence: string;
}

/** What became of asking all others once. */
type Round = { readonly outcome: 'mended' | 'over' } | { readonly outcome: 'failed'; readonly why: string };

export class Mending {
  readonly #ports: MendingPorts;
  readonly #damage: RecoveredLog['damage'];
  readonly #times: { readonly answer: number; readonly retry: number };
  /** Up to here entries were put in place; after one of this term. */
  #at: number;
  #lastTerm: number;
  #isOver = false;
  #said = '';

  constructor(ports: MendingPorts, { damage, lastTerm }: Pick<RecoveredLog, 'damage' | 'lastTerm'>) {
    this.#ports = ports;
    this.#damage = damage;
    this.#at = damage?.from ?? 0;
    this.#lastTerm = lastTerm;
    const { answer, retry } = ports.times ?? { answer: HEAL_ANSWER_MS, retry: MEND_RETRY_MS };
    this.#times = { answer, retry: Math.min(retry, MEND_RETRY_MS) };
  }

  /** The raft thread runs: begins, if there is anything that can be mended so. */
  start({ identity }: Pick<RecoveredLog, 'identity'>): void {
    const damage = this.#damage;
    if (damage === undefined || identity.beforeDamage === undefined || damage.from >= damage.bound) return;
    this.#run(damage.bound).catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  /** The engine ends, or what is after the damage is given up. */
  stop(): void {
    this.#isOver = true;
  }

  /** Undefined once the log has its end again, or what follows the damage was given up. */
  get status(): OpenDamageStatus | undefined {
    const damage = this.#damage;
    if (damage === undefined || !this.#isDamaged) return undefined;
    const { from, bound, durable, sentence } = damage;
    return { from, committed: bound, durable, sentence };
  }

  get #isDamaged(): boolean {
    return this.#ports.memory.word32(STATE.DAMAGED) !== 0;
  }

  async #run(bound: number): Promise<void> {
    const { heals, raft, hasLeader } = this.#ports;
    for (let tries = 1; ; ) {
      const hadLeader = hasLeader();
      const round = await heals.alone(() => this.#round(bound));
      if (round.outcome !== 'failed' || this.#isOver) return;
      // A leader that was known all the time could be asked, and has all that was ever committed, but may not know yet how far that is.
      tries = hadLeader && hasLeader() ? tries + 1 : 1;
      const givesUp = tries > MEND_TRIES;
      this.#say(
        `log offset ${this.#at} stays damaged: ${round.why}; ${givesUp ? 'the leader sends what follows it' : 'they are asked again'}`,
      );
      raft()?.mending(!givesUp);
      do {
        await new Promise<void>((resolve) => void this.#ports.loop.after(this.#times.retry, resolve, true));
        if (this.#isOver || !this.#isDamaged) return;
      } while (givesUp && hasLeader());
      raft()?.mending(true);
    }
  }

  #say(sentence: string): void {
    if (this.#said !== sentence) this.#ports.log.warn(sentence);
    this.#said = sentence;
  }

  async #round(bound: number): Promise<Round> {
    const reasons: string[] = [];
    for (const node of this.#ports.others) {
      const round = await this.#askNode(node, bound);
      if (round.outcome !== 'failed') return round;
      reasons.push(round.why);
    }
    return { outcome: 'failed', why: reasons.join('; ') };
  }

  /** Has `node` send what it has committed, up to `bound`. */
  async #askNode(node: number, bound: number): Promise<Round> {
    const { raft, loop, tasks } = this.#ports;
    const durable = this.#damage?.durable ?? bound;
    while (this.#at < bound) {
      const answer = await fetchFrom(raft(), loop, this.#times.answer, { node, from: this.#at, end: bound, isOpen: true });
      if (this.#isOver || !this.#isDamaged) return { outcome: 'over' };
      if (answer.outcome !== 'entries') return { outcome: 'failed', why: `node ${node} ${REFUSALS[answer.outcome]}` };
      const patched = await tasks.mend({ step: 'patch', from: this.#at, bytes: answer.bytes, lastTerm: this.#lastTerm, durable });
      if (this.#isOver) return { outcome: 'over' };
      if (patched.outcome !== 'patched')
        return { outcome: 'failed', why: `node ${node}: ${'sentence' in patched ? patched.sentence : ''}` };
      this.#at += answer.bytes;
      this.#lastTerm = patched.lastTerm;
      if (patched.rightTo >= durable) return this.#finish(node, bound);
    }
    return this.#finish(node, bound);
  }

  async #finish(node: number, bound: number): Promise<Round> {
    const { segments, tasks, raft, log } = this.#ports;
    const answer = await segments.mend(() => tasks.mend({ step: 'finish', bound }));
    if (answer === undefined || this.#isOver) return { outcome: 'over' };
    if (answer.outcome !== 'mended') return { outcome: 'failed', why: 'sentence' in answer ? answer.sentence : '' };
    raft()?.mended(answer.log);
    this.#ports.mended(answer.log.end);
    log.info(`the open segment was mended with what node ${node} has committed: the log ends at offset ${answer.log.end} again`);
    return { outcome: 'mended' };
  }
}
