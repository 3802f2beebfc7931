// `loglog inspect`: what the files of a log say, without a node and without a lock. It believes the indexes of sealed segments; `verify`
// does not.

import { lstatSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import {
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_DATA,
  KIND_LEVEL,
  KIND_NOOP,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../../assembly/layout.ts';
import { MANIFEST_FILE } from '../../backup/names.ts';
import { LogError } from '../../core/errors.ts';
import { decodeSegmentIndex, type SegmentIndex } from '../../format/segmentIndex.ts';
import { readFile } from '../../storage/disk.ts';
import { IDENTITY_FILE } from '../../storage/names.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { type DirectoryFacts, examineDirectory, examineSegmentFile, listEntries } from '../../storage/offline.ts';
import type { SegmentFacts } from '../../storage/offlineSegment.ts';
import type { Damage } from '../../storage/segmentImage.ts';
import { jsonOption, parseCount, parseOffset, withExamples } from '../arguments.ts';
import { asLine } from '../entryFormat.ts';
import { EXIT, Quit } from '../exit.ts';
import { counted, grouped, Output, pairs, print, printJson, readableTime, say, table } from '../output.ts';

interface InspectOptions {
  readonly json?: boolean;
  readonly entries?: boolean;
  readonly from?: number;
  readonly limit?: number;
}

const KIND_NAMES: Readonly<Record<number, string>> = {
  [KIND_DATA]: 'data',
  [KIND_NOOP]: 'no-op',
  [KIND_CONFIGURATION]: 'configuration',
  [KIND_TRIM]: 'trim',
  [KIND_TIME]: 'time',
  [KIND_SEAL]: 'seal',
  [KIND_STATE]: 'state',
  [KIND_LEVEL]: 'level',
  [KIND_SESSION]: 'session',
  [KIND_POSITION]: 'position',
  [KIND_ACCESS]: 'access',
  [KIND_POLICY]: 'policy',
};
const CHUNK_CHARACTERS = 64 * 1024;

/** What stands at a path on the command line. */
export function kindOfPath(path: string): 'directory' | 'backup' | 'index' | 'segment' {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) throw new LogError('USAGE', `${path} does not exist; name a data directory or one of its files`);
  if (status.isDirectory()) return isBackup(path) ? 'backup' : 'directory';
  return path.endsWith('.index') ? 'index' : 'segment';
}

/** A directory may be called one although its manifest is no file: that is said where it is read. */
function isBackup(path: string): boolean {
  const has = (name: string): boolean => lstatSync(`${path}/${name}`, { throwIfNoEntry: false }) !== undefined;
  return has(MANIFEST_FILE) && !has(IDENTITY_FILE);
}

/** Ends a command with the exit code for damage, after naming each of `damage` on stderr. */
export function reportDamage(damage: readonly Damage[]): void {
  for (const { sentence } of damage) say(`loglog: ${sentence}`);
  if (damage.length > 0) throw new Quit(EXIT.DAMAGE);
}

function termsOf({ terms }: SegmentFacts): string {
  const first = terms[0]?.term;
  const last = terms.at(-1)?.term;
  if (first === undefined || last === undefined) return '-';
  return first === last ? String(first) : `${first} to ${last}`;
}

function stateOf({ damage, state, tornBytes }: SegmentFacts): string {
  if (damage.length > 0) return `${state}, damaged`;
  return tornBytes === 0 ? state : `${state}, ${grouped(tornBytes)} bytes of an unfinished write after its end`;
}

/** Segments, one a row. */
export function segmentTable(segments: readonly SegmentFacts[]): string {
  const heading = ['base', 'end', 'entries', 'file bytes', 'terms', 'first append', 'last append', 'state'];
  const rows = segments.map((facts) => [
    String(facts.base),
    String(facts.end),
    grouped(facts.entries),
    grouped(facts.fileBytes),
    termsOf(facts),
    readableTime(facts.firstMs),
    readableTime(facts.lastMs),
    stateOf(facts),
  ]);
  return table([heading, ...rows]);
}

/** What node.json of a node in a cluster says besides; an older one does not. */
interface Membership {
  /** Tells this data directory from another of the same node, such as one that was lost. */
  readonly instance?: unknown;
  /** Whether the node counts for majorities yet. */
  readonly standing?: unknown;
  readonly isFounder?: unknown;
  /** The nodes of its cluster; null for a node alone. */
  readonly nodes?: unknown;
}

function membershipOf(identity: object): Membership {
  const { instance, standing, isFounder, nodes } = identity as Membership;
  return { instance, standing, isFounder, nodes };
}

/** What of a directory is for others to see: the seed of the durable marks is a secret. */
export function publicFacts({ identity, ...facts }: DirectoryFacts): object {
  if (identity === undefined) return { ...facts, identity };
  const { clusterId, nodeId, start, mirror } = identity;
  return { ...facts, identity: { clusterId, nodeId, start, ...(mirror === undefined ? {} : { mirror }), ...membershipOf(identity) } };
}

/** What a directory says of itself, one name and value a line. */
export function directoryPairs({ directory, identity, vote, start, end, commit, segments, leftover }: DirectoryFacts): [string, string][] {
  const { instance, standing, isFounder, nodes } = membershipOf(identity ?? {});
  const pairsOf: [string, string][] = [
    ['directory', directory],
    ['cluster', identity?.clusterId ?? 'unreadable'],
    ...(identity?.mirror === undefined
      ? []
      : [
          [
            'mirror',
            `of generation ${identity.mirror.generation}${identity.mirror.promotion === undefined ? '' : '; its promotion did not come to its end'}`,
          ] as [string, string],
        ]),
    ['node', identity === undefined ? 'unreadable' : `${identity.nodeId}${isFounder === true ? ', founder of the cluster' : ''}`],
  ];
  if (identity?.recovery !== undefined) pairsOf.push(['recovery', 'did not come to its end: run loglog recover apply again']);
  if (Array.isArray(nodes)) pairsOf.push(['nodes', nodes.join(', ')]);
  if (typeof instance === 'string') pairsOf.push(['instance', instance]);
  if (typeof standing === 'string') pairsOf.push(['standing', standing]);
  const votedFor = vote === undefined || vote.votedFor === 0 ? 'none' : `node ${vote.votedFor}`;
  pairsOf.push(
    ['term', vote === undefined ? 'unreadable' : `${vote.currentTerm}, voted for ${votedFor}`],
    ['log', `offsets ${start} to ${end}, committed up to ${commit} at least`],
    ['entries', grouped(segments.reduce((sum, { entries }) => sum + entries, 0))],
  );
  if (leftover.length > 0) pairsOf.push(['trimmed', `${counted(leftover.length, 'segment')} to be removed at the next start`]);
  return pairsOf;
}

function describeDirectory(facts: DirectoryFacts): string {
  const head = pairs(directoryPairs(facts));
  return facts.segments.length === 0 ? `${head}\n\nno segments yet` : `${head}\n\n${segmentTable(facts.segments)}`;
}

async function inspectDirectory(path: string, json: boolean): Promise<void> {
  const facts = examineDirectory(new NodeDisk(), path, { everyEntry: false });
  if (json) await printJson(publicFacts(facts));
  else await print(describeDirectory(facts));
  reportDamage(facts.damage);
}

function describeIndex(index: SegmentIndex, path: string): string {
  return pairs([
    ['index', path],
    ['cluster', index.clusterId],
    ['log', `offsets ${index.base} to ${index.end}`],
    ['entries', grouped(index.entries)],
    ['first append', readableTime(index.firstMs)],
    ['last append', readableTime(index.lastMs)],
    ['digest', index.digest.toString(16).padStart(16, '0')],
    ['index points', grouped(index.points.length)],
    ['terms', index.terms.map(({ term, position, leader }) => `${term} from byte ${position}, led by instance ${leader}`).join(', ')],
  ]);
}

async function inspectIndex(path: string, json: boolean): Promise<void> {
  const index = decodeSegmentIndex(readFile(new NodeDisk(), path), path);
  if (json) await printJson({ file: path, ...index, digest: index.digest.toString(16).padStart(16, '0'), points: [...index.points] });
  else await print(describeIndex(index, path));
}

async function inspectEntries(path: string, { json = false, from = 0, limit = Number.POSITIVE_INFINITY }: InspectOptions): Promise<void> {
  const output = new Output();
  const width = 20;
  let text = json ? '' : `${'offset'.padStart(width)}  ${'byte'.padStart(10)}  ${'term'.padStart(8)}  ${'payload'.padStart(8)}  kind\n`;
  for (const entry of listEntries(new NodeDisk(), path, from, limit)) {
    const { offset, position, term, payloadBytes } = entry;
    const kind = KIND_NAMES[entry.kind] ?? String(entry.kind);
    const shown = entry.isContinued ? `${kind}, batch goes on` : kind;
    text += json
      ? asLine({ ...entry, kind })
      : `${String(offset).padStart(width)}  ${String(position).padStart(10)}  ${String(term).padStart(8)}  ${String(payloadBytes).padStart(8)}  ${shown}\n`;
    if (text.length < CHUNK_CHARACTERS) continue;
    await output.write(Buffer.from(text));
    text = '';
  }
  await output.write(Buffer.from(text));
  await output.flush();
}

async function inspectSegment(path: string, options: InspectOptions): Promise<void> {
  const { json = false, entries = false } = options;
  if (entries) {
    await inspectEntries(path, options);
    return;
  }
  const facts = examineSegmentFile(new NodeDisk(), path, { everyEntry: false });
  if (json) await printJson(facts);
  else await print(`${dirname(path)}/${basename(path)}\n\n${segmentTable([facts])}`);
  reportDamage(facts.damage);
}

async function run(path: string, options: InspectOptions): Promise<void> {
  const kind = kindOfPath(path);
  const { json = false, entries = false } = options;
  if (entries && kind !== 'segment') throw new LogError('USAGE', `--entries lists one segment file; ${path} is not one`);
  if (kind === 'backup') throw new LogError('USAGE', `${path} is the folder of a backup: look at it with loglog verify`);
  if (kind === 'directory') await inspectDirectory(path, json);
  else if (kind === 'index') await inspectIndex(path, json);
  else await inspectSegment(path, options);
}

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .summary('show what the files of a log say')
    .description('show what a data directory, a segment file or an index file says; changes nothing, and may run beside a live node')
    .argument('<path>', 'data directory, .segment file or .index file')
    .option('--entries', 'list the entries of a segment file')
    .addOption(new Option('--from <offset>', 'with --entries: begin at this log offset').argParser(parseOffset))
    .addOption(new Option('--limit <entries>', 'with --entries: list at most this many').argParser(parseCount))
    .addOption(jsonOption('JSON; with --entries, one object a line'))
    .action(run);
  return withExamples(command, [
    ['loglog inspect ./data', 'identity, term, and all segments'],
    ['loglog inspect ./data/00000000000000000000.segment --entries --limit 20', 'its first entries'],
    ['loglog inspect ./data --json', 'for programs'],
  ]);
}
