// A follower's entries: what a leader sent is put at the log's end, or it is said why not.

import { WALK_BAD_CONTROL, WALK_BAD_LEADER, WALK_NEWER_KIND } from '../../assembly/layout.ts';
import { leaderOfTerm } from '../format/noOp.ts';
import { newerKind } from '../format/version.ts';
import { Lone } from '../memory/lone.ts';
import { WORD } from '../memory/map.ts';
import type { ReplicatedStatus, Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { AppendRequest } from '../raft/messages.ts';
import type { StoreOutcome } from '../raft/raft.ts';
import { skipBytes } from './chunks.ts';
import type { ReplicaPorts } from './ports.ts';
import type { RareLog } from './rareLog.ts';
import type { Staged } from './staged.ts';

const OUTCOMES: Readonly<Record<ReplicatedStatus, StoreOutcome>> = {
  ordered: 'stored',
  full: 'full',
  misplaced: 'misplaced',
  refused: 'refused',
};

export class ReplicatedEntries {
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #ports: ReplicaPorts;
  readonly #rareLog: RareLog;
  readonly #staged: Staged;
  readonly #lone: Lone;

  constructor(memory: TailMemory, tail: Tail, ports: ReplicaPorts, rareLog: RareLog, staged: Staged) {
    this.#memory = memory;
    this.#lone = new Lone(memory);
    this.#tail = tail;
    this.#staged = staged;
    this.#ports = ports;
    this.#rareLog = rareLog;
  }

  /**
   * Puts the bytes of `message` from log offset `from` on at the log's end. `body` is all that the message brought, which begins at its
   * `prevOffset`; `lastTerm` is the term of the log's last entry.
   */
  store(message: AppendRequest, from: number, body: readonly Uint8Array[], lastTerm: number): StoreOutcome {
    if (message.referenceBytes !== undefined) return this.#storeUpload(message, from, body, lastTerm);
    const chunks = skipBytes(body, from - message.prevOffset);
    const bytes = message.end - from;
    this.#memory.setWord(WORD.TOLD_COMMIT, message.commit);
    const begins =
      message.entriesTerm > lastTerm
        ? (view: DataView, at: number, end: number): boolean => leaderOfTerm(view, at, end) === message.entriesLeader
        : undefined;
    const isLone = this.#memory.durable === this.#memory.tail;
    const status = this.#tail.appendReplicated(chunks, bytes, message.entriesTerm, message.base, this.#ports.wallMs(), begins);
    if (status === 'ordered') {
      this.#lone.ordered(isLone);
      this.#ordered(message);
    }
    if (status === 'refused') this.#refused(message, from + this.#tail.badAt);
    return OUTCOMES[status];
  }

  /** The same for a reference. It is placed whole or not at all, and never begins a term. */
  #storeUpload(message: AppendRequest, from: number, body: readonly Uint8Array[], lastTerm: number): StoreOutcome {
    if (from !== message.prevOffset || message.entriesTerm > lastTerm) return 'missing';
    this.#memory.setWord(WORD.TOLD_COMMIT, message.commit);
    const status = this.#staged.place(this.#tail, message, body, this.#ports.wallMs());
    if (status === 'refused') return 'missing';
    if (status === 'ordered') this.#ordered(message);
    return OUTCOMES[status];
  }

  #ordered({ entriesTerm, entriesLeader }: AppendRequest): void {
    this.#memory.lastEntry = { term: entriesTerm, leader: entriesLeader };
    const { fold } = this.#tail;
    if (fold.difference === undefined) return;
    this.#rareLog.say('error', 'state', `${fold.difference}: one of the two has a wrong copy of the log: compare the logs of the nodes`);
    fold.difference = undefined;
  }

  /** Says why entries of a message were refused at log offset `at`. */
  #refused({ entriesTerm }: AppendRequest, at: number): void {
    const { badStatus, badKindSize } = this.#tail;
    if (badStatus === WALK_NEWER_KIND) {
      this.#ports.fatal(newerKind('in what the leader sent', at, badKindSize));
      return;
    }
    const sentences: Readonly<Record<number, string>> = {
      [WALK_BAD_LEADER]: `the leader sent entries of term ${entriesTerm} that begin with no no-op of their leader: not taken`,
      [WALK_BAD_CONTROL]: `the leader sent a segment that does not begin with the state of the log, or a state elsewhere, at offset ${at}: not taken; compare its log with those of the others`,
    };
    const sentence =
      sentences[badStatus] ?? `entries that the leader sent are not valid at offset ${at}: they were damaged on the way, or on its disk`;
    this.#rareLog.say('error', 'store', sentence);
  }
}
