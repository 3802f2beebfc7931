// What is wrong with data directories, by what is in them, and with the disks that they are on. A node may run on one meanwhile.

import { configure } from '../../core/config.ts';
import { LogError } from '../../core/errors.ts';
import { asFlags } from '../../core/giving.ts';
import { formatNodes } from '../../core/nodeSet.ts';
import type { Identity } from '../../storage/dataDirectory.ts';
import { fileSystemOf } from '../../storage/fileSystem.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { type DirectoryFacts, examineDirectory } from '../../storage/offline.ts';
import { duration } from '../output.ts';
import { CLOCK_OFF_MS } from './clusterFindings.ts';
import { inMemory, littleRoom, lyingDisk, probeSyncs, slowDisk } from './disks.ts';
import { type Finding, finding } from './findings.ts';

/** As many damaged places of a directory are told of. */
const MOST_DAMAGE = 8;

/** What `directory` is, or why it cannot be looked at. */
function examine(disk: NodeDisk, directory: string): DirectoryFacts | Finding {
  try {
    return examineDirectory(disk, directory, { everyEntry: false });
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
    if (thrown.code === 'NEWER_FORMAT')
      return finding(
        'NEWER_VERSION',
        directory,
        thrown.message,
        'a LogLog that knows what is in it',
        'run the newest LogLog that has run on it: npm view loglogd version',
      );
    if (thrown.code === 'NOT_A_DATA_DIRECTORY')
      return finding(
        'NOT_A_LOG',
        directory,
        thrown.message,
        'the data directory of a node',
        'name the directory that its node was started with (--data)',
      );
    return finding('DAMAGED', directory, thrown.message, 'files that can be read', 'look at the disk (dmesg), and at who owns the files');
  }
}

/** What the disk is: by a look, and by some syncs of a file that goes again. */
function diskFindings(disk: NodeDisk, directory: string): Finding[] {
  const { diskLowBytes: lowBytes, diskCriticalBytes: criticalBytes } = configure({}, asFlags());
  const roomBytes = disk.freeBytes(directory);
  const level = roomBytes < criticalBytes ? 'critical' : roomBytes < lowBytes ? 'low' : 'ok';
  const fileSystem = fileSystemOf(directory);
  const found = [...inMemory(directory, fileSystem), ...littleRoom(directory, { level, roomBytes, lowBytes, criticalBytes })];
  try {
    const syncs = probeSyncs(directory);
    return [...found, ...slowDisk(directory, syncs, 'each append waits for one'), ...lyingDisk(directory, syncs, fileSystem)];
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const todo = 'run it as the user of the node; look at the mount (mount, dmesg), and make room';
    return [
      ...found,
      finding('DISK_FULL', directory, `nothing can be written there: ${why}`, 'a file of 1 MiB can be written and synced', todo),
    ];
  }
}

function unfinished({ directory, identity }: DirectoryFacts): Finding[] {
  const run = identity?.recovery !== undefined ? 'recover apply' : identity?.mirror?.promotion !== undefined ? 'promote' : undefined;
  if (run === undefined) return [];
  return [
    finding('UNFINISHED', directory, `a loglog ${run} on it did not come to its end`, 'one that did', `loglog ${run} ${directory}, again`),
  ];
}

function standingFindings({ directory, identity }: DirectoryFacts): Finding[] {
  const fed = 'start it: it is fed, and counts again then';
  const seen: Readonly<Partial<Record<Identity['standing'], readonly [Finding['code'], string]>>> = {
    returned: ['OLD_COPY', 'it came back without what it had acknowledged: an old copy of its disk'],
    damaged: ['DAMAGED', 'it was found damaged, and lacks what it may have acknowledged'],
    new: ['NOT_A_VOTER', 'it has joined, and does not count for majorities yet'],
    stranger: ['NOT_A_VOTER', 'its node was never let in by the others'],
  };
  const known = identity === undefined || identity.mirror !== undefined ? undefined : seen[identity.standing];
  return known === undefined ? [] : [finding(known[0], directory, known[1], 'a node that counts', fed)];
}

function damageFindings({ directory, identity, damage }: DirectoryFacts): Finding[] {
  const isAlone = (identity?.nodes ?? []).length < 2;
  const todo = isAlone
    ? `loglog verify ${directory} names all places; keep the directory, and restore a backup`
    : 'start its node: it heals what it can from the others; if it refuses to start, give it an empty directory, and it is fed anew';
  return damage.slice(0, MOST_DAMAGE).map(({ sentence }) => finding('DAMAGED', directory, sentence, 'all that was durable', todo));
}

/** Times in the log that this machine's clock has not reached. */
function timeFindings({ directory, segments }: DirectoryFacts, nowMs: number): Finding[] {
  const newestMs = Math.max(0, ...segments.flatMap(({ lastMs, firstMs }) => [lastMs ?? 0, firstMs ?? 0]));
  if (newestMs - nowMs < CLOCK_OFF_MS) return [];
  const seen = `the log has times that are ${duration(newestMs - nowMs)} ahead of the clock of this machine`;
  return [
    finding(
      'CLOCK_OFF',
      directory,
      seen,
      'times that have been',
      'set the clock of this machine by NTP; if it is right, another one was wrong when that was written',
    ),
  ];
}

/** What does not fit of two directories that were given. */
function pairFindings(a: DirectoryFacts, b: DirectoryFacts): Finding[] {
  const [one, other] = [a.identity, b.identity];
  if (one === undefined || other === undefined || one.mirror !== undefined || other.mirror !== undefined) return [];
  const both = `${a.directory} and ${b.directory}`;
  if (one.clusterId !== other.clusterId)
    return [
      finding(
        'DIFFERENT_LOGS',
        both,
        `they are of two clusters, ${one.clusterId} and ${other.clusterId}`,
        'directories of one cluster',
        'start each only among the nodes of its own cluster',
      ),
    ];
  if (one.instance === other.instance) {
    const older = a.end <= b.end ? a : b;
    const seen = `they are copies of one data directory, of node ${one.nodeId}; ${older.directory} is the older one, and ends at offset ${older.end}`;
    return [finding('OLD_COPY', both, seen, 'one directory of each node', `never start a node on ${older.directory}: remove it`)];
  }
  if (one.nodeId === other.nodeId)
    return [
      finding(
        'TWO_NODES_ONE_ID',
        both,
        `both belong to node ${one.nodeId} of one cluster`,
        'one directory of each node',
        'keep the one that its node runs on; the other one is of a disk that was lost, or of a machine with the wrong --node',
      ),
    ];
  if (one.generation !== undefined && other.generation !== undefined && one.generation !== other.generation) {
    const seen = `they are of two generations of the log, ${one.generation} and ${other.generation}: one was begun anew since`;
    return [
      finding('DIFFERENT_LOGS', both, seen, 'directories of one generation', 'empty the one of the earlier generation: its node is fed'),
    ];
  }
  if (one.nodes !== null && other.nodes !== null && one.nodes.join() !== other.nodes.join()) {
    const seen = `one is of the nodes ${formatNodes(one.nodes)}, the other one of the nodes ${formatNodes(other.nodes)}`;
    return [finding('DIFFERENT_LOGS', both, seen, 'one set of nodes', 'start all with the same ids in --peers')];
  }
  return [];
}

/** That those of all nodes of a cluster were given, and too few of them may vote. */
function voterFindings(all: readonly DirectoryFacts[]): Finding[] {
  const identities = all.flatMap(({ identity }) => identity ?? []);
  const nodes = identities[0]?.nodes ?? [];
  if (nodes.length < 2 || !nodes.every((id) => identities.some(({ nodeId }) => nodeId === id))) return [];
  const voters = new Set(identities.filter(({ standing }) => standing === 'voter').map(({ nodeId }) => nodeId));
  const needed = Math.floor(nodes.length / 2) + 1;
  if (voters.size >= needed) return [];
  const seen = `of the nodes ${formatNodes(nodes)} only ${voters.size} may vote${voters.size === 0 ? '' : `: ${formatNodes([...voters].sort((a, b) => a - b))}`}`;
  return [finding('NO_MAJORITY', 'the cluster', seen, `${needed} that may vote`, 'loglog recover show on each of them')];
}

export interface DirectoryReport {
  readonly findings: readonly Finding[];
  /** How many of them are directories of a log. */
  readonly logs: number;
}

/** All that is wrong with `directories`, which exist. `isProbing`: some bytes are written to each disk, and removed again. */
export function directoryFindings(directories: readonly string[], isProbing: boolean, nowMs: number): DirectoryReport {
  const disk = new NodeDisk();
  const found: Finding[] = [];
  const all: DirectoryFacts[] = [];
  for (const directory of directories) {
    const facts = examine(disk, directory);
    if ('code' in facts) {
      found.push(facts);
      continue;
    }
    all.push(facts);
    found.push(...unfinished(facts), ...damageFindings(facts), ...standingFindings(facts), ...timeFindings(facts, nowMs));
    if (isProbing) found.push(...diskFindings(disk, directory));
  }
  for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) found.push(...pairFindings(a, b));
  return { findings: [...found, ...voterFindings(all)], logs: all.length };
}
