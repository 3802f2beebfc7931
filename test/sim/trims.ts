// Trims logs in the time of faults, by whoever leads, up to anywhere that is committed; and sets how much of them is kept, by size and age, so that leaders
// trim them, too. Has chance of its own, so that a world without it is what it would be without this file.

import type { Policy } from '../../src/format/controlEntries.ts';
import { WORD } from '../../src/memory/map.ts';
import type { Engine } from '../../src/node/engine.ts';
import { Random } from '../assembly/random.ts';
import { SEGMENT_BYTES } from './payloads.ts';
import type { Process } from './process.ts';
import type { SimNode } from './simNode.ts';
import { planStrikes } from './strikes.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Seeds with trims, of sixteen in a row: some of them have stops, or damages, too. */
const WITH_TRIMS = [1, 6, 9, 13, 14];
/** Up to so many times. */
const MOST = 12;
/** At the end, after each policy that is set, so many appends of so many bytes: a segment has three of them. */
const APPENDS = 9;
const APPEND_BYTES = 20_000;
const ROUND_ELECTIONS = 40;
const LAST_BYTES = 2 * SEGMENT_BYTES;
/** Looks at the retention in an election timeout, and election timeouts that retention by age waits after a leap. */
const LOOKS = 2;
const WAIT_ELECTIONS = 6;
const LEAP_MS = 60_000;

/** What a node's clock and the log's time were when it was looked at last. */
interface Seen {
  readonly nowMs: number;
  readonly timeMs: number;
}

export class Trims {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  /** Whether policies are among them. */
  readonly hasPolicies: boolean;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x7a_11_05);
    this.isOn = WITH_TRIMS.includes(world.seed % 16);
    this.hasPolicies = this.isOn && world.seed % 16 < 8;
  }

  /** How often the engines look, and how long they wait. */
  retentionOf(electionTimeoutMs: number): { lookMs: number; waitMs: number } {
    return { lookMs: this.hasPolicies ? electionTimeoutMs / LOOKS : 0, waitMs: WAIT_ELECTIONS * electionTimeoutMs };
  }

  start(): void {
    const { profile, scheduler } = this.#world;
    if (!this.isOn) return;
    planStrikes(this.#world, this.#random, MOST, () => this.#trim((commit) => this.#random.below(commit + 1)));
    if (!this.hasPolicies) return;
    for (let left = 1 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * this.#random.below(950)) / 1000, () => this.#setPolicy(this.#drawPolicy()));
    }
  }

  /** The leader, if its log may be trimmed. */
  get #leader(): SimNode | undefined {
    const { leader, profile } = this.#world;
    if (leader?.process?.hasBegun !== true) return undefined;
    // A log that was trimmed stays alone: see membership.ts.
    return profile.growsLater && leader.list.length === 1 ? undefined : leader;
  }

  /** All that is committed is trimmed, where this seed has trims. */
  trimAll(): void {
    if (this.isOn) this.#trim((commit) => commit);
  }

  #trim(upTo: (commit: number) => number): void {
    const { trace, scheduler, checker } = this.#world;
    const leader = this.#leader;
    const process = leader?.process;
    if (leader === undefined || process === undefined) return;
    const to = upTo(process.memory.commit);
    trace.add(scheduler.nowMs, leader.id, `* trim to ${to}`);
    checker.ledger.retention.askedFor(to);
    process.settles(0, 'trim', () => {
      process.engine.trims.request(to, false).then(
        () => undefined,
        () => undefined,
      );
    });
  }

  #setPolicy(policy: Partial<Policy>): void {
    const { trace, scheduler } = this.#world;
    const leader = this.#leader;
    const process = leader?.process;
    if (leader === undefined || process === undefined) return;
    trace.add(scheduler.nowMs, leader.id, `* keep ${JSON.stringify(policy)}`);
    process.settles(0, 'policy', () => {
      process.engine.retention.request(policy).then(
        () => undefined,
        () => undefined,
      );
    });
  }

  #drawPolicy(): Partial<Policy> {
    const random = this.#random;
    const bytes = random.oneIn(2) ? 0 : 1 + random.below(3 * SEGMENT_BYTES);
    const ageMs = random.oneIn(3) ? 0 : 1 + random.below(10 * this.#world.profile.electionTimeoutMs);
    const drawn = random.oneIn(4) ? { bytes } : { bytes, ageMs };
    if (!this.#world.consumers.isOn) return drawn;
    return { ...drawn, consumerBytes: random.oneIn(4) ? 0 : 1 + random.below(3 * SEGMENT_BYTES) };
  }

  /**
   * All is well: policies are set, entries are appended by `append` wherever somebody leads, leaders die. At last the log is to have no more than the last
   * policy says, and the segment in which it goes on.
   */
  async trial(
    run: (limitMs: number, isDone: () => boolean) => Promise<boolean>,
    append: (node: SimNode, bytes: number, done: () => void) => void,
  ): Promise<void> {
    if (!this.hasPolicies) return;
    const { nodes, profile, checker } = this.#world;
    const limitMs = ROUND_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread;
    await this.#raises(run, limitMs);
    // All is kept, so that the next leader, whose clock is hours before or after, finds something that may be old; then by age; then by anything.
    const policies = [
      { bytes: 0, ageMs: 0 },
      { bytes: 0, ageMs: 1 + this.#random.below(2 * profile.electionTimeoutMs) },
      this.#drawPolicy(),
    ];
    for (const [round, policy] of policies.entries()) {
      this.#setPolicy(policy);
      await this.#appends(run, append, limitMs);
      // Nothing is appended, and nothing grows older by that.
      await run(2 * WAIT_ELECTIONS * profile.electionTimeoutMs, () => false);
      const { leader } = this.#world;
      if (round === policies.length - 1 || leader === undefined || nodes.length < 3) continue;
      leader.kill(false);
      await run(limitMs, () => this.#world.leader !== undefined);
    }
    this.#setPolicy({ bytes: LAST_BYTES, ageMs: 0, ...(this.#world.consumers.isOn ? { consumerBytes: 0 } : {}) });
    const isKept = (): boolean => checker.ledger.end - checker.ledger.trimStart <= LAST_BYTES;
    const kept = await run(limitMs, isKept);
    promise(
      kept,
      'trims',
      () => `the log is to have ${LAST_BYTES} bytes, and begins at ${checker.ledger.trimStart} and ends at ${checker.ledger.end}`,
    );
  }

  /** A log that began without a level gets one: in the middle of appends, over the death of a leader. */
  async #raises(run: (limitMs: number, isDone: () => boolean) => Promise<boolean>, limitMs: number): Promise<void> {
    const { nodes, scheduler, profile, trace } = this.#world;
    const isRaised = (): boolean => nodes.every(({ process }) => process !== undefined && process.memory.word(WORD.LOG_LEVEL) > 0);
    if (isRaised()) return;
    let isOver = false;
    let asked = 0;
    const ask = (): void => {
      const { leader } = this.#world;
      const process = leader?.process;
      if (isOver || leader === undefined || process === undefined) return;
      trace.add(scheduler.nowMs, leader.id, '* finalize');
      process.settles(0, 'finalize', () => {
        process.engine.levels.request(true).then(
          () => undefined,
          () => undefined,
        );
      });
      asked += 1;
      // Between any two steps of it.
      if (asked === 1 && nodes.length >= 3)
        scheduler.after(this.#random.below(1 + profile.electionTimeoutMs / 4), () => leader.kill(false));
    };
    const again = (): void => {
      if (isOver) return;
      ask();
      scheduler.after(profile.electionTimeoutMs, again);
    };
    again();
    const done = await run(limitMs, isRaised);
    isOver = true;
    promise(done, 'trims', () => `all is well, and the log is to have a level, but has none after ${Math.round(limitMs)} ms`);
  }

  async #appends(
    run: (limitMs: number, isDone: () => boolean) => Promise<boolean>,
    append: (node: SimNode, bytes: number, done: () => void) => void,
    limitMs: number,
  ): Promise<void> {
    const { scheduler, profile } = this.#world;
    let committed = 0;
    let isOver = false;
    const attempt = (): void => {
      if (isOver) return;
      const { leader } = this.#world;
      if (leader !== undefined) {
        append(leader, APPEND_BYTES, () => {
          committed += 1;
        });
      }
      scheduler.after((profile.electionTimeoutMs * (100 + this.#random.below(1000))) / 1000, attempt);
    };
    attempt();
    await run(limitMs, () => committed >= APPENDS);
    isOver = true;
  }

  /** Watches what the engine trims of its own accord: nothing by age while the log's time may be wrong, as the engine could have seen it. */
  watch(engine: Engine, process: Process): void {
    if (!this.hasPolicies) return;
    const { node } = process;
    const { trims, memory, retention } = engine;
    const { waitMs } = this.retentionOf(engine.config.electionTimeoutMs);
    let known: Seen = { nowMs: node.localMs(), timeMs: memory.word(WORD.LOG_TIME) };
    let leapMs = node.localMs();
    const look = retention.look.bind(retention);
    retention.look = () => {
      const nowMs = node.localMs();
      const timeMs = memory.word(WORD.LOG_TIME);
      const expectedMs = known.timeMs + nowMs - known.nowMs;
      if (timeMs > expectedMs + LEAP_MS) leapMs = nowMs;
      if (timeMs > expectedMs) known = { nowMs, timeMs };
      look();
    };
    const request = trims.request.bind(trims);
    trims.request = (to, isDryRun, policy) => {
      process.witness(() => {
        const isByAge = policy !== undefined && (policy.bytes === 0 || memory.commit - memory.word(WORD.START) <= policy.bytes);
        const sinceMs = node.localMs() - leapMs;
        const isTooEarly = isByAge && sinceMs < waitMs;
        promise(!isTooEarly, 'trims', () => `node ${node.id} trims by age to ${to} although the log's time leapt ${sinceMs} ms ago`);
        const lateMs = memory.word(WORD.LOG_TIME) - node.wallMs();
        const isLate = isByAge && lateMs > LEAP_MS;
        promise(!isLate, 'trims', () => `node ${node.id} trims by age to ${to} although its clock is ${lateMs} ms late`);
      });
      return request(to, isDryRun, policy);
    };
  }
}
