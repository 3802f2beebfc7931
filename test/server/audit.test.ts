// Who changed what others rely on, as the log of a node says it.

import { expect, test } from 'vitest';
import { OPEN_IDENTITY } from '../../src/core/access.ts';
import { Audit } from '../../src/server/audit.ts';

test('a line says who did what, and from where, also where nobody is asked who they are', () => {
  const lines: string[] = [];
  const audit = new Audit({ info: (text) => lines.push(text), warn: () => undefined, error: () => undefined }, () => 0);
  const from = 'from 10.0.0.7';
  audit.note('trim', { identity: undefined, from }, 'to offset 7');
  audit.note('transfer', { identity: { ...OPEN_IDENTITY, kind: 'token', id: '0GdR', name: 'deploy' }, from }, 'to node 2');
  expect(lines).toEqual([
    'audit: trim to offset 7 by somebody from 10.0.0.7: done',
    'audit: transfer to node 2 by token 0GdR "deploy" from 10.0.0.7: done',
  ]);
});
