// `loglog retention`: how much of a log is kept, shown and set while its nodes run.

import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogRetention } from '../../client/index.ts';
import { bytesOf, durationOf, durationText, sizeText } from '../../core/amounts.ts';
import { LogError } from '../../core/errors.ts';
import { MIN_RETENTION_AGE_MS, MIN_RETENTION_BYTES } from '../../core/limits.ts';
import { commandTimeoutOption, jsonOption, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson, readableBytes, readableTime } from '../output.ts';

interface ShowOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** Undefined: it stays as it is. */
interface SetOptions extends ShowOptions {
  readonly bytes?: Bound;
  readonly age?: Bound;
  readonly consumers?: Bound;
}

/** commander takes null for no value. */
type Bound = number | 'none';

const asGiven = (bound: Bound | undefined): number | null | undefined => (bound === 'none' ? null : bound);

/** What is kept, in a sentence. */
export function retentionText({
  bytes,
  ageMs,
  consumerBytes = null,
}: Pick<LogRetention, 'bytes' | 'ageMs'> & Partial<Pick<LogRetention, 'consumerBytes'>>): string {
  const bounds = [
    ...(bytes === null ? [] : [`more than ${sizeText(bytes)}`]),
    ...(ageMs === null ? [] : [`older than ${durationText(ageMs)}`]),
  ];
  const waits = consumerBytes === null ? '' : `; what a named consumer has not committed stays among the last ${sizeText(consumerBytes)}`;
  return bounds.length === 0 ? 'all is kept' : `goes by whole segments: what is ${bounds.join(', and what is ')}${waits}`;
}

async function show(retention: LogRetention, isJson: boolean): Promise<void> {
  if (isJson) return printJson(retention);
  const { start, end, oldestMs } = retention;
  const oldest = oldestMs === null ? '' : `; nothing is older than ${readableTime(oldestMs)}`;
  await print(`${retentionText(retention)}\nthere: ${readableBytes(end - start)}, from offset ${start} to ${end}${oldest}`);
}

async function runShow({ url, timeout, json = false }: ShowOptions): Promise<void> {
  await withClient(url, timeout, async (log) => show(await log.retention({ timeoutMs: timeout }), json));
}

async function runSet({ url, timeout, bytes, age, consumers, json = false }: SetOptions): Promise<void> {
  if (bytes === undefined && age === undefined && consumers === undefined) {
    throw new LogError(
      'USAGE',
      'say what is kept: --bytes <size>, --age <duration>, --consumers <size> or several of them; none is no bound',
    );
  }
  await withClient(url, timeout, async (log) => {
    const set = { bytes: asGiven(bytes), ageMs: asGiven(age), consumerBytes: asGiven(consumers) };
    await show(await log.setRetention({ ...set, timeoutMs: timeout }), json);
  });
}

function boundOf(text: string, read: (text: string) => number | undefined, least: number, what: string): Bound {
  if (text === 'none') return text;
  const value = read(text);
  if (value === undefined || !Number.isSafeInteger(value) || value < least) throw new InvalidArgumentError(`It must be ${what}, or none.`);
  return value;
}

const bytesBound = (text: string): Bound =>
  boundOf(text, bytesOf, MIN_RETENTION_BYTES, `a size of ${sizeText(MIN_RETENTION_BYTES)} or more, such as 10GiB`);

const ageBound = (text: string): Bound =>
  boundOf(text, durationOf, MIN_RETENTION_AGE_MS, `a duration of ${durationText(MIN_RETENTION_AGE_MS)} or more, such as 30d or 12h`);

const consumersBound = (text: string): Bound => boundOf(text, bytesOf, 1, 'a size, such as 50GiB');

export function retentionCommand(): Command {
  const showing = new Command('show')
    .summary('how much is kept, and how much there is')
    .description('show how much of the log is kept, and how much there is')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(runShow);
  const setting = withExamples(
    new Command('set')
      .summary('say how much is kept')
      .description('say how much of the log is kept from now on, on all nodes; what is more, or older, goes for good, by whole segments')
      .addOption(urlOption())
      .addOption(commandTimeoutOption())
      .addOption(new Option('--bytes <size>', 'keep at most so much; none: no bound').argParser(bytesBound))
      .addOption(new Option('--age <duration>', 'keep what is not older, by the log’s time; none: no bound').argParser(ageBound))
      .addOption(
        new Option(
          '--consumers <size>',
          'keep what a named consumer has not committed as long as it is among so many last bytes; none: wait for nobody',
        ).argParser(consumersBound),
      )
      .addOption(jsonOption('one JSON object'))
      .action(runSet),
    [
      ['loglog retention set --bytes 10GiB --age 30d', 'what is more or older goes'],
      ['loglog retention set --age none', 'bytes alone count'],
      ['loglog retention set --bytes 10GiB --consumers 50GiB', 'named consumers are waited for, up to 50 GiB'],
    ],
  );
  return withExamples(
    new Command('retention')
      .summary('how much of the log is kept')
      .description('show, or say, how much of the log is kept, while its nodes run'),
    [
      ['loglog retention show', 'how much is kept'],
      ['loglog retention set --bytes 10GiB --age 30d', 'what is more or older goes'],
    ],
  )
    .addCommand(showing)
    .addCommand(setting);
}
