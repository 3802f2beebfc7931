// The client's WebAssembly memory, one per client: where appended entries are built and where received ones are verified.
//
//   0 result │ 64 KiB slots: messages being built or in flight │ scan area: a copy of the answer under verification
//
// The areas are address space; the system gives them memory page by page as they are first touched.

import { RESULT_BYTES_AT, RESULT_CONTROL_AT, RESULT_COUNT_AT, RESULT_LAST_TERM_AT, WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { CLIENT_WASM } from './wasm.generated.ts';

const PAGE_BYTES = 65536;
const RESULT_AT = 64;
const SLOTS_AT = PAGE_BYTES;

/** Bytes of one slot of the append area. */
export const SLOT_BYTES = 256 * 1024;

interface Exports {
  frame(at: number, length: number, result: number): number;
  verify(at: number, length: number, offset: number, minTerm: number, result: number): number;
}

/** What a verification found; `status` is one of WALK_*, the rest describes the whole, valid entries before it stopped. */
export interface ScanResult {
  readonly status: number;
  readonly entryCount: number;
  readonly bytes: number;
  readonly lastTerm: number;
  /** Bytes before the first entry of the log's own that is no no-op; more than there are: there is none. */
  readonly control: number;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiles the module, once per process or page. */
function clientModule(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(Uint8Array.from(atob(CLIENT_WASM), (character) => character.charCodeAt(0)));
  return compiled;
}

/** One memory and one instance of the module on it. The memory never grows, so views of it stay valid. */
export class Workspace {
  /** All of the memory. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly slotsAt = SLOTS_AT;
  readonly slotCount: number;
  readonly #scanAt: number;
  readonly #exports: Exports;

  private constructor(slotCount: number, memory: WebAssembly.Memory, exports: Exports) {
    this.slotCount = slotCount;
    this.#scanAt = SLOTS_AT + slotCount * SLOT_BYTES;
    this.#exports = exports;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Makes a memory with `slotCount` slots of {@link SLOT_BYTES}. */
  static async create(slotCount: number): Promise<Workspace> {
    const module = await clientModule();
    const pages = Math.ceil((SLOTS_AT + slotCount * SLOT_BYTES + MAX_ENTRY_BYTES) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    return new Workspace(slotCount, memory, instance.exports as unknown as Exports);
  }

  /** Completes the entries in [at, at + length), whose kind-and-size words and payloads stand there. Returns their number. */
  frame(at: number, length: number): number {
    const status = this.#exports.frame(at, length, RESULT_AT);
    assert(status === WALK_COMPLETE, 'entries under construction are whole');
    return this.view.getUint32(RESULT_AT + RESULT_COUNT_AT, true);
  }

  /** Verifies entries that begin at log offset `offset`, none with a term under `minTerm`. At most MAX_ENTRY_BYTES bytes. */
  verify(entries: Uint8Array, offset: number, minTerm: number): ScanResult {
    assert(entries.length <= MAX_ENTRY_BYTES, 'bytes to verify fit the scan area');
    this.bytes.set(entries, this.#scanAt);
    const { length } = entries;
    const status = this.#exports.verify(this.#scanAt, length, offset, minTerm, RESULT_AT);
    return {
      status,
      entryCount: this.view.getUint32(RESULT_AT + RESULT_COUNT_AT, true),
      bytes: this.view.getUint32(RESULT_AT + RESULT_BYTES_AT, true),
      lastTerm: this.view.getUint32(RESULT_AT + RESULT_LAST_TERM_AT, true),
      control: this.view.getUint32(RESULT_AT + RESULT_CONTROL_AT, true),
    };
  }
}
