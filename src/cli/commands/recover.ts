// `loglog recover`: makes the one directory that has most of a log whose cluster has lost its majority for good a cluster of its own. Offline.

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { LogError } from '../../core/errors.ts';
import { NO_INSTANCE } from '../../core/ids.ts';
import { formatNodes } from '../../core/nodeSet.ts';
import { identityIn, planRecovery, RECOVER_RANDOM_BYTES, type RecoveryPlan, recoverCluster } from '../../generation/recover.ts';
import type { SuccessionReport } from '../../generation/successor.ts';
import { lineOf, readLine, survivorIn } from '../../generation/survivors.ts';
import { type DirectoryLock, lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { jsonOption, withExamples } from '../arguments.ts';
import { grouped, print, printJson, readableBytes, say } from '../output.ts';
import { commandHere, quoted } from '../ownCommand.ts';
import { Progress, percent } from '../progress.ts';
import { kindOfPath } from './inspect.ts';

interface ShowOptions {
  readonly json?: boolean;
}

interface ApplyOptions {
  /** Undefined only to go on with a run that was cut short. */
  readonly from?: readonly string[];
  readonly iAcceptDataLoss?: boolean;
  readonly json?: boolean;
}

const ACCEPT = '--i-accept-data-loss';

/** A data directory that exists, by its whole path; nothing of ours appears in another one. */
function directoryOf(given: string): string {
  const directory = resolve(given);
  if (kindOfPath(directory) !== 'directory') throw new LogError('USAGE', `${directory} is not a directory`);
  return directory;
}

/** Does `work`, which reads every entry, and shows how far it is. */
function reading<T>(work: (onProgress: (doneBytes: number, totalBytes: number) => void) => T): T {
  const progress = new Progress();
  try {
    return work((done, total) => progress.update(() => `${percent(done, total)}  ${readableBytes(done)} of ${readableBytes(total)} read`));
  } finally {
    progress.done();
  }
}

async function runShow(given: string, { json = false }: ShowOptions): Promise<void> {
  const directory = directoryOf(given);
  const disk = new NodeDisk();
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  identityIn(disk, directory);
  // What a node that runs says is out of date at once.
  const lock = lockDirectory(directory);
  try {
    const survivor = reading((onProgress) => survivorIn(disk, directory, onProgress));
    const line = lineOf(survivor);
    if (json) await printJson({ data: directory, line, ...survivor });
    else await print(line);
  } finally {
    lock.release();
  }
}

/** What cannot be brought back, in sentences. */
function lossOf(directory: string, { chosen, nodeId, lost, nodes, commit }: RecoveryPlan): string[] {
  if (chosen === undefined) return [`${directory} goes on with what a run that was cut short has begun`];
  const { clusterId, lastTerm, end, generation, generationNumber } = chosen;
  const who = lost.length === 0 ? 'the others' : `node${lost.length === 1 ? '' : 's'} ${formatNodes(lost)}`;
  const known = chosen.commit;
  const became =
    generation === NO_INSTANCE
      ? 'the log has no generations, and becomes another cluster: clients, bookmarks and receipts of before get OTHER_CLUSTER'
      : `clients, bookmarks and receipts of before, of generation ${generationNumber}, are of another generation from then on: they get GENERATION_CHANGED`;
  return [
    `${directory}, of node ${nodeId} of cluster ${clusterId} of the nodes ${formatNodes(nodes)}, has most of those that were shown: its last term is ${lastTerm}, and it ends at offset ${end}`,
    ...(commit > end ? [`lost for certain: what was committed from offset ${end} to ${commit}, which it has not`] : []),
    `may be lost: whatever ${who} had after offset ${end}, acknowledged or not; nobody can say what that was`,
    ...(known < end
      ? [
          `may never have been acknowledged: what it has from offset ${known} to ${end} (${grouped(end - known)} bytes); it becomes part of the log`,
        ]
      : []),
    became,
    'no other directory of this cluster may be started again: empty them, and let their nodes join',
  ];
}

function describe(directory: string, clusterBefore: string, { clusterId, nodeId, start, endBefore, segments }: SuccessionReport): string {
  const call = `${commandHere()} serve --data ${quoted(directory)}${nodeId === 1 ? '' : ` --node ${nodeId}`}`;
  const as = clusterId === clusterBefore ? 'another generation' : 'another cluster';
  return `${directory} is the log from offset ${start} to ${endBefore}, ${grouped(segments)} ${segments === 1 ? 'segment' : 'segments'}, as ${as}
It is node ${nodeId} of cluster ${clusterId}, alone until others join it with empty directories

Type next:
  ${call}`;
}

async function runApply(given: string, { from, iAcceptDataLoss = false, json = false }: ApplyOptions): Promise<void> {
  const directory = directoryOf(given);
  const lines = (from ?? []).map(readLine);
  const disk = new NodeDisk();
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  const { recovery } = identityIn(disk, directory);
  if (from === undefined && recovery === undefined) {
    const sentence = `--from is needed: the lines of all directories that are left, as loglog recover show prints them, that of ${directory} among them`;
    throw new LogError('USAGE', `${sentence}; nothing was changed`);
  }
  const lock = lockDirectory(directory);
  try {
    const plan = reading((onProgress) => planRecovery(disk, directory, lines, onProgress));
    for (const sentence of lossOf(directory, plan)) say(`loglog: ${sentence}`);
    if (!iAcceptDataLoss && plan.chosen !== undefined) {
      throw new LogError('USAGE', `nothing was changed: run it again with ${ACCEPT} if that is to be`);
    }
    await apply(directory, disk, plan, json, lock);
  } finally {
    lock.release();
  }
}

async function apply(directory: string, disk: NodeDisk, plan: RecoveryPlan, json: boolean, lock: DirectoryLock): Promise<void> {
  const { clusterId } = identityIn(disk, directory);
  const progress = new Progress();
  try {
    const report = recoverCluster(disk, directory, {
      plan,
      random: randomBytes(RECOVER_RANDOM_BYTES),
      nowMs: Date.now(),
      onProgress: (done, total) => progress.update(() => `${percent(done, total)}  ${grouped(done)} of ${grouped(total)} segments`),
    });
    progress.done();
    lock.release();
    if (json) await printJson({ data: directory, ...report, lost: plan.lost, seconds: progress.seconds });
    else await print(describe(directory, clusterId, report));
  } finally {
    progress.done();
  }
}

export function recoverCommand(): Command {
  const show = new Command('show')
    .summary('what a directory has of the log, in one line')
    .description('print one line that says what the directory of a node that is stopped has of the log; it changes nothing')
    .argument('<directory>', 'the data directory of the node')
    .addOption(jsonOption('one JSON object'))
    .action(runShow);
  const apply = new Command('apply')
    .summary('make the directory with most of the log a cluster of its own')
    .description(
      'make the directory with the largest last term, then end, of all those that are left a cluster of its own, of one node; it is refused on any other. It begins another generation of the log, so nothing of before matches it: the other directories are emptied, and join. Stopped early, run it again, with its lines or without',
    )
    .argument('<directory>', 'the data directory of the node')
    .option(
      '--from <lines...>',
      'the lines of all directories that are left, this one among them; not needed to go on with a run that was stopped early',
    )
    .option(ACCEPT, 'do it, although what only the lost nodes had is lost')
    .addOption(jsonOption('one JSON object'))
    .action(runApply);
  return withExamples(
    new Command('recover')
      .summary('go on with what is left, when a majority is lost for good')
      .description(
        'go on with what is left of a log, when a majority of its nodes is lost for good: of the directories that are left, the one that has most becomes a cluster of its own',
      ),
    [
      ['loglog recover show ./data', 'on each machine that is left, when its node is stopped'],
      ['loglog recover apply ./data --from LINE LINE', 'what would be lost; it changes nothing'],
      ['loglog recover apply ./data --from LINE LINE --i-accept-data-loss', 'do it'],
    ],
  )
    .addCommand(show)
    .addCommand(apply);
}
