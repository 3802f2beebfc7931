// A binary heap whose items can be taken out of its midst: for times and offsets that are waited for, and mostly not waited for to the end.

import { assert } from '../core/assert.ts';

/** An item's place in a heap; it belongs to one heap for its life. */
export interface HeapNode<T> {
  readonly key: number;
  readonly item: T;
  /** Place in the heap; -1 when it is not in it any more. */
  index: number;
}

export class Heap<T> {
  readonly #nodes: HeapNode<T>[] = [];

  get size(): number {
    return this.#nodes.length;
  }

  /** The smallest key; infinity when the heap is empty. */
  get leastKey(): number {
    return this.#nodes[0]?.key ?? Number.POSITIVE_INFINITY;
  }

  add(key: number, item: T): HeapNode<T> {
    const node = { key, item, index: this.#nodes.length };
    this.#nodes.push(node);
    this.#rise(node);
    return node;
  }

  /** Takes out the item with the smallest key, if that is at most `limit`. */
  takeUpTo(limit: number): T | undefined {
    const first = this.#nodes[0];
    if (first === undefined || first.key > limit) return undefined;
    this.remove(first);
    return first.item;
  }

  /** Takes an item out; nothing when it is not there any more. */
  remove(node: HeapNode<T>): void {
    if (node.index < 0) return;
    assert(this.#nodes[node.index] === node, 'a node is where it says');
    const last = this.#nodes.pop();
    if (last !== undefined && last !== node) {
      this.#put(last, node.index);
      this.#rise(last);
      this.#sink(last);
    }
    node.index = -1;
  }

  #put(node: HeapNode<T>, index: number): void {
    this.#nodes[index] = node;
    node.index = index;
  }

  #rise(node: HeapNode<T>): void {
    while (node.index > 0) {
      const { index } = node;
      const parent = this.#nodes[(index - 1) >> 1];
      if (parent === undefined || parent.key <= node.key) return;
      this.#put(node, parent.index);
      this.#put(parent, index);
    }
  }

  #sink(node: HeapNode<T>): void {
    for (;;) {
      const { index } = node;
      const left = this.#nodes[2 * index + 1];
      const right = this.#nodes[2 * index + 2];
      const child = right !== undefined && left !== undefined && right.key < left.key ? right : left;
      if (child === undefined || child.key >= node.key) return;
      this.#put(node, child.index);
      this.#put(child, index);
    }
  }
}
