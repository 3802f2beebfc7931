// Turns of parties, and of those of one party.

import { expect, it } from 'vitest';
import { PartyQueue } from '../../src/node/partyQueue.ts';

interface One {
  readonly name: string;
  readonly party?: object;
}

const queueOf = (...waiting: readonly One[]): PartyQueue<One> => {
  const queue = new PartyQueue<One>((one) => one.party ?? one);
  for (const one of waiting) queue.add(one);
  return queue;
};

function order(queue: PartyQueue<One>): string {
  let names = '';
  for (let one = queue.shift(); one !== undefined; one = queue.shift()) names += one.name;
  return names;
}

const many = { party: 'many' };
const [a, b, c] = ['a', 'b', 'c'].map((name): One => ({ name, party: many })) as [One, One, One];
const alone: One = { name: '1' };
const other: One = { name: '2' };

it('a party of many has one turn where one that is alone has one, and those of a party take turns', () => {
  expect(order(queueOf(a, b, c, alone, other))).toBe('a12bc');
  const queue = queueOf(a, b, alone);
  let names = '';
  for (let i = 0; i < 9; i += 1) {
    const next = queue.shift();
    if (next === undefined) break;
    names += next.name;
    // It wants more at once.
    queue.add(next);
  }
  expect([names, queue.size]).toEqual(['a1b1a1b1a', 3]);
});

it('nobody waits twice, and whoever goes takes nobody else along', () => {
  const queue = queueOf(a, a, b, alone, alone);
  expect(queue.size).toBe(3);
  queue.delete(a);
  queue.delete(a);
  queue.delete(c);
  expect(queue.size).toBe(2);
  queue.delete(alone);
  expect([queue.size, order(queue), queue.size]).toEqual([1, 'b', 0]);
  expect(queue.shift()).toBe(undefined);
});
