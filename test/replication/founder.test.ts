// R11: whom the founder remembers and admits, and how it finds out that it runs on an old copy of its directory.

import { describe, expect, test } from 'vitest';
import type { Standing } from '../../src/core/ids.ts';
import { Founder, type Role } from '../../src/replication/founder.ts';

const A = 'aa'.repeat(8);
const B = 'bb'.repeat(8);

class Harness {
  role: Role = { standing: 'voter', isFounder: true, known: {} };
  hasHeardAll = false;
  readonly done: string[] = [];
  readonly founder = new Founder({
    role: () => this.role,
    hasHeardAll: () => this.hasHeardAll,
    remember: (node, instance) => {
      this.role = { ...this.role, known: { ...this.role.known, [node]: instance } };
      this.done.push(`remember ${node} ${instance}`);
    },
    isOldCopy: (node) => {
      this.role = { ...this.role, standing: 'returned', isFounder: false };
      this.done.push(`old copy ${node}`);
    },
    admit: (node) => this.done.push(`admit ${node}`),
  });

  meet(from: number, instance: string, standing: Standing = 'stranger'): void {
    this.founder.met({ from, instance, standing });
    this.founder.connected(from, { instance, standing });
  }
}

describe('the founder', () => {
  test('remembers a stranger, and admits it when all others were heard from', () => {
    const harness = new Harness();
    harness.meet(2, A);
    expect(harness.done).toEqual([`remember 2 ${A}`]);
    harness.hasHeardAll = true;
    harness.meet(3, B);
    expect(harness.done).toEqual([`remember 2 ${A}`, `remember 3 ${B}`, 'admit 2', 'admit 3']);
    harness.founder.admitAll();
    expect(harness.done).toHaveLength(4);
  });

  test('admits whom it reaches when it has waited for the others long enough', () => {
    const harness = new Harness();
    harness.meet(2, A);
    harness.meet(3, B);
    harness.founder.disconnected(3);
    harness.founder.waited();
    expect(harness.done.slice(2)).toEqual(['admit 2']);
    harness.meet(3, B);
    expect(harness.done.slice(2)).toEqual(['admit 2', 'admit 3']);
  });

  test('does not admit a node with another directory than it met it with first', () => {
    const harness = new Harness();
    harness.hasHeardAll = true;
    harness.meet(2, A);
    harness.meet(2, B);
    expect(harness.done).toEqual([`remember 2 ${A}`, 'admit 2']);
  });

  test.each(['voter', 'new', 'returned'] as const)('is an old copy when a node that it does not know counted already (%s)', (standing) => {
    const harness = new Harness();
    harness.meet(3, B);
    harness.meet(2, A, standing);
    harness.hasHeardAll = true;
    harness.founder.waited();
    harness.meet(4, B);
    // What it had forgotten it never learns again: node 3 may have been known with another directory.
    expect(harness.done).toEqual([`remember 3 ${B}`, 'old copy 2']);
  });

  test('is none when it knows those who count, whatever their directory is now', () => {
    const harness = new Harness();
    harness.role = { ...harness.role, known: { 2: A, 3: A } };
    harness.meet(2, A, 'voter');
    harness.meet(3, B, 'voter');
    expect(harness.done).toEqual([]);
  });

  test.each<Partial<Role>>([{ isFounder: false }, { standing: 'returned' }])(
    'admits nobody when it is none, or does not count: %j',
    (change) => {
      const harness = new Harness();
      harness.role = { ...harness.role, known: { 2: A }, ...change };
      harness.hasHeardAll = true;
      harness.meet(2, A);
      harness.founder.waited();
      expect(harness.done).toEqual([]);
    },
  );
});
