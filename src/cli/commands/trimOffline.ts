// `loglog trim-offline`: removes the oldest segments of a log whose node does not run.

import { Command, Option } from 'commander';
import { LogError } from '../../core/errors.ts';
import { formatNodes } from '../../core/nodeSet.ts';
import { readIdentity } from '../../storage/dataDirectory.ts';
import { lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { applyTrim, planTrim, type TrimPlan } from '../../storage/trim.ts';
import { jsonOption, parseOffset, withExamples } from '../arguments.ts';
import { counted, print, printJson, readableBytes } from '../output.ts';
import { kindOfPath } from './inspect.ts';

interface TrimOptions {
  readonly data: string;
  readonly before: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

function describe({ bases, freedBytes, newStart, start }: TrimPlan, dryRun: boolean): string {
  if (bases.length === 0) return `nothing to trim: the log starts at offset ${start}, and only whole segments before the given offset go`;
  const what = `${counted(bases.length, 'segment')} (${readableBytes(freedBytes)})`;
  return dryRun
    ? `would remove ${what}; the log would start at offset ${newStart}`
    : `removed ${what}; the log starts at offset ${newStart}`;
}

/** What one node of a cluster lacks without the others' knowing, they cannot get back from it. */
function refuseCluster(disk: NodeDisk, data: string): void {
  const identity = readIdentity(disk, data);
  if (identity?.mirror !== undefined) {
    throw new LogError('USAGE', `${data} is a mirror, which follows the trims of its source; nothing was removed`);
  }
  const nodes = identity?.nodes ?? [];
  if (nodes.length < 2) return;
  throw new LogError(
    'USAGE',
    `${data} is the directory of one of the nodes ${formatNodes(nodes)}: a cluster is trimmed while it runs, with loglog trim; nothing was removed`,
  );
}

async function run({ data, before, dryRun = false, json = false }: TrimOptions): Promise<void> {
  if (kindOfPath(data) !== 'directory') throw new LogError('USAGE', `${data} is not a directory`);
  const disk = new NodeDisk();
  // A first look before the lock, so that no file of ours appears in a directory of somebody else.
  refuseCluster(disk, data);
  let plan = planTrim(disk, data, before);
  if (!dryRun) {
    lockDirectory(data);
    plan = planTrim(disk, data, before);
    applyTrim(disk, plan);
  }
  const { start, newStart, end, bases, freedBytes } = plan;
  if (json) await printJson({ dryRun, start: dryRun ? start : newStart, newStart, end, segments: bases, freedBytes });
  else await print(describe(plan, dryRun));
}

export function trimOfflineCommand(): Command {
  const command = new Command('trim-offline')
    .summary('remove the oldest segments of a node alone that is stopped')
    .description('remove whole segments before an offset, for good, from the directory of a node that is alone and does not run')
    .addOption(new Option('--data <directory>', 'the data directory').env('LOGLOG_DATA').makeOptionMandatory())
    .addOption(
      new Option('--before <offset>', 'what to keep begins here, or a little earlier').argParser(parseOffset).makeOptionMandatory(),
    )
    .option('--dry-run', 'say what would be removed, and change nothing')
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog trim-offline --data ./data --before 80000000 --dry-run', 'what would go'],
    ['loglog trim-offline --data ./data --before 80000000', 'remove it'],
  ]);
}
