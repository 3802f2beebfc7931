// Whoever waits for something, in turns: of parties first, then of those of one party. So a party with a hundred connections, each of which wants all it
// can get, has one turn where another one with a single connection has one.

export class PartyQueue<T extends object> {
  /** Those that wait, by party; the party whose turn is next comes first, and of each the one whose turn is next. */
  readonly #parties = new Map<object, Set<T>>();
  readonly #partyOf: (waiting: T) => object;
  #size = 0;

  /** `partyOf` says the same of one as long as it waits; whoever is for itself is its own party. */
  constructor(partyOf: (waiting: T) => object) {
    this.#partyOf = partyOf;
  }

  get size(): number {
    return this.#size;
  }

  /** Puts one at the end of its party's, unless it is there. */
  add(waiting: T): void {
    const party = this.#partyOf(waiting);
    let own = this.#parties.get(party);
    if (own === undefined) {
      own = new Set();
      this.#parties.set(party, own);
    }
    if (own.has(waiting)) return;
    own.add(waiting);
    this.#size += 1;
  }

  delete(waiting: T): void {
    const party = this.#partyOf(waiting);
    const own = this.#parties.get(party);
    if (own?.delete(waiting) !== true) return;
    this.#size -= 1;
    if (own.size === 0) this.#parties.delete(party);
  }

  /** Takes out the one whose turn it is, and puts the rest of its party at the end; undefined: nobody waits. */
  shift(): T | undefined {
    for (const [party, own] of this.#parties) {
      const [next] = own;
      this.#parties.delete(party);
      if (next === undefined) continue;
      own.delete(next);
      this.#size -= 1;
      if (own.size > 0) this.#parties.set(party, own);
      return next;
    }
    return undefined;
  }
}
