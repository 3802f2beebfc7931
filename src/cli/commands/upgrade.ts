// `loglog upgrade`: the level of a log, shown, and raised when all nodes run a build that knows the next one.

import { Command } from 'commander';
import type { LogLevel } from '../../client/index.ts';
import { whoHoldsBack } from '../../client/levels.ts';
import { commandTimeoutOption, jsonOption, timeoutOption, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson, say } from '../output.ts';

interface UpgradeOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

const FINALIZE_TIMEOUT_MS = 60_000;

async function show(level: LogLevel, isJson: boolean): Promise<void> {
  if (isJson) return printJson(level);
  const { newest, nodes } = level;
  const lines = nodes.map(
    ({ id, newest: known }) => `node ${id}: ${known === null ? 'no connection with the leader' : `knows levels up to ${known}`}`,
  );
  await print([`the log is of level ${level.level}, ${sentenceOf(level, newest)}`, ...lines].join('\n'));
}

function sentenceOf(level: LogLevel, newest: number): string {
  if (level.level >= newest) return 'the newest one';
  const held = whoHoldsBack(level);
  return held === '' ? `and may be of level ${newest}: loglog upgrade finalize` : `and may not be of level ${newest} yet: ${held}`;
}

async function runStatus({ url, timeout, json = false }: UpgradeOptions): Promise<void> {
  await withClient(url, timeout, async (log) => show(await log.level({ timeoutMs: timeout }), json));
}

async function runFinalize({ url, timeout, json = false }: UpgradeOptions): Promise<void> {
  let said = '';
  const onWaiting = (level: LogLevel): void => {
    const held = whoHoldsBack(level);
    if (held !== said) say(`loglog: waiting: ${held}`);
    said = held;
  };
  await withClient(url, timeout, async (log) => show(await log.finalizeUpgrade({ timeoutMs: timeout, onWaiting }), json));
}

export function upgradeCommand(): Command {
  const status = new Command('status')
    .summary('the level of the log, and of each node')
    .description('show the level of the log, and up to which level each node knows it')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(runStatus);
  const finalize = new Command('finalize')
    .summary('raise the level of the log')
    .description(
      'raise the level of the log, for good, to the newest one: waits until all nodes run a LogLog that knows it; older ones cannot take part after that',
    )
    .addOption(urlOption())
    .addOption(timeoutOption('wait this long for nodes that hold it back').default(FINALIZE_TIMEOUT_MS, '60'))
    .addOption(jsonOption('one JSON object'))
    .action(runFinalize);
  return withExamples(
    new Command('upgrade')
      .summary('raise the level of the log')
      .description('show, or raise, the level of the log, when all nodes run a newer LogLog'),
    [
      ['loglog upgrade status', 'what the log and the nodes know'],
      ['loglog upgrade finalize', 'after the last node was upgraded'],
    ],
  )
    .addCommand(status)
    .addCommand(finalize);
}
