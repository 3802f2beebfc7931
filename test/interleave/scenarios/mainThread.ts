// As much of the main thread as orders appends and answers them: the real Appends, with a session that keeps the answers.

import { assert } from '../../../src/core/assert.ts';
import { Gate } from '../../../src/memory/gate.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import { Appends } from '../../../src/node/appends.ts';
import type { Appender } from '../../../src/node/caller.ts';
import { repeatsIn } from '../../support/repeats.ts';

/** What became of an append. */
export interface Outcome {
  /** A receipt says where it is, and which nodes have it: bit i stands for node i + 1. */
  readonly receipt?: { readonly term: number; readonly first: number; readonly nodes: number };
  readonly code?: string;
  readonly isUnknown?: boolean;
}

export class TestMain {
  readonly appends: Appends;
  readonly outcomes = new Map<number, Outcome>();
  readonly #session: Appender;
  readonly #turns: (() => void)[] = [];
  #nextId = 1;

  constructor(memory: TailMemory, others: readonly number[], awaitCommit: () => void = () => undefined) {
    const cluster = { self: 1, others, leaderUrl: () => '', noLeaderSentence: () => 'no leader is known' };
    const loop = { wallMs: () => 1, afterTurn: (run: () => void) => void this.#turns.push(run) };
    this.appends = new Appends({
      memory,
      tail: new Tail(memory, () => undefined),
      gate: new Gate(memory),
      cluster,
      loop,
      maxPayloadBytes: 65536,
      repeats: repeatsIn(memory),
      awaitCommit,
    });
    this.#session = {
      unacknowledgedBytes: 0,
      unacknowledgedAppends: 0,
      isClosed: false,
      sendError: (requestId, code, _offset, _sentence, isUnknown) => this.#answer(requestId, { code, isUnknown: isUnknown === true }),
      fail: (requestId, code) => this.#answer(requestId, { code }),
      addReceipt: (requestId, term, first, _end, _level, nodes) => {
        this.#answer(requestId, { receipt: { term, first, nodes } });
        return true;
      },
      flushReceipts: () => undefined,
    };
  }

  /** A client appends; returns the number of its request. The event loop's turn ends after it. */
  append(entries: Uint8Array): number {
    const requestId = this.#nextId;
    this.#nextId += 1;
    this.appends.accept({
      caller: this.#session,
      requestId,
      entries,
      entryCount: 1,
      received: false,
      condition: undefined,
      arrivedMs: 0,
    });
    for (const run of this.#turns.splice(0)) run();
    return requestId;
  }

  #answer(requestId: number, outcome: Outcome): void {
    assert(!this.outcomes.has(requestId), 'an append is answered once');
    this.outcomes.set(requestId, outcome);
  }
}
