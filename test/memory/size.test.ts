import { expect, it } from 'vitest';
import { smallMemory } from '../crash/testNode.ts';

it('a memory cannot grow, which would make every view of it that is not shared empty', () => {
  const { shared, map, bytes } = smallMemory();
  expect(bytes.length).toBe(map.totalBytes);
  expect(() => shared.memory.grow(1)).toThrow(RangeError);
});
