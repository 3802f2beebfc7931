// `loglog append`: entries from the command line, from all of stdin, or from its lines. Lines stream through in bounded memory: each is
// appended without waiting for the ones before, as long as the client has room.

import { fstatSync } from 'node:fs';
import { Command, Option } from 'commander';
import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import type { Ack, Level, LogClient, Receipt } from '../../client/index.ts';
import { LogError } from '../../core/errors.ts';
import { commandTimeoutOption, jsonOption, parseInteger, parseOffset, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { exitCodeOf, explain, Quit } from '../exit.ts';
import { LineSplitter } from '../lines.ts';
import { grouped, print, printJson, readableBytes, say } from '../output.ts';
import { Progress } from '../progress.ts';

interface AppendOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly lines?: boolean;
  readonly empty?: boolean;
  readonly ack: Ack;
  readonly expectedEnd?: number;
  readonly expectedTerm?: number;
  readonly json?: boolean;
}

interface Summary {
  readonly count: number;
  readonly offset?: number | undefined;
  readonly end?: number | undefined;
  readonly term?: number | undefined;
  readonly level?: Level | undefined;
}

function summaryOf(count: number, { offset, end, term, level }: Receipt): Summary {
  return { count, offset, end, term, level };
}

function sentenceOf({ count, offset, end }: Summary): string {
  if (count === 0) return 'appended nothing';
  if (count === 1) return `appended 1 entry at offset ${offset}, end ${end}`;
  return `appended ${grouped(count)} entries, first offset ${offset}, end ${end}`;
}

function tooLong(what: string, log: LogClient): LogError {
  return new LogError('ENTRY_TOO_LARGE', `${what} is longer than the ${log.hello.maxPayloadBytes} bytes that one entry may have`);
}

/** Largest batch of lines, where the server allows as much. */
const BATCH_BYTES = 256 * 1024;

/** What shells say of a command that Ctrl-C ended. */
const INTERRUPTED = 130;

function unreadable(why: string): LogError {
  return new LogError('IO', `standard input cannot be read: ${why}`, {}, 'failed');
}

const STDIN = 0;

/** The bytes of stdin as they come. Node takes a stdin that it does not know, such as a directory, for an empty one: that is an error here. */
async function* stdin(): AsyncGenerator<Buffer> {
  try {
    const stat = fstatSync(STDIN);
    if (stat.isDirectory()) throw unreadable('it is a directory');
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) yield chunk;
  } catch (thrown) {
    throw thrown instanceof LogError ? thrown : unreadable(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** All of stdin; refused as soon as it is too long for one entry, and when it is empty. */
async function readAll(log: LogClient): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin()) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > log.hello.maxPayloadBytes) throw tooLong('standard input', log);
  }
  if (bytes === 0) throw new LogError('USAGE', 'standard input is empty, so nothing was appended; --empty appends one empty entry');
  return Buffer.concat(chunks, bytes);
}

/** Counts what became of the batches of lines, whose answers come in any order. Lines count from 1. */
class Tally {
  succeeded = 0;
  firstOffset = Number.POSITIVE_INFINITY;
  end = 0;
  /** The first error, the first line that failed, and the first of which that is not known. */
  error: unknown;
  failedLine = Number.POSITIVE_INFINITY;
  unknownLine = Number.POSITIVE_INFINITY;
  readonly #pending = new Set<Promise<void>>();

  /** Counts a batch of `count` lines from `line` on. */
  add(append: Promise<Receipt>, line: number, count: number): void {
    const settled = append
      .then(
        ({ offset, end }) => {
          this.succeeded += count;
          this.firstOffset = Math.min(this.firstOffset, offset);
          this.end = Math.max(this.end, end);
        },
        (error: unknown) => this.fail(error, line),
      )
      .finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
  }

  /** Notes that the lines from `line` on did not get into the log, or may not have. */
  fail(error: unknown, line: number): void {
    this.error ??= error;
    const isUnknown = !(error instanceof LogError) || error.outcome === 'unknown';
    if (isUnknown) this.unknownLine = Math.min(this.unknownLine, line);
    else this.failedLine = Math.min(this.failedLine, line);
  }

  /** Resolves when all batches have their answers. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  summary(): Summary {
    return this.succeeded === 0 ? { count: 0 } : { count: this.succeeded, offset: this.firstOffset, end: this.end };
  }

  /** After a failure: what is in the log, and from where on it is not, or not known. */
  verdict(): string {
    const { succeeded, failedLine, unknownLine } = this;
    const isPrefix = succeeded === Math.min(failedLine, unknownLine) - 1;
    const those = succeeded === 1 ? 'line 1 is' : `lines 1 to ${succeeded} are`;
    const done = succeeded === 0 ? 'no line is known to be in the log' : `${isPrefix ? those : `${succeeded} entries are`} in the log`;
    const failed = failedLine === Number.POSITIVE_INFINITY ? '' : `; line ${failedLine} is not`;
    if (unknownLine === Number.POSITIVE_INFINITY)
      return `${done}${failed}, ${isPrefix ? 'nor is any line after it' : 'though some after it are'}`;
    return `${done}${failedLine < unknownLine ? failed : ''}; from line ${unknownLine} on the outcome is unknown: read the log before you append again`;
  }
}

/** Collects lines into batches: a promise a line would cost more than the line. */
class Batcher {
  readonly #log: LogClient;
  readonly #tally: Tally;
  #lines: Uint8Array[] = [];
  #bytes = 0;
  /** Lines handed in, and their bytes. */
  lineCount = 0;
  lineBytes = 0;

  constructor(log: LogClient, tally: Tally) {
    this.#log = log;
    this.#tally = tally;
  }

  /** Takes a line, a view that must stay good until {@link send}. Throws when it is too long for an entry. */
  add(line: Uint8Array): void {
    const { maxPayloadBytes, maxBatchBytes } = this.#log.hello;
    if (line.length > maxPayloadBytes) throw tooLong(`line ${this.lineCount + 1}`, this.#log);
    const bytes = line.length + ENTRY_OVERHEAD_BYTES;
    if (this.#bytes + bytes > Math.min(maxBatchBytes, BATCH_BYTES)) this.send();
    this.#lines.push(line);
    this.#bytes += bytes;
    this.lineCount += 1;
    this.lineBytes += line.length;
  }

  /** Sends what was collected. */
  send(): void {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    this.#bytes = 0;
    this.#tally.add(this.#log.appendBatch(lines), this.lineCount - lines.length + 1, lines.length);
  }
}

interface LinesOutcome {
  readonly tally: Tally;
  readonly isInterrupted: boolean;
}

/** Appends the lines of stdin as they come. */
async function appendLines(log: LogClient): Promise<LinesOutcome> {
  const tally = new Tally();
  const batcher = new Batcher(log, tally);
  const lines = new LineSplitter();
  const progress = new Progress(process.stdin.isTTY === true);
  let isInterrupted = false;
  const interrupt = (): void => {
    isInterrupted = true;
    process.stdin.destroy();
  };
  process.once('SIGINT', interrupt);
  try {
    for await (const chunk of stdin()) {
      lines.push(chunk);
      for (let line = lines.next(); line !== undefined; line = lines.next()) batcher.add(line);
      batcher.send();
      if (!log.hasRoom) await log.ready();
      if (tally.error !== undefined) break;
      if (lines.partialBytes > log.hello.maxPayloadBytes) throw tooLong(`line ${batcher.lineCount + 1}`, log);
      progress.update(() => {
        const speed = `${grouped(batcher.lineCount / progress.seconds)} lines/s`;
        return `${grouped(batcher.lineCount)} lines  ${readableBytes(batcher.lineBytes)}  ${speed}`;
      });
    }
    const last = tally.error === undefined ? lines.last() : undefined;
    if (last !== undefined) batcher.add(last);
  } catch (thrown) {
    if (!isInterrupted) tally.fail(thrown, batcher.lineCount + 1);
  } finally {
    process.off('SIGINT', interrupt);
  }
  batcher.send();
  await tally.settled();
  progress.done();
  return { tally, isInterrupted };
}

/** Where the log is to end, and in which term. */
interface Condition {
  readonly expectedEnd?: number;
  readonly expectedTerm?: number;
}

/** Appends the lines of stdin as one batch, all or none: what a condition on the log's end asks for. */
async function appendLinesAtOnce(log: LogClient, condition: Condition): Promise<Summary> {
  const lines = new LineSplitter();
  const payloads: Uint8Array[] = [];
  const { maxBatchBytes } = log.hello;
  let bytes = 0;
  const add = (line: Uint8Array): void => {
    payloads.push(line.slice());
    bytes += line.length + ENTRY_OVERHEAD_BYTES;
  };
  for await (const chunk of stdin()) {
    lines.push(chunk);
    for (let line = lines.next(); line !== undefined; line = lines.next()) add(line);
    if (bytes + lines.partialBytes > maxBatchBytes) {
      throw new LogError(
        'ENTRY_TOO_LARGE',
        `with --expected-end all lines are appended together, and these are more than the ${maxBatchBytes} bytes that one batch may have`,
      );
    }
  }
  const last = lines.last();
  if (last !== undefined) add(last);
  if (payloads.length === 0) return { count: 0 };
  return summaryOf(payloads.length, await log.appendBatch(payloads, condition));
}

async function finish(summary: Summary, json: boolean): Promise<void> {
  if (json) await printJson(summary);
  else await print(sentenceOf(summary));
}

async function streamLines(log: LogClient, json: boolean): Promise<void> {
  const { tally, isInterrupted } = await appendLines(log);
  const { error } = tally;
  if (error !== undefined) {
    if (json) await printJson({ ...tally.summary(), failedLine: finite(tally.failedLine), unknownLine: finite(tally.unknownLine) });
    say(`loglog: ${explain(error)}`);
    say(`loglog: ${tally.verdict()}`);
    throw new Quit(exitCodeOf(error));
  }
  await finish(tally.summary(), json);
  if (isInterrupted) throw new Quit(INTERRUPTED);
}

function finite(line: number): number | undefined {
  return Number.isFinite(line) ? line : undefined;
}

async function appendTexts(log: LogClient, payloads: readonly (Uint8Array | string)[], condition: Condition): Promise<Summary> {
  const [only] = payloads;
  if (payloads.length === 1 && only !== undefined) return summaryOf(1, await log.append(only, condition));
  // Next to each other, all or none.
  return summaryOf(payloads.length, await log.appendBatch(payloads, condition));
}

async function run(texts: readonly string[], options: AppendOptions, command: Command): Promise<void> {
  const { expectedEnd, expectedTerm, lines = false, empty = false, json = false } = options;
  if (texts.length > 0 && lines)
    command.error('--lines reads standard input, so it goes with no text on the command line', { exitCode: 2 });
  if (texts.length > 0 && empty)
    command.error('--empty is an entry of its own, so it goes with no text on the command line', { exitCode: 2 });
  if (expectedTerm !== undefined && expectedEnd === undefined)
    command.error('--expected-term says in which term an --expected-end holds, so it goes with one', { exitCode: 2 });
  const condition: Condition = {
    ...(expectedEnd === undefined ? {} : { expectedEnd }),
    ...(expectedTerm === undefined ? {} : { expectedTerm }),
  };
  const given = empty ? [''] : texts;
  await withClient(
    options.url,
    options.timeout,
    async (log) => {
      if (lines && expectedEnd === undefined) await streamLines(log, json);
      else if (lines) await finish(await appendLinesAtOnce(log, condition), json);
      else await finish(await appendTexts(log, given.length > 0 ? given : [await readAll(log)], condition), json);
    },
    { ack: options.ack },
  );
}

export function appendCommand(): Command {
  const command = new Command('append')
    .summary('append entries')
    .description('append entries: each text, or all of standard input as one, or each of its lines')
    .argument('[texts...]', 'one entry each, together: all or none')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .option('--lines', 'one entry for each line of standard input, without its newline')
    .addOption(new Option('--empty', 'one empty entry; standard input is not read').conflicts('lines'))
    .addOption(
      new Option('--ack <level>', 'what to wait for: the entry has its place, or it is durable')
        .choices(['received', 'committed'])
        .default('committed'),
    )
    .addOption(
      new Option(
        '--expected-end <offset>',
        'append, all or none, only if no entry is in the log at or after it; else exit with 3',
      ).argParser(parseOffset),
    )
    .addOption(
      new Option(
        '--expected-term <term>',
        'the only term in which the expected end holds: for the end of what was only received',
      ).argParser(parseInteger(1, 0xffff_ffff)),
    )
    .addOption(jsonOption('one JSON object: count, offset, end; of one append also term and level'))
    .action(run);
  return withExamples(command, [
    ['loglog append "an entry"', 'one entry'],
    ['loglog append < picture.png', 'one entry: all of the file'],
    ['seq 1 1000000 | loglog append --lines', 'a million entries'],
    ['loglog append --expected-end 4107 next', 'only if nobody else has appended'],
  ]);
}
