// `loglog consumer`: the names that a file store keeps positions of, shown, begun anew and forgotten. No node is asked.

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type FileStore, fileStore, type StoredPosition } from '../../client/index.ts';
import { LogError } from '../../core/errors.ts';
import { jsonOption, withExamples } from '../arguments.ts';
import { print, printJson, readableTime, table } from '../output.ts';

interface StoreOptions {
  readonly store: string;
  readonly json?: boolean;
}

interface ResetOptions extends StoreOptions {
  readonly to?: string;
}

/** A name as JSON shows it: the bookmark, and its parts. */
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

/** Where a name goes on, for people. */
function placeText({ bookmark, error }: StoredPosition): string {
  if (error !== undefined) return 'damaged';
  return bookmark?.split('@')[1] ?? 'none yet';
}

function storeIn({ store }: StoreOptions): FileStore {
  const directory = resolve(store);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    const sentence = `there is no directory ${directory}: name the one that the programs give to fileStore(directory)`;
    throw new LogError('USAGE', sentence);
  }
  return fileStore(directory);
}

/** The name, which is there. */
async function found(store: FileStore, name: string): Promise<StoredPosition> {
  const all = await store.list();
  const one = all.find((each) => each.name === name);
  if (one !== undefined) return one;
  const others = all.length === 0 ? 'the store has none' : `the store has ${all.map((each) => JSON.stringify(each.name)).join(', ')}`;
  throw new LogError('USAGE', `there is no consumer ${JSON.stringify(name)}: ${others}`);
}

async function runList(options: StoreOptions): Promise<void> {
  const consumers = await storeIn(options).list();
  if (options.json) {
    await printJson({ consumers: consumers.map(shown) });
    return;
  }
  if (consumers.length === 0) {
    await print('the store has no consumers');
    return;
  }
  const rows = consumers.map((one) => [one.name, placeText(one), readableTime(one.savedMs), one.bookmark?.split('@')[0] ?? '']);
  await print(table([['name', 'position', 'kept', 'of the log'], ...rows]));
}

async function runShow(name: string, options: StoreOptions): Promise<void> {
  const one = await found(storeIn(options), name);
  if (options.json) {
    await printJson(shown(one));
    return;
  }
  if (one.error !== undefined) throw one.error;
  const place = one.bookmark === undefined ? 'has no position yet, and was taken' : `goes on at ${one.bookmark}, kept`;
  await print(`consumer ${JSON.stringify(name)} ${place} ${readableTime(one.savedMs)}`);
}

async function runReset(name: string, options: ResetOptions): Promise<void> {
  const store = storeIn(options);
  await found(store, name);
  try {
    await store.reset(name, options.to);
  } catch (thrown) {
    throw thrown instanceof TypeError ? new LogError('USAGE', `--to: ${thrown.message}`) : thrown;
  }
  if (options.json) {
    await printJson({ name, bookmark: options.to ?? null });
    return;
  }
  const place = options.to === undefined ? 'begins anew' : `goes on at ${options.to}`;
  await print(`consumer ${JSON.stringify(name)} ${place} when it is taken next; a program that has it now can keep no more: restart it`);
}

async function runRemove(name: string, options: StoreOptions): Promise<void> {
  const wasThere = await storeIn(options).remove(name);
  if (options.json) {
    await printJson({ name, wasThere });
    return;
  }
  await print(`consumer ${JSON.stringify(name)} ${wasThere ? 'is forgotten' : 'is not in the store: nothing was done'}`);
}

function command(name: string, summary: string, description: string): Command {
  return new Command(name)
    .summary(summary)
    .description(description)
    .addOption(
      new Option('--store <directory>', 'where the programs keep positions: what they give to fileStore(directory)').makeOptionMandatory(),
    )
    .addOption(jsonOption('one JSON object'));
}

export function consumerCommand(): Command {
  const list = command('list', 'all names', 'show all names of a store, and where each goes on').action(runList);
  const show = command('show', 'where a name goes on', 'show where a name goes on, as a bookmark')
    .argument('<name>', 'as the program calls it')
    .action(runShow);
  const reset = command(
    'reset',
    'begin a name anew, or go on elsewhere',
    'let a name begin anew, as if nobody had had it, or go on at a bookmark. A program that has it now can keep no more, and ends with FENCED at its next commit. Also for a name whose file is damaged',
  )
    .argument('<name>', 'as the program calls it')
    .addOption(new Option('--to <bookmark>', 'where it goes on, as log.bookmark(offset) and show give it; default: where its options say'))
    .action(runReset);
  const remove = command(
    'remove',
    'forget a name',
    'forget a name. A program that has it now can keep no more. A file of some bytes stays, so that such a program never passes for one that takes the name later',
  )
    .argument('<name>', 'as the program calls it')
    .action(runRemove);
  const group = new Command('consumer')
    .summary('named consumers of a file store')
    .description(
      'show, reset and remove the names of consumers whose positions are kept in files, by fileStore(directory); no node is asked',
    );
  withExamples(group, [
    ['loglog consumer list --store positions', 'which there are'],
    ['loglog consumer reset billing --store positions', 'it begins anew'],
  ]);
  for (const each of [list, show, reset, remove]) group.addCommand(each);
  return group;
}
