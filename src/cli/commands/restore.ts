// `loglog restore`: makes a data directory of a backup. Offline.

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { readManifest } from '../../backup/folder.ts';
import type { Manifest } from '../../backup/manifest.ts';
import { MANIFEST_FILE } from '../../backup/names.ts';
import { RESTORE_RANDOM_BYTES, type RestoreReport, refuseUsed, restore } from '../../backup/restore.ts';
import { Workspace } from '../../client/wasm.ts';
import { LogError } from '../../core/errors.ts';
import { MAX_NODE_ID } from '../../core/limits.ts';
import type { Disk } from '../../storage/disk.ts';
import { lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { jsonOption, parseInteger, withExamples } from '../arguments.ts';
import { counted, grouped, print, printJson, readableBytes, readableTime } from '../output.ts';
import { commandHere, quoted } from '../ownCommand.ts';
import { Progress, percent } from '../progress.ts';
import { kindOfPath } from './inspect.ts';

interface RestoreOptions {
  readonly node: number;
  readonly sameCluster?: boolean;
  readonly unfinished?: boolean;
  readonly json?: boolean;
}

function manifestOf(disk: Disk, folder: string, mayBeUnfinished: boolean): Manifest {
  const manifest = kindOfPath(folder) === 'backup' ? readManifest(disk, folder) : undefined;
  if (manifest === undefined) throw new LogError('USAGE', `${folder} is not the folder of a backup: it has no ${MANIFEST_FILE}`);
  if (manifest.takenMs > 0 || mayBeUnfinished) return manifest;
  throw new LogError(
    'USAGE',
    `the first run of the backup in ${folder} did not come to its end: run loglog backup again before you restore it. Where that cannot go on, because the log is gone or was trimmed, --unfinished restores what is there: up to offset ${manifest.end}`,
  );
}

function holds({ end, takenMs }: Manifest): string {
  if (takenMs === 0) return `The first run of the backup did not come to its end: what was in the log after offset ${end} is not in it`;
  return `It has all that was acknowledged before ${readableTime(takenMs)}`;
}

function tokensText(tokens: number, droppedTokens: number): string {
  if (tokens > 0)
    return `\nIts ${grouped(tokens)} tokens are in force as they were when the backup was taken: revoke what was revoked since`;
  if (droppedTokens === 0) return '';
  return `\nIts ${grouped(droppedTokens)} tokens are not in force: make others, the first with loglog token create --data`;
}

function describe(
  data: string,
  manifest: Manifest,
  { clusterId, start, backupEnd, segments, tokens, droppedTokens }: RestoreReport,
  node: number,
  seconds: number,
): string {
  const bytes = backupEnd - start;
  const speed = `${readableBytes(bytes)} in ${seconds.toFixed(2)} s, ${readableBytes(bytes / seconds)}/s`;
  const call = `${commandHere()} serve --data ${quoted(data)}${node === 1 ? '' : ` --node ${node}`}`;
  return `${data} has the log from offset ${start} to ${backupEnd}, ${counted(segments, 'segment')}, all verified (${speed})
${holds(manifest)}${tokensText(tokens, droppedTokens)}
It is node ${node} of cluster ${clusterId}, alone until others join it with empty directories

Type next:
  ${call}`;
}

async function run(
  given: string,
  data: string,
  { node, sameCluster = false, unfinished = false, json = false }: RestoreOptions,
): Promise<void> {
  const folder = resolve(given);
  const directory = resolve(data);
  const disk = new NodeDisk();
  const manifest = manifestOf(disk, folder, unfinished);
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  refuseUsed(disk, directory);
  const lock = lockDirectory(directory);
  const progress = new Progress();
  try {
    const report = restore(disk, folder, manifest, directory, await Workspace.create(0), {
      nodeId: node,
      isSameCluster: sameCluster,
      random: randomBytes(RESTORE_RANDOM_BYTES),
      nowMs: Date.now(),
      onProgress: (done, total) =>
        progress.update(
          () => `${percent(done, total)}  ${readableBytes(done)} of ${readableBytes(total)}  ${readableBytes(done / progress.seconds)}/s`,
        ),
    });
    progress.done();
    if (json) await printJson({ data: directory, nodeId: node, takenMs: manifest.takenMs, ...report, seconds: progress.seconds });
    else await print(describe(directory, manifest, report, node, progress.seconds));
  } finally {
    progress.done();
    lock.release();
  }
}

export function restoreCommand(): Command {
  const command = new Command('restore')
    .summary('make a data directory of a backup')
    .description(
      'make a data directory of a backup: the same entries at the same offsets. Everything is verified, and the directory is a log only when all of it is there. It begins another cluster, as a node alone that others may join with empty directories',
    )
    .argument('<folder>', 'the folder of a backup')
    .argument('<data>', 'an empty or new directory')
    .option('--node <number>', 'the id of the node, 1 to 32', parseInteger(1, MAX_NODE_ID), 1)
    .option('--same-cluster', 'keep the id of the cluster: only when all its other data directories are gone')
    .option('--unfinished', 'although the first run of the backup did not come to its end: what is there of the log')
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog restore /backups/orders ./data', 'a log of its own, as a node alone'],
    ['loglog restore /backups/orders ./data --same-cluster', 'in place of a cluster that is lost: it keeps its id'],
  ]);
}
