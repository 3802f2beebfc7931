// Whether the main thread of this node answers. It bumps a word from a timer of its event loop; the raft thread counts its own beats since the
// word has moved, each some heartbeats long. Beats, not time: a process that was stopped, or a machine that slept, counts one.

export class HangWatch {
  readonly #beatMs: number;
  readonly #hangBeats: number;
  #seen = 0;
  #beats = 0;
  #sinceMs: number;
  #silentMs = 0;
  #isHung = false;
  #nextMs: number;

  /** From `nowMs` on, a beat each `beatMs` or more. A main thread that has not moved its word for `hangMs` of them hangs. */
  constructor(nowMs: number, beatMs: number, hangMs: number) {
    this.#beatMs = beatMs;
    this.#hangBeats = Math.ceil(hangMs / beatMs);
    this.#sinceMs = nowMs;
    this.#nextMs = nowMs + beatMs;
  }

  /** When {@link look} is to be called at the latest. */
  get nextMs(): number {
    return this.#nextMs;
  }

  get isHung(): boolean {
    return this.#isHung;
  }

  /** How long the word had not moved at the last news. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** The word is `word` at `nowMs`: says what is new. */
  look(nowMs: number, word: number): 'hangs' | 'answers' | undefined {
    const isBeat = nowMs >= this.#nextMs;
    if (isBeat) this.#nextMs = nowMs + this.#beatMs;
    if (word !== this.#seen) {
      this.#seen = word;
      return this.#moved(nowMs);
    }
    if (!isBeat) return undefined;
    this.#beats += 1;
    if (this.#isHung || this.#beats <= this.#hangBeats) return undefined;
    this.#isHung = true;
    this.#silentMs = nowMs - this.#sinceMs;
    return 'hangs';
  }

  #moved(nowMs: number): 'answers' | undefined {
    const wasHung = this.#isHung;
    this.#silentMs = nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    this.#beats = 0;
    this.#isHung = false;
    return wasHung ? 'answers' : undefined;
  }
}
