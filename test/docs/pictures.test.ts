// The pictures of the documents are what `npm run pictures` draws now, small, and shown somewhere.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { documents, ROOT } from '../../scripts/markdown.mjs';
import { pictures } from '../../scripts/pictures.mjs';

const drawn = pictures();

test('every picture is as it would be drawn now: npm run pictures', () => {
  expect(readdirSync(`${ROOT}/docs/pictures`).map((name) => `docs/pictures/${name}`)).toEqual([...drawn.keys()].toSorted());
  for (const [path, svg] of drawn) expect(readFileSync(`${ROOT}/${path}`, 'utf8'), path).toBe(svg);
});

test('every picture is small, runs nothing, loads nothing, and says in words what it shows', () => {
  for (const [path, svg] of drawn) {
    expect(svg.length, path).toBeLessThan(8_000);
    expect(svg, path).not.toMatch(/<script|href=|url\((?!#)/);
    expect(/<title id="title">(.+)<\/title>/.exec(svg)?.[1]?.length, path).toBeGreaterThan(60);
  }
});

test('every picture is in a document', () => {
  const shown = documents().flatMap((path) => [...readFileSync(`${ROOT}/${path}`, 'utf8').matchAll(/!\[[^\]]+\]\(([^)]+\.svg)\)/g)]);
  const names = shown.map(([, target = '']) => target.split('/').at(-1));
  for (const path of drawn.keys()) expect(names, path).toContain(path.split('/').at(-1));
});
