// `loglog verify`: every entry of every segment, every index, and how they fit together. Offline; changes nothing.

import { Command, Option } from 'commander';
import { type BackupFacts, verifyBackup } from '../../backup/verifyBackup.ts';
import { Workspace } from '../../client/wasm.ts';
import { LogError } from '../../core/errors.ts';
import { unfinishedRun } from '../../format/identity.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { type DirectoryFacts, examineDirectory, examineSegmentFile } from '../../storage/offline.ts';
import type { SegmentFacts } from '../../storage/offlineSegment.ts';
import type { Damage } from '../../storage/segmentImage.ts';
import { commandTimeoutOption, jsonOption, parseUrls, withExamples } from '../arguments.ts';
import { counted, grouped, print, printJson, readableBytes, readableTime } from '../output.ts';
import { Progress, percent } from '../progress.ts';
import { kindOfPath, publicFacts, reportDamage } from './inspect.ts';

interface VerifyOptions {
  /** Of a cluster that runs. */
  readonly cluster?: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

function foundIn(damage: readonly Damage[]): string {
  const files = new Set(damage.map(({ file }) => file)).size;
  if (files === 0) return 'no damage';
  return `damage in ${counted(files, 'file')}`;
}

function speedOf(bytes: number, seconds: number): string {
  return `${readableBytes(bytes)} in ${seconds.toFixed(2)} s, ${readableBytes(bytes / seconds)}/s`;
}

function describeBackup({ directory, manifest, entries, damage }: BackupFacts, seconds: number): string {
  if (manifest === undefined) return `${directory}: ${foundIn(damage)}`;
  const { start, end, takenMs } = manifest;
  const taken =
    takenMs === 0
      ? 'its first run did not come to the end: run loglog backup again; where that cannot go on, loglog restore --unfinished takes what is there'
      : `it has all that was acknowledged before ${readableTime(takenMs)}`;
  return `${directory}: ${foundIn(damage)}; a backup of the log from offset ${start} to ${end}, ${counted(manifest.files.length, 'file')}, ${counted(entries, 'entry', 'entries')} verified (${speedOf(end - start, seconds)})\n${taken}`;
}

function describe(path: string, segments: readonly SegmentFacts[], damage: readonly Damage[], seconds: number): string {
  const entries = segments.reduce((sum, facts) => sum + facts.entries, 0);
  const bytes = segments.reduce((sum, facts) => sum + facts.fileBytes, 0);
  const lines = segments
    .filter(({ tornBytes }) => tornBytes > 0)
    .map(({ file, end, tornBytes }) => {
      const what = `${grouped(tornBytes)} bytes of an unfinished write after the log's end at offset ${end}`;
      return `${file}: ${what}; never acknowledged as committed, and cut when a node starts`;
    });
  lines.push(
    `${path}: ${foundIn(damage)}; ${counted(segments.length, 'segment')}, ${counted(entries, 'entry', 'entries')} verified (${speedOf(bytes, seconds)})`,
  );
  return lines.join('\n');
}

async function run(path: string | undefined, { cluster, timeout, json = false }: VerifyOptions): Promise<void> {
  if (cluster !== undefined && path !== undefined) throw new LogError('USAGE', 'verify takes a path or --cluster, not both');
  // The client, which it needs, is half of what there would be to load.
  if (cluster !== undefined) return await (await import('./verifyCluster.ts')).verifyCluster(cluster, timeout, json);
  if (path === undefined) throw new LogError('USAGE', 'verify takes the path of a data directory, a backup or a file, or --cluster URL');
  await verifyPath(path, json);
}

async function verifyPath(path: string, json: boolean): Promise<void> {
  const progress = new Progress();
  const onProgress = (done: number, total: number): void =>
    progress.update(() => {
      return `${percent(done, total)}  ${readableBytes(done)} of ${readableBytes(total)}  ${readableBytes(done / progress.seconds)}/s`;
    });
  const options = { everyEntry: true, onProgress };
  const disk = new NodeDisk();
  const kind = kindOfPath(path);
  if (kind === 'backup') {
    const facts = verifyBackup(disk, path, { workspace: await Workspace.create(0), onProgress });
    progress.done();
    if (json) await printJson({ ok: facts.damage.length === 0, ...facts });
    else await print(describeBackup(facts, progress.seconds));
    reportDamage(facts.damage);
  } else if (kind === 'directory') {
    const facts = examineDirectory(disk, path, options);
    progress.done();
    refuseUnfinished(facts);
    if (json) await printJson({ ok: facts.damage.length === 0, ...publicFacts(facts) });
    else await print(describe(path, facts.segments, facts.damage, progress.seconds));
    reportDamage(facts.damage);
  } else {
    // An index is verified by comparing it with its segment.
    const file = kind === 'index' ? path.replace(/\.index$/, '.segment') : path;
    const facts = examineSegmentFile(disk, file, options);
    progress.done();
    if (json) await printJson({ ok: facts.damage.length === 0, ...facts });
    else await print(describe(path, [facts], facts.damage, progress.seconds));
    reportDamage(facts.damage);
  }
}

/** Files of two logs are no damage while one is being made of the other. */
function refuseUnfinished({ directory, identity }: DirectoryFacts): void {
  const run = identity === undefined ? undefined : unfinishedRun(identity);
  if (run === undefined) return;
  const sentence = `a loglog ${run} on ${directory} did not come to its end, and its files are of two logs until it has; nothing was changed`;
  throw new LogError('USAGE', `${sentence}: run loglog ${run} ${directory} again, and verify it then`);
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('verify every entry on disk')
    .description(
      'verify every entry and every index, and name each damage by file and byte; with --cluster, read the whole log from each node and compare it with the others and with what the log says of its segments. Changes nothing, exits with 5 on damage or a difference',
    )
    .argument('[path]', 'data directory, folder of a backup, .segment file or .index file')
    .addOption(
      new Option('--cluster <url>', 'compare all nodes of the cluster that runs there; several nodes with commas between them').argParser(
        parseUrls,
      ),
    )
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog verify ./data', 'the whole log'],
    ['loglog verify ./data/00000000000000000000.segment', 'one segment'],
    ['loglog verify /backups/orders --json', 'a backup, for programs'],
    ['loglog verify --cluster ws://a:7070', 'all nodes of a cluster, while it runs'],
  ]);
}
