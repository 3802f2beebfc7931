// Whether the clients of other systems are all there, by folders that are made for it.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { missingClients } from '../../bench/systems/clients.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-clients-'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies: { 'client-a': '1', '@of/client-b': '1' } }));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A package with its manifest, and with what that says is its code, or without. */
function install(name: string, isWhole: boolean): void {
  const own = join(folder, 'node_modules', name);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'package.json'), JSON.stringify({ name, main: 'main.js' }));
  if (isWhole) writeFileSync(join(own, 'main.js'), '');
}

const rest = 'cannot be loaded: npm ci --prefix bench';

it('clients: all of them are named when none is installed', () => {
  expect(missingClients(folder)).toBe(`of the clients of other systems client-a, @of/client-b ${rest}`);
});

it('clients: one that is there in part is missing, too', () => {
  install('client-a', true);
  install('@of/client-b', false);
  expect(missingClients(folder)).toBe(`of the clients of other systems @of/client-b ${rest}`);
});

it('clients: nothing is said when all can be loaded', () => {
  install('client-a', true);
  install('@of/client-b', true);
  expect(missingClients(folder)).toBeUndefined();
});
