// Links of documents lead somewhere: in the checkout, in the package, and in the site that is made of them.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { anchorsOf, deadLinks, documents, linksOf, ROOT, slugOf, targetOf } from '../../scripts/markdown.mjs';
import { deadPageLinks, renderSite, sections } from '../../scripts/site.mjs';

test('every link of a document leads to a file and a heading', () => {
  expect(documents().length).toBeGreaterThan(30);
  expect(documents().flatMap((path) => deadLinks(path))).toEqual([]);
});

test('every link of a document in the package leads to what is in the package', () => {
  const script = readFileSync(`${ROOT}/scripts/packages.mjs`, 'utf8');
  const makeServer = script.slice(script.indexOf('async function makeServer'));
  const packed = Array.from(makeServer.matchAll(/^ {4}\['([\w.]+)'\],$/gm), ([, path = '']) => path);
  expect(packed).toEqual(expect.arrayContaining(['README.md', 'docs', 'deploy', 'examples']));
  const isPacked = (target: string): boolean => packed.some((path) => target === path || target.startsWith(`${path}/`));
  expect(
    documents()
      .filter(isPacked)
      .flatMap((path) => deadLinks(path, isPacked)),
  ).toEqual([]);
});

test('README.md is a screen and a half: the rest is elsewhere', () => {
  const lines = readFileSync(`${ROOT}/README.md`, 'utf8').trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(80);
});

test('docs/README.md lists every document', () => {
  const listed = new Set(linksOf(readFileSync(`${ROOT}/docs/README.md`, 'utf8')).map((link) => targetOf('docs/README.md', link)?.path));
  expect(documents().filter((path) => path !== 'docs/README.md' && !listed.has(path))).toEqual([]);
});

test('the site has a page for each document, and all of its links lead somewhere', () => {
  const files = renderSite();
  const pages = [...files.keys()].filter((path) => path.endsWith('.html'));
  expect(pages.length).toBeGreaterThan(documents().length);
  expect(sections().flatMap(({ pages: listed }) => listed).length).toBeGreaterThan(30);
  const dead = pages.flatMap((path) => deadPageLinks(files, path, (to) => to === 'api/index.html').map((link) => `${path}: ${link}`));
  expect(dead).toEqual([]);
  const index = String(files.get('index.html'));
  expect(index).toContain('<h1 id="loglog">LogLog</h1>');
  // Nothing is loaded from anywhere, and nothing runs.
  for (const path of pages) expect(String(files.get(path)), path).not.toMatch(/<script|<link|<img src="http| on\w+=/);
});

test('readdir of guides is what the site has', () => {
  const files = renderSite();
  for (const name of readdirSync(`${ROOT}/docs/guides`)) expect([...files.keys()]).toContain(`docs/guides/${name.replace('.md', '.html')}`);
});

test('headings become the anchors that GitHub makes of them', () => {
  const known = new Map<string, number>();
  expect(['What `ws` has, and not', 'A – B', 'A – B', '[Link](x.md) 2'].map((heading) => slugOf(heading, known))).toEqual([
    'what-ws-has-and-not',
    'a--b',
    'a--b-1',
    'link-2',
  ]);
  expect([...anchorsOf('# A\n```sh\n# no heading\n```\n## B c\n')]).toEqual(['a', 'b-c']);
});

test('a link that leads nowhere is found', () => {
  expect(deadLinks('README.md', (path) => path !== 'docs/SCOPE.md')).toEqual(['README.md: docs/SCOPE.md is not there']);
  const files = new Map([
    ['a.html', '<a href="b.html#c">x</a> <a href="b.html#d">x</a> <a href="e.html">x</a>'],
    ['b.html', '<h1 id="c">'],
  ]);
  expect(deadPageLinks(files, 'a.html')).toEqual(['b.html#d', 'e.html']);
});
