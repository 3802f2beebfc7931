// How long an upload may take. Followers are given the same bytes at the same time, so the first of them that has answered is the measure for the
// others; while none has, earlier uploads are.

/** A follower is waited for at least this long after another one has answered. */
const MIN_LAG_MS = 20;
/** Without any answer an upload may take so many times as long as uploads took before, within these bounds. */
const PATIENCE = 8;
const MIN_SILENT_MS = 100;
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

  /** How much longer the others are waited for once the first has answered, after `ms`: as long again. */
  lagMs(ms: number): number {
    return Math.max(MIN_LAG_MS, ms);
  }
}
