// A node that orders appends, without sockets, and whose terms come and go as a test says: the real requests, appends, log's end, truncation
// and recovery, on a disk in memory.

import { KIND_CONTINUED, KIND_DATA } from '../../../assembly/layout.ts';
import { ALL_SCOPES } from '../../../src/core/access.ts';
import { Gate } from '../../../src/memory/gate.ts';
import { WORD } from '../../../src/memory/map.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import type { Access } from '../../../src/node/access.ts';
import { Appends } from '../../../src/node/appends.ts';
import type { Consumers } from '../../../src/node/consumers.ts';
import type { Ends } from '../../../src/node/ends.ts';
import type { Handover } from '../../../src/node/handover.ts';
import type { Levels } from '../../../src/node/levels.ts';
import type { Members } from '../../../src/node/members.ts';
import type { Readings } from '../../../src/node/reading.ts';
import type { Retention } from '../../../src/node/retention.ts';
import type { Times } from '../../../src/node/times.ts';
import type { Trims } from '../../../src/node/trims.ts';
import type { Uploads } from '../../../src/node/uploads.ts';
import { decodeAnswer } from '../../../src/protocol/answers.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  MESSAGE_HEADER_BYTES,
  requestMessage,
} from '../../../src/protocol/client.ts';
import { Requests } from '../../../src/server/requests.ts';
import type { Session } from '../../../src/server/session.ts';
import type { MemoryDisk } from '../../crash/memoryDisk.ts';
import type { TestNode } from '../../crash/testNode.ts';
import { startNode } from '../../storage/support.ts';
import { encodeEntry } from '../../support/entryTwin.ts';
import { TEST_LOOP } from '../../support/loop.ts';
import { repeatsIn } from '../../support/repeats.ts';

/** Bytes of an entry without its payload. */
export const OVERHEAD_BYTES = 12;

/** Framed entries of these payload sizes; `isBatch`: as one batch. */
export function entriesOf(payloadBytes: readonly number[], isBatch = true): Uint8Array {
  const last = payloadBytes.length - 1;
  const entries = payloadBytes.map((bytes, i) =>
    encodeEntry(new Uint8Array(bytes).fill(1 + bytes), isBatch && i < last ? KIND_CONTINUED : KIND_DATA),
  );
  return Uint8Array.from(Buffer.concat(entries));
}

/** How an append is sent. Without any of it: a plain one. */
export interface Sent {
  /** CONDITIONAL, with this expected end; `b` is the expected term. */
  readonly at?: number;
  readonly b?: number;
  /** What stands in the field for the expected end, where that means nothing. */
  readonly offset?: number;
  readonly chained?: boolean;
  readonly received?: boolean;
  readonly entryCount?: number;
}

/** A connection, as the server sees it. What became of each append is kept by request id, in short: `ok 12..29`, or code and offset. */
export class BenchClient {
  readonly outcomes: string[] = [];
  readonly sentences: string[] = [];
  unacknowledgedBytes = 0;
  unacknowledgedAppends = 0;
  isClosed = false;
  chain: Session['chain'];
  /** It may do everything. */
  readonly rights = ALL_SCOPES;
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Sends an APPEND. Returns its id, the place of its outcome. */
  append(payloadBytes: readonly number[] | Uint8Array, { at, b = 0, offset, chained, received, entryCount }: Sent = {}): number {
    const body = payloadBytes instanceof Uint8Array ? payloadBytes : entriesOf(payloadBytes);
    const flags = (at === undefined ? 0 : APPEND_CONDITIONAL) | (chained ? APPEND_CHAINED : 0) | (received ? APPEND_RECEIVED : 0);
    const id = this.outcomes.push('none') - 1;
    const message = new Uint8Array(MESSAGE_HEADER_BYTES + body.length);
    message.set(requestMessage(APPEND, flags, id, at ?? offset ?? 0, entryCount ?? payloadBytes.length, b));
    message.set(body, MESSAGE_HEADER_BYTES);
    this.#requests.handle(this as unknown as Session, message);
    return id;
  }

  /** A link of the newest chain. */
  link(payloadBytes: readonly number[] | Uint8Array, sent: Sent = {}): number {
    return this.append(payloadBytes, { ...sent, chained: true });
  }

  sendError(requestId: number, code: string, offset: number, sentence: string, mayHaveHappened = false): void {
    this.outcomes[requestId] = `${code} ${offset}${mayHaveHappened ? ' unknown' : ''}`;
    this.sentences[requestId] = sentence;
  }

  fail(requestId: number, code: string, sentence: string): void {
    if (this.isClosed) return;
    this.sendError(requestId, `FATAL ${code}`, 0, sentence);
    this.isClosed = true;
  }

  addReceipt(requestId: number, _term: number, offset: number, end: number): boolean {
    this.outcomes[requestId] = `ok ${offset}..${end}`;
    return true;
  }

  flushReceipts(): void {}

  send(message: Uint8Array): void {
    throw new Error(`an append is not answered with ${decodeAnswer(message).kind}`);
  }
}

export class ConditionBench {
  readonly memory: TailMemory;
  readonly node: TestNode;
  readonly appends: Appends;
  readonly requests: Requests;
  readonly gate: Gate;
  /** Bytes of a no-op. */
  readonly noopBytes: number;
  readonly #turns: (() => void)[] = [];

  /** Starts a node on `disk`, which leads in its first term. */
  constructor(disk: MemoryDisk, memory: TailMemory, limits = { windowBytes: 1 << 30, maxBatchBytes: 60_000 }) {
    this.memory = memory;
    this.node = startNode(disk, memory);
    this.noopBytes = this.node.tail.end - this.node.tail.first;
    this.gate = new Gate(memory);
    const cluster = { self: 1, others: [], leaderUrl: () => '', noLeaderSentence: () => 'no leader is known' };
    const loop = { wallMs: () => 5, afterTurn: (run: () => void) => void this.#turns.push(run) };
    this.appends = new Appends({
      memory,
      tail: this.node.tail,
      gate: this.gate,
      cluster,
      loop,
      maxPayloadBytes: 60_000,
      repeats: repeatsIn(memory),
      awaitCommit: () => undefined,
    });
    this.requests = new Requests(
      {
        memory,
        appends: this.appends,
        readings: {} as Readings,
        ends: {} as Ends,
        uploads: { isOn: false } as Uploads,
        trims: {} as Trims,
        times: {} as Times,
        retention: {} as Retention,
        sessions: { request: () => Promise.reject(new Error('this test opens no sessions')) },
        levels: {} as Levels,
        handover: {} as Handover,
        members: {} as Members,
        access: {} as Access,
        consumers: {} as Consumers,
        broke: () => undefined,
        loop: TEST_LOOP,
      },
      limits,
      () => undefined,
    );
    this.#open(this.node.term);
  }

  get tail(): number {
    return this.memory.tail;
  }

  get dataEnd(): number {
    return this.memory.dataEnd;
  }

  connect(): BenchClient {
    return new BenchClient(this.requests);
  }

  #open(term: number): void {
    this.memory.setWord(WORD.OPEN_TERM, term);
    this.gate.open();
  }

  /** The node leads no longer, in words as the raft thread leaves them. */
  resign(): void {
    this.gate.closeSync();
    this.memory.setWord(WORD.ENDED_TERM, this.memory.word(WORD.OPEN_TERM));
    this.memory.setWord(WORD.ENDED_COMMIT, this.memory.commit);
    this.memory.setWord(WORD.OPEN_TERM, 0);
  }

  /** It leads again, in `term`, whose no-op it has ordered. */
  lead(term: number): void {
    this.node.changeTerm(term, true);
    this.#open(term);
  }

  /** Makes all that is ordered durable and committed, and answers. */
  commit(): void {
    for (const turn of this.#turns.splice(0)) turn();
    this.node.settle();
    this.memory.setWord(WORD.COMMIT, this.memory.tail);
    this.appends.settle(0);
  }
}
