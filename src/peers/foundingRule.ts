// Whether a node with an empty directory may begin a cluster: only the one of the lowest id, and only while all others say that they have
// nothing. Its own directory may be one that was lost; then another node has the log, and is silent or says so. Pure: a simulator runs it as well.

import type { NodeSet } from '../core/nodeSet.ts';

export class FoundingRule {
  readonly #isLowest: boolean;
  readonly #answerMs: number;
  /** When each other node was asked that has said, as its last word, that it has nothing. */
  readonly #askedAtMs: Map<number, number>;

  /** `nodes` is the set that the node was started with; an answer counts for `answerMs` from when its node was asked. */
  constructor(id: number, nodes: NodeSet, answerMs: number) {
    const others = nodes.filter((node) => node !== id);
    this.#isLowest = others.every((other) => other > id);
    this.#answerMs = answerMs;
    this.#askedAtMs = new Map(others.map((other) => [other, Number.NEGATIVE_INFINITY]));
  }

  /** Whether this node is the one that may begin. */
  get isLowest(): boolean {
    return this.#isLowest;
  }

  /** `node`, asked at `askedAtMs`, answered that it has no cluster. */
  hasNothing(node: number, askedAtMs: number): void {
    if (this.#askedAtMs.has(node)) this.#askedAtMs.set(node, askedAtMs);
  }

  /** `node` did not answer, or refused: what it said before counts no longer. */
  isUnknown(node: number): void {
    this.hasNothing(node, Number.NEGATIVE_INFINITY);
  }

  /** Whether `node` said so lately that it has nothing that it need not be asked again. */
  isEmpty(node: number, nowMs: number): boolean {
    return nowMs - (this.#askedAtMs.get(node) ?? Number.NEGATIVE_INFINITY) < this.#answerMs;
  }

  mayBegin(nowMs: number): boolean {
    return this.#isLowest && Array.from(this.#askedAtMs.keys()).every((node) => this.isEmpty(node, nowMs));
  }
}
