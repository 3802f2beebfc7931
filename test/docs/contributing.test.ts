// CONTRIBUTING.md leads to what is there.

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const text = readFileSync(new URL('CONTRIBUTING.md', ROOT), 'utf8');

test('every file and folder that CONTRIBUTING.md names is there', () => {
  const named = [...text.matchAll(/`((?:src|test|assembly|examples|deploy)\/[\w./-]*)`|\b(docs\/[\w.-]+\.md)|\]\(([\w.]+\.md)/g)].map(
    ([, code, document, link]) => code ?? document ?? link ?? '',
  );
  expect(named.length).toBeGreaterThan(30);
  expect(named.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
});

test('every script of npm that CONTRIBUTING.md names is there', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { scripts: Record<string, string> };
  const named = [...text.matchAll(/npm (?:run )?(check|fix|test|start|build|bench)\b/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(4);
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
});
