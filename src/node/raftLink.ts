// The main thread's side of the raft thread: starts it, hands its requests on, and asks it what only it can know.

import { unreachable } from '../core/assert.ts';
import { fromPlainError, LogError, toPlainError } from '../core/errors.ts';
import type { ChangeOutcome, MemberChange } from '../core/memberChanges.ts';
import type { AccessChange } from '../format/access.ts';
import type { Seal } from '../format/controlEntries.ts';
import type { PeerProof } from '../peers/peerProof.ts';
import type { MendedLog } from '../storage/mender.ts';
import type { FromRaft, RaftChannel, ToRaft } from '../threads/messages.ts';
import type { FetchAnswer, RaftEvents, RaftPort } from './raftPort.ts';

type ReadIndexWaiter = (index: number | undefined) => void;

export class RaftLink implements RaftPort {
  readonly #channel: RaftChannel;
  readonly #events: RaftEvents;
  readonly #started: Promise<void>;
  readonly #stopped: Promise<void>;
  #onStarted: () => void = () => undefined;
  #onStopped: () => void = () => undefined;
  #isStopping = false;
  #nextReadId = 1;
  #nextFetchId = 1;
  #onFetched: ((answer: FetchAnswer) => void) | undefined;
  /** One question is on its way at a time; who asks meanwhile waits for the next one, because an answer counts from its question on. */
  #asking: ReadIndexWaiter[] = [];
  #waiting: ReadIndexWaiter[] = [];
  #onTrimmed: (() => void) | undefined;
  readonly #onTransferred: ((ok: boolean) => void)[] = [];
  #nextChangeId = 1;
  readonly #onChanged = new Map<number, (outcome: ChangeOutcome) => void>();

  constructor(channel: RaftChannel, events: RaftEvents) {
    this.#events = events;
    this.#started = new Promise((resolve) => {
      this.#onStarted = resolve;
    });
    this.#stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#channel = channel;
    channel.listen({
      message: (message) => {
        try {
          this.#handle(message);
        } catch (thrown) {
          events.failed(fromPlainError(toPlainError(thrown)));
        }
      },
      failed: (error) => events.failed(error),
      ended: () => {
        if (this.#isStopping) this.#onStopped();
        else events.failed(new LogError('IO', 'the raft thread ended on its own'));
      },
    });
  }

  get started(): Promise<void> {
    return this.#started;
  }

  sealed(base: number, end: number): void {
    this.#post({ kind: 'sealed', segment: { base, end } });
  }

  trim(base: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onTrimmed = resolve;
      this.#post({ kind: 'trim', base });
    });
  }

  removed(base: number): void {
    this.#post({ kind: 'removed', base });
  }

  staging(shared: SharedArrayBuffer): void {
    this.#post({ kind: 'staging', shared });
  }

  staged(rows: readonly number[]): void {
    this.#post({ kind: 'staged', rows });
  }

  askAccess(change: AccessChange): void {
    this.#post({ kind: 'askAccess', change });
  }

  digest(seal: Seal): void {
    this.#post({ kind: 'digest', seal });
  }

  different(bases: readonly number[]): void {
    this.#post({ kind: 'different', bases });
  }

  readIndex(): Promise<number | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#askNext();
    });
  }

  fetch(node: number, from: number, end: number, isOpen: boolean): Promise<FetchAnswer> {
    const id = this.#nextFetchId;
    this.#nextFetchId += 1;
    return new Promise((resolve) => {
      this.#onFetched = resolve;
      this.#post({ kind: 'fetch', question: { id, to: node, from, end, isOpen } });
    });
  }

  prove(proof: PeerProof): void {
    this.#post({ kind: 'prove', proof });
  }

  mending(isUnderWay: boolean): void {
    this.#post({ kind: 'mending', isUnderWay });
  }

  mended(log: MendedLog): void {
    this.#post({ kind: 'mended', log });
  }

  transfer(to?: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#onTransferred.push(resolve);
      this.#post({ kind: 'transfer', to });
    });
  }

  changeNodes(change: MemberChange, isDryRun: boolean): Promise<ChangeOutcome> {
    const id = this.#nextChangeId;
    this.#nextChangeId += 1;
    return new Promise((resolve) => {
      this.#onChanged.set(id, resolve);
      this.#post({ kind: 'changeNodes', id, change, isDryRun });
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#post({ kind: 'stop' });
    await this.#stopped;
  }

  async terminate(): Promise<void> {
    this.#isStopping = true;
    await this.#channel.terminate();
  }

  #post(message: ToRaft): void {
    this.#channel.post(message);
  }

  #askNext(): void {
    if (this.#asking.length > 0 || this.#waiting.length === 0) return;
    this.#asking = this.#waiting;
    this.#waiting = [];
    this.#post({ kind: 'readIndex', id: this.#nextReadId });
    this.#nextReadId += 1;
  }

  #handle(message: FromRaft): void {
    switch (message.kind) {
      case 'started':
        this.#onStarted();
        break;
      case 'openSegment':
        this.#events.openSegment(message.slot);
        break;
      case 'truncate': {
        const { offset } = message;
        this.#events.truncate(offset).then(
          () => this.#post({ kind: 'truncated', end: offset }),
          (error: LogError) => this.#events.failed(error),
        );
        break;
      }
      case 'beginAt': {
        const { base } = message;
        this.#events.beginAt(base).then(
          () => this.#post({ kind: 'emptied', base }),
          (error: LogError) => this.#events.failed(error),
        );
        break;
      }
      case 'seal':
        this.#events.seal(message.seal, message.by);
        break;
      case 'access':
        this.#events.access(message.news, message.by);
        break;
      case 'askedAccess':
        this.#events.askedAccess(message.node, message.change);
        break;
      case 'digest':
        this.#events.digest(message.node, message.seal);
        break;
      case 'trimmed':
        this.#onTrimmed?.();
        this.#onTrimmed = undefined;
        break;
      case 'readIndexDone': {
        const asked = this.#asking;
        this.#asking = [];
        for (const resolve of asked) resolve(message.index);
        this.#askNext();
        break;
      }
      case 'transferDone':
        // One that is told to stop joins one that somebody asked for.
        for (const resolve of this.#onTransferred.splice(0)) resolve(message.ok);
        break;
      case 'nodesChanged':
        this.#onChanged.get(message.id)?.(message.outcome);
        this.#onChanged.delete(message.id);
        break;
      case 'nodes':
        this.#events.nodes(message.view);
        break;
      case 'placed':
        this.#events.placed(message.row, message.isPlaced);
        break;
      case 'announced':
        this.#events.announced();
        break;
      case 'fetched':
        if (message.id === this.#nextFetchId - 1) this.#onFetched?.(message.answer);
        break;
      case 'damaged':
        this.#events.damaged(message.offset, fromPlainError(message.error));
        break;
      case 'failed':
        this.#events.failed(fromPlainError(message.error));
        break;
      case 'causes':
        this.#events.causes(message.causes, message.whyNoLeader);
        break;
      case 'advertised':
        this.#events.advertised(message.node, message.url);
        break;
      case 'log':
        this.#events.log(message.level, message.text);
        break;
      case 'stopped':
        break;
      default:
        unreachable(message);
    }
  }
}
