// What one simulation is like, drawn from its seed: how many nodes and clients, how fast everything is, and which faults there are and how
// often. Each seed leaves many faults out, so that no fault always hides what another one would show (swarm testing).

import type { Random } from '../assembly/random.ts';
import type { NetworkProfile } from './network.ts';

export const FAULTS = [
  'kill',
  'power cut',
  'death in a disk operation',
  'power cut of all',
  'isolation',
  'one-way cut',
  'split',
  'clog',
  'reset',
  'pause',
  'stalled thread',
  'slow disk',
  'hung disk',
  'disk error',
  'wipe',
  'transfer',
  'unheard successor',
  'client death',
  'cut clients',
] as const;

export type Fault = (typeof FAULTS)[number];

/** How often each fault happens beside the others. */
const WEIGHTS: Readonly<Record<Fault, number>> = {
  kill: 4,
  'power cut': 4,
  'death in a disk operation': 4,
  'power cut of all': 1,
  isolation: 6,
  'one-way cut': 5,
  split: 4,
  clog: 3,
  reset: 3,
  pause: 4,
  'stalled thread': 3,
  'slow disk': 2,
  'hung disk': 2,
  'disk error': 2,
  wipe: 2,
  transfer: 3,
  'unheard successor': 4,
  'client death': 2,
  'cut clients': 2,
};

export interface Profile {
  readonly nodeCount: number;
  readonly clientCount: number;
  readonly slots: number;
  readonly electionTimeoutMs: number;
  /** How much the nodes' election timeouts differ, of what they may: little makes them campaign at the same time. */
  readonly electionSpread: number;
  /** A node begins alone, and the others join it later. */
  readonly growsLater: boolean;
  readonly network: NetworkProfile;
  readonly maxAppendBytes: number;
  readonly syncMs: number;
  /** Clocks go at most this much faster or slower. */
  readonly clockSpread: number;
  readonly downMs: number;
  /** How long faults go on. */
  readonly chaosMs: number;
  /** Mean time from one fault to the next; each is drawn from `faults`. */
  readonly faultMs: number;
  readonly faults: readonly { readonly fault: Fault; readonly weight: number }[];
  /** How often faults look for the leader: in percent. */
  readonly leaderPercent: number;
  /** How often a node that has just been elected is struck at once, in percent: so terms leave little behind, each something else. */
  readonly strikePercent: number;
  /** How often a leader that opens a segment is struck at once, in percent. */
  readonly rollStrikePercent: number;
  /** Mean time from one operation of a client to the next. */
  readonly thinkMs: number;
  /** How long clients and nodes wait for an answer. */
  readonly waitMs: number;
  readonly largestPayloadBytes: number;
  /** After so many bytes clients append little. */
  readonly budgetBytes: number;
}

/** Whether something is so in `percent` of all cases. */
export function chance(random: Random, percent: number): boolean {
  return random.below(100) < percent;
}

export function drawProfile(random: Random): Profile {
  const nodeCount = random.pick(1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 5, 6, 7);
  const electionTimeoutMs = random.pick(100, 150, 300, 1000);
  const isCalm = random.oneIn(12);
  const enabled = FAULTS.filter(() => random.oneIn(2));
  const intensity = random.pick(0.3, 0.6, 1, 1, 2, 4);
  return {
    nodeCount,
    clientCount: 1 + random.below(random.pick(3, 8)),
    slots: random.pick(3, 4),
    electionTimeoutMs,
    electionSpread: random.pick(1, 1, 1, 0.1),
    growsLater: nodeCount > 1 && random.oneIn(10),
    network: drawNetwork(random, electionTimeoutMs),
    maxAppendBytes: random.pick(256, 4096, 65_536),
    syncMs: random.pick(0.2, 1, 1, 5, electionTimeoutMs / 10),
    clockSpread: random.pick(1, 1.1, 1.5, 2, 2),
    downMs: electionTimeoutMs * random.pick(0.2, 1, 3),
    chaosMs: electionTimeoutMs * (25 + random.below(15)),
    faultMs: isCalm ? Number.POSITIVE_INFINITY : electionTimeoutMs / intensity,
    faults: enabled.map((fault) => ({ fault, weight: WEIGHTS[fault] })),
    leaderPercent: random.pick(20, 50, 80),
    strikePercent: isCalm ? 0 : random.pick(0, 0, 0, 30, 70),
    rollStrikePercent: isCalm ? 0 : random.pick(0, 40, 80),
    thinkMs: electionTimeoutMs / random.pick(1, 3, 8),
    waitMs: electionTimeoutMs * random.pick(0.7, 1, 4),
    largestPayloadBytes: random.pick(40, 400, 4000, 20_000),
    budgetBytes: random.pick(20_000, 200_000, 500_000),
  };
}

function drawNetwork(random: Random, electionTimeoutMs: number): NetworkProfile {
  const isLossy = random.oneIn(3);
  const minDelayMs = electionTimeoutMs / 1000;
  return {
    minDelayMs,
    maxDelayMs: minDelayMs + electionTimeoutMs / random.pick(8, 30, 30, 100),
    dropOneIn: isLossy ? random.pick(0, 5, 20, 100) : 0,
    repeatOneIn: isLossy ? random.pick(0, 4, 20) : 0,
    reorders: isLossy && !random.oneIn(3),
    bufferBytes: random.pick(1024, 16_384, 262_144),
    silentMs: 2 * electionTimeoutMs,
    redialMs: electionTimeoutMs / 4,
    dialTimeoutMs: 1.5 * electionTimeoutMs,
  };
}
