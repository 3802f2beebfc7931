// Each folder imports only what ARCHITECTURE.md's table says.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkLayers, faultsOf, readLayers } from '../../scripts/layers.mjs';

describe('the folders', () => {
  it('import only what the table in ARCHITECTURE.md says', () => {
    expect(checkLayers()).toEqual([]);
  });

  it.each([
    ['src/core/a.ts', "import { x } from '../raft/b.ts';", 'imports only: layout'],
    ['src/core/a.ts', "import * as fs from 'node:fs';", 'uses nothing of Node'],
    ['src/core/deep/a.ts', "export {\n  x,\n} from '../../raft/b.ts';", 'imports only: layout'],
    ['src/node/a.ts', "import '../server/b.ts';", 'imports only: core'],
    ['src/protocol/a.ts', "import { x } from '../raft/b.ts';", 'only types'],
    ['src/client/a.ts', "const x = await import('../memory/wasm.ts');", 'imports only: core'],
    ['src/client/a.ts', "import { x } from '../memory/wasm.generated.ts';", 'imports only: core'],
    ['src/strange/a.ts', '', 'has no row'],
  ])('%s with %j is refused', (file, source, sentence) => {
    expect(faultsOf(file, source, readLayers())).toEqual([expect.stringContaining(sentence)]);
  });

  it.each([
    ['src/protocol/a.ts', "import type { x } from '../raft/b.ts';"],
    ['src/client/transport.node.ts', "import WebSocket from 'node:net';"],
    ['src/server/deep/a.ts', "import { x } from '../../node/b.ts';\nimport { y } from '../../../assembly/layout.ts';"],
  ])('%s with %j is allowed', (file, source) => {
    expect(faultsOf(file, source, readLayers())).toEqual([]);
  });
});

it('secrets are compared in one place, and no hash of one by its text', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const having = (pattern: RegExp): string[] => files.filter((name) => pattern.test(readFileSync(`src/${name}`, 'utf8')));
  expect(having(/timingSafeEqual/)).toEqual(['node/sameSecret.ts']);
  expect(having(/\.hash\s*[!=]==|[!=]==\s*[\w.]+\.hash\b|\b(token|secret)\s*[!=]==\s*(?!undefined|null|'')[\w.]/)).toEqual([]);
});

/** A limit of a test's own, and one of a wait for what comes, in the ways in which they are written here. */
const LIMITS = [
  {
    pattern: /(?:, \{ timeout: ([\d_]+) \},? (?:async )?\(|^(?: {2})*\}, ([\d_]{5,})\);|^\s+\},\n\s+([\d_]{5,}),\n\s*\);)/gm,
    leastMs: 240_000,
  },
  { pattern: /(?:poll|waitFor|waitUntil)\(.*timeout: ([\d_]+)/g, leastMs: 60_000 },
];

it('no test is given less time than it has without saying so: it must hold on a machine that does ten other things', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  const short = files.flatMap((name) => {
    const text = readFileSync(`test/${name}`, 'utf8');
    return LIMITS.flatMap(({ pattern, leastMs }) =>
      [...text.matchAll(pattern)].flatMap(([found, ...numbers]) => {
        const ms = Number((numbers.find((number) => number !== undefined) ?? '').replaceAll('_', ''));
        return ms < leastMs ? [`${name}: ${found.trim()}`] : [];
      }),
    );
  });
  expect(short).toEqual([]);
});
