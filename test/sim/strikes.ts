// When in the time of faults something befalls a world again and again.

import type { Random } from '../assembly/random.ts';
import type { World } from './world.ts';

/** Calls `strike` up to `most` times, at least once, at moments between the first twentieth and the last tenth of that time. */
export function planStrikes({ profile, scheduler }: World, random: Random, most: number, strike: () => void): void {
  for (let left = 1 + random.below(most); left > 0; left -= 1) {
    scheduler.after((profile.chaosMs * (50 + random.below(850))) / 1000, strike);
  }
}
