// `loglog read`: what is committed now, to stdout.

import { Command, Option } from 'commander';
import { Batch } from '../../client/read/entries.ts';
import { commandTimeoutOption, jsonOption, lastOption, parseCount, parseFrom, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { type EntryFormat, formatBatch } from '../entryFormat.ts';
import { grouped, Output, readableBytes } from '../output.ts';
import { Progress, percent } from '../progress.ts';
import { type GivenTime, sayTimes, timeOption } from '../times.ts';

export interface FormatOptions {
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly times?: boolean;
}

interface ReadOptions extends FormatOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly from: number | 'start' | 'end';
  readonly since?: GivenTime;
  readonly until?: GivenTime;
  readonly last?: number;
  readonly limit?: number;
}

/** The options that say how entries look on stdout. */
export function addFormatOptions(command: Command): Command {
  return command
    .addOption(new Option('--raw', 'payloads only, with nothing between them').conflicts(['json', 'times']))
    .addOption(new Option('--times', 'when each was ordered before it (UTC)').conflicts('json'))
    .addOption(jsonOption('one JSON object a line: offset, nextOffset, term, timeMs, payload (base64 if "encoding" says so)'));
}

export function formatOf({ raw, json, times }: FormatOptions): EntryFormat {
  if (json === true) return 'json';
  if (times === true) return 'times';
  return raw === true ? 'raw' : 'lines';
}

async function run(options: ReadOptions): Promise<void> {
  const { from, since, until, last, limit } = options;
  sayTimes(since, until);
  const format = formatOf(options);
  const progress = new Progress(process.stdout.isTTY === true);
  await withClient(options.url, options.timeout, async (log) => {
    const output = new Output();
    let first: number | undefined;
    let entries = 0;
    const end = until === undefined ? Number.POSITIVE_INFINITY : await log.offsetAt(until.timeMs);
    const reading = log.read(last !== undefined ? { last } : since !== undefined ? { since: since.timeMs, limit } : { from, limit });
    for await (const whole of reading.batches()) {
      if (whole.offset >= end) break;
      const batch = upTo(whole, end);
      first ??= batch.offset;
      const base = first;
      await output.write(formatBatch(batch, format));
      entries += batch.entryCount;
      const bytes = batch.nextOffset - base;
      progress.update(() => {
        const speed = `${grouped(entries / progress.seconds)} entries/s`;
        return `${percent(bytes, batch.commit - base)}  ${grouped(entries)} entries  ${readableBytes(bytes)}  ${speed}`;
      });
    }
    await output.flush();
  }).finally(() => progress.done());
}

/** The entries of `batch` before `end`, which is no place inside one of them. */
function upTo({ offset, commit, bytes, timeMs }: Batch, end: number): Batch {
  return new Batch(offset, commit, bytes.subarray(0, Math.min(bytes.length, end - offset)), timeMs);
}

export function readCommand(): Command {
  const command = new Command('read')
    .summary('print what is committed now')
    .description('print what is committed now: each payload and a newline')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(
      new Option('--from <offset>', 'where to begin: an offset that loglog printed, start or end').default('start').argParser(parseFrom),
    )
    .addOption(new Option('--limit <entries>', 'stop after this many entries').argParser(parseCount))
    .addOption(timeOption('since', 'begin with what is not older: a time ago (90s, 2h, 7d) or a date', ['from']))
    .addOption(timeOption('until', 'stop at what is not older: the same', ['last']))
    .addOption(lastOption('the last so many entries', ['from', 'since', 'limit']))
    .action(run);
  return withExamples(addFormatOptions(command), [
    ['loglog read', 'everything, one payload a line'],
    ['loglog read --from 4107 --limit 10', 'ten entries from an offset on'],
    ['loglog read --last 10', 'the last ten entries'],
    ['loglog read --since 2h', 'what came in the last two hours'],
    ['loglog read --json | jq .offset', 'for programs'],
    ['loglog read --raw > copy', 'the payloads, byte for byte'],
  ]);
}
