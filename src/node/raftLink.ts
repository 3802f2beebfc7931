// The main thread's side of the raft thread: starts it, hands its requests on, and asks it what only it can know.

import { Worker } from 'node:worker_threads';
import { unreachable } from '../core/assert.ts';
import { fromPlainError, LogError, toPlainError } from '../core/errors.ts';
import type { FromRaft, RaftSetup, ToRaft } from '../threads/messages.ts';
import { threadFlags } from '../threads/threadFlags.ts';
import type { RaftEvents, RaftPort } from './raftPort.ts';

type ReadIndexWaiter = (index: number | undefined) => void;

export class RaftLink implements RaftPort {
  readonly #worker: Worker;
  readonly #events: RaftEvents;
  readonly #started: Promise<void>;
  readonly #stopped: Promise<void>;
  #onStarted: () => void = () => undefined;
  #onStopped: () => void = () => undefined;
  #isStopping = false;
  #nextReadId = 1;
  /** One question is on its way at a time; who asks meanwhile waits for the next one, because an answer counts from its question on. */
  #asking: ReadIndexWaiter[] = [];
  #waiting: ReadIndexWaiter[] = [];
  #onTransferred: ((ok: boolean) => void) | undefined;

  /** `keepsRunning`: whether the process goes on running for the thread. */
  constructor(setup: RaftSetup, events: RaftEvents, keepsRunning = true) {
    this.#events = events;
    this.#started = new Promise((resolve) => {
      this.#onStarted = resolve;
    });
    this.#stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    this.#worker = new Worker(new URL('../threads/raftThread.js', import.meta.url), {
      workerData: setup,
      name: 'raft',
      execArgv: threadFlags(),
    });
    this.#worker.on('message', (message: FromRaft) => {
      try {
        this.#handle(message);
      } catch (thrown) {
        events.failed(fromPlainError(toPlainError(thrown)));
      }
    });
    this.#worker.on('error', (thrown: unknown) => events.failed(fromPlainError(toPlainError(thrown))));
    this.#worker.on('exit', () => {
      if (this.#isStopping) this.#onStopped();
      else events.failed(new LogError('IO', 'the raft thread ended on its own'));
    });
    // Last: a listener for messages makes it keep the process running.
    if (!keepsRunning) this.#worker.unref();
  }

  get started(): Promise<void> {
    return this.#started;
  }

  sealed(base: number, end: number): void {
    this.#post({ kind: 'sealed', segment: { base, end } });
  }

  readIndex(): Promise<number | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#askNext();
    });
  }

  transfer(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#onTransferred = resolve;
      this.#post({ kind: 'transfer' });
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#post({ kind: 'stop' });
    await this.#stopped;
  }

  async terminate(): Promise<void> {
    this.#isStopping = true;
    await this.#worker.terminate();
  }

  #post(message: ToRaft): void {
    this.#worker.postMessage(message);
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
      case 'readIndexDone': {
        const asked = this.#asking;
        this.#asking = [];
        for (const resolve of asked) resolve(message.index);
        this.#askNext();
        break;
      }
      case 'transferDone':
        this.#onTransferred?.(message.ok);
        this.#onTransferred = undefined;
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
