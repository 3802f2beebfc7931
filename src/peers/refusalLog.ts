// Which nodes are refused, and why: said once for each node and reason, until the node is accepted, because whoever is refused tries again for ever.

import type { Self } from '../protocol/peerJudgement.ts';
import type { NodeId } from '../raft/messages.ts';

export class RefusalLog {
  readonly #self: Pick<Self, 'nodes'>;
  readonly #log: (text: string) => void;
  /** What was said; of nodes that exist, and 0 for all else, so there are few. */
  readonly #said = new Set<string>();

  constructor(self: Pick<Self, 'nodes'>, log: (text: string) => void) {
    this.#self = self;
    this.#log = log;
  }

  /** `from` 0: it did not say who it is. */
  refused(from: NodeId, code: string, sentence: string, address: string): void {
    const known = this.#self.nodes.includes(from) ? from : 0;
    const key = `${known} ${code}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    const who = from === 0 ? `a connection from ${address}` : `node ${from} at ${address}`;
    this.#log(`${who} is refused (${code}): ${sentence}`);
  }

  accepted(from: NodeId): void {
    for (const each of this.#said) if (each.startsWith(`${from} `)) this.#said.delete(each);
  }
}
