// `loglog trim`: removes the beginning of a log whose nodes run.

import { Command, Option } from 'commander';
import { LogError } from '../../core/errors.ts';
import { commandTimeoutOption, jsonOption, parseBytes, parseOffset, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson, readableBytes } from '../output.ts';
import { type GivenTime, sayTimes, timeOption } from '../times.ts';

interface TrimOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly to?: number;
  readonly keep?: number;
  readonly before?: GivenTime;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

async function run({ url, timeout, to, keep, before: time, dryRun = false, json = false }: TrimOptions): Promise<void> {
  if ([to, keep, time].filter((given) => given !== undefined).length !== 1) {
    throw new LogError('USAGE', 'say what goes: --to <offset>, --keep <bytes> or --before <time>');
  }
  sayTimes(time);
  await withClient(url, timeout, async (log) => {
    // Whoever may trim need not be allowed to read.
    const before = await log.trim({ to: 0, dryRun: true, timeoutMs: timeout });
    const place = time === undefined ? to : await log.offsetAt(time.timeMs, { linearizable: true, timeoutMs: timeout });
    const { start, end } = await log.trim({ ...(place === undefined ? { keepBytes: keep } : { to: place }), dryRun, timeoutMs: timeout });
    if (json) await printJson({ dryRun, start: dryRun ? before.start : start, newStart: start, end });
    else if (start <= before.start) await print(`nothing to trim: the log starts at offset ${start}`);
    else {
      const bytes = readableBytes(start - before.start);
      await print(
        dryRun
          ? `would trim ${bytes}; the log would start at offset ${start}`
          : `trimmed ${bytes}; the log starts at offset ${start}. Disks are freed by whole segments`,
      );
    }
  });
}

export function trimCommand(): Command {
  const command = new Command('trim')
    .summary('remove the beginning of the log')
    .description('remove the beginning of the log, for good, on all nodes, while they run')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(
      new Option('--to <offset>', 'what is to be kept begins here, or a little earlier')
        .argParser(parseOffset)
        .conflicts(['keep', 'before']),
    )
    .addOption(new Option('--keep <bytes>', 'keep so much of the end of the log, or a little more').argParser(parseBytes))
    .addOption(timeOption('before', 'remove what is older than this: a time ago (90s, 2h, 7d) or a date', ['keep']))
    .option('--dry-run', 'say where the log would start, and change nothing')
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog trim --keep 10GiB --dry-run', 'where the log would start'],
    ['loglog trim --keep 10GiB', 'trim it'],
    ['loglog trim --to 80000000', 'by an offset that loglog printed'],
    ['loglog trim --before 30d', 'what is older than 30 days'],
  ]);
}
