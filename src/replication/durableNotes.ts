// What node.json has of the log, once it is committed and cannot be otherwise any more: the log's generation, and the ids of its nodes.

import { NO_INSTANCE } from '../core/ids.ts';
import { hasDirectory } from '../core/members.ts';
import type { LogFold } from '../memory/logFold.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Raft } from '../raft/raft.ts';
import type { NodesOfLog } from './nodesOfLog.ts';
import type { ReplicaPorts } from './ports.ts';

export interface NotedParts {
  readonly raft: Raft;
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'level'>;
  readonly nodes: Pick<NodesOfLog, 'isListless'>;
  readonly ports: Pick<ReplicaPorts, 'saveGeneration' | 'saveNodes'>;
}

export class DurableNotes {
  readonly #parts: NotedParts;
  /** Generation that the log said at the last look, and its end when it said so first. */
  #generation = NO_INSTANCE;
  #generationEnd = 0;
  #isGenerationKnown = false;
  /** Only the disk has to catch up before the generation is noted. */
  #waitsForDisk = false;
  /** End of the set whose ids node.json has. */
  #notedNodes = -1;

  constructor(parts: NotedParts) {
    this.#parts = parts;
  }

  /** Once a turn. `isNews`: something was committed, or this node has another role. Returns whether it is known from now on which generation the log is of. */
  note(isNews: boolean): boolean {
    const { nodes, ports } = this.#parts;
    if (this.#isGenerationKnown) {
      const ids = this.#nodesToNote();
      if (ids !== undefined) ports.saveNodes(ids);
      return false;
    }
    if (!isNews && !this.#waitsForDisk) return false;
    const id = this.#countsIn();
    if (id === undefined) return false;
    // Together: beside a generation, no ids say of a directory that came to others that the log has none any more (hasOthers).
    const ids = this.#nodesToNote();
    this.#waitsForDisk = ids === undefined && nodes.isListless;
    if (this.#waitsForDisk) return false;
    ports.saveGeneration(id, ids);
    this.#parts.memory.knownGeneration = id;
    this.#isGenerationKnown = true;
    return true;
  }

  /** The generation that the log is of, once all that says it is committed and this node counts: until then it may pass through those before. */
  #countsIn(): string | undefined {
    const { raft, memory, fold } = this.#parts;
    // One that began anew says nothing before its first entry, whatever it said before.
    const id = fold.level === 0 ? NO_INSTANCE : memory.generationId;
    if (id !== this.#generation) {
      this.#generation = id;
      this.#generationEnd = memory.tail;
    }
    if (id === NO_INSTANCE || memory.commit < this.#generationEnd) return undefined;
    // A `new` node counts, but what it is fed may pass through earlier generations; it is a voter when it has all that was committed.
    if (raft.standing !== 'voter') return undefined;
    // Where the log says who is in it, one that joins is no stranger from the first set on that it passes: its own generation has itself.
    const { members, settings } = raft;
    if (members.latest !== undefined && !hasDirectory(members.committedSet, settings)) return undefined;
    return id;
  }

  /**
   * Once it is committed, and on this node's disk, which nodes the log has, node.json has their ids in place of the list that this directory was given: a copy. Null:
   * this node alone; undefined: nothing new, or nothing yet.
   */
  #nodesToNote(): readonly number[] | null | undefined {
    const { raft, nodes } = this.#parts;
    const { committedEnd, committedSet } = raft.members;
    // Never before the generation: by that a start knows that the log may have said more than it has; without, ids in node.json would count (FoundNodes.isUnknown).
    if (committedEnd === this.#notedNodes || committedEnd > raft.durable || !nodes.isListless) return undefined;
    this.#notedNodes = committedEnd;
    const { id } = raft.settings;
    const others = committedSet.map((member) => member.id).filter((each) => each !== id);
    return others.length === 0 ? null : [...others, id].sort((a, b) => a - b);
  }
}
