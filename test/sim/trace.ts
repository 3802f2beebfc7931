// What happened in a simulation: a hash of all of it, to compare two runs, and the last part of it, to read.

import type { PeerMessage } from '../../src/raft/messages.ts';

/** One line of the trace; `what` is made into text only when somebody reads it. */
interface Line {
  readonly atMs: number;
  readonly node: number;
  readonly label: string;
  readonly what: PeerMessage | string | undefined;
  readonly state: string;
}

const PRIME = 0x0100_0193;

function textOf(what: PeerMessage | string | undefined): string {
  if (what === undefined) return '';
  if (typeof what === 'string') return what;
  const { kind, ...fields } = what;
  const parts = Object.entries(fields).map(([name, value]) => (value === true ? name : `${name}=${value}`));
  return `${kind} ${parts.filter((part) => !part.endsWith('=false')).join(' ')}`;
}

export class Trace {
  readonly #lines: Line[] = [];
  readonly #keep: number;
  readonly #hashes = new Map<string, number>();
  #hash = 0x811c_9dc5;

  /** Keeps the last `keep` lines. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** A number that two runs share when the same things happened in them. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  get keepsAll(): boolean {
    return this.#keep === Number.POSITIVE_INFINITY;
  }

  mix(number: number): void {
    this.#hash = Math.imul(this.#hash ^ (number | 0), PRIME);
    this.#hash ^= this.#hash >>> 15;
  }

  /** Something happens; `node` is 0 for the world itself. `state` is asked for only when lines are kept. */
  add(atMs: number, node: number, label: string, what?: PeerMessage | string, state?: () => string): void {
    this.mix(Math.round(atMs * 1000));
    this.mix(node);
    this.mix(this.#hashOf(label));
    if (this.#keep === 0) return;
    this.#lines.push({ atMs, node, label, what, state: state?.() ?? '' });
    if (this.#lines.length > 2 * this.#keep) this.#lines.splice(0, this.#lines.length - this.#keep);
  }

  #hashOf(label: string): number {
    let hash = this.#hashes.get(label);
    if (hash === undefined) {
      hash = 0;
      for (let i = 0; i < label.length; i += 1) hash = Math.imul(hash, 31) + label.charCodeAt(i);
      this.#hashes.set(label, hash);
    }
    return hash;
  }

  lines(): string[] {
    const kept = this.#keep === Number.POSITIVE_INFINITY ? this.#lines : this.#lines.slice(-this.#keep);
    return kept.map(({ atMs, node, label, what, state }) => {
      const who = node === 0 ? '     ' : `node ${node}`.slice(0, 6);
      return `${atMs.toFixed(3).padStart(11)} ${who} ${label.padEnd(12)} ${textOf(what)}${state === '' ? '' : `   ${state}`}`;
    });
  }
}
