// What a document says of how much a page loads is so.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';

test('docs/guides/browser.md says how much the client adds to a page, compressed', async () => {
  const guide = readFileSync(new URL('../../docs/guides/browser.md', import.meta.url), 'utf8');
  const [, said] = /about (\d+) kB compressed/.exec(guide) ?? [];
  const bundle = await rolldown({ input: new URL('../../dist/src/client/browser.js', import.meta.url).pathname, platform: 'browser' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const ratio = gzipSync(output[0].code).length / 1000 / Number(said);
  expect(ratio).toBeGreaterThan(0.85);
  expect(ratio).toBeLessThan(1.15);
});
