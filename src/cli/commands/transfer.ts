// `loglog transfer`: another node leads.

import { Command, Option } from 'commander';
import { MAX_NODE_ID } from '../../core/limits.ts';
import { commandTimeoutOption, jsonOption, parseInteger, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson } from '../output.ts';

interface TransferCommandOptions {
  readonly url: readonly string[];
  readonly to?: number;
  readonly dryRun?: boolean;
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

async function run({ url, to, dryRun = false, timeout, json = false }: TransferCommandOptions): Promise<void> {
  await withClient(url, timeout, async (log) => {
    const result = await log.transfer({ to, dryRun, timeoutMs: timeout });
    if (json) return printJson({ ...result, dryRun });
    const { from, leader, term } = result;
    if (leader === from) return print(`node ${leader} leads already, in term ${term}`);
    if (dryRun) return print(`node ${from} leads in term ${term}, and would hand over to node ${leader}; nothing was changed`);
    const who = leader === null ? 'who leads now is not known yet: see loglog status' : `node ${leader} leads now, in term ${term}`;
    await print(`node ${from} handed over: ${who}`);
  });
}

export function transferCommand(): Command {
  const command = new Command('transfer')
    .summary('let another node lead')
    .description(
      'let another node lead, before its machine is stopped, say: appends wait a moment, and none is lost. Without --to, the node whose log is furthest',
    )
    .addOption(urlOption())
    .addOption(new Option('--to <id>', 'the node that is to lead').argParser(parseInteger(1, MAX_NODE_ID)))
    .addOption(new Option('--dry-run', 'say who would lead, and change nothing'))
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog transfer', 'to the node that is furthest'],
    ['loglog transfer --to 2', 'to node 2, or not at all'],
  ]);
}
