import { expect, test } from 'vitest';
import { Deliveries } from '../../bench/load/deliveries.ts';

test('the slowest subscriber is waited for, whoever comes last, and however far the others are', async () => {
  const deliveries = new Deliveries();
  const [one, two] = [deliveries.join(), deliveries.join()];
  expect([deliveries.size, deliveries.slowest]).toEqual([2, 0]);
  await deliveries.until(0);
  let isThere = false;
  const there = deliveries.until(10).then(() => {
    isThere = true;
  });
  deliveries.add(one, 25);
  deliveries.add(two, 9);
  await Promise.resolve();
  expect([isThere, deliveries.slowest]).toEqual([false, 9]);
  deliveries.add(two, 1);
  await there;
  expect([deliveries.of(one), deliveries.of(two)]).toEqual([25, 10]);
});
