// What a shell completes: commands, their flags and the values of those, read off the commands themselves, as scripts for bash, zsh and fish.

import type { Command, Option } from 'commander';

/** One command, or a group of them, by its words after `loglog`: `token create`. */
interface Words {
  readonly path: string;
  readonly summary: string;
  readonly commands: readonly string[];
  readonly flags: readonly Flag[];
  /** Whether words that are no flags are names of files. */
  readonly takesFiles: boolean;
}

interface Flag {
  readonly names: readonly string[];
  readonly sentence: string;
  /** What follows: nothing, one of some words, a file, or something else. */
  readonly value: 'none' | 'file' | 'other' | readonly string[];
}

const FILES = /path|file|directory|folder|data/;

function followsOf({ flags, argChoices, required, optional }: Option): Flag['value'] {
  if (!required && !optional) return 'none';
  const [, name = ''] = /[<[]([^>\]]+)[>\]]/.exec(flags) ?? [];
  const choices = argChoices ?? (name.includes('|') ? name.split('|') : []);
  if (choices.length > 0) return choices;
  return FILES.test(name) ? 'file' : 'other';
}

const HELP: Flag = { names: ['-h', '--help'], sentence: 'show help', value: 'none' };

function flagsOf(command: Command): readonly Flag[] {
  const shown = command.options.filter(({ hidden }) => !hidden);
  return [
    ...shown.map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined),
      sentence: option.description,
      value: followsOf(option),
    })),
    HELP,
  ];
}

function wordsOf(command: Command, path: readonly string[]): readonly Words[] {
  const own: Words = {
    path: path.join(' '),
    summary: command.summary() || command.description(),
    commands: command.commands.map((each) => each.name()),
    flags: flagsOf(command),
    takesFiles: command.registeredArguments.some((argument) => FILES.test(argument.name())),
  };
  return [own, ...command.commands.flatMap((each) => wordsOf(each, [...path, each.name()]))];
}

/** A word for a shell: between quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first words of a sentence, for a list. */
function brief(sentence: string): string {
  const [first = ''] = sentence.split(/[;:(]/);
  return first.trim().slice(0, 80);
}

function namesOf(flags: readonly Flag[], wanted: (flag: Flag) => boolean): string {
  return flags
    .filter(wanted)
    .flatMap(({ names }) => names)
    .join(' ');
}

/** For bash: one function, with a case for each command. */
function bashScript(all: readonly Words[]): string {
  const cases = all.map(({ path, commands, flags, takesFiles }) => {
    const values = flags.flatMap(({ names, value }) =>
      Array.isArray(value) ? [`        ${names.join('|')}) values=${quoted(value.join(' '))} ;;`] : [],
    );
    const files = namesOf(flags, ({ value }) => value === 'file');
    const others = namesOf(flags, ({ value }) => value === 'other');
    return `    ${quoted(path)})
      commands=${quoted(commands.join(' '))}
      flags=${quoted(namesOf(flags, ({ names }) => names.some((name) => name.startsWith('--'))))}
      takes_files=${takesFiles ? 1 : 0}
      case "$before" in
${[...values, `        ${files === '' ? '/' : files.replaceAll(' ', '|')}) kind=file ;;`, `        ${others === '' ? '/' : others.replaceAll(' ', '|')}) kind=other ;;`].join('\n')}
      esac
      ;;`;
  });
  return `# bash completion for loglog: source it, or put it into /etc/bash_completion.d
_loglog() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  local path='' commands='' flags='' values='' kind='' takes_files=0 i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${path:+$path }\${COMP_WORDS[i]}" in
${all.flatMap(({ path }) => (path === '' ? [] : [`      ${quoted(path)}) path=${quoted(path)} ;;`])).join('\n')}
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ -n $values ]]; then COMPREPLY=($(compgen -W "$values" -- "$word"))
  elif [[ $kind == file ]]; then compopt -o default 2>/dev/null
  elif [[ $kind == other ]]; then :
  elif [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -n $commands ]]; then COMPREPLY=($(compgen -W "$commands" -- "$word"))
  elif [[ $takes_files == 1 ]]; then compopt -o default 2>/dev/null
  fi
}
complete -F _loglog loglog
`;
}

/** For zsh: a function for each command, which calls those of its commands. */
function zshScript(all: readonly Words[]): string {
  const functionOf = (path: string): string => `_loglog${path === '' ? '' : `_${path.replace(/[ -]/g, '_')}`}`;
  const escaped = (text: string): string => text.replace(/[\\[\]:]/g, '\\$&');
  const functions = all.map(({ path, commands, flags, takesFiles }) => {
    const specs = flags.flatMap(({ names, sentence, value }) =>
      names.map((name) => {
        const action = Array.isArray(value)
          ? `:value:(${value.join(' ')})`
          : value === 'file'
            ? ':file:_files'
            : value === 'other'
              ? ':value: '
              : '';
        return quoted(`${name}[${escaped(brief(sentence))}]${action}`);
      }),
    );
    const rest = commands.length > 0 ? ["'1:command:->command'", "'*::argument:->argument'"] : takesFiles ? ["'*:file:_files'"] : [];
    const descriptions = commands.map((name) => {
      const summary = all.find((each) => each.path === (path === '' ? name : `${path} ${name}`))?.summary ?? '';
      return quoted(`${name}:${escaped(brief(summary))}`);
    });
    const states =
      commands.length === 0
        ? ''
        : `
  case $state in
    command) local -a list=(${descriptions.join(' ')}); _describe command list ;;
    argument) case $words[1] in
${commands.map((name) => `      ${name}) ${functionOf(path === '' ? name : `${path} ${name}`)} ;;`).join('\n')}
    esac ;;
  esac`;
    return `${functionOf(path)}() {
  local state
  _arguments -C ${[...specs, ...rest].join(' \\\n    ')}${states}
}`;
  });
  return `#compdef loglog
# zsh completion for loglog: put it as _loglog into a folder of $fpath
${functions.join('\n')}
compdef _loglog loglog
`;
}

/** For fish: a line for each command and flag. */
function fishScript(all: readonly Words[]): string {
  const lines = all.flatMap(({ path, commands, flags, takesFiles }) => {
    const words = path === '' ? [] : path.split(' ');
    const condition =
      words.length === 0 ? '__fish_use_subcommand' : words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const only =
      commands.length === 0 || words.length === 0 ? condition : `${condition}; and not __fish_seen_subcommand_from ${commands.join(' ')}`;
    const start = `complete -c loglog -n ${quoted(only)}`;
    return [
      ...commands.map((name) => {
        const summary = all.find((each) => each.path === [...words, name].join(' '))?.summary ?? '';
        return `${start} -f -a ${name} -d ${quoted(brief(summary))}`;
      }),
      ...flags.map(({ names, sentence, value }) => {
        const kinds = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ');
        const action = Array.isArray(value)
          ? ` -x -a ${quoted(value.join(' '))}`
          : value === 'file'
            ? ' -r -F'
            : value === 'other'
              ? ' -x'
              : '';
        return `${start} ${kinds}${action} -d ${quoted(brief(sentence))}`;
      }),
      ...(takesFiles || commands.length > 0 ? [] : [`${start} -f`]),
    ];
  });
  return `# fish completion for loglog: put it as loglog.fish into ~/.config/fish/completions\n${lines.join('\n')}\n`;
}

export const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export type Shell = keyof typeof SHELLS;

/** The script that makes `shell` complete the words of `program`. */
export function completionOf(shell: Shell, program: Command): string {
  return SHELLS[shell](wordsOf(program, []));
}
