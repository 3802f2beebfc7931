// `loglog read`: what is committed now, to stdout.

import { Command, Option } from 'commander';
import { commandTimeoutOption, jsonOption, lastOption, parseCount, parseFrom, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { type EntryFormat, formatBatch } from '../entryFormat.ts';
import { grouped, Output, readableBytes } from '../output.ts';
import { Progress, percent } from '../progress.ts';

export interface FormatOptions {
  readonly raw?: boolean;
  readonly json?: boolean;
}

interface ReadOptions extends FormatOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly from: number | 'start' | 'end';
  readonly last?: number;
  readonly limit?: number;
}

/** The options that say how entries look on stdout. */
export function addFormatOptions(command: Command): Command {
  return command
    .addOption(new Option('--raw', 'payloads only, with nothing between them').conflicts('json'))
    .addOption(jsonOption('one JSON object a line: offset, nextOffset, term, payload (base64 if "encoding" says so)'));
}

export function formatOf({ raw, json }: FormatOptions): EntryFormat {
  if (json === true) return 'json';
  return raw === true ? 'raw' : 'lines';
}

async function run(options: ReadOptions): Promise<void> {
  const { from, last, limit } = options;
  const format = formatOf(options);
  const progress = new Progress(process.stdout.isTTY === true);
  await withClient(options.url, options.timeout, async (log) => {
    const output = new Output();
    let first: number | undefined;
    let entries = 0;
    const reading = log.read(last === undefined ? { from, limit } : { last });
    for await (const batch of reading.batches()) {
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
    .addOption(lastOption('the last so many entries', ['from', 'limit']))
    .action(run);
  return withExamples(addFormatOptions(command), [
    ['loglog read', 'everything, one payload a line'],
    ['loglog read --from 4107 --limit 10', 'ten entries from an offset on'],
    ['loglog read --last 10', 'the last ten entries'],
    ['loglog read --json | jq .offset', 'for programs'],
    ['loglog read --raw > copy', 'the payloads, byte for byte'],
  ]);
}
