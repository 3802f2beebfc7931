// What is wrong with data directories, by what is in them, and with the disks that they are on. A node may run on one meanwhile.

import { configure } from '../../core/config.ts';
import { LogError } from '../../core/errors.ts';
import { asFlags } from '../../core/giving.ts';
import { electorsOf, NO_INSTANCE } from '../../core/ids.ts';
import { formatNodes, type NodeSet } from '../../core/nodeSet.ts';
import type { Generation } from '../../format/controlEntries.ts';
import { hasOthers, unfinishedRun } from '../../format/identity.ts';
import { generationIn, lastTermIn } from '../../generation/survivors.ts';
import { type Identity, isUnfinishedRestore } from '../../storage/dataDirectory.ts';
import { isDamage } from '../../storage/examiner.ts';
import { fileSystemOf } from '../../storage/fileSystem.ts';
import { NodeDisk } from '../../storage/nodeDisk.ts';
import { type DirectoryFacts, examineDirectory } from '../../storage/offline.ts';
import { votersOffline } from '../../storage/offlineNodes.ts';
import { duration } from '../output.ts';
import { CLOCK_OFF_MS } from './clusterFindings.ts';
import { inMemory, littleRoom, lyingDisk, notWritten, probeSyncs, slowDisk } from './disks.ts';
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
    if (thrown.code === 'NOT_A_DATA_DIRECTORY') {
      if (isUnfinishedRestore(disk, directory)) return unfinishedRestore(directory);
      return finding(
        'NOT_A_LOG',
        directory,
        thrown.message,
        'the data directory of a node',
        'name the directory that its node was started with (--data)',
      );
    }
    return finding('DAMAGED', directory, thrown.message, 'files that can be read', 'look at the disk (dmesg), and at who owns the files');
  }
}

/** A restore that was cut short, or runs: the directory is no log, and has nothing of its own. */
function unfinishedRestore(directory: string): Finding {
  const seen = 'a loglog restore into it has not come to its end';
  const todo = `unless it runs now, run it again: loglog restore FOLDER ${directory}; or remove the directory: all that is in it is in the backup, too`;
  return finding('UNFINISHED', directory, seen, 'one that did', todo);
}

/** What is wrong with the disk for who only has to finish there. */
const IN_THE_WAY: readonly Finding['code'][] = ['DISK_FULL', 'DISK_LOW', 'NOT_WRITABLE'];

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
    return [...found, notWritten(directory, thrown)];
  }
}

/** A recovery or a promotion that was cut short: what else the files say then is of its middle, and nothing but that command is to be done. */
function unfinished({ directory, identity }: DirectoryFacts): Finding[] {
  const run = identity === undefined ? undefined : unfinishedRun(identity);
  if (run === undefined) return [];
  const todo = `finish it: loglog ${run} ${directory}; leave the directory as it is until then`;
  return [finding('UNFINISHED', directory, `a loglog ${run} on it did not come to its end`, 'one that did', todo)];
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

/** Ids of the nodes that count, by the log, or by node.json where that cannot be read: damaged, or removed by a node that runs. */
function votersOf(disk: NodeDisk, identity: Identity, segments: DirectoryFacts['segments']): NodeSet {
  try {
    return votersOffline(disk, identity, segments);
  } catch (thrown) {
    if (isDamage(thrown)) return identity.nodes ?? [identity.nodeId];
    throw thrown;
  }
}

/** What to do about a damaged directory. It goes only where it is known that a majority is well without it: other copies may be damaged, too. */
function todoOfDamage(disk: NodeDisk, { directory, identity, segments }: DirectoryFacts, all: readonly DirectoryFacts[]): string {
  if (identity === undefined)
    return 'keep the directory: its node may have an empty one only where a majority of its cluster is well without it; a node alone: restore a backup';
  const nodes = votersOf(disk, identity, segments);
  // One that came to a log, and has not caught up, does not know yet how many there are.
  const isUnlisted = nodes.length < 2 && hasOthers(identity);
  if (nodes.length < 2 && !isUnlisted) return `loglog verify ${directory} names all places; keep the directory, and restore a backup`;
  const heals = 'start its node: it heals what it can from the others';
  const isOfAnother = (other: Identity): boolean =>
    other.generation !== undefined && identity.generation !== undefined && other.generation !== identity.generation;
  const others = all.filter((other) => other.identity?.clusterId === identity.clusterId && other.identity.nodeId !== identity.nodeId);
  const whole = others.filter(({ damage }) => damage.length === 0).flatMap((other) => other.identity ?? []);
  const well = electorsOf(whole.filter((other) => !isOfAnother(other)));
  if (!isUnlisted && new Set(well.map(({ nodeId }) => nodeId)).size > nodes.length / 2)
    return `${heals}; if it refuses to start, move this directory away and start it with an empty one: it is fed anew by the others, which are a majority`;
  if (others.length > 0 && well.length === 0)
    return `empty none of them: all that were given are damaged. Start all nodes: each heals what it can from what the others have whole; if they refuse to start, keep all directories, and restore a backup`;
  return `${heals}; if it refuses to start, keep the directory: its node may have an empty one only where a majority of the nodes is well without it (give loglog doctor all directories, or ask the cluster)`;
}

function damageFindings(disk: NodeDisk, facts: DirectoryFacts, all: readonly DirectoryFacts[]): Finding[] {
  const todo = todoOfDamage(disk, facts, all);
  return facts.damage
    .slice(0, MOST_DAMAGE)
    .map(({ sentence }) => finding('DAMAGED', facts.directory, sentence, 'all that was durable', todo));
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

/** By how much a copy is newer than another one of its directory: by its term, which never falls, then its last term, then its end. 0: nothing tells. */
function newerBy(a: DirectoryFacts, b: DirectoryFacts): number {
  const [one, other] = [a.vote, b.vote];
  // Where it is damaged, its end is not what it was.
  if (one === undefined || other === undefined || a.damage.length > 0 || b.damage.length > 0) return 0;
  return one.currentTerm - other.currentTerm || byLog(a, b);
}

function byLog(a: DirectoryFacts, b: DirectoryFacts): number {
  const last = (facts: DirectoryFacts): number => (facts.identity === undefined ? 0 : lastTermIn(facts, facts.identity));
  return last(a) - last(b) || a.end - b.end;
}

function copyFinding(a: DirectoryFacts, b: DirectoryFacts, nodeId: number): Finding {
  const seen = `they are copies of one data directory, of node ${nodeId}`;
  const both = `${a.directory} and ${b.directory}`;
  const tell = (what: string, todo: string): Finding => finding('OLD_COPY', both, `${seen}; ${what}`, 'one directory of each node', todo);
  const by = newerBy(a, b);
  const [newer, older] = by >= 0 ? [a, b] : [b, a];
  const hasLess = byLog(newer, older) < 0;
  if (by === 0 || hasLess) {
    const why = hasLess ? `${newer.directory} is of a later term, and has less of the log` : 'nothing in them tells which one is newer';
    return tell(why, 'keep both, and start the node only on the one that it ran on last: on any other it has forgotten votes');
  }
  const last = (facts: DirectoryFacts): string => `ends at offset ${facts.end}, in term ${facts.vote?.currentTerm}`;
  const what = `${older.directory} is the older one: it ${last(older)}, the other one ${last(newer)}`;
  return tell(what, `never start a node on ${older.directory}: remove it`);
}

/** The generation that a directory's log says; undefined where that cannot be read: a node that runs may have trimmed it since. */
function generationOf(disk: NodeDisk, facts: DirectoryFacts): Generation | undefined {
  try {
    return generationIn(disk, facts);
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
    return undefined;
  }
}

function generationFinding(disk: NodeDisk, a: DirectoryFacts, b: DirectoryFacts): Finding | undefined {
  const known = [a, b].flatMap((facts) => {
    const generation = generationOf(disk, facts);
    return generation === undefined ? [] : [{ ...generation, directory: facts.directory }];
  });
  const [earlier, later] = known.sort((one, other) => one.number - other.number);
  // A log of level 0 has none, and one that joins has that of what it was fed so far.
  if (earlier === undefined || later === undefined || earlier.id === NO_INSTANCE || earlier.id === later.id) return undefined;
  if (a.identity?.standing !== 'voter' || b.identity?.standing !== 'voter') return undefined;
  const seen = `they are of two generations of the log: ${earlier.directory} of number ${earlier.number} (${earlier.id}), ${later.directory} of number ${later.number} (${later.id})`;
  const todo =
    earlier.number < later.number
      ? `move ${earlier.directory} away, and start its node with an empty one: it joins the log that was begun anew since`
      : 'both were begun from the same one: keep both, decide which is to go on, and move the other one away';
  return finding('DIFFERENT_LOGS', `${a.directory} and ${b.directory}`, seen, 'directories of one generation', todo);
}

/** What does not fit of two directories that were given. */
function pairFindings(disk: NodeDisk, a: DirectoryFacts, b: DirectoryFacts): Finding[] {
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
  if (one.instance === other.instance) return [copyFinding(a, b, one.nodeId)];
  const generation = generationFinding(disk, a, b);
  if (generation !== undefined) return [generation];
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
  if (one.nodes !== null && other.nodes !== null && one.nodes.join() !== other.nodes.join()) {
    const seen = `one is of the nodes ${formatNodes(one.nodes)}, the other one of the nodes ${formatNodes(other.nodes)}`;
    return [finding('DIFFERENT_LOGS', both, seen, 'one set of nodes', 'start all with the same ids in --peers')];
  }
  return [];
}

/** That those of all nodes of a cluster were given, and too few of them can elect a leader: the nodes' own rule. Of one node the newest counts. */
function voterFindings(disk: NodeDisk, all: readonly DirectoryFacts[]): Finding[] {
  // Of several logs that say it, the longest one.
  const [longest] = all.filter(({ identity }) => identity !== undefined).sort((a, b) => b.end - a.end);
  const first = longest?.identity;
  const nodes = first === undefined || longest === undefined ? [] : votersOf(disk, first, longest.segments);
  const ofNodes = nodes.flatMap((id) => {
    const own = all.filter(
      ({ identity }) => identity?.nodeId === id && identity.clusterId === first?.clusterId && identity.mirror === undefined,
    );
    const [newest] = own.sort((a, b) => newerBy(b, a));
    return newest?.identity ?? [];
  });
  if (nodes.length < 2 || ofNodes.length < nodes.length) return [];
  const electors = electorsOf(ofNodes).map(({ nodeId }) => nodeId);
  const needed = Math.floor(nodes.length / 2) + 1;
  if (electors.length >= needed) return [];
  const seen = `of the nodes ${formatNodes(nodes)} only ${electors.length} may vote for a leader${electors.length === 0 ? '' : `: ${formatNodes(electors)}`}`;
  const heals = ofNodes.some(({ standing }) => standing === 'damaged')
    ? 'start all nodes: damaged ones may heal each other; otherwise '
    : '';
  return [
    finding(
      'NO_MAJORITY',
      'the cluster',
      seen,
      `${needed} that may vote for one`,
      `${heals}stop them, and loglog recover show on each of them`,
    ),
  ];
}

export interface DirectoryReport {
  readonly findings: readonly Finding[];
  /** How many of them are directories of a log. */
  readonly logs: number;
}

/** All that is wrong with `directories`, which exist. `isProbing`: some bytes are written to each disk, and removed again. */
export function directoryFindings(
  directories: readonly string[],
  isProbing: boolean,
  nowMs: number,
  disk: NodeDisk = new NodeDisk(),
): DirectoryReport {
  const examined = directories.map((directory) => examine(disk, directory));
  const found = examined.filter((each): each is Finding => 'code' in each);
  const facts = examined.filter((each): each is DirectoryFacts => !('code' in each));
  const all = facts.filter((each) => unfinished(each).length === 0);
  for (const each of facts) {
    const { directory } = each;
    const ofDisk = isProbing ? diskFindings(disk, directory) : [];
    if (!all.includes(each)) found.push(...unfinished(each), ...ofDisk.filter(({ code }) => IN_THE_WAY.includes(code)));
    else found.push(...damageFindings(disk, each, all), ...standingFindings(each), ...timeFindings(each, nowMs), ...ofDisk);
  }
  for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) found.push(...pairFindings(disk, a, b));
  return { findings: [...found, ...voterFindings(disk, all)], logs: facts.length };
}
