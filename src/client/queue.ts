// A first-in, first-out queue whose shift costs the same however long it is.

export class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts items in front, the first of them first. */
  prepend(items: readonly T[]): void {
    if (items.length === 0) return;
    this.#items = [...items, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** The item with `index` others before it. */
  at(index: number): T | undefined {
    return this.#items[this.#head + index];
  }

  /** What is in it, the first first: a copy. */
  all(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.length === 0) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out the first item that `matches`, wherever it stands. */
  removeWhere(matches: (item: T) => boolean): T | undefined {
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i];
      if (item === undefined || !matches(item)) continue;
      this.#items.splice(i, 1);
      return item;
    }
    return undefined;
  }
}
