// Connections that have sent no whole request. They are taken in one go, and read after that: one whose request is there already looks like one
// that says nothing. So it counts as silent only after the event loop has been round, with whatever it had sent by then.

/** Turns of the event loop after which what a connection had sent at once has been read: that in which it came, and the next one. */
const TURNS_UNTIL_READ = 2;

export class Silent<T> {
  /** Each with the turn in which it came; the oldest first. */
  readonly #cameIn = new Map<T, number>();
  #turn = 0;
  #newest = 0;
  #isCounting = false;

  get size(): number {
    return this.#cameIn.size;
  }

  /** The one that came first, whether it was read or not. */
  get first(): T | undefined {
    const [first] = this.#cameIn.keys();
    return first;
  }

  add(connection: T): void {
    this.#cameIn.set(connection, this.#turn);
    this.#newest = this.#turn;
    this.#count();
  }

  /** It sent a request, or is gone. */
  delete(connection: T): void {
    this.#cameIn.delete(connection);
  }

  clear(): void {
    this.#cameIn.clear();
  }

  /** Forgets the one that has been silent for longest, and hands it to `close`. One that was not read yet only if `orUnread`. */
  closeOldest(orUnread: boolean, close: (connection: T) => void): 'silent' | 'unread' | 'none' {
    for (const [oldest, turn] of this.#cameIn) {
      if (!orUnread && this.#turn - turn < TURNS_UNTIL_READ) return 'unread';
      this.#cameIn.delete(oldest);
      close(oldest);
      return 'silent';
    }
    return 'none';
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(() => {
      this.#isCounting = false;
      this.#turn += 1;
      if (this.#turn - this.#newest < TURNS_UNTIL_READ) this.#count();
    });
  }
}
