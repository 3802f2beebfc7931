// The session of a client that appends as a producer: its appends are numbered in it, so that they can be sent again whatever became of them, and are in the log
// once. Those of writers are known by their places, and are of no session.
//
//   closed ──(first append)──► opening ──► open ──(refused for good, a gap, unknown session)──► lost ──► opening again ──► open, or fenced for good
//                                           │ ▲
//             (a condition did not hold)    ▼ │ (all that was sent is answered)
//                                         refused
//
// A condition that does not hold takes no sequence. If the append was sent once, and so were those after it, each of which is refused as a gap, nothing of them is on
// its way any more: the same session goes on, and gives their sequences to others.
//
// What a session has been told is final when another one of the same producer is open: up to a sequence its appends are in the log, and no later one ever is.

import { toHex } from '../../core/bytes.ts';
import { LogError } from '../../core/errors.ts';
import { FEATURE_SESSIONS } from '../../protocol/greeting.ts';
import type { ProducerName, SessionOpened } from '../../protocol/sessions.ts';
import type { Connection } from '../nodes/connection.ts';
import type { Workspace } from '../wasm.ts';
import type { Message } from './message.ts';

const INSTANCE_BYTES = 8;

/** What becomes of messages that have no answer when another session is open. */
export interface Resumed {
  /** Sent in it, those that were not done before without an earlier try. */
  readonly again: Message[];
  /** In the log, by the session before, where is not known. */
  readonly done: Message[];
  /** In the log or not: the log had forgotten the session before. */
  readonly unknown: Message[];
  /** Not in the log, and never will be: they were refused for good. */
  readonly refused: Message[];
  /** Nobody waits for them any more. */
  readonly dropped: Message[];
}

export class Producer {
  readonly #producer: ProducerName;
  #state: 'closed' | 'opening' | 'open' | 'refused' | 'lost' = 'closed';
  #session = 0;
  /** The last that was given to a message. */
  #sequence = 0;
  /** The first that was refused, in the state `refused`. */
  #refused = 0;
  /** Why nothing more can be appended: another process has the name. Also when the log has forgotten that one: it may be at work. */
  #fenced: LogError | undefined;

  constructor(name: string) {
    const instance = globalThis.crypto.getRandomValues(new Uint8Array(INSTANCE_BYTES));
    // Zeros are no instance.
    instance[0] = (instance[0] ?? 0) | 1;
    this.#producer = { name, instance: toHex(instance) };
  }

  get name(): string {
    return this.#producer.name;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isOpening(): boolean {
    return this.#state === 'opening';
  }

  /** There was one, and what was sent in it waits for another one, or for the answers of the rest. */
  get isLost(): boolean {
    return this.#state === 'lost' || this.#state === 'refused';
  }

  /** Whether a message is sent in the session. */
  owns({ link }: Message): boolean {
    return link === undefined;
  }

  /** The session cannot go on: the next message opens another one. */
  lose(): void {
    if (this.isOpen || this.isLost) this.#state = 'lost';
  }

  /** A message of the session was refused, which took no sequence, and was sent once: nothing of it is on its way. */
  refuse({ sequence }: Message): void {
    if (!this.isOpen) return;
    this.#state = 'refused';
    this.#refused = sequence;
  }

  /** All that was sent is answered; `messages` are to be sent. Whether the session goes on after a refusal: then those after it have no sequence any more. */
  goOn(messages: readonly Message[]): boolean {
    if (this.#state !== 'refused') return false;
    const after = messages.filter(({ sequence }) => sequence >= this.#refused);
    // What may have come twice may come yet.
    this.#state = after.some(({ isUncertain, isGivenUp }) => isUncertain || isGivenUp) ? 'lost' : 'open';
    if (!this.isOpen) return false;
    for (const message of after) message.sequence = 0;
    this.#sequence = this.#refused - 1;
    return true;
  }

  /** Gives a message that is sent for the first time its place in the session; from then on it does not change. */
  number(message: Message, workspace: Workspace): void {
    if (message.sequence !== 0) return;
    this.#sequence += 1;
    message.session = this.#session;
    message.sequence = this.#sequence;
    message.join(workspace);
  }

  /**
   * Opens a session, and returns what the node says of it; undefined: the connection was lost before the answer, and asked again, the node says the same. Rejects
   * with the node's error; after FENCED there will be none any more.
   */
  async open(connection: Connection): Promise<SessionOpened | undefined> {
    if (this.#fenced !== undefined) throw this.#fenced;
    const follows = this.#session;
    this.#state = 'opening';
    let opened: SessionOpened | undefined;
    try {
      if ((connection.hello.features & FEATURE_SESSIONS) === 0) throw NO_SESSIONS_THERE;
      opened = await connection.questions.openSession(this.#producer, follows);
      return opened;
    } catch (thrown) {
      if (thrown instanceof LogError && thrown.code === 'FENCED') this.#fenced = thrown;
      throw thrown;
    } finally {
      // Nothing is sent in it before {@link resume}.
      if (opened === undefined) this.#state = follows === 0 ? 'closed' : 'lost';
    }
  }

  /** Begins the session that was opened. Says what becomes of `messages`, which were sent in the one before, or were not sent yet, in their order. */
  resume({ session, before, beforeSequence }: SessionOpened, messages: readonly Message[]): Resumed {
    const isSame = before === this.#session;
    this.#state = 'open';
    this.#session = session;
    this.#sequence = 0;
    const resumed: Resumed = { again: [], done: [], unknown: [], refused: [], dropped: [] };
    for (const message of messages) {
      const { sequence } = message;
      if (sequence === 0) resumed.again.push(message);
      else if (isSame && sequence <= beforeSequence) resumed.done.push(message);
      else if (!isSame && message.isUncertain) resumed.unknown.push(message);
      else if (message.isRefused) resumed.refused.push(message);
      else if (message.isGivenUp) resumed.dropped.push(message);
      else resumed.again.push(message);
    }
    for (const message of resumed.again) {
      // One without a sequence is known by its place, or new.
      if (message.sequence === 0) continue;
      message.sequence = 0;
      message.isUncertain = false;
    }
    return resumed;
  }
}

const NO_SESSIONS_THERE = new LogError(
  'UNSUPPORTED',
  'This node is of a build without sessions of producers: upgrade it, or connect without a producer.',
  {},
  'failed',
);

/** What messages are told whose session the log had forgotten. */
export function forgotten(producer: string): LogError {
  const sentence =
    `The log has forgotten the session of the producer "${producer}", because nobody used it for too long, or others needed its place. This append may be in the ` +
    'log or not: read the log before you append it again.';
  return new LogError('UNKNOWN_SESSION', sentence, {}, 'unknown');
}
