// Leads every atomic access to the log's memory to a function: those of JavaScript (Atomics) and those of the WebAssembly module. The
// product knows nothing of it, and whatever functions it has for its words end in these.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { ServerWasm } from '../../src/memory/wasm.ts';
import type { Operation, Value } from './operations.ts';

type Operate = (operation: Operation) => Value;

function hookedAtomics(real: Atomics, buffer: ArrayBufferLike, operate: Operate): Atomics {
  const addressOf = (array: Int32Array, index: number): number | undefined =>
    array.buffer === buffer ? array.byteOffset + index * 4 : undefined;
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

/** From now on until the function returned is called, `operate` stands for every atomic access to `memory`. */
export function hook(memory: TailMemory, operate: Operate, pause: () => void): () => void {
  const { wasm } = memory;
  const real = globalThis.Atomics;
  Object.defineProperty(memory, 'wasm', { value: hookedWasm(wasm, operate, pause), configurable: true });
  globalThis.Atomics = hookedAtomics(real, memory.shared.memory.buffer, operate);
  return () => {
    globalThis.Atomics = real;
    Object.defineProperty(memory, 'wasm', { value: wasm, configurable: true });
  };
}
