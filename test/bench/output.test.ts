// That the outputs are looked at before anything is measured.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESULTS_BEGIN, RESULTS_END } from '../../bench/report/markdown.ts';
import { checkOutputs, type Outputs } from '../../bench/report/output.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-output-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function check(outputs: Partial<Outputs>): void {
  checkOutputs({ json: undefined, html: undefined, markdown: undefined, ...outputs });
}

describe('outputs', () => {
  it('need not be there, nor be asked for', () => {
    check({});
    check({ json: '-' });
    check({ json: join(folder, 'new.json'), html: join(folder, 'new.html') });
  });

  it('are refused where their folder is not there, or they are one', () => {
    expect(() => check({ json: join(folder, 'nowhere', 'a.json') })).toThrow(/a\.json cannot be written: ENOENT/);
    expect(() => check({ html: join(folder, 'nowhere', 'a.html') })).toThrow(/a\.html cannot be written: ENOENT/);
    mkdirSync(join(folder, 'folder'));
    expect(() => check({ json: join(folder, 'folder') })).toThrow('it is a folder');
  });

  it('have the place for results, if they are a document', () => {
    const document = join(folder, 'document.md');
    expect(() => check({ markdown: document })).toThrow('ENOENT');
    writeFileSync(document, 'no marks');
    expect(() => check({ markdown: document })).toThrow('the document has no place for results');
    writeFileSync(document, `${RESULTS_BEGIN}\n${RESULTS_END}\n`);
    check({ markdown: document });
  });
});
