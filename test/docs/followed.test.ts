// "One append, followed" and "One read, followed" name the file and the function of each step: they are there.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const text = readFileSync('ARCHITECTURE.md', 'utf8');

/** What stands in backticks in the two sections: files, and the functions named after them. */
function stepsOf(section: string): readonly (readonly [string, string])[] {
  const body = text.slice(text.indexOf(`## ${section}`), text.indexOf('\n## ', text.indexOf(`## ${section}`) + 1));
  const steps: (readonly [string, string])[] = [];
  for (const [, inside = ''] of body.matchAll(/\(([^()]*`src\/[^()]*)\)/g)) {
    let file = '';
    for (const [, name = ''] of inside.matchAll(/`([^`]+)`/g)) {
      if (name.startsWith('src/')) file = name;
      else steps.push([file, name]);
    }
  }
  return steps;
}

test.each([
  ['One append, followed', 20],
  ['One read, followed', 8],
] as const)('%s: each step is where it is said to be', (section, least) => {
  const steps = stepsOf(section);
  expect(steps.length).toBeGreaterThanOrEqual(least);
  const missing = steps.filter(
    ([file, name]) => !new RegExp(`(^|[\\s.])${name}(<[^>]*>)?\\s*(\\(| = \\()`, 'm').test(readFileSync(file, 'utf8')),
  );
  expect(missing).toEqual([]);
});
