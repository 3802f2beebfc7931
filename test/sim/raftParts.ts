// What the raft thread of a simulated process stands on: its clock, its disk, its connections, and the way to the main thread.

import { LogError } from '../../src/core/errors.ts';
import { COLD_READERS } from '../../src/core/limits.ts';
import {
  type Identity,
  saveGeneration,
  saveKnown,
  saveNodes,
  saveRemoved,
  saveStanding,
  saveStart,
  writeVote,
} from '../../src/storage/dataDirectory.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import type { FromRaft } from '../../src/threads/messages.ts';
import type { RaftHostPorts, RaftLinks, RaftLinksOptions } from '../../src/threads/raftHostPorts.ts';
import { checkGeneration } from './generations.ts';
import { DIRECTORY } from './identity.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';

/** What its process hears of it. */
interface RaftPartEvents {
  makeLinks(options: RaftLinksOptions): RaftLinks;
  /** To the main thread. */
  tell(message: FromRaft): void;
  /** The core has looked at its clock. */
  ticked(): void;
  ended(): void;
}

export function raftPorts(process: Process, events: RaftPartEvents): RaftHostPorts {
  const { world, node, memory, raftThread, diskThread } = process;
  const { checker, scheduler } = world;
  const { disk } = node;
  const reader = new SegmentReader(disk, DIRECTORY, memory);
  /** Blocks the raft thread for as long as the disk took, if there was anything to do. */
  const saved = (before: Identity, identity: Identity): Identity => {
    if (identity !== before) raftThread.block(node.diskMs());
    return identity;
  };
  return {
    nowMs: () => node.localMs(),
    wallMs: () => node.wallMs(),
    after: (delayMs, what, act) => {
      let isOff = false;
      const run = (): void => {
        if (isOff) return;
        act();
        if (what === 'tick') events.ticked();
      };
      const planned = scheduler.after(node.virtualMs(delayMs), () => raftThread.arrive(what, run));
      return {
        cancel: () => {
          isOff = true;
          scheduler.cancel(planned);
        },
      };
    },
    follow: (signal, isOver, moved) => {
      process.watches.add(signal, raftThread, 'word moved', moved, isOver);
      if (!isOver()) moved();
    },
    makeLinks: (options) => events.makeLinks(options),
    saveVote: (vote) => {
      writeVote(disk, DIRECTORY, vote);
      checker.voted(process, vote);
      raftThread.block(node.diskMs());
    },
    saveKnown: (before, other, instance) => saved(before, saveKnown(disk, DIRECTORY, before, other, instance)),
    saveStanding: (before, standing) => {
      promise(
        // A founder whose log does not say yet who counts may meet a node that counts by what others' logs say.
        standing !== 'returned' ||
          checker.isOldCopy(process.id) ||
          (world.hasSets && before.isFounder && process.replica.raft.members.isByIds),
        'old copies',
        () => `node ${process.id} is taken for an old copy, but its disk is what it was`,
      );
      promise(
        standing !== 'new' || !checker.hasLostDisk(process.id),
        'old copies',
        () => `node ${process.id} is taken for new, but it counted with a disk that it has lost`,
      );
      const { beforeDamage } = before;
      if (standing === 'voter') world.openDamages.isWhole(node);
      if (beforeDamage !== undefined && standing === beforeDamage) checker.mended(process);
      return saved(before, saveStanding(disk, DIRECTORY, before, standing));
    },
    saveStart: (before, start, entry, isEmpty) => saved(before, saveStart(disk, DIRECTORY, before, start, entry, isEmpty)),
    saveRemoved: (before) => saved(before, saveRemoved(disk, DIRECTORY, before)),
    saveGeneration: (before, generation, nodes) => {
      checkGeneration(process, before.standing, generation);
      if (nodes !== undefined) checker.replacesList(process);
      return saved(before, saveGeneration(disk, DIRECTORY, before, generation, nodes));
    },
    saveNodes: (before, nodes) => {
      checker.replacesList(process);
      return saved(before, saveNodes(disk, DIRECTORY, before, nodes));
    },
    readCold: (range, buffer, done) => {
      diskThread.post(node.diskMs(), 'read', () => {
        let result: number | LogError;
        try {
          result = reader.read(range, COLD_READERS + buffer);
        } catch (thrown) {
          if (!(thrown instanceof LogError)) throw thrown;
          result = thrown;
        }
        raftThread.post(process.hopMs(), 'was read', () => done(result));
      });
    },
    closeReaders: () => Promise.resolve(),
    tell: (message) => events.tell(message),
    ended: () => events.ended(),
  };
}
