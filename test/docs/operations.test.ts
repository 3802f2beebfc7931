// What docs/OPERATIONS.md shows of commands, against the code: lines that a reader may copy, and the codes of what `loglog doctor` finds.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FINDING_CODES } from '../../src/cli/doctor/findings.ts';
import { readLine } from '../../src/generation/survivors.ts';

const text = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8');

test('the line of loglog recover show is one that loglog recover apply takes, and says what is said of it', () => {
  const shown = text.split('\n').filter((each) => each.startsWith('node='));
  expect(shown).toHaveLength(1);
  const [line = ''] = shown;
  const { nodeId, end, lastTerm, clusterId, generationNumber } = readLine(line);
  expect(text).toContain(
    `of node ${nodeId} of cluster ${clusterId} of the nodes 1, 2, 3, has most of those that were shown: its last term is ${lastTerm}, and it ends at offset ${end}`,
  );
  expect(text).toContain(`receipts of before, of generation ${generationNumber}, are`);
  // Where it is shortened, it is the same one.
  expect(text).toContain(`--from ${line.slice(0, 'node=3,instance=a50c'.length)}…${line.slice(-',check=12345678'.length)}\n`);
});

test('the table of what is wrong has each code once, and no other', () => {
  const table = text.slice(text.indexOf('| code | what it is | seen in |'), text.indexOf('What it cannot see'));
  const rows = table.split('\n').filter((each) => each.startsWith('| `'));
  const codes = rows.flatMap((row) => row.split('|')[1]?.match(/[A-Z][A-Z_]+/g) ?? []);
  expect([...codes].sort()).toEqual([...FINDING_CODES].sort());
});
