// `loglog completion`: a script that makes a shell complete the words of this command.

import { Argument, Command } from 'commander';
import { withExamples } from '../arguments.ts';
import { completionOf, SHELLS, type Shell } from '../completion.ts';
import { print } from '../output.ts';

/** `program` makes the whole program, with all its commands. */
export function completionCommand(program: () => Promise<Command>): Command {
  const command = new Command('completion')
    .summary('print a script by which a shell completes commands and flags')
    .description('print a script by which a shell completes commands, flags and their values')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SHELLS)))
    .action(async (shell: Shell) => print(completionOf(shell, await program()).trimEnd()));
  return withExamples(command, [
    ['source <(loglog completion bash)', 'for this shell; in ~/.bashrc for each'],
    ['loglog completion zsh > ~/.zfunc/_loglog', 'with fpath+=(~/.zfunc) before compinit in ~/.zshrc'],
    ['loglog completion fish > ~/.config/fish/completions/loglog.fish', 'for each fish'],
  ]);
}
