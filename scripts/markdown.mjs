// What the site and the tests of links have in common: the documents of this project, their headings and their links.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Paths of all documents from the root of the project on. */
export function documents() {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => posix.join('docs', name));
  const atTop = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];
  return [...atTop, ...inDocs.filter((path) => path.endsWith('.md')).toSorted(), 'examples/conformance/README.md'];
}

/** What GitHub makes of a heading, to link to it: `known` has those before it on the page, and how often each came. */
export function slugOf(heading, known = new Map()) {
  const text = heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
  const count = known.get(text) ?? 0;
  known.set(text, count + 1);
  return count === 0 ? text : `${text}-${count}`;
}

const withoutCode = (markdown) =>
  markdown.replace(/^(```|~~~).*\n[\s\S]*?^\1$/gm, '').replace(/`[^`\n]+`/g, (code) => code.replaceAll(/[[\]()]/g, ''));

/** The anchors of a document. */
export function anchorsOf(markdown) {
  const known = new Map();
  const headings = markdown.replace(/^(```|~~~).*\n[\s\S]*?^\1$/gm, '').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(Array.from(headings, ([, heading]) => slugOf(heading.trim(), known)));
}

/** What a document links to, as it is written. */
export function linksOf(markdown) {
  return Array.from(withoutCode(markdown).matchAll(/\]\(([^()\s]+)\)/g), ([, link]) => link);
}

/** Where a link in the document at `path` leads: a path from the root on and an anchor; undefined: out of this project. */
export function targetOf(path, link) {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [file, anchor = ''] = link.split('#');
  return { path: file === '' ? path : posix.normalize(posix.join(posix.dirname(path), file)).replace(/\/$/, ''), anchor };
}

/** Links of the document at `path` that lead nowhere, each with why. `isThere` says whether a path is among what is given out. */
export function deadLinks(path, isThere = (target) => existsSync(join(ROOT, target))) {
  return linksOf(readFileSync(join(ROOT, path), 'utf8')).flatMap((link) => {
    const target = targetOf(path, link);
    if (target === undefined) return [];
    if (target.path.startsWith('..') || !isThere(target.path)) return [`${path}: ${link} is not there`];
    if (target.anchor === '' || !target.path.endsWith('.md')) return [];
    return anchorsOf(readFileSync(join(ROOT, target.path), 'utf8')).has(target.anchor) ? [] : [`${path}: ${link} has no such heading`];
  });
}

export const isFolder = (path) => statSync(join(ROOT, path)).isDirectory();
