// How long an upload may take. Followers are given the same bytes at the same time, so the first of them that has answered is the measure for the
// others; while none has, earlier uploads are.

/**
 * After the first answer the others have so many times as long as that took, or as all that is under way takes as a rule, and at least this long.
 * Links that share a client's network are given very different parts of it for a while, a machine that has much to do stands still for tens of
 * milliseconds, and TCP sends what a full link dropped again after 200 ms or twice that: none of this is a fault, and to leave a follower costs a second
 * of relay at least.
 */
const LAG = 3;
const LAG_UNDER_WAY = 2;
const MIN_LAG_MS = 500;
/** Without any answer an upload may take so many times as long as uploads took before, within these bounds. */
const PATIENCE = 8;
const MIN_SILENT_MS = 1_000;
export const MAX_SILENT_MS = 5_000;

/** A new measure counts as one part of so many. */
const SMOOTHING = 8;

export class Pace {
  #msPerByte = 0;

  /** An upload was answered after `ms`; `bytes` were on their way when it began, its own among them. */
  answered(bytes: number, ms: number): void {
    const measured = ms / bytes;
    this.#msPerByte = this.#msPerByte === 0 ? measured : this.#msPerByte + (measured - this.#msPerByte) / SMOOTHING;
  }

  /** How long an upload is waited for that nobody has answered, in milliseconds. `bytes` as for {@link answered}. */
  silentMs(bytes: number): number {
    return Math.min(MAX_SILENT_MS, Math.max(MIN_SILENT_MS, PATIENCE * bytes * this.#msPerByte));
  }

  /** How much longer the others are waited for once the first has answered, after `ms`, while `bytesUnderWay` are. */
  lagMs(ms: number, bytesUnderWay: number): number {
    return Math.min(MAX_SILENT_MS, Math.max(MIN_LAG_MS, LAG * ms, LAG_UNDER_WAY * bytesUnderWay * this.#msPerByte));
  }
}
