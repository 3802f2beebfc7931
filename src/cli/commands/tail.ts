// `loglog tail`: entries as they are committed, without end, over any number of reconnections.

import { Command, Option } from 'commander';
import type { LogClient } from '../../client/index.ts';
import { LogError } from '../../core/errors.ts';
import { lastOption, parseFrom, timeoutOption, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { formatBatch } from '../entryFormat.ts';
import { Output } from '../output.ts';
import { onSignals } from '../signals.ts';
import { type GivenTime, sayTimes, timeOption } from '../times.ts';
import { addFormatOptions, type FormatOptions, formatOf } from './read.ts';

interface TailOptions extends FormatOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly from: number | 'start' | 'end';
  readonly since?: GivenTime;
  readonly last?: number;
}

/** A follower waits long for its node to come back: that is what it is for. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** Follows the log until `stop` is aborted. Throws what ended it, if it was not that. */
async function follow({ from, since, last, url, timeout, ...options }: TailOptions, stop: AbortController): Promise<void> {
  const { signal } = stop;
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  const format = formatOf(options);
  const output = new Output(() => stop.abort());
  const work = async (log: LogClient): Promise<void> => {
    const beginning = last !== undefined ? { last } : since !== undefined ? { since: since.timeMs } : { from };
    const reading = log.subscribe({ ...beginning, signal });
    // A stdout that takes nothing does not keep it from hearing that it is to end.
    for await (const batch of reading.batches()) await Promise.race([output.write(formatBatch(batch, format)), aborted]);
  };
  try {
    await withClient(url, timeout, work, { signal });
  } catch (thrown) {
    if (!(signal.aborted && thrown instanceof LogError && thrown.code === 'ABORTED')) throw thrown;
  }
  await (signal.aborted ? output.flushLast() : output.flush());
}

async function run(options: TailOptions): Promise<void> {
  sayTimes(options.since);
  const stop = new AbortController();
  onSignals(() => stop.abort());
  await follow(options, stop);
}

export function tailCommand(): Command {
  const command = new Command('tail')
    .summary('print entries as they are committed')
    .description('print entries as they are committed; ends with Ctrl-C')
    .addOption(urlOption())
    .addOption(timeoutOption('wait this long for a node that answers, at first and when it is lost').default(TIMEOUT_MS, 'a day'))
    .addOption(
      new Option('--from <offset>', 'where to begin: an offset that loglog printed, start or end').default('end').argParser(parseFrom),
    )
    .addOption(timeOption('since', 'begin with what is not older: a time ago (90s, 2h, 7d) or a date', ['from']))
    .addOption(lastOption('begin with the last so many entries', ['from', 'since']))
    .action(run);
  return withExamples(addFormatOptions(command), [
    ['loglog tail', 'what comes from now on'],
    ['loglog tail -n 10', 'the last ten entries, and then what comes'],
    ['loglog tail --since 10m', 'what came in the last ten minutes, and then what comes'],
    ['loglog tail --from start', 'everything, and then what comes'],
    ['loglog tail --json | consumer', 'for programs: each object has the nextOffset to resume from'],
  ]);
}
