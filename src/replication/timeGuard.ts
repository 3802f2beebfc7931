// Keeps one wrong clock out of the log's time. A leader moves that on only while its own clock is near those of a majority of the nodes, itself
// among them; a node alone, while its clock goes on as time does since it started. What it may be is told to whoever owns the log's end by two words in
// shared memory, so that an append compares two numbers.
//
//   Unix ms   floor ──────────── of this node ──────────── limit          outside, the log's time stands still
//             the last of so many nodes − 60 s             the first of them + 60 s

import { CLOCK_GUARD_MS, CLOCK_HEARD_MS, CLOCK_LOOK_MS } from '../core/limits.ts';
import type { LogFold } from '../memory/logFold.ts';
import type { NodeId } from '../raft/messages.ts';
import type { ReplicaPorts } from './ports.ts';

export interface TimeGuardOptions {
  readonly self: NodeId;
  /** Those that count for majorities now. */
  voters(): readonly NodeId[];
  /** A node alone goes by its clock, whatever that does. */
  readonly trustsClock: boolean;
  readonly fold: Pick<LogFold, 'allowTimes'>;
  readonly ports: Pick<ReplicaPorts, 'nowMs' | 'wallMs' | 'log'>;
}

/** Unix ms less the time of this node's clock that never goes back: how a clock goes is told by whether that changes. */
interface Clock {
  readonly differenceMs: number;
  readonly heardMs: number;
}

/** What the difference of this node's clock may be. */
interface Range {
  readonly lowMs: number;
  readonly highMs: number;
}

/** How many other clocks must be near. */
const neededOf = (voters: readonly NodeId[]): number => Math.floor(voters.length / 2);

const isAlone = (voters: readonly NodeId[], self: NodeId): boolean => voters.length === 1 && voters[0] === self;

const seconds = (ms: number): string => `${Math.round(Math.abs(ms) / 1000)} s`;

export class TimeGuard {
  readonly #options: TimeGuardOptions;
  readonly #clocks = new Map<NodeId, Clock>();
  /** At the start. */
  readonly #ownMs: number;
  /** What a node alone goes by: its clock at the start, or as others' clocks bore it out last; undefined: they did not. */
  #aloneMs: number | undefined;
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #isHeld = false;

  constructor(options: TimeGuardOptions) {
    const { ports, fold } = options;
    this.#options = options;
    this.#ownMs = ports.wallMs() - ports.nowMs();
    if (isAlone(options.voters(), options.self)) this.#aloneMs = this.#ownMs;
    fold.allowTimes(undefined);
  }

  /** Another node has said that its clock shows `clockMs`. */
  heard(from: NodeId, clockMs: number): void {
    const heardMs = this.#options.ports.nowMs();
    this.#clocks.set(from, { differenceMs: clockMs - heardMs, heardMs });
  }

  /** This node begins to lead, by what it has heard before. */
  begin(): void {
    this.#lookAtMs = Number.NEGATIVE_INFINITY;
    this.look();
  }

  /** This node leads; called again and again. */
  look(): void {
    const { ports, fold } = this.#options;
    const nowMs = ports.nowMs();
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + CLOCK_LOOK_MS;
    const ownMs = ports.wallMs() - nowMs;
    const range = this.#ranges(nowMs).find(({ lowMs, highMs }) => lowMs <= ownMs && ownMs <= highMs);
    if (!isAlone(this.#options.voters(), this.#options.self)) this.#aloneMs = range === undefined ? undefined : ownMs;
    fold.allowTimes(range && { fromMs: range.lowMs + nowMs, toMs: range.highMs + nowMs });
    this.#tell(range === undefined, nowMs, ownMs);
  }

  /** This node does not lead any more. */
  end(): void {
    this.#options.fold.allowTimes(undefined);
    this.#isHeld = false;
  }

  /** Where enough clocks are near, for each set of neighbours that would do. */
  #ranges(nowMs: number): Range[] {
    const { trustsClock, self } = this.#options;
    const voters = this.#options.voters();
    if (isAlone(voters, self)) {
      const aroundMs = trustsClock ? Number.POSITIVE_INFINITY : CLOCK_GUARD_MS;
      const ownMs = this.#aloneMs ?? (trustsClock ? this.#ownMs : undefined);
      return ownMs === undefined ? [] : [{ lowMs: Math.max(-nowMs, ownMs - aroundMs), highMs: ownMs + aroundMs }];
    }
    const known = [...this.#clocks].filter(([node, { heardMs }]) => voters.includes(node) && nowMs - heardMs <= CLOCK_HEARD_MS);
    const sorted = known.map(([, { differenceMs }]) => differenceMs).sort((a, b) => a - b);
    return sorted
      .slice(Math.max(0, neededOf(voters) - 1))
      .map((lastMs, i) => ({ lowMs: lastMs - CLOCK_GUARD_MS, highMs: (sorted[i] ?? 0) + CLOCK_GUARD_MS }));
  }

  /** Says it once when the log's time stands still, and when it goes on. */
  #tell(isHeld: boolean, nowMs: number, ownMs: number): void {
    const { ports, self } = this.#options;
    const voters = this.#options.voters();
    if (isHeld === this.#isHeld) return;
    // Who has not heard enough yet has nothing to say.
    if (isHeld && this.#clocks.size < neededOf(voters)) return;
    this.#isHeld = isHeld;
    if (!isHeld) ports.log('info', "clocks agree again: the log's time goes on");
    else ports.log('warn', isAlone(voters, self) ? this.#jumped(ownMs) : this.#apart(nowMs, ownMs));
  }

  #jumped(ownMs: number): string {
    const byMs = ownMs - this.#ownMs;
    return (
      `this node's clock went ${seconds(byMs)} too ${byMs > 0 ? 'far' : 'little'} since the node started, so the log's time stands still: ` +
      'restart the node if its clock is right now, or run it with --trust-clock on'
    );
  }

  #apart(nowMs: number, ownMs: number): string {
    const others = [...this.#clocks]
      .filter(([, { heardMs }]) => nowMs - heardMs <= CLOCK_HEARD_MS)
      .map(([node, { differenceMs }]) => {
        const byMs = differenceMs - ownMs;
        return `node ${node}: ${seconds(byMs)} ${byMs < 0 ? 'behind' : 'ahead'}`;
      });
    return (
      `the clocks of too few nodes are within ${seconds(CLOCK_GUARD_MS)} of this one's (${others.join(', ') || 'none was heard'}), ` +
      "so the log's time stands still until they are: set the clocks of all nodes by NTP"
    );
  }
}
