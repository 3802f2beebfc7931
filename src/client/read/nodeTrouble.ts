// What nodes have refused a reading, since something good came: another one is asked, or the same one later, and whether the leader must be.

import type { LogError } from '../../core/errors.ts';
import type { Connection } from '../nodes/connection.ts';
import { isNodesOwn, type ReadNodes } from '../nodes/readNodes.ts';

export class NodeTrouble {
  readonly #readNodes: ReadNodes;
  /** Refusals of nodes in a row, and since when, of `performance.now()`. */
  #failures = 0;
  #sinceMs = 0;
  /** A node said that the place to read from is beyond its end: only the leader knows whether it is beyond everybody's. */
  #asksLeader = false;
  /** Nodes whose bytes at the place to read from are damaged, and what the first of them said. */
  readonly #damagedNodes = new Set<number>();
  #damage: LogError | undefined;

  constructor(readNodes: ReadNodes) {
    this.#readNodes = readNodes;
  }

  get asksLeader(): boolean {
    return this.#asksLeader;
  }

  /** The place to read from is beyond the end of a node: only the leader knows whether it is beyond everybody's. */
  askLeader(): void {
    this.#asksLeader = true;
  }

  /** What is left of the time in which nodes may refuse, in milliseconds. */
  get leftMs(): number {
    const { timeoutMs } = this.#readNodes;
    return this.#failures === 0 ? timeoutMs : timeoutMs - (performance.now() - this.#sinceMs);
  }

  /** A node to ask now, after a pause where nodes have refused. */
  async nextNode(): Promise<Connection> {
    if (this.#failures > 0) await this.#readNodes.pause(this.#failures);
    return await (this.#asksLeader ? this.#readNodes.authority() : this.#readNodes.acquire());
  }

  /** What this node is known to be damaged by; undefined: it is not known to be. */
  damageOf({ hello }: Connection): LogError | undefined {
    return this.#damagedNodes.has(hello.nodeId) ? this.#damage : undefined;
  }

  /** A node has refused: whether another one may serve this, or the same one later. If not, it has failed for good. */
  mayGoOn(error: LogError, connection: Connection): boolean {
    if (isNodesOwn(error)) {
      if (this.#failures === 0) this.#sinceMs = performance.now();
      this.#failures += 1;
      this.#readNodes.leave(connection);
      return this.leftMs > 0;
    }
    if (error.code === 'OFFSET_BEYOND_END' && !this.#asksLeader) {
      this.#asksLeader = true;
      return true;
    }
    if (error.code === 'DAMAGED' && this.#readNodes.hasOthers && !this.#damagedNodes.has(connection.hello.nodeId)) {
      this.#damage ??= error;
      this.#damagedNodes.add(connection.hello.nodeId);
      this.#readNodes.leave(connection);
      return true;
    }
    return false;
  }

  /** What came is good: whatever trouble there was is over. */
  end(): void {
    this.#failures = 0;
    this.#asksLeader = false;
    if (this.#damage === undefined) return;
    this.#damage = undefined;
    this.#damagedNodes.clear();
  }
}
