// The log's time along a stream: a node says it once, and from there on the entries do.
//
//   ──── verified: its end has `#timeMs` ──── arrived ──── next: is its time known?

import { viewOf } from '../../core/bytes.ts';
import { lastLogTime } from '../../format/logTime.ts';

/** What of a piece says the time. */
interface Timed {
  /** The log's time where it begins, as a node says it, 0: it does not know it; undefined: what came before says it. */
  readonly timeMs: number | undefined;
  /** Where all of it is verified: the last time that its entries say; 0: they say none. */
  readonly verified?: { readonly saidMs: number };
}

export class StreamTime {
  /** After what was verified; undefined: not known. */
  #timeMs: number | undefined;
  #isKnownAtNext = false;

  /** Whether the log's time where the next bytes begin follows from what came. */
  get isKnownAtNext(): boolean {
    return this.#isKnownAtNext;
  }

  /** A piece came, with what a node says of the time where it begins. */
  arrived(timeMs: number | undefined): void {
    if (timeMs !== undefined) this.#isKnownAtNext = timeMs > 0;
  }

  /** A verified piece of a host came, whose entries say `saidMs`. */
  arrivedFromHost(timeMs: number | undefined, saidMs: number): void {
    if ((timeMs ?? 0) > 0 || saidMs > 0) this.#isKnownAtNext = true;
  }

  /** The next bytes are not those that follow. */
  skipped(): void {
    this.#isKnownAtNext = false;
  }

  /** A piece was not good: the next bytes are those where it begins. */
  tookBack({ timeMs }: Timed): void {
    this.#isKnownAtNext = timeMs === undefined && this.#timeMs !== undefined;
  }

  /** The log's time where a piece begins, of which `bytes` are taken; notes what it is at the end of them. `control`: where the first entry is that may say it. */
  take({ timeMs, verified }: Timed, bytes: Uint8Array, control: number): number | undefined {
    const before = timeMs === undefined ? this.#timeMs : timeMs > 0 ? timeMs : undefined;
    const saidMs = verified?.saidMs ?? (control < bytes.length ? lastLogTime(viewOf(bytes), control, bytes.length - control) : 0);
    this.#timeMs = saidMs > 0 ? saidMs : before;
    if (saidMs > 0) this.#isKnownAtNext = true;
    return before;
  }
}
