// The server's WebAssembly module: its exports, typed, by the one cast of a node (the client has a module and a cast of its own).

import { SERVER_WASM } from './wasm.generated.ts';

/** What assembly/server.ts exports; `at`, `points` and `result` are addresses in the shared memory. */
export interface ServerWasm {
  xxh64(at: number, length: number, seed: bigint): bigint;
  stamp(
    at: number,
    length: number,
    term: number,
    offset: number,
    maxPayloadBytes: number,
    flags: number,
    filePosition: number,
    points: number,
    result: number,
  ): number;
  clip(at: number, length: number, offset: number, limitBytes: number, flags: number, result: number): number;
  verify(at: number, length: number, offset: number, minTerm: number, result: number): number;
  index(
    at: number,
    length: number,
    offset: number,
    minTerm: number,
    flags: number,
    filePosition: number,
    points: number,
    result: number,
  ): number;
  stampOwn(at: number, term: number, kind: number, payloadBytes: number, offset: number): number;
  sameTermBytes(at: number, length: number): number;
  loadWord(at: number): number;
  storeWord(at: number, value: number): void;
  addWord(at: number, value: number): number;
  exchangeWord(at: number, expected: number, replacement: number): number;
}

/** Compiles the module; threads are handed the result, so that it is compiled once. */
export function compileServerWasm(): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(atob(SERVER_WASM), (character) => character.charCodeAt(0)));
}

/** Instantiates the module on `memory`. It has no data segments and no start function: live bytes stay untouched. */
export function instantiateServerWasm(module: WebAssembly.Module, memory: WebAssembly.Memory): ServerWasm {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ServerWasm;
}
