// `loglog consumer`: the named consumers of a log, shown, begun anew and forgotten: those whose positions its nodes keep, or with --store those of a file store, of
// which no node is asked.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type FileStore, fileStore, type LogClient, type NamedConsumer, type StoredPosition } from '../../client/index.ts';
import { LogError } from '../../core/errors.ts';
import { commandTimeoutOption, jsonOption, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { print, printJson, readableTime, table } from '../output.ts';

interface CommonOptions {
  /** Undefined: the nodes are asked. */
  readonly store?: string;
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

interface ResetOptions extends CommonOptions {
  readonly to?: string;
}

/** What an action does with the names of a file store, and with those that nodes keep. */
interface Places {
  inFiles(store: FileStore): Promise<void>;
  inNodes(log: LogClient): Promise<void>;
}

async function at({ store, url, timeout }: CommonOptions, places: Places): Promise<void> {
  if (store !== undefined) return places.inFiles(storeIn(store));
  return withClient(url, timeout, (log) => places.inNodes(log));
}

function storeIn(store: string): FileStore {
  const directory = resolve(store);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    const sentence = `there is no directory ${directory}: name the one that the programs give to fileStore(directory)`;
    throw new LogError('USAGE', sentence);
  }
  return fileStore(directory);
}

/** A name of a file store as JSON shows it: the bookmark, and its parts. */
function shown({ name, bookmark, savedMs, error }: StoredPosition): object {
  const [log, offset] = bookmark?.split('@') ?? [];
  const [clusterId = null, generation = null] = log?.split('.') ?? [];
  return {
    name,
    bookmark: bookmark ?? null,
    clusterId,
    generation,
    offset: offset === undefined ? null : Number(offset),
    savedMs,
    error: error?.message ?? null,
  };
}

/** A name that nodes keep as JSON shows it. */
function shownOfNodes(log: LogClient, { name, position, lagBytes, changedMs }: NamedConsumer): object {
  return { name, bookmark: position === null ? null : log.bookmark(position), offset: position, lagBytes, changedMs };
}

/** Where a name goes on, for people. */
function placeText({ bookmark, error }: StoredPosition): string {
  if (error !== undefined) return 'damaged';
  return bookmark?.split('@')[1] ?? 'none yet';
}

const timeText = (timeMs: number | null): string => (timeMs === null ? 'unknown' : readableTime(timeMs));

/** The one called `name` of `all`, which `where` has. */
function foundIn<One extends { readonly name: string }>(all: readonly One[], name: string, where: string): One {
  const one = all.find((each) => each.name === name);
  if (one !== undefined) return one;
  const others = all.length === 0 ? `${where} has none` : `${where} has ${all.map((each) => JSON.stringify(each.name)).join(', ')}`;
  throw new LogError('USAGE', `there is no consumer ${JSON.stringify(name)}: ${others}`);
}

async function runList(options: CommonOptions): Promise<void> {
  await at(options, {
    inFiles: async (store) => {
      const consumers = await store.list();
      if (options.json) return printJson({ consumers: consumers.map(shown) });
      if (consumers.length === 0) return print('the store has no consumers');
      const rows = consumers.map((one) => [one.name, placeText(one), readableTime(one.savedMs), one.bookmark?.split('@')[0] ?? '']);
      return print(table([['name', 'position', 'kept', 'of the log'], ...rows]));
    },
    inNodes: async (log) => {
      const consumers = await log.consumers({ timeoutMs: options.timeout });
      if (options.json) return printJson({ consumers: consumers.map((one) => shownOfNodes(log, one)) });
      if (consumers.length === 0) return print('the log has no consumers');
      const rows = consumers.map((one) => [
        one.name,
        one.position === null ? 'none yet' : String(one.position),
        String(one.lagBytes),
        timeText(one.changedMs),
      ]);
      return print(table([['name', 'position', 'lag, bytes', 'changed'], ...rows]));
    },
  });
}

async function runShow(name: string, options: CommonOptions): Promise<void> {
  await at(options, {
    inFiles: async (store) => {
      const one = foundIn(await store.list(), name, 'the store');
      if (options.json) return printJson(shown(one));
      if (one.error !== undefined) throw one.error;
      const place = one.bookmark === undefined ? 'has no position yet, and was taken' : `goes on at ${one.bookmark}, kept`;
      return print(`consumer ${JSON.stringify(name)} ${place} ${readableTime(one.savedMs)}`);
    },
    inNodes: async (log) => {
      const one = foundIn(await log.consumers({ timeoutMs: options.timeout }), name, 'the log');
      if (options.json) return printJson(shownOfNodes(log, one));
      const place = one.position === null ? 'has no position yet' : `goes on at ${log.bookmark(one.position)}`;
      return print(`consumer ${JSON.stringify(name)} ${place}, ${one.lagBytes} bytes to go; changed ${timeText(one.changedMs)}`);
    },
  });
}

/** What `--to` says of a log that nodes keep: an offset or a bookmark. */
const placeIn = (to: string): number | string => (/^\d+$/.test(to) ? Number(to) : to);

async function runReset(name: string, options: ResetOptions): Promise<void> {
  const { to, timeout } = options;
  let bookmark = to;
  try {
    await at(options, {
      inFiles: async (store) => {
        foundIn(await store.list(), name, 'the store');
        await store.reset(name, to);
      },
      inNodes: async (log) => {
        foundIn(await log.consumers({ timeoutMs: timeout }), name, 'the log');
        const place = to === undefined ? undefined : placeIn(to);
        await log.resetConsumer(name, { to: place, timeoutMs: timeout });
        if (typeof place === 'number') bookmark = log.bookmark(place);
      },
    });
  } catch (thrown) {
    throw thrown instanceof TypeError || thrown instanceof RangeError ? new LogError('USAGE', `--to: ${thrown.message}`) : thrown;
  }
  if (options.json) {
    await printJson({ name, bookmark: bookmark ?? null, offset: bookmark === undefined ? null : Number(bookmark.split('@')[1]) });
    return;
  }
  const place = to === undefined ? 'begins anew' : `goes on at ${to}`;
  await print(`consumer ${JSON.stringify(name)} ${place} when it is taken next; a program that has it now can keep no more: restart it`);
}

async function runRemove(name: string, options: CommonOptions): Promise<void> {
  let wasThere = false;
  await at(options, {
    inFiles: async (store) => {
      wasThere = await store.remove(name);
    },
    inNodes: async (log) => {
      wasThere = await log.removeConsumer(name, { timeoutMs: options.timeout });
    },
  });
  if (options.json) {
    await printJson({ name, wasThere });
    return;
  }
  const where = options.store === undefined ? 'in the log' : 'in the store';
  await print(`consumer ${JSON.stringify(name)} ${wasThere ? 'is forgotten' : `is not ${where}: nothing was done`}`);
}

function command(name: string, summary: string, description: string): Command {
  return new Command(name)
    .summary(summary)
    .description(description)
    .addOption(urlOption('a node of the log, or several of a cluster with commas between them'))
    .addOption(commandTimeoutOption())
    .addOption(
      new Option(
        '--store <directory>',
        'ask no node: the positions that programs keep in files, in the directory that they give to fileStore(directory)',
      ),
    )
    .addOption(jsonOption('one JSON object'));
}

export function consumerCommand(): Command {
  const list = command('list', 'all names', 'show all names, where each goes on, and in the log how much it has to go').action(runList);
  const show = command('show', 'where a name goes on', 'show where a name goes on, as a bookmark')
    .argument('<name>', 'as the program calls it')
    .action(runShow);
  const reset = command(
    'reset',
    'begin a name anew, or go on elsewhere',
    'let a name begin anew, as if nobody had had it, or go on at a bookmark. A program that has it now can keep no more, and ends with FENCED at its next commit. With --store also for a name whose file is damaged',
  )
    .argument('<name>', 'as the program calls it')
    .addOption(
      new Option(
        '--to <bookmark>',
        'where it goes on, as log.bookmark(offset) and show give it, and without --store also an offset; default: where its options say',
      ),
    )
    .action(runReset);
  const remove = command(
    'remove',
    'forget a name',
    'forget a name. A program that has it now can keep no more. With --store a file of some bytes stays, so that such a program never passes for one that takes the name later',
  )
    .argument('<name>', 'as the program calls it')
    .action(runRemove);
  const group = new Command('consumer')
    .summary('named consumers and their positions')
    .description(
      'show, reset and remove the named consumers whose positions the nodes of the log keep, or with --store those of which programs keep them in files',
    );
  withExamples(group, [
    ['loglog consumer list', 'which the log has, and their lags'],
    ['loglog consumer reset billing', 'it begins anew'],
    ['loglog consumer list --store positions', 'those of which positions are in files'],
  ]);
  for (const each of [list, show, reset, remove]) group.addCommand(each);
  return group;
}
