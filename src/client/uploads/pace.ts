// How long an upload may take. Followers are given the same bytes at the same time, so the first of them that has answered is the measure for the
// others, and what each of them takes as a rule; while none has answered, earlier uploads are.

/**
 * After the first answer the others have so many times as long as that took, and at least this long. Links that share a client's network are given very
 * different parts of it for a while, a machine that has much to do stands still for tens of milliseconds, and TCP sends what a full link dropped again after
 * 200 ms or twice that: none of this is a fault, and to leave a follower costs a second of relay at least.
 */
const LAG = 3;
const MIN_LAG_MS = 500;
/**
 * And as long as so many times what its own uploads take as a rule, with as much under way to it, or so many times what those to the fastest follower would: with
 * megabytes under way that is more, one that stops is noticed by the first, and one that is slow, however long it has been so, by the second.
 */
const LAG_OF_ITS_OWN = 3;
const LAG_OF_FASTEST = 4;
/** Without any answer an upload may take so many times as long as uploads took before, within these bounds. */
const PATIENCE = 8;
const MIN_SILENT_MS = 1_000;
export const MAX_SILENT_MS = 5_000;

/** A new measure counts as one part of so many. */
const SMOOTHING = 8;

export class Pace {
  #msPerByte = 0;

  /** What a byte takes as a rule; 0: nothing was measured. */
  get msPerByte(): number {
    return this.#msPerByte;
  }

  /** An upload was answered after `ms`; `bytes` were on their way when it began, its own among them. */
  answered(bytes: number, ms: number): void {
    const measured = ms / bytes;
    this.#msPerByte = this.#msPerByte === 0 ? measured : this.#msPerByte + (measured - this.#msPerByte) / SMOOTHING;
  }

  /** How long an upload is waited for that nobody has answered, in milliseconds. `bytes` as for {@link answered}. */
  silentMs(bytes: number): number {
    return Math.min(MAX_SILENT_MS, Math.max(MIN_SILENT_MS, PATIENCE * bytes * this.#msPerByte));
  }

  /** How much longer a follower with this pace is waited for once the first has answered, after `firstMs`. `bytes` as for {@link answered}, to this one. */
  lagMs(firstMs: number, bytes: number, fastest: number): number {
    const usualMs = bytes * Math.min(LAG_OF_ITS_OWN * this.#msPerByte, LAG_OF_FASTEST * fastest);
    return Math.min(MAX_SILENT_MS, Math.max(MIN_LAG_MS, LAG * firstMs, usualMs));
  }
}
