// Makes one directory of a cluster that has lost its majority for good the next generation of the log, as a node alone. What the lost nodes alone had is
// lost with them; so it is an operator's word, on the one directory that has most. docs/OPERATIONS.md, "When a majority is lost", says how.

import { restoredTerm } from '../backup/restore.ts';
import { assert } from '../core/assert.ts';
import { toHex } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { electorsOf } from '../core/ids.ts';
import { hasDirectory, votersOf } from '../core/members.ts';
import type { Promotion } from '../format/identity.ts';
import { type Identity, readIdentity } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import { examineDirectory } from '../storage/offline.ts';
import { nodesInLog, votersOffline } from '../storage/offlineNodes.ts';
import { type SuccessionReport, succeed } from './successor.ts';
import { lineOf, longestOf, type Survivor, survivorIn } from './survivors.ts';

/** Random bytes that {@link recoverCluster} draws from. */
export const RECOVER_RANDOM_BYTES = 32;

/** What a recovery would do, and cannot bring back. */
export interface RecoveryPlan {
  /** The directory's, as its line says it; undefined where a run that was cut short goes on. */
  readonly chosen: Survivor | undefined;
  /** Its node, and the set of its cluster. */
  readonly nodeId: number;
  readonly nodes: readonly number[];
  /** Nodes without a line. */
  readonly lost: readonly number[];
  /** Highest term in the lines. */
  readonly term: number;
  /** Largest offset up to which some line knows the log to be committed. */
  readonly commit: number;
}

/** The identity of `directory`. Throws a LogError `NOT_A_DATA_DIRECTORY` where it is none. */
export function identityIn(disk: Disk, directory: string): Identity {
  const identity = readIdentity(disk, directory);
  if (identity !== undefined) return identity;
  throw new LogError('NOT_A_DATA_DIRECTORY', `${directory} is not a LogLog data directory: it is empty`);
}

/**
 * Whether the log in `directory`, on which no node runs, is the one to go on, by the lines of all directories that are left. One whose recovery was cut short goes
 * on, whatever the lines are. Changes nothing. Throws a LogError `USAGE` where it is not, or where nothing needs to be recovered; others as {@link survivorIn}.
 */
export function planRecovery(
  disk: Disk,
  directory: string,
  lines: readonly Survivor[],
  onProgress?: (doneBytes: number, totalBytes: number) => void,
): RecoveryPlan {
  const identity = identityIn(disk, directory);
  const { nodeId, recovery } = identity;
  const { segments } = examineDirectory(disk, directory, { everyEntry: false });
  const set = votersOffline(disk, identity, segments);
  if (recovery !== undefined) return { chosen: undefined, nodeId, nodes: set, lost: [], term: recovery.term, commit: recovery.end };
  const own = survivorIn(disk, directory, onProgress);
  const ownLine = lineOf(own);
  if (!lines.some((line) => lineOf(line) === ownLine)) {
    const sentence = `none of the lines is that of ${directory} as it is now; nothing was changed: give its own line, too, which is`;
    throw new LogError('USAGE', `${sentence} ${ownLine}`);
  }
  const chosen = longestOf(lines);
  if (lineOf(chosen) !== ownLine) {
    const { nodeId: id, lastTerm, end } = chosen;
    const more = `its last term is ${lastTerm} and it ends at offset ${end}, here those are ${own.lastTerm} and ${own.end}`;
    throw new LogError(
      'USAGE',
      `the directory of node ${id} has more than ${directory}: ${more}; nothing was changed: run this command there`,
    );
  }
  const voters = votersOf(nodesInLog(disk, segments));
  // Where the log says it, with the directory that it names.
  const counting = lines.filter(({ nodeId: id, instance }) => voters.length === 0 || hasDirectory(voters, { id, instance }));
  const electors = new Set(electorsOf(counting).map(({ nodeId: id }) => id));
  if (electors.size > set.length / 2) {
    const sentence = `the lines are of ${electors.size} of the ${set.length} nodes, which are a majority`;
    const wayOut = 'start them with loglog serve, and nothing is lost, if each is the disk that its node ran on last';
    throw new LogError('USAGE', `${sentence}: ${wayOut}; nothing was changed`);
  }
  const shown = new Set(lines.map(({ nodeId: id }) => id));
  return {
    chosen,
    nodeId,
    nodes: set,
    lost: set.filter((id) => !shown.has(id)),
    term: Math.max(...lines.flatMap(({ term, lastTerm }) => [term, lastTerm])),
    commit: Math.max(...lines.map(({ commit }) => commit)),
  };
}

export interface RecoverOptions {
  readonly plan: RecoveryPlan;
  /** RECOVER_RANDOM_BYTES of them. */
  readonly random: Uint8Array;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Told now and then how many of all segments are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Makes the log in `directory`, which must be this process's alone, the next generation, as {@link planRecovery} has found that it may, or goes on with that.
 * A log of level 0 has no generations: it becomes another cluster, so that nothing of before matches it either. Throws LogErrors: DAMAGE, NEWER_FORMAT, IO.
 */
export function recoverCluster(disk: Disk, directory: string, { plan, random, nowMs, onProgress }: RecoverOptions): SuccessionReport {
  assert(random.length === RECOVER_RANDOM_BYTES, 'a recovery is drawn from enough random bytes');
  const { clusterId } = identityIn(disk, directory);
  return succeed(disk, directory, {
    segmentBytes: 0,
    nowMs,
    onProgress,
    planIn: ({ recovery }) => recovery,
    withPlan: (identity, recovery: Promotion) => ({ ...identity, recovery }),
    withoutPlan: ({ recovery: _, beforeDamage: __, ...rest }) => rest,
    draw: ({ end, lastTerm, state }) => {
      assert(plan.chosen?.end === end && plan.chosen.lastTerm === lastTerm, 'the log that was chosen is the one that is there');
      return {
        clusterId: state === undefined ? toHex(random.subarray(0, 16)) : clusterId,
        nodeId: plan.nodeId,
        instance: toHex(random.subarray(16, 24)),
        generationId: toHex(random.subarray(24)),
        term: restoredTerm({ lastTerm: plan.term }),
      };
    },
  });
}
