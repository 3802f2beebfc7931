// Requests of one connection that are answered once: what is asked, and what becomes of it when the answer comes, or is another one, or the connection is lost.

import type { LogError } from '../../core/errors.ts';
import type { MemberChange } from '../../core/memberChanges.ts';
import { MAX_WAIT_MS } from '../../core/servingLimits.ts';
import type { AccessChange } from '../../format/access.ts';
import type { Answer } from '../../protocol/answers.ts';
import {
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  FIND,
  requestMessage,
  TRANSFER,
  TRANSFER_DRY_RUN,
  TRIM,
  TRIM_DRY_RUN,
  UPGRADE,
  UPGRADE_FINALIZE,
} from '../../protocol/client.ts';
import { type ConsumerQuestion, encodeConsumersRequest } from '../../protocol/consumers.ts';
import { FEATURE_CONSUMERS, type Hello } from '../../protocol/greeting.ts';
import { encodeMembersRequest } from '../../protocol/members.ts';
import { encodeRetention, type KeptBounds } from '../../protocol/retention.ts';
import { encodeOpenSession, type ProducerName } from '../../protocol/sessions.ts';
import { encodeTokensRequest } from '../../protocol/tokens.ts';

/** Where the log starts, how far it is committed, and the term. */
export interface LogEnd {
  readonly start: number;
  readonly end: number;
  readonly term: number;
}

/** What an END asks for. */
export interface EndRequest {
  readonly linearizable: boolean;
  /** Answer once this much is committed on the node; 0: at once. */
  readonly atLeast: number;
  /** Longest wait for that, after which the node says BEHIND. */
  readonly waitMs: number;
}

/** What ends a request that is answered once. */
export type Ended = Extract<
  Answer,
  { kind: 'ended' | 'found' | 'kept' | 'levels' | 'transferred' | 'tokens' | 'members' | 'consumers' | 'sessionOpened' }
>;
type EndedBy<Kind extends Ended['kind']> = Extract<Ended, { kind: Kind }>;

function isOf<Kind extends Ended['kind']>(answer: Ended, kind: Kind): answer is EndedBy<Kind> {
  return answer.kind === kind;
}

interface PendingEnd {
  /** False: the node answers something else than it was asked. */
  answered(answer: Ended): boolean;
  lost(): void;
  reject(error: LogError): void;
}

function logEndOf(answer: EndedBy<'ended'> | undefined): LogEnd | undefined {
  return answer === undefined ? undefined : { start: answer.start, end: answer.commit, term: answer.term };
}

/** The connection on which is asked. */
export interface Asker {
  readonly isLost: boolean;
  readonly hello: Hello;
  /** What is certainly committed on the node. */
  readonly commit: number;
  takeRequestId(): number;
  send(message: Uint8Array): void;
}

export class Questions {
  readonly #connection: Asker;
  readonly #pending = new Map<number, PendingEnd>();

  constructor(connection: Asker) {
    this.#connection = connection;
  }

  /** Asks for the log's bounds. This and what follows: undefined when the connection was lost before the answer. Rejects with the server's error. */
  async end({ linearizable, atLeast, waitMs }: EndRequest): Promise<LogEnd | undefined> {
    // What the node is known to have needs no waiting, and then a plain request does.
    const mustWait = atLeast > this.#connection.commit;
    const flags = (linearizable ? END_LINEARIZABLE : 0) | (mustWait ? END_AT_LEAST : 0);
    return logEndOf(
      await this.#ask('ended', (id) =>
        requestMessage(END, flags, id, mustWait ? atLeast : 0, 0, mustWait ? Math.min(waitMs, MAX_WAIT_MS) : 0),
      ),
    );
  }

  /** Trims the log up to `to`, or says where it would begin. */
  async trim(to: number, isDryRun: boolean): Promise<LogEnd | undefined> {
    return logEndOf(await this.#ask('ended', (id) => requestMessage(TRIM, isDryRun ? TRIM_DRY_RUN : 0, id, to)));
  }

  /** Asks for the first entry that is not older than `timeMs`. */
  async find(timeMs: number): Promise<number | undefined> {
    return (await this.#ask('found', (id) => requestMessage(FIND, 0, id, timeMs)))?.offset;
  }

  /** Sets what the log keeps, as far as `change` says it, and asks for it. */
  retention(change: Partial<KeptBounds>): Promise<EndedBy<'kept'> | undefined> {
    return this.#ask('kept', (id) => encodeRetention(id, change, (this.#connection.hello.features & FEATURE_CONSUMERS) !== 0));
  }

  /** Asks for the log's level, and raises it first with `isFinal`. */
  upgrade(isFinal: boolean): Promise<EndedBy<'levels'> | undefined> {
    return this.#ask('levels', (id) => requestMessage(UPGRADE, isFinal ? UPGRADE_FINALIZE : 0, id));
  }

  /** Asks for another leader than that of `term`: node `to`, 0 for any. The answer says who leads then: 0 where that was not known yet. */
  transfer(to: number, term: number, isDryRun: boolean): Promise<EndedBy<'transferred'> | undefined> {
    return this.#ask('transferred', (id) => requestMessage(TRANSFER, isDryRun ? TRANSFER_DRY_RUN : 0, id, 0, to, term));
  }

  /** Changes the log's tokens, or asks for them. */
  tokens(change: AccessChange | undefined): Promise<EndedBy<'tokens'> | undefined> {
    return this.#ask('tokens', (id) => encodeTokensRequest(id, change));
  }

  /** Changes the set of nodes, or looks whether it could be, or asks for it. */
  members(change: MemberChange | undefined, isDryRun: boolean): Promise<EndedBy<'members'> | undefined> {
    return this.#ask('members', (id) => encodeMembersRequest(id, change, isDryRun));
  }

  /** Changes a named consumer, or asks for all. */
  consumers(question: ConsumerQuestion | undefined): Promise<EndedBy<'consumers'> | undefined> {
    return this.#ask('consumers', (id) => encodeConsumersRequest(id, question));
  }

  /** Opens a session of a producer; `follows`: the last one that it knows of its own, 0: none. */
  openSession(producer: ProducerName, follows: number): Promise<EndedBy<'sessionOpened'> | undefined> {
    return this.#ask('sessionOpened', (id) => encodeOpenSession(id, producer, follows));
  }

  #ask<Kind extends Ended['kind']>(kind: Kind, request: (id: number) => Uint8Array): Promise<EndedBy<Kind> | undefined> {
    if (this.#connection.isLost) return Promise.resolve(undefined);
    const id = this.#connection.takeRequestId();
    return new Promise((resolve, reject) => {
      const answered = (answer: Ended): boolean => {
        const isAnswer = isOf(answer, kind);
        resolve(isAnswer ? answer : undefined);
        return isAnswer;
      };
      this.#pending.set(id, { answered, lost: () => resolve(undefined), reject });
      this.#connection.send(request(id));
    });
  }

  /** An answer came. False: the node answers something else than it was asked. */
  answered(answer: Ended): boolean {
    const pending = this.#pending.get(answer.requestId);
    this.#pending.delete(answer.requestId);
    return pending?.answered(answer) !== false;
  }

  /** The node refused a request. False: it is none of these. */
  refused(requestId: number, error: LogError): boolean {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return false;
    this.#pending.delete(requestId);
    pending.reject(error);
    return true;
  }

  /** The connection is lost: no answer comes any more. */
  lost(): void {
    for (const pending of this.#pending.values()) pending.lost();
    this.#pending.clear();
  }
}
