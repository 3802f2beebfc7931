// The main thread of a simulated process: the real Appends behind the gate, and as much of reads, subscriptions and ends as it takes to
// show clients what a real node would.

import { LogError } from '../../src/core/errors.ts';
import type { Gate } from '../../src/memory/gate.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import type { Tail } from '../../src/memory/tail.ts';
import { Appends } from '../../src/node/appends.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { DIRECTORY } from './identity.ts';
import { MAX_PAYLOAD_BYTES } from './payloads.ts';
import type { Process } from './process.ts';
import { isSimulated } from './simDisk.ts';
import { Violation } from './violation.ts';

/** Log bytes [from, from + bytes.length), and the commit when they were taken. */
export interface Data {
  readonly from: number;
  readonly bytes: Uint8Array;
  readonly commit: number;
}

export type EndAnswer = { readonly kind: 'end'; readonly commit: number } | { readonly kind: 'refused' };

interface WaitingEnd {
  /** Undefined: the leader has not answered yet. */
  target: number | undefined;
  readonly answer: (answer: EndAnswer) => void;
  isDone: boolean;
}

/** A subscription, as the node keeps it. */
export interface Feed {
  next: number;
  isReading: boolean;
  isOver: boolean;
  readonly push: (data: Data) => void;
}

const CHUNK_BYTES = 16 * 1024;

export class MainThread {
  readonly appends: Appends;
  readonly #process: Process;
  readonly #hot: HotReader;
  readonly #cold: SegmentReader;
  readonly #ends = new Set<WaitingEnd>();
  readonly #asked = new Map<number, WaitingEnd>();
  readonly #feeds = new Set<Feed>();
  #nextId = 1;
  /** Ends the clients' connections when the process dies. */
  readonly onDeath: (() => void)[] = [];

  constructor(process: Process, tail: Tail, gate: Gate, nodes: readonly NodeId[]) {
    this.#process = process;
    const { memory, mainThread, node, id } = process;
    this.#hot = new HotReader(memory);
    this.#cold = new SegmentReader(node.disk, DIRECTORY, memory);
    const cluster = {
      self: id,
      others: nodes.filter((each) => each !== id),
      leaderUrl: () => '',
      noLeaderSentence: () => 'no leader is known',
    };
    // Nobody is to be told that the commit is awaited: the process looks at {@link awaitsCommit} after each of its events.
    this.appends = new Appends({
      memory,
      tail,
      gate,
      cluster,
      loop: { wallMs: () => node.wallMs(), afterTurn: (run) => mainThread.post(0, 'turn', run) },
      maxPayloadBytes: MAX_PAYLOAD_BYTES,
      awaitCommit: () => undefined,
    });
  }

  die(): void {
    for (const end of this.onDeath) end();
  }

  /** Whether this thread is to be woken when the commit moves. */
  get awaitsCommit(): boolean {
    return this.appends.awaitsCommit || this.#ends.size > 0 || this.#feeds.size > 0;
  }

  /** Commit, role, leader or term changed. */
  news(): void {
    this.appends.settle(this.#process.node.localMs());
    const { commit } = this.#process.memory;
    for (const end of this.#ends) if (end.target !== undefined && end.target <= commit) this.#finish(end, { kind: 'end', commit });
    for (const feed of this.#feeds) this.#advance(feed);
  }

  /** Answers with whole committed entries from `from` on; with none when there are none, or `from` lies beyond the commit. */
  read(from: number, maxBytes: number, answer: (data: Data) => void): void {
    const { memory, writers, diskThread, mainThread, node, world, id } = this.#process;
    const { commit } = memory;
    if (from >= commit) {
      answer({ from, bytes: new Uint8Array(0), commit });
      return;
    }
    const slot = this.#hot.pin(from);
    if (slot >= 0) {
      const bytes = this.#hot.read(slot, from, maxBytes).slice();
      this.#hot.release(slot);
      answer({ from, bytes, commit });
      return;
    }
    const segment = writers.sealedSegments.find(({ base, end }) => base <= from && from < end);
    if (segment === undefined) {
      mainThread.post(1 + world.random.below(5), 'read again', () => this.read(from, maxBytes, answer));
      return;
    }
    const range = { base: segment.base, from, isBoundary: true, limit: Math.min(segment.end, commit), maxBytes };
    diskThread.post(node.diskMs(), 'cold read', () => {
      try {
        const length = this.#cold.read(range, 0);
        const at = memory.map.coldAt(0);
        const bytes = memory.bytes.slice(at, at + length);
        mainThread.post(0.1, 'was read', () => answer({ from, bytes, commit }));
      } catch (thrown) {
        if (isSimulated(thrown)) {
          mainThread.post(0.1, 'was not read', () => answer({ from, bytes: new Uint8Array(0), commit }));
          return;
        }
        if (thrown instanceof LogError)
          throw new Violation('visibility', `node ${id} cannot read what is committed at ${from}: ${thrown.message}`);
        throw thrown;
      }
    });
  }

  /** Answers with the commit, once it counts all that was acknowledged before (`isLinearizable`), and is at least `atLeast`. */
  end(isLinearizable: boolean, atLeast: number, answer: (answer: EndAnswer) => void): void {
    const { memory, mainThread, raftThread, replica } = this.#process;
    if (!isLinearizable && atLeast <= memory.commit) {
      answer({ kind: 'end', commit: memory.commit });
      return;
    }
    const end: WaitingEnd = { target: isLinearizable ? undefined : atLeast, answer, isDone: false };
    this.#ends.add(end);
    mainThread.post(this.#process.world.profile.waitMs, 'end waited', () => this.#finish(end, { kind: 'refused' }));
    if (!isLinearizable) return;
    const id = this.#nextId;
    this.#nextId += 1;
    this.#asked.set(id, end);
    raftThread.post(0.1, 'read index', () => replica.readIndex(id));
  }

  readIndexDone(id: number, index: number | undefined): void {
    const end = this.#asked.get(id);
    this.#asked.delete(id);
    if (end === undefined) return;
    const { commit } = this.#process.memory;
    end.target = index;
    if (index === undefined) this.#finish(end, { kind: 'refused' });
    else if (index <= commit) this.#finish(end, { kind: 'end', commit });
  }

  #finish(end: WaitingEnd, answer: EndAnswer): void {
    this.#ends.delete(end);
    if (end.isDone) return;
    end.isDone = true;
    end.answer(answer);
  }

  /** Pushes what is committed from `next` on, now and later. */
  subscribe(next: number, push: (data: Data) => void): Feed {
    const feed: Feed = { next, isReading: false, isOver: false, push };
    this.#feeds.add(feed);
    this.#advance(feed);
    return feed;
  }

  #advance(feed: Feed): void {
    if (feed.isOver) this.#feeds.delete(feed);
    if (feed.isOver || feed.isReading || feed.next >= this.#process.memory.commit) return;
    feed.isReading = true;
    this.read(feed.next, CHUNK_BYTES, (data) => {
      feed.isReading = false;
      feed.next += data.bytes.length;
      if (!feed.isOver) feed.push(data);
      this.#process.mainThread.post(0, 'push', () => this.#advance(feed));
    });
  }
}
