// The door of a simulated node's engine: the simulated clients' connections.

import type { Door } from '../../src/node/door.ts';
import type { Connection } from './connection.ts';

export class SimDoor implements Door {
  readonly url = '';
  readonly sendBufferedBytes = 0;
  readonly #connections = new Set<Connection>();
  /** Clients may connect. */
  isOpen = false;

  get connections(): number {
    return this.#connections.size;
  }

  open(): void {
    this.isOpen = true;
  }

  enter(connection: Connection): void {
    this.#connections.add(connection);
  }

  leave(connection: Connection): void {
    this.#connections.delete(connection);
  }

  greetingChanged(): void {}

  takeNoMore(): void {
    this.isOpen = false;
  }

  disconnect(): Promise<void> {
    for (const connection of this.#connections) connection.dismiss();
    return Promise.resolve();
  }

  close(): void {
    this.isOpen = false;
    for (const connection of this.#connections) connection.cut();
  }
}
