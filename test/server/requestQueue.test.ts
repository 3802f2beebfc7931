import { expect, test } from 'vitest';
import { RequestQueue } from '../../src/server/requestQueue.ts';

test('gives back what was put in, in order, through growth and wrapping, and leaves no memory behind', () => {
  const queue = new RequestQueue();
  let next = 0;
  let expected = 0;
  const bytesOf = (number: number): Buffer => Buffer.alloc((number * 37) % 5000, number % 251);
  const push = (): void => {
    const bytes = bytesOf(next++);
    queue.push(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
  };
  const shift = (): void => {
    if (!Buffer.from(queue.shift()).equals(bytesOf(expected))) throw new Error(`message ${expected} changed in the queue`);
    expected += 1;
  };
  for (let round = 0; round < 300; round++) {
    for (let i = 0; i < (round * 7) % 23; i++) push();
    for (let i = 0; i < (round * 5) % 23 && queue.count > 0; i++) shift();
  }
  while (queue.count > 0) shift();
  expect([expected, queue.bytes]).toEqual([next, 0]);
  expect(next).toBeGreaterThan(1000);
});
