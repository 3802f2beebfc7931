// Leads every atomic access to the log's memory, and to that of uploads, to a function: those of JavaScript (Atomics) and those of the WebAssembly module. The
// product knows nothing of it, and whatever functions it has for its words end in these.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { ServerWasm } from '../../src/memory/wasm.ts';
import type { Operation, Place, Value } from './operations.ts';

type Operate = (operation: Operation) => Value;

/** Bytes of a row of the memory of uploads, which begins with its one word. */
const ROW_BYTES = 32;

/** The word of a row of the memory of uploads. */
export function stateOfRow(row: number): Place {
  return `the state of row ${row}`;
}

function hookedAtomics(real: Atomics, buffer: ArrayBufferLike, staging: ArrayBufferLike | undefined, operate: Operate): Atomics {
  const addressOf = (array: Int32Array, index: number): Place | undefined => {
    if (array.buffer === buffer) return array.byteOffset + index * 4;
    return array.buffer === staging ? stateOfRow((index * 4) / ROW_BYTES) : undefined;
  };
  const hooks = {
    load(array: Int32Array, index: number): number {
      const at = addressOf(array, index);
      return at === undefined ? real.load(array, index) : Number(operate({ kind: 'load', at }));
    },
    store(array: Int32Array, index: number, value: number): number {
      const at = addressOf(array, index);
      return at === undefined ? real.store(array, index, value) : Number(operate({ kind: 'store', at, value: value | 0 }));
    },
    add(array: Int32Array, index: number, value: number): number {
      const at = addressOf(array, index);
      return at === undefined ? real.add(array, index, value) : Number(operate({ kind: 'add', at, value, is32: true }));
    },
    compareExchange(array: Int32Array, index: number, expected: number, value: number): number {
      const at = addressOf(array, index);
      if (at === undefined) return real.compareExchange(array, index, expected, value);
      return Number(operate({ kind: 'exchange', at, expected: expected | 0, value: value | 0 }));
    },
    notify(array: Int32Array, index: number, count?: number): number {
      const at = addressOf(array, index);
      return at === undefined ? real.notify(array, index, count) : Number(operate({ kind: 'notify', at }));
    },
    /** Time never runs out: what only a time-out would mend counts as not mended. */
    wait(array: Int32Array, index: number, seen: number, timeoutMs?: number): string {
      const at = addressOf(array, index);
      if (at === undefined) return real.wait(array, index, seen, timeoutMs);
      return operate({ kind: 'wait', at, seen: seen | 0 }) === 'woken' ? 'ok' : 'not-equal';
    },
    waitAsync(array: Int32Array, index: number, seen: number): unknown {
      const at = addressOf(array, index);
      if (at === undefined) return real.waitAsync(array, index, seen);
      operate({ kind: 'wait', at, seen: seen | 0 });
      return { async: true, value: Promise.resolve('ok') };
    },
  };
  return new Proxy(real, {
    get(target, name) {
      if (name in hooks) return hooks[name as keyof typeof hooks];
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return () => {
        throw new Error(`the explorer does not know Atomics.${String(name)} yet: teach it in test/interleave/hooks.ts`);
      };
    },
  });
}

function hookedWasm(real: ServerWasm, operate: Operate, pause: () => void): ServerWasm {
  return {
    ...real,
    loadWord: (at) => Number(operate({ kind: 'load', at })),
    storeWord: (at, value) => void operate({ kind: 'store', at, value }),
    addWord: (at, value) => Number(operate({ kind: 'add', at, value, is32: false })),
    exchangeWord: (at, expected, value) => Number(operate({ kind: 'exchange', at, expected, value })),
    stamp: (...all) => {
      pause();
      return real.stamp(...all);
    },
    stampOwn: (...all) => {
      pause();
      return real.stampOwn(...all);
    },
    clip: (...all) => {
      pause();
      return real.clip(...all);
    },
    verify: (...all) => {
      pause();
      return real.verify(...all);
    },
    index: (...all) => {
      pause();
      return real.index(...all);
    },
  };
}

/** Who makes shared memory of the size of `staging` gets that: the product makes it on one thread, and the other one is given it. */
function hookedBuffers(real: SharedArrayBufferConstructor, staging: SharedArrayBuffer): SharedArrayBufferConstructor {
  return new Proxy(real, {
    construct: (target, [byteLength]: [number]) => (byteLength === staging.byteLength ? staging : new target(byteLength)),
  });
}

/** From now on until the function returned is called, `operate` stands for every atomic access to `memory` and `staging`. */
export function hook(memory: TailMemory, staging: SharedArrayBuffer | undefined, operate: Operate, pause: () => void): () => void {
  const { wasm } = memory;
  const real = globalThis.Atomics;
  const realBuffer = globalThis.SharedArrayBuffer;
  Object.defineProperty(memory, 'wasm', { value: hookedWasm(wasm, operate, pause), configurable: true });
  globalThis.Atomics = hookedAtomics(real, memory.shared.memory.buffer, staging, operate);
  if (staging !== undefined) globalThis.SharedArrayBuffer = hookedBuffers(realBuffer, staging);
  return () => {
    globalThis.Atomics = real;
    globalThis.SharedArrayBuffer = realBuffer;
    Object.defineProperty(memory, 'wasm', { value: wasm, configurable: true });
  };
}
