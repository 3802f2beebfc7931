// Trims logs in the time of faults, by whoever leads, up to anywhere that is committed. Has chance of its own, so that a world without it is what it
// would be without this file.

import { Random } from '../assembly/random.ts';
import type { World } from './world.ts';

/** Seeds with trims, of eight in a row: one of them has stops, too. */
const WITH_TRIMS = [1, 6];
/** Up to so many times. */
const MOST = 12;

export class Trims {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x7a_11_05);
    this.isOn = WITH_TRIMS.includes(world.seed % 8);
  }

  start(): void {
    const { profile, scheduler } = this.#world;
    if (!this.isOn) return;
    for (let left = 1 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * (50 + this.#random.below(850))) / 1000, () => this.#trim());
    }
  }

  #trim(): void {
    const { leader, trace, scheduler, profile } = this.#world;
    const process = leader?.process;
    if (leader === undefined || process === undefined || !process.hasBegun) return;
    // A log that was trimmed stays alone: see membership.ts.
    if (profile.growsLater && leader.list.length === 1) return;
    const to = this.#random.below(process.memory.commit + 1);
    trace.add(scheduler.nowMs, leader.id, `* trim to ${to}`);
    process.settles(0, 'trim', () => {
      process.engine.trims.request(to, false).then(
        () => undefined,
        () => undefined,
      );
    });
  }
}
