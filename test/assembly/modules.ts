// The compiled modules as the product ships them, and memories to run them on.

import { CLIENT_WASM } from '../../src/client/wasm.generated.ts';
import { SERVER_WASM } from '../../src/memory/wasm.generated.ts';
import { instantiateServerWasm, type ServerWasm } from '../../src/memory/wasm.ts';

/** What assembly/client.ts exports. */
export interface ClientWasm {
  frame(at: number, length: number, result: number): number;
  verify: ServerWasm['verify'];
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

export const SERVER_BYTES = bytesOf(SERVER_WASM);
export const CLIENT_BYTES = bytesOf(CLIENT_WASM);
export const PAGE_BYTES = 65536;

const serverModule = new WebAssembly.Module(SERVER_BYTES);
const clientModule = new WebAssembly.Module(CLIENT_BYTES);

/** Shared memory of a fixed size, as a node makes it. */
export function sharedMemory(pages: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

export function instantiateServer(memory: WebAssembly.Memory): ServerWasm {
  return instantiateServerWasm(serverModule, memory);
}

export function instantiateClient(memory: WebAssembly.Memory): ClientWasm {
  return new WebAssembly.Instance(clientModule, { env: { memory } }).exports as unknown as ClientWasm;
}
