// How an append ends: its callers are told, it is counted, and its memory is free again.

import type { LogError } from '../../core/errors.ts';
import type { Receipt as WireReceipt } from '../../protocol/client.ts';
import type { Watch } from '../events.ts';
import type { Workspace } from '../wasm.ts';
import type { Arena } from './arena.ts';
import type { Message, Operation } from './message.ts';
import type { Room } from './room.ts';

export class Settlement {
  readonly #workspace: Workspace;
  readonly #arena: Arena;
  readonly #room: Room;
  readonly #watch: Watch;

  constructor(workspace: Workspace, arena: Arena, room: Room, watch: Watch) {
    this.#workspace = workspace;
    this.#arena = arena;
    this.#room = room;
    this.#watch = watch;
  }

  /** A message is in the log: resolves its callers. */
  acknowledge(message: Message, receipt: WireReceipt): void {
    this.#watch.appended(message.entryCount, message.entryBytes);
    message.acknowledge(receipt, this.#workspace);
  }

  /** Rejects a message's callers. A writer's link is counted by its writer, which may send it again. */
  fail(message: Message, error: LogError): void {
    const told = message.fail(error);
    if (message.link === undefined) this.#watch.failed(told, message.waitingCount);
  }

  /** Rejects a message's callers with an error that says all there is to say, also of earlier tries. */
  failFinally(message: Message, error: LogError): void {
    this.#watch.failed(error, message.waitingCount);
    message.failFinally(error);
  }

  /** Rejects the caller of an operation that is not in a message, or taken out of one. */
  reject(operation: Operation, error: LogError): void {
    if (operation.link === undefined) this.#watch.failed(error, 1);
    operation.reject(error);
  }

  /** A message is no longer held: nothing will happen to it any more. */
  release(message: Message): void {
    this.#room.release(message.entryBytes, message.rejects.length);
    this.#arena.release(message.run);
    message.upload?.release();
  }
}
