// What `npm run release` looks at before it packs: every place that names the version is known to it, so that none is left behind.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { documents, ROOT } from '../../scripts/markdown.mjs';
import { current, namedVersions, obstaclesTo } from '../../scripts/release.mjs';

test('every place that names the version names the one of package.json', () => {
  for (const { path, named } of namedVersions()) expect([path, ...new Set(named)]).toEqual([path, current]);
});

test('no other file names the packages or the client of a version', () => {
  const known = new Set(namedVersions().map(({ path }) => path));
  const folders = ['deploy', 'src', 'examples', 'packages'].flatMap((folder) =>
    readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  );
  // PROTOCOL.md has a sample of how a client may call itself.
  const files = [...documents().filter((path) => path !== 'docs/PROTOCOL.md'), ...folders];
  const isText = (path: string): boolean => /\.(md|mjs|ts|json|ya?ml|service)$|Dockerfile$/.test(path);
  const names = (path: string): boolean =>
    /loglogd(-client)?-\d|loglog-js\/\d|^(app)?[vV]ersion: \d/m.test(readFileSync(`${ROOT}/${path}`, 'utf8'));
  const naming = files.filter((path) => !known.has(path) && isText(path) && names(path));
  expect(naming).toEqual([]);
});

test('says what is missing for a release: a version, a section of the changelog with its date', () => {
  expect(obstaclesTo('next')).toContain('next is no version such as 0.2.0');
  expect(obstaclesTo('999.0.0')).toContain('CHANGELOG.md has no section "## 999.0.0 (YYYY-MM-DD)"');
});
