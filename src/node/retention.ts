// How much of the log is kept: the log's policy, and the leader's decision, once in a while, what it lets go. Nothing goes but by a trim, which is an
// entry of the log: so all nodes keep the same, whatever their clocks and disks.
//
//   bytes  the log begins at the first segment from which on it has at most so many; where none has, at the last
//   consumers  nothing goes that one of them has not committed, as long as that is among so many last bytes
//   age    one segment before the last before which all is older, by the log's time at its end: see #firstYoung; whatever this node's clock says
//
// The last segment stays whole. What a policy lets go is ordered after the policy: where that is cut off, so is the trim.

import { LogError } from '../core/errors.ts';
import { MAX_RETENTION_REQUESTS, RETENTION_LEAP_MS, RETENTION_LOOK_MS, RETENTION_WAIT_MS } from '../core/limits.ts';
import type { Policy } from '../format/controlEntries.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { EngineConfig, EngineLog } from './engineOptions.ts';
import type { Loop, Timer } from './loop.ts';
import { consumersKeep, type OrderedPolicy, type OwnEntries } from './ownEntries.ts';
import type { Segments } from './segments.ts';
import type { Times } from './times.ts';
import type { Trims } from './trims.ts';

/** What is kept, and of what there is. */
export interface Kept {
  readonly policy: Policy;
  readonly start: number;
  readonly commit: number;
  /** The log's time where the segment that has the start begins: nothing that is kept is older; 0: unknown. */
  readonly oldestMs: number;
  /** The log's time at its end; 0: it has none. */
  readonly timeMs: number;
}

export interface RetentionPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'after' | 'nowMs' | 'wallMs'>;
  readonly fold: Pick<LogFold, 'timeMs' | 'settledPolicy'> & { readonly named: Pick<LogFold['named'], 'settled'> };
  readonly own: Pick<OwnEntries, 'policy'>;
  readonly segments: Pick<Segments, 'sealed' | 'baseBefore'>;
  readonly times: Pick<Times, 'timeAt'>;
  readonly trims: Pick<Trims, 'request'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
  readonly config: Pick<EngineConfig, 'retentionBytes' | 'retentionAge' | 'callOf'>;
  readonly log: Pick<EngineLog, 'info' | 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
  /** See RETENTION_LOOK_MS, 0: nobody looks but when a segment is sealed, and RETENTION_WAIT_MS. */
  readonly lookMs?: number | undefined;
  readonly waitMs?: number | undefined;
}

/** Times of so many bases are kept. */
const LOOKED_UP = 64;

/** A place where the log may begin, and the log's time there; undefined: it says none. */
interface Head {
  readonly base: number;
  readonly headMs: number | undefined;
}

const NOT_CONFIRMED = 'this node leads no longer, or stops, and does not know what becomes of this policy: to set it again does no harm';

export class Retention {
  readonly #ports: RetentionPorts;
  readonly #waitMs: number;
  #timer: Timer | undefined;
  #isLooking = false;
  #looksAgain = false;
  #isOver = false;
  /** Requests under way. */
  #asked = 0;
  /** The log's time at a moment of this node's clock, which never goes back: no later time is taken for right but by what has passed since. */
  #knownMs = 0;
  #knownAtMs = 0;
  /** Until then nothing is too old. */
  #waitsUntilMs = 0;
  /** Times of bases that were looked up. */
  readonly #lookedUp = new Map<number, number>();
  #complaint = '';
  #hasCompared = false;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
    this.#waitMs = ports.waitMs ?? RETENTION_WAIT_MS;
  }

  /** Begins, before anything is ordered here. */
  start(): void {
    const { loop, fold } = this.#ports;
    this.#knownMs = fold.timeMs;
    this.#knownAtMs = loop.nowMs();
    this.#waitsUntilMs = this.#knownAtMs + this.#waitMs;
    this.#plan();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    const { lookMs = RETENTION_LOOK_MS } = this.#ports;
    if (this.#isOver || lookMs === 0) return;
    this.#timer = this.#ports.loop.after(
      lookMs,
      () => {
        this.look();
        this.#plan();
      },
      true,
    );
  }

  /** Looks what the policy lets go, and lets it go, if this node leads. One look at a time, and another one after it if there is to be one. */
  look(): void {
    this.#watchTime();
    this.#compare();
    this.#looksAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#look()
      .catch((thrown: unknown) => (thrown instanceof LogError ? this.#complain(thrown) : this.#ports.broke(thrown)))
      .finally(() => {
        this.#isLooking = false;
      });
  }

  async #look(): Promise<void> {
    const { own, memory, refusal } = this.#ports;
    while (this.#looksAgain && !this.#isOver && refusal() === undefined) {
      this.#looksAgain = false;
      const found = own.policy({});
      if (found === undefined || found.end > memory.commit) return;
      if (found.policy.bytes > 0 || found.policy.ageMs > 0) await this.#carryOut(found);
    }
  }

  /**
   * Sets what `change` has, and leaves the rest as it is. Resolves to what is kept when that is committed, to what is in force where nothing changes. Rejects
   * with a LogError: NOT_LEADER, SHUTTING_DOWN, UNSUPPORTED, TOO_MANY_REQUESTS; NOT_LEADER may come although it was done.
   */
  async request(change: Partial<Policy>): Promise<Kept> {
    if (this.#asked >= MAX_RETENTION_REQUESTS) {
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_RETENTION_REQUESTS} requests for the retention are under way: try again`);
    }
    this.#asked += 1;
    try {
      const { policy, term, end, timeMs } = await this.#order(change);
      const { memory, progress } = this.#ports;
      while (memory.commit < end && !this.#isOver && memory.word(WORD.OPEN_TERM) === term) await progress();
      // In this order: what another leader commits at the same place comes after this one has lost its office.
      if (memory.commit < end || memory.word(WORD.OPEN_TERM) !== term) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
      const oldestMs = await this.#oldest();
      this.look();
      return { policy, start: memory.word(WORD.START), commit: memory.commit, oldestMs, timeMs };
    } finally {
      this.#asked -= 1;
    }
  }

  async #order(change: Partial<Policy>): Promise<OrderedPolicy> {
    const { own, refusal, progress } = this.#ports;
    for (;;) {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      const ordered = own.policy(change);
      if (ordered !== undefined) return ordered;
      await progress();
    }
  }

  async #oldest(): Promise<number> {
    const { memory, segments, times } = this.#ports;
    const base = segments.baseBefore(memory.word(WORD.START));
    if (base >= memory.commit) return 0;
    try {
      return (await times.timeAt(base)) ?? 0;
    } catch (thrown) {
      // The segment is damaged, or went meanwhile: then it is not known.
      if (thrown instanceof LogError) return 0;
      throw thrown;
    }
  }

  /** The log's time may go on as this node's clock does, and no faster: more than that is a clock that leapt, here or where the leader was. */
  #watchTime(): void {
    const { loop, fold } = this.#ports;
    const { timeMs } = fold;
    const nowMs = loop.nowMs();
    const expectedMs = this.#knownMs + (nowMs - this.#knownAtMs);
    if (timeMs <= expectedMs) return;
    if (timeMs > expectedMs + RETENTION_LEAP_MS) this.#waitsUntilMs = nowMs + this.#waitMs;
    this.#knownMs = timeMs;
    this.#knownAtMs = nowMs;
  }

  #mayBeTooOld(timeMs: number): boolean {
    const { loop } = this.#ports;
    return timeMs > 0 && loop.nowMs() >= this.#waitsUntilMs && loop.wallMs() >= timeMs - RETENTION_LEAP_MS;
  }

  /** Says once where this node was started with another policy than the log has: only a new log takes it. */
  #compare(): void {
    const { config, fold, memory, log } = this.#ports;
    const given = (['retentionBytes', 'retentionAge'] as const).filter((name) => config[name] > 0);
    if (this.#hasCompared || given.length === 0) return;
    const policy = fold.settledPolicy;
    if (policy === undefined || memory.commit === 0 || policy.end > memory.commit) return;
    this.#hasCompared = true;
    const { bytes, ageMs } = policyOf(config);
    if ((bytes === 0 || bytes === policy.bytes) && (ageMs === 0 || ageMs === policy.ageMs)) return;
    const named = given.map(config.callOf).join(' and ');
    log.warn(`${named}: only a new log takes that, and this one has another retention, which stays; loglog retention set changes it`);
  }

  async #carryOut({ policy, timeMs }: OrderedPolicy): Promise<void> {
    const { memory, trims, log } = this.#ports;
    const start = memory.word(WORD.START);
    const bases = this.#bases();
    const bySize = policy.bytes === 0 ? start : firstWithin(bases, memory.commitBound - policy.bytes, start);
    const byAge = policy.ageMs === 0 || !this.#mayBeTooOld(timeMs) ? start : await this.#firstYoung(bases, timeMs - policy.ageMs, start);
    const wanted = Math.max(bySize, byAge);
    const to = this.#waitedFor(policy, bases, wanted, start);
    if (to <= start || this.#isOver) return;
    log.info(
      `retention: what is before offset ${to} goes, because ${wanted === bySize ? 'the log has more bytes' : 'it is older'} than is kept`,
    );
    await trims.request(to, false, policy);
    this.#complaint = '';
  }

  /** The last of `bases` up to which all may go that is to, as far as named consumers have committed, or are not waited for; `start`: none. */
  #waitedFor(policy: Policy, bases: readonly number[], wanted: number, start: number): number {
    if (policy.consumerBytes === undefined || wanted <= start) return wanted;
    const { memory, fold } = this.#ports;
    const table = fold.named.settled?.table;
    // They are being changed: the next look sees them.
    if (table === undefined) return start;
    const most = consumersKeep(policy, table, memory.commitBound);
    return bases.findLast((base) => base <= Math.min(most, wanted)) ?? start;
  }

  /** Where segments begin at which the log may: ascending; the last one is that in which it goes on. */
  #bases(): number[] {
    const { memory, segments } = this.#ports;
    const start = memory.word(WORD.START);
    const bases: number[] = [];
    let next = memory.word(WORD.BASE);
    for (const { base, end } of segments.sealed) {
      // Segments are sealed in any order.
      if (base !== next || end >= memory.commitBound) break;
      if (end > start) bases.push(end);
      next = end;
    }
    return bases;
  }

  /**
   * Where the log begins that is not older than `timeMs`, or a little before. The log's time may have stood still while entries came, where the clocks of nodes
   * were apart: only what it has moved on from is known to be as old as it says. So the segments of the last time that is old enough stay. What is damaged is
   * not known: size goes on without it.
   */
  async #firstYoung(bases: readonly number[], timeMs: number, otherwise: number): Promise<number> {
    try {
      const last = await this.#lastOlder(bases, timeMs);
      const before = last?.headMs === undefined ? undefined : await this.#lastOlder(bases, last.headMs);
      return before?.headMs === undefined ? otherwise : before.base;
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      this.#complain(thrown, 'nothing goes by age');
      return otherwise;
    }
  }

  /**
   * The last of `bases` that the log's time reaches before `timeMs`: all before it is older. Few of them are looked at. Those that say no time come before all
   * others: of a log of level 0, as it was before.
   */
  async #lastOlder(bases: readonly number[], timeMs: number): Promise<Head | undefined> {
    let low = 0;
    let high = bases.length;
    let last: Head | undefined;
    // Mostly nothing is: then the first says so.
    for (let middle = 0; low < high; middle = (low + high) >> 1) {
      const base = bases[middle] ?? 0;
      const headMs = await this.#headOf(base);
      if (headMs === undefined || headMs < timeMs) {
        last = { base, headMs };
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return last;
  }

  /** The time that the segment at `base` begins with. */
  async #headOf(base: number): Promise<number | undefined> {
    const known = this.#lookedUp.get(base);
    if (known !== undefined) return known;
    const found = await this.#ports.times.timeAt(base);
    if (found === undefined) return undefined;
    for (const oldest of this.#lookedUp.keys()) {
      if (this.#lookedUp.size < LOOKED_UP) break;
      this.#lookedUp.delete(oldest);
    }
    this.#lookedUp.set(base, found);
    return found;
  }

  #complain({ code, message }: LogError, what = 'nothing goes'): void {
    // Another leads, or it is tried again.
    if (code === 'NOT_LEADER' || code === 'SHUTTING_DOWN' || code === 'OVERLOADED' || code === 'TOO_MANY_REQUESTS') return;
    if (message !== this.#complaint) this.#ports.log.warn(`retention: ${what}: ${message}`);
    this.#complaint = message;
  }
}

/** What a new log is to keep. */
export function policyOf({ retentionBytes, retentionAge }: Pick<EngineConfig, 'retentionBytes' | 'retentionAge'>): Policy {
  return { bytes: retentionBytes, ageMs: retentionAge };
}

/** The first of `bases` at or after `offset`; where there is none, the last one. */
function firstWithin(bases: readonly number[], offset: number, otherwise: number): number {
  if (offset <= otherwise) return otherwise;
  return bases.find((base) => base >= offset) ?? bases.at(-1) ?? otherwise;
}
