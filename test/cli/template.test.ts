// `--format`: fields of what --json prints, and nothing else.

import { describe, expect, test } from 'vitest';
import { fillTemplate, parseTemplate } from '../../src/cli/template.ts';

const fill = (template: string, value: unknown): string => fillTemplate(parseTemplate(template), value);

const STATUS = {
  node: { id: 2, role: 'leader', 'last-seen': null },
  nodes: [
    { id: 1, url: 'ws://a', scopes: ['read', 'append'] },
    { id: 2, url: 'ws://b', scopes: [] },
  ],
  quotas: { connections: 5 },
  isWell: false,
};

describe('a template', () => {
  test.each([
    ['node {node.id} is the {node.role}', 'node 2 is the leader'],
    ['{node.last-seen}', '-'],
    ['{nodes.length} {nodes.1.url}', '2 ws://b'],
    ['{#nodes}{id}\\t{url}\\n{/nodes}', '1\tws://a\n2\tws://b\n'],
    ['{#nodes}{id} of {node.id};{/}', '1 of 2;2 of 2;'],
    ['{#nodes}{#scopes}<{.}>{/scopes}{/nodes}', '<read><append>'],
    ['{nodes.0.scopes}', 'read,append'],
    ['{quotas}', '{"connections":5}'],
    ['{isWell}{#isWell} well{/isWell}', 'false'],
    ['{#quotas}{connections}{/quotas}', '5'],
    ['{nowhere?}{#nowhere?}x{/}', ''],
    ['\\{node.id\\} \\\\', '{node.id} \\'],
  ])('%s', (template, text) => {
    expect(fill(template, STATUS)).toBe(text);
  });

  test('shows what an entry says as it is, also where that looks like a template', () => {
    expect(fill('{payload}', { payload: '{node.id} \\n' })).toBe('{node.id} \\n');
  });

  test.each([
    ['{node.rol}', 'there is no node.rol. There are node, nodes, quotas, isWell'],
    ['{nods}', 'there is no nods; did you mean node? There are node,'],
    ['{#nodes}{ur}{/nodes}', 'there is no ur; did you mean url? There are id, url, scopes'],
    ['{constructor}', 'there is no constructor'],
    ['{node.__proto__}', 'there is no node.__proto__'],
    ['{nodes.toString}', 'there is no nodes.toString'],
    ['{node.role.length}', 'there is no node.role.length'],
  ])('%s is refused: no such field', (template, sentence) => {
    expect(() => fill(template, STATUS)).toThrow(sentence);
  });

  test.each([
    ['{node', '{ stands alone'],
    ['node}', '} stands alone'],
    ['{no de}', '{no de} names no field'],
    ['{}', '{} names no field'],
    ['{a()}', '{a()} names no field'],
    ['{#nodes}{id}', '{#nodes} has no end'],
    ['{/nodes}', '{/nodes} ends nothing'],
    ['{#nodes}{/node}', '{/node} ends nothing'],
    ['\\x', '\\x means nothing'],
  ])('%s is none', (template, sentence) => {
    expect(() => parseTemplate(template)).toThrow(sentence);
  });
});
