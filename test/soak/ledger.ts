// Who appended what, what was said of it, and what is in the log: compared while it happens, and forgotten when both agree, so that a run of days needs
// no more memory than one of minutes.

/** An append as its producer knows it. */
type Word =
  | { readonly kind: 'pending' }
  | { readonly kind: 'at'; readonly offset: number }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'failed' };

interface Account {
  word: Word;
  /** Where it is in the log; undefined: it was not seen yet. */
  seenAt: number | undefined;
  /** Everything up to there was in the log when its outcome was known, so that it is not there if it is not seen before; undefined: not known. */
  knownBy: number | undefined;
}

/** Accounts that are open at a time, in a cluster that is whole: those that are under way, and those that the reader has not come to. */
const MANY = 100_000;

export class Ledger {
  readonly problems: string[] = [];
  readonly #open = new Map<string, Account>();
  /** Of each producer, the highest number that was seen. */
  readonly #highest = new Map<number, number>();
  acknowledged = 0;
  unknown = 0;
  unknownFound = 0;
  failed = 0;
  seen = 0;

  get openCount(): number {
    return this.#open.size;
  }

  /** `number` of `producer`, higher than all before, is about to be appended. */
  begin(producer: number, number: number): void {
    if (this.#open.size > MANY) this.#problem(`${this.#open.size} appends are neither settled nor seen`);
    this.#open.set(`${producer}:${number}`, { word: { kind: 'pending' }, seenAt: undefined, knownBy: undefined });
  }

  acknowledge(producer: number, number: number, offset: number): void {
    this.acknowledged += 1;
    this.#say(producer, number, { kind: 'at', offset }, undefined);
  }

  /** It rejected. `end`: what was committed then, by a linearizable end. */
  reject(producer: number, number: number, outcome: 'unknown' | 'failed', end: number): void {
    this[outcome] += 1;
    this.#say(producer, number, { kind: outcome }, end);
  }

  #say(producer: number, number: number, word: Word, knownBy: number | undefined): void {
    const account = this.#open.get(`${producer}:${number}`);
    if (account === undefined) {
      this.#problem(`append ${producer}:${number} was settled twice`);
      return;
    }
    account.word = word;
    account.knownBy = knownBy;
    this.#settle(`${producer}:${number}`, account);
  }

  /** The reader has come to an entry. */
  see(producer: number, number: number, offset: number): void {
    this.seen += 1;
    const key = `${producer}:${number}`;
    const account = this.#open.get(key);
    const highest = this.#highest.get(producer) ?? -1;
    this.#highest.set(producer, Math.max(highest, number));
    // What was compared is forgotten: it is there again, or out of order.
    if (account === undefined) {
      this.#problem(`entry ${key} at offset ${offset} is there twice, or was never appended`);
      return;
    }
    if (account.seenAt !== undefined) {
      this.#problem(`entry ${key} is there twice, at offsets ${account.seenAt} and ${offset}`);
      return;
    }
    // One that came late can only be one of which nobody knew.
    if (number < highest && account.word.kind === 'at')
      this.#problem(`entry ${key} at offset ${offset} comes after ${producer}:${highest}`);
    account.seenAt = offset;
    this.#settle(key, account);
  }

  /** The reader has everything before `position`: what should have been seen by then and was not is missing, or was never there. */
  passed(position: number): void {
    for (const [key, { word, seenAt, knownBy }] of this.#open) {
      if (seenAt !== undefined) continue;
      if (word.kind === 'at' && word.offset < position)
        this.#problem(`entry ${key} was acknowledged at offset ${word.offset}, and is not there`);
      // Of an append of unknown outcome there may be one more that comes later: it is kept for a while.
      if ((word.kind === 'at' && word.offset < position) || (word.kind === 'failed' && knownBy !== undefined && knownBy <= position))
        this.#open.delete(key);
    }
  }

  /** The run is over, and the reader has all: what is of unknown outcome and was not seen is not there. */
  close(): void {
    for (const [key, { word }] of this.#open) {
      if (word.kind === 'pending') this.#problem(`append ${key} was never settled`);
      if (word.kind === 'at') this.#problem(`entry ${key} was acknowledged at offset ${word.offset}, and is not there`);
    }
    this.#open.clear();
  }

  #settle(key: string, { word, seenAt }: Account): void {
    if (seenAt === undefined || word.kind === 'pending') return;
    if (word.kind === 'failed') this.#problem(`entry ${key} is at offset ${seenAt}, and was said to have failed`);
    if (word.kind === 'at' && word.offset !== seenAt)
      this.#problem(`entry ${key} is at offset ${seenAt}, and was acknowledged at ${word.offset}`);
    if (word.kind === 'unknown') this.unknownFound += 1;
    this.#open.delete(key);
  }

  #problem(sentence: string): void {
    // The first say enough.
    if (this.problems.length < 100) this.problems.push(sentence);
  }
}
