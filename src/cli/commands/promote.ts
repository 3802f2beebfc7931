// `loglog promote`: makes a stopped mirror's directory that of a log of its own. Offline.

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { LogError } from '../../core/errors.ts';
import { MAX_NODE_ID } from '../../core/limits.ts';
import { mirrorIdentity, PROMOTE_RANDOM_BYTES, type PromoteReport, planOf, promote } from '../../mirror/promote.ts';
import type { Identity } from '../../storage/dataDirectory.ts';
import { lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { jsonOption, parseInteger, withExamples } from '../arguments.ts';
import { counted, grouped, print, printJson, say } from '../output.ts';
import { commandHere, quoted } from '../ownCommand.ts';
import { Progress, percent } from '../progress.ts';
import { kindOfPath } from './inspect.ts';

interface PromoteOptions {
  /** 1 if not given. */
  readonly node?: number;
  readonly sameCluster?: boolean;
  readonly json?: boolean;
}

function describe(directory: string, { clusterId, nodeId, start, mirrorEnd, segments }: PromoteReport): string {
  const call = `${commandHere()} serve --data ${quoted(directory)}${nodeId === 1 ? '' : ` --node ${nodeId}`}`;
  return `${directory} is a log of its own, from offset ${start} to ${mirrorEnd}, ${counted(segments, 'segment')}
It is node ${nodeId} of cluster ${clusterId}, alone until others join it with empty directories

Type next:
  ${call}`;
}

async function run(given: string, { node, sameCluster = false, json = false }: PromoteOptions): Promise<void> {
  const directory = resolve(given);
  if (kindOfPath(directory) !== 'directory') {
    throw new LogError(
      'USAGE',
      `${directory} is not the directory of a mirror; nothing was changed. Of a backup, loglog restore makes a log`,
    );
  }
  const disk = new NodeDisk();
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  mirrorIdentity(disk, directory);
  const lock = lockDirectory(directory);
  const progress = new Progress();
  try {
    const random = randomBytes(PROMOTE_RANDOM_BYTES);
    const identity = mirrorIdentity(disk, directory);
    const plan = planOf(identity, { nodeId: node ?? 1, isSameCluster: sameCluster, random });
    const { clusterId } = plan;
    refuseOtherPlan(directory, identity, plan, { node, sameCluster });
    const goesOn = identity.mirror.promotion === undefined ? '' : ', as a run that was cut short has begun';
    const becomes =
      clusterId === identity.clusterId ? 'keeps that id: all other directories of it must be gone' : `becomes cluster ${clusterId}`;
    say(`loglog: ${directory}, a mirror of the log of cluster ${identity.clusterId}, ${becomes}; it no longer follows${goesOn}`);
    const report = promote(disk, directory, {
      nodeId: node ?? 1,
      isSameCluster: sameCluster,
      random,
      nowMs: Date.now(),
      onProgress: (done, total) => progress.update(() => `${percent(done, total)}  ${grouped(done)} of ${grouped(total)} segments`),
    });
    progress.done();
    if (json) await printJson({ data: directory, ...report, seconds: progress.seconds });
    else await print(describe(directory, report));
  } finally {
    progress.done();
    lock.release();
  }
}

/** What a run that was cut short has begun stands in headers by now: other options cannot change it, and are not passed over. */
function refuseOtherPlan(
  directory: string,
  identity: Pick<Identity, 'clusterId'>,
  plan: { readonly clusterId: string; readonly nodeId: number },
  { node = plan.nodeId, sameCluster }: { readonly node: number | undefined; readonly sameCluster: boolean },
): void {
  if (node === plan.nodeId && (!sameCluster || plan.clusterId === identity.clusterId)) return;
  throw new LogError(
    'USAGE',
    `a run that was cut short has begun to make ${directory} node ${plan.nodeId} of cluster ${plan.clusterId}, which options cannot change any more: leave out --node and --same-cluster, and it goes on`,
  );
}

export function promoteCommand(): Command {
  const command = new Command('promote')
    .summary("make a mirror's directory that of a log of its own")
    .description(
      'make the directory of a mirror that is stopped that of a log of its own, which takes appends: it follows no more. It begins another generation, and another cluster, as a node alone that others may join with empty directories. Stopped early, run it again',
    )
    .argument('<directory>', 'the data directory of the mirror')
    .option('--node <number>', 'the id of the node, 1 to 32; 1 if not given', parseInteger(1, MAX_NODE_ID))
    .option('--same-cluster', 'keep the id of the cluster: only when all its other data directories are gone')
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog promote ./mirror', 'a log of its own, as a node alone'],
    ['loglog promote ./mirror --same-cluster', 'in place of a cluster that is lost: it keeps its id'],
  ]);
}
