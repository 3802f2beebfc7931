// What tells errors of the log from all others, and its type.

import { expect, test } from 'vitest';
import { isLogError, LogError } from '../../src/core/errors.ts';

const full: unknown = new LogError('DISK_FULL', 'no room');

test('a LogError is one by any of its codes, and without a code', () => {
  expect(isLogError(full)).toBe(true);
  expect(isLogError(full, 'DISK_FULL')).toBe(true);
  expect(isLogError(full, 'OVERLOADED', 'DISK_FULL')).toBe(true);
  expect(isLogError(full, 'OVERLOADED')).toBe(false);
});

test('nothing else is one, whatever it has', () => {
  for (const other of [new Error('x'), { code: 'DISK_FULL' }, 'DISK_FULL', null, undefined]) {
    expect(isLogError(other)).toBe(false);
    expect(isLogError(other, 'DISK_FULL')).toBe(false);
  }
});

test('its code has the type of the codes that were asked for', () => {
  if (!isLogError(full, 'DISK_FULL', 'OVERLOADED')) throw new Error('it is one');
  const code: 'DISK_FULL' | 'OVERLOADED' = full.code;
  expect(code).toBe('DISK_FULL');
});
