// The two entries of the client, for Node and for browsers, give the same names, but for what needs files.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** All that an entry of src/client exports from elsewhere. */
function exportsOf(entry: string): string {
  const text = readFileSync(new URL(`../../src/client/${entry}`, import.meta.url), 'utf8');
  return text.slice(text.indexOf('export type {'));
}

test('the client for browsers exports what the one for Node does', () => {
  const needsFiles = "export { type FileStore, fileStore, type StoredPosition } from './consumers/fileStore.node.ts';\n";
  expect(exportsOf('index.ts')).toContain(needsFiles);
  expect(exportsOf('browser.ts')).toBe(exportsOf('index.ts').replace(needsFiles, ''));
});

test('a program for browsers is promised nothing that needs files', () => {
  const { exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const [first] = Object.entries(exports['./client']);
  expect(first).toEqual(['browser', { types: './dist/src/client/browser.d.ts', default: './dist/src/client/browser.js' }]);
});
