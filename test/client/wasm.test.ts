import { expect, test } from 'vitest';
import { Workspace } from '../../src/client/wasm.ts';

test('workspace: its memory cannot grow, which would make every view of it empty', async () => {
  const { Memory } = WebAssembly;
  const made: WebAssembly.Memory[] = [];
  class Watched extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      made.push(this);
    }
  }
  Object.assign(WebAssembly, { Memory: Watched });
  try {
    await Workspace.create(4);
  } finally {
    Object.assign(WebAssembly, { Memory });
  }
  expect(made).toHaveLength(1);
  expect(() => made[0]?.grow(1)).toThrow(RangeError);
});
