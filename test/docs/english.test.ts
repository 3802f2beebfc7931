// The English of documents, help and errors: words that this project once had in the wrong place do not come back.

import { readdirSync, readFileSync } from 'node:fs';
import ts from '@typescript/typescript6';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);

interface Rule {
  readonly word: RegExp;
  /** Where the word is right. */
  readonly unless: RegExp;
  readonly instead: string;
}

const RULES: readonly Rule[] = [
  { word: /\bsurely\b/i, unless: /^$/, instead: 'say what is so, or "certainly"' },
  { word: /\bby (itself|themselves)\b/i, unless: /\bby itself\b[^.]*\(alone\)/, instead: '"automatically", or "on its own"' },
  {
    word: /\bbehind\b/,
    unless:
      /\b(is|are|was|be|lags?|lagging|falls?|far|write|left|leaves?|waits?|queues?) behind\b|× behind|(^|[^a-z])behind (a|the) (proxy|gateway|tunnel|firewall)\b|\bBehind Redis\b/i,
    instead: '"after", unless something lags or is hidden',
  },
  { word: /^Who\b(?!.*\?)/, unless: /^Who (should use something else|sends without end)$/, instead: '"whoever", or who it is' },
];

/** What is wrong with a text, sentence by sentence. */
function faultsOf(text: string): string[] {
  const sentences = text
    .split(/(?<=[.:;?!])\s+|\n\s*\n|\n(?=[*#|])|\s?\|\s?/)
    .map((part) => part.replace(/^[\s*#>-]+/, '').replace(/\s+/g, ' '));
  return RULES.flatMap(({ word, unless, instead }) =>
    sentences.filter((sentence) => word.test(sentence) && !unless.test(sentence)).map((sentence) => `${sentence.trim()} → ${instead}`),
  );
}

/** The prose of a document: no code, and no names of tests, which docs/KNOWN-BUGS.md quotes. */
function proseOf(markdown: string): string {
  return markdown
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '`…`')
    .replace(/"[^"\n]*"/g, '"…"');
}

/** The texts in the strings of a source file; what is put into them is left out. */
function stringsOf(source: string): string[] {
  const strings: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) strings.push(node.text);
    else if (ts.isTemplateExpression(node))
      strings.push([node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…'));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest));
  // Names of options and kinds are no sentences.
  return strings.filter((text) => text.includes(' '));
}

const filesOf = (folder: string, end: string): string[] =>
  readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end) && !name.includes('node_modules'))
    .map((name) => folder + name);

const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

describe('the English', () => {
  test.each([
    ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md'],
    ...filesOf('docs/', '.md'),
    ...filesOf('packages/', 'README.md'),
  ])('of %s', (path) => {
    expect(faultsOf(proseOf(read(path)))).toEqual([]);
  });

  test('of errors, help and logs', () => {
    const faults = filesOf('src/', '.ts').flatMap((path) => {
      const source = read(path);
      // To parse takes longer than to look whether there is anything to find.
      if (!/surely|itself|themselves|behind|\bWho /i.test(source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ''))) return [];
      return stringsOf(source)
        .flatMap(faultsOf)
        .map((fault) => `${path}: ${fault}`);
    });
    expect(faults).toEqual([]);
  });

  test.each([
    'It surely was not done.',
    'Group commit comes by itself.',
    'The mark stands behind the last entry.',
    'It is kept. Who waits reads the word first.',
  ])('is not: %s', (sentence) => {
    expect(faultsOf(sentence)).toHaveLength(1);
    expect(stringsOf(`const text = \`\${1} x ${sentence}\`;`).flatMap(faultsOf)).toHaveLength(1);
  });

  test.each([
    'A follower is behind, and is fed.',
    'It belongs behind a proxy.',
    'Who leads is not known?',
    'A node that lags behind catches up.',
    'Whoever waits reads the word first.',
  ])('is: %s', (sentence) => {
    expect(faultsOf(sentence)).toEqual([]);
  });
});
