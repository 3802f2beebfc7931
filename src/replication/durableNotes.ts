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
  /** End of the set whose ids node.json has. */
  #notedNodes = -1;

  constructor(parts: NotedParts) {
    this.#parts = parts;
  }

  /** Which generation the log is of is durable, and told, once all that says it is committed and this node counts: until then it may pass through those before. Whether it is so from now on. */
  noteGeneration(): boolean {
    const { raft, memory, fold, ports } = this.#parts;
    if (this.#isGenerationKnown) return false;
    // One that began anew says nothing before its first entry, whatever it said before.
    const id = fold.level === 0 ? NO_INSTANCE : memory.generationId;
    if (id !== this.#generation) {
      this.#generation = id;
      this.#generationEnd = memory.tail;
    }
    if (id === NO_INSTANCE || memory.commit < this.#generationEnd) return false;
    // A `new` node counts, but what it is fed may pass through earlier generations; it is a voter when it has all that was committed.
    if (raft.standing !== 'voter') return false;
    // Where the log says who is in it, one that joins is no stranger from the first set on that it passes: its own generation has itself.
    const { members, settings } = raft;
    if (members.latest !== undefined && !hasDirectory(members.committedSet, settings)) return false;
    ports.saveGeneration(id);
    memory.knownGeneration = id;
    this.#isGenerationKnown = true;
    return true;
  }

  /** Once it is committed, and on this node's disk, which nodes the log has, node.json has their ids in place of the list that this directory was given: a copy. */
  noteNodes(): void {
    const { raft, nodes, ports } = this.#parts;
    const { committedEnd, committedSet } = raft.members;
    // By a generation a start knows that the log may have said more than it has; until then ids in node.json would count (FoundNodes.isUnknown).
    if (!this.#isGenerationKnown || committedEnd === this.#notedNodes || committedEnd > raft.durable || !nodes.isListless) return;
    this.#notedNodes = committedEnd;
    const { id } = raft.settings;
    const others = committedSet.map((member) => member.id).filter((each) => each !== id);
    ports.saveNodes(others.length === 0 ? null : [...others, id].sort((a, b) => a - b));
  }
}
