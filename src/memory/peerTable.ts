// The peer table of the shared tail memory: what the raft thread says of the other nodes, and everybody may read.

import type { LevelRange } from '../core/levels.ts';
import { PEER, peerAt } from './map.ts';
import type { MemoryWords } from './memoryWords.ts';

/** What the raft thread says of another node. */
export interface PeerRecord {
  /** End of what is known to be durable there; null until it was heard in this term. */
  readonly match: number | null;
  /** Time of its last message, Unix milliseconds; 0: none yet. */
  readonly contactMs: number;
  /** PEER_UNKNOWN to PEER_STUCK. */
  readonly state: number;
  readonly isConnected: boolean;
  /** Whether it counts; null where that is not known. */
  readonly isVoter: boolean | null;
  /** It lacks what it had acknowledged: it runs on an old copy of its disk. */
  readonly isOldCopy: boolean;
  /** It said last that its disk has no room for more appends. */
  readonly isFull: boolean;
  /** Levels of the log that its build knows; null: it has not said yet. */
  readonly levels: LevelRange | null;
}

const UNKNOWN_MATCH = -1;
const VOTER_UNKNOWN = 0;
const VOTER_NO = 1;
const VOTER_YES = 2;

export class PeerTable {
  readonly #memory: MemoryWords;

  constructor(memory: MemoryWords) {
    this.#memory = memory;
  }

  /** End of what is known to be durable on node `id`; -1, less than any offset, where that is not known. */
  match(id: number): number {
    return this.#memory.word(peerAt(id) + PEER.MATCH) - 1;
  }

  /** Whether node `id` said last that its disk has no room for more appends. */
  isFull(id: number): boolean {
    return this.#memory.word32(peerAt(id) + PEER.FULL) !== 0;
  }

  /** What the raft thread wrote about node `id`. Its fields are read one by one: they need not be of one moment. */
  get(id: number): PeerRecord {
    const at = peerAt(id);
    const match = this.match(id);
    const voter = this.#memory.word32(at + PEER.VOTER);
    return {
      match: match === UNKNOWN_MATCH ? null : match,
      contactMs: this.#memory.word(at + PEER.CONTACT_MS),
      state: this.#memory.word32(at + PEER.STATE),
      isConnected: this.#memory.word32(at + PEER.CONNECTED) !== 0,
      isVoter: voter === VOTER_UNKNOWN ? null : voter === VOTER_YES,
      isOldCopy: this.#memory.word32(at + PEER.OLD_COPY) !== 0,
      isFull: this.isFull(id),
      levels: this.#levels(id),
    };
  }

  #levels(id: number): LevelRange | null {
    const word = this.#memory.word32(peerAt(id) + PEER.LEVELS);
    return word === 0 ? null : { lowest: word & 0xffff, highest: (word >>> 16) - 1 };
  }

  /** Bytes that were handed to the link to node `id` since this one started. */
  sentBytes(id: number): number {
    return this.#memory.word(peerAt(id) + PEER.SENT);
  }

  /** Raft thread: so many more. */
  addSent(id: number, bytes: number): void {
    const at = peerAt(id) + PEER.SENT;
    this.#memory.setWord(at, this.#memory.word(at) + bytes);
  }

  /** Writes the given fields of node `id`'s record. Times are rounded down to whole milliseconds. */
  set(id: number, { match, contactMs, state, isConnected, isVoter, isOldCopy, isFull, levels }: Partial<PeerRecord>): void {
    const at = peerAt(id);
    if (match !== undefined) this.#memory.setWord(at + PEER.MATCH, match === null ? 0 : match + 1);
    if (contactMs !== undefined) this.#memory.setWord(at + PEER.CONTACT_MS, contactMs);
    if (state !== undefined) this.#memory.setWord32(at + PEER.STATE, state);
    if (isConnected !== undefined) this.#memory.setWord32(at + PEER.CONNECTED, isConnected ? 1 : 0);
    if (isVoter !== undefined) {
      this.#memory.setWord32(at + PEER.VOTER, isVoter === null ? VOTER_UNKNOWN : isVoter ? VOTER_YES : VOTER_NO);
    }
    if (isOldCopy !== undefined) this.#memory.setWord32(at + PEER.OLD_COPY, isOldCopy ? 1 : 0);
    if (isFull !== undefined) this.#memory.setWord32(at + PEER.FULL, isFull ? 1 : 0);
    if (levels !== undefined) this.#memory.setWord32(at + PEER.LEVELS, levels === null ? 0 : levels.lowest | ((levels.highest + 1) << 16));
  }
}
