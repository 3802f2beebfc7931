// Makes a mirror's directory that of a log of its own, in place (src/generation/successor.ts). docs/MIRROR.md, "Promote", has the order of writes.

import { restoredTerm } from '../backup/restore.ts';
import { assert } from '../core/assert.ts';
import { toHex } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import type { MirrorSource, Promotion } from '../format/identity.ts';
import { type SuccessionReport, succeed } from '../generation/successor.ts';
import { type Identity, readIdentity } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';

/** Random bytes that {@link promote} draws from. */
export const PROMOTE_RANDOM_BYTES = 32;

export interface PromoteOptions {
  readonly nodeId: number;
  /** Keep the cluster id: all directories of the source must have been removed. */
  readonly isSameCluster: boolean;
  /** PROMOTE_RANDOM_BYTES of them. */
  readonly random: Uint8Array;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Told now and then how many of all segments are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PromoteReport extends Omit<SuccessionReport, 'endBefore'> {
  /** Log offset up to which it has what the source had. */
  readonly mirrorEnd: number;
}

/** The identity of a mirror's directory. Throws a LogError `USAGE` for any other. */
export function mirrorIdentity(disk: Disk, directory: string): Identity & { readonly mirror: MirrorSource } {
  const identity = readIdentity(disk, directory);
  if (identity?.mirror !== undefined) return { ...identity, mirror: identity.mirror };
  throw new LogError('USAGE', `${directory} is not the directory of a mirror; nothing was changed`);
}

/** What the mirror in `directory` is to become: drawn anew, or as a promotion that was cut short has drawn it. */
export function planOf(
  { clusterId, mirror }: Pick<Identity, 'clusterId'> & { readonly mirror: MirrorSource },
  { nodeId, isSameCluster, random }: Pick<PromoteOptions, 'nodeId' | 'isSameCluster' | 'random'>,
): Pick<Promotion, 'clusterId' | 'nodeId' | 'instance' | 'generationId'> {
  if (mirror.promotion !== undefined) return mirror.promotion;
  assert(random.length === PROMOTE_RANDOM_BYTES, 'a promotion is drawn from enough random bytes');
  return {
    clusterId: isSameCluster ? clusterId : toHex(random.subarray(0, 16)),
    nodeId,
    instance: toHex(random.subarray(16, 24)),
    generationId: toHex(random.subarray(24)),
  };
}

/**
 * Promotes the mirror in `directory`, which must be this process's alone, or goes on with it. Throws LogErrors: USAGE (no mirror, an empty one), DAMAGE,
 * NEWER_FORMAT, IO.
 */
export function promote(disk: Disk, directory: string, options: PromoteOptions): PromoteReport {
  const mirrored = mirrorIdentity(disk, directory);
  const { endBefore, ...report } = succeed(disk, directory, {
    segmentBytes: mirrored.mirror.segmentBytes,
    nowMs: options.nowMs,
    onProgress: options.onProgress,
    planIn: ({ mirror }) => mirror?.promotion,
    withPlan: (identity, promotion) => ({ ...identity, mirror: { ...mirrored.mirror, promotion } }),
    withoutPlan: ({ mirror: _, ...rest }) => rest,
    draw: ({ start, end, lastTerm }) => {
      if (end > start) return { ...planOf(mirrored, options), term: restoredTerm({ lastTerm }) };
      throw new LogError('USAGE', `the mirror in ${directory} has nothing of its source's log yet: there is nothing to promote`);
    },
  });
  return { ...report, mirrorEnd: endBefore };
}
