// `loglog backup`: what is new in a log, into a plain folder. Online: the nodes go on.

import { resolve } from 'node:path';
import { Argument, Command } from 'commander';
import { type BackupReport, backUp } from '../../backup/backup.ts';
import { ClientSource } from '../../backup/clientSource.ts';
import { BackupFolder, refuseForeign } from '../../backup/folder.ts';
import { Workspace } from '../../client/wasm.ts';
import { BACKUP_SAVE_MS } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { type DirectoryLock, lockDirectory } from '../../storage/lock.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { commandTimeoutOption, jsonOption, parseUrls, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { counted, grouped, print, printJson, readableBytes, say } from '../output.ts';
import { Progress, percent } from '../progress.ts';

interface BackupOptions {
  /** In milliseconds. */
  readonly timeout: number;
  readonly tokens?: boolean;
  readonly json?: boolean;
}

/** Makes the folder, if it is not there, and this process's alone. */
function takeFolder(directory: string): { readonly folder: BackupFolder; readonly lock: DirectoryLock } {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a folder of somebody else.
  refuseForeign(disk, directory);
  const lock = lockFolder(directory);
  return { folder: new BackupFolder(disk, directory), lock };
}

function lockFolder(directory: string): DirectoryLock {
  try {
    return lockDirectory(directory);
  } catch (thrown) {
    if (!(thrown instanceof LogError) || thrown.code !== 'LOCKED') throw thrown;
    const sentence = `another backup into ${directory} is under way; wait for it, or name another folder`;
    throw new LogError('LOCKED', sentence, thrown.details);
  }
}

function describe(directory: string, { manifest, from, addedFiles }: BackupReport, seconds: number): string {
  const { start, end, files } = manifest;
  const added = end - from;
  const speed =
    added === 0 ? 'nothing was new' : `${readableBytes(added)} new in ${seconds.toFixed(2)} s, ${readableBytes(added / seconds)}/s`;
  const wrote = addedFiles === 0 ? '' : `, ${grouped(addedFiles)} written`;
  return `${directory}: the log from offset ${start} to ${end}, ${counted(files.length, 'file')}${wrote} (${speed})`;
}

async function run(urls: readonly string[], given: string, { timeout, tokens = false, json = false }: BackupOptions): Promise<void> {
  const directory = resolve(given);
  const { folder, lock } = takeFolder(directory);
  const progress = new Progress();
  let savedMs = performance.now();
  try {
    const report = await withClient(urls, timeout, async (log) => {
      const workspace = await Workspace.create(0);
      const onFallback = (error: LogError): void => say(`loglog: ${error.message} What is sealed is read another way, which is slower.`);
      return await backUp(folder, new ClientSource(log, urls, workspace, onFallback), workspace, {
        takenMs: Date.now(),
        tokens,
        isSaveDue: (fileCount) => {
          // A manifest of a hundred thousand files takes its time.
          const isDue = performance.now() - savedMs >= BACKUP_SAVE_MS + fileCount / 10;
          if (isDue) savedMs = performance.now();
          return isDue;
        },
        onProgress: (done, total) =>
          progress.update(
            () => `${percent(done, total)}  ${readableBytes(done)} of ${readableBytes(total)}  ${readableBytes(done / progress.seconds)}/s`,
          ),
      });
    });
    progress.done();
    const { manifest, from, addedFiles } = report;
    if (json) {
      const { files, ...facts } = manifest;
      await printJson({ directory, ...facts, files: files.length, addedFiles, addedBytes: manifest.end - from, seconds: progress.seconds });
    } else {
      await print(describe(directory, report, progress.seconds));
    }
  } finally {
    progress.done();
    lock.release();
  }
}

export function backupCommand(): Command {
  const command = new Command('backup')
    .summary('copy what is new in a running log into a folder')
    .description(
      'copy a running log into a folder of plain files, or what is new in it since the last time: all that was acknowledged when it began is in it when it ends. Stopped early, it is gone on with the next time. Any tool may copy the folder elsewhere: backup.json last',
    )
    .addArgument(new Argument('<url>', 'a node, or several of a cluster with commas between them').argParser(parseUrls))
    .argument('<folder>', 'an empty or new folder, or that of the last backup of the same log')
    .option('--tokens', 'with the tokens of the log, as hashes: they are in force again after loglog restore --same-cluster')
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog backup ws://a:7070,ws://b:7070 /backups/orders', 'again and again, in a timer'],
    ['loglog verify /backups/orders', 'look at every byte of it'],
    ['loglog restore /backups/orders ./data', 'make a log of it'],
  ]);
}
