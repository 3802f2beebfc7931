// What documents and files of deploy/ show of the command line, against the commands: each command that is typed there is one, and has the options that it is given.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { loadProgram } from '../../dist/src/cli/program.js';
import { documents, ROOT } from '../../scripts/markdown.mjs';

interface Typed {
  readonly where: string;
  readonly words: readonly string[];
}

/** Names of keys between nodes begin like commands. */
const NO_COMMAND = 'peer';

/** What is typed of `loglog` in a text: in blocks of code and between backticks, to the end of the command. */
function typedIn(path: string, text: string): readonly Typed[] {
  const code = path.endsWith('.md')
    ? [...text.matchAll(/^ *```.*\n([\s\S]*?)^ *```$|(`+)(.+?)\2/gm)].map(([, block, , inline]) => block ?? inline ?? '')
    : [text];
  const lines = code.flatMap((each) => each.replaceAll('\\\n', ' ').split('\n'));
  return lines.flatMap((line) =>
    [...line.matchAll(/(?:^|[$|;&(]|\bnpx|\bu loglog|sudo -u loglog) *loglog ((?:[^|;&#()`']|'[^']*')*)/g)].map(([, rest = '']) => ({
      where: `${path}: ${line.trim()}`,
      words: rest
        .replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT')
        .trim()
        .split(/\s+/),
    })),
  );
}

/** What is wrong with a command; undefined for nothing. */
function faultOf(program: Command, { where, words }: Typed): string | undefined {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
  }
  const [first = ''] = words;
  if (command === program && first !== NO_COMMAND && /^[a-z][a-z-]+$/.test(first)) return `${where}\n  there is no command ${first}`;
  const flags = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/[^a-z-].*$/, ''));
  const known = ['--help', '--version', ...command.options.flatMap(({ long }) => long ?? [])];
  const unknown = flags.filter((flag) => !known.includes(flag));
  return unknown.length === 0 ? undefined : `${where}\n  ${command.name()} has no ${unknown.join(', ')}`;
}

const filesOf = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(join(ROOT, path)).isFile());

test('every command that a document shows is there, with its options', async () => {
  const program = await loadProgram();
  const paths = [...documents().filter((path) => path !== 'CHANGELOG.md'), ...filesOf('deploy')];
  const typed = paths.flatMap((path) => typedIn(path, readFileSync(join(ROOT, path), 'utf8')));
  expect(typed.length).toBeGreaterThan(150);
  expect(typed.flatMap((each) => faultOf(program, each) ?? [])).toEqual([]);
});

test('a command or an option that is not there is found', async () => {
  const program = await loadProgram();
  const text =
    '`loglog trim --keep-bytes 1`\n```sh\nnpx loglog tell\nsudo -u loglog loglog token create --scopes admin\necho x | npx loglog append --lines\n```\n';
  const typed = typedIn('x.md', text);
  expect(typed.map(({ words }) => words[0])).toEqual(['trim', 'tell', 'token', 'append']);
  expect(typed.flatMap((each) => faultOf(program, each)?.split('\n  ')[1] ?? [])).toEqual([
    'trim has no --keep-bytes',
    'there is no command tell',
  ]);
});
