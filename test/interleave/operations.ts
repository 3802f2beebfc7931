// What threads do to shared memory, as values: an operation is one atomic access to one word, and everything between two of them is a
// thread's own affair. Words of the log's memory go by their address, what a scenario keeps for itself (ghosts) by name.

/** An address in the log's memory, or the name of a ghost. */
export type Place = number | string;

/** What a word holds: a number in memory; in a ghost also a list or text, which nobody changes in place. */
export type Value = number | string | readonly Value[];

export type Operation =
  | { readonly kind: 'load'; readonly at: Place }
  | { readonly kind: 'store'; readonly at: Place; readonly value: Value }
  /** Addition in 32 bits, or in 64. */
  | { readonly kind: 'add'; readonly at: Place; readonly value: number; readonly is32: boolean }
  | { readonly kind: 'exchange'; readonly at: Place; readonly expected: Value; readonly value: Value }
  /** Blocks until somebody notifies, unless the word is no longer `seen`. */
  | { readonly kind: 'wait'; readonly at: Place; readonly seen: Value }
  | { readonly kind: 'notify'; readonly at: Place }
  /** Between two accesses to bytes that are no words. */
  | { readonly kind: 'pause'; readonly at: Place };

/** What a thread gets back. */
export type Result = Value | 'woken' | 'changed';

/** Whether the operation may change the word, or what others do. */
export function isWrite({ kind }: Operation): boolean {
  return kind !== 'load' && kind !== 'wait';
}

/** Carries the operation out on the word, whose value is `before`: what the thread gets, and the word's value after it. */
export function apply(operation: Operation, before: Value): readonly [result: Result, after: Value] {
  switch (operation.kind) {
    case 'load':
      return [before, before];
    case 'store':
      return [operation.value, operation.value];
    case 'add': {
      const sum = Number(before) + operation.value;
      return [before, operation.is32 ? sum | 0 : sum];
    }
    case 'exchange':
      return [before, before === operation.expected ? operation.value : before];
    case 'wait':
      return ['changed', before];
    case 'notify':
    case 'pause':
      return [0, before];
  }
}

/** The operation as a line of a trace says it. */
export function describe(operation: Operation, result: Result, nameOf: (at: Place) => string): string {
  const name = nameOf(operation.at);
  switch (operation.kind) {
    case 'load':
      return `reads ${name}: ${result}`;
    case 'store':
      return `sets ${name} to ${operation.value}`;
    case 'add':
      return `adds ${operation.value} to ${name}, which was ${result}`;
    case 'exchange': {
      const found = result === operation.expected ? 'which it was' : `but it is ${result}`;
      return `sets ${name} to ${operation.value} if it is ${operation.expected}, ${found}`;
    }
    case 'wait':
      return result === 'changed' ? `need not wait: ${name} is no longer ${operation.seen}` : `was woken from ${name}`;
    case 'notify':
      return `wakes who waits on ${name}`;
    case 'pause':
      return `goes on with ${name}`;
  }
}
