// The leader's office, handed over because somebody asks for it: to a node that they name, or to the one that is furthest.

import { LogError } from '../core/errors.ts';
import { HANDOVER_SETTLE_MS } from '../core/limits.ts';
import { formatNodes } from '../core/nodeSet.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ClusterStatus } from './clusterStatus.ts';
import type { Loop } from './loop.ts';
import type { RaftPort } from './raftPort.ts';

/** Who leads. */
export interface Office {
  /** Node id; 0: the office was given up, and nobody is known to have it yet. */
  readonly leader: number;
  readonly term: number;
}

export interface HandoverRequest {
  /** Node id; 0: whichever other node is furthest. */
  readonly to: number;
  /** The term whose leader is to give its office up, so that asking again does no more; 0: the present one. */
  readonly term: number;
  /** Only say who would lead. */
  readonly isDryRun: boolean;
}

export interface HandoverPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'nowMs'>;
  readonly cluster: Pick<ClusterStatus, 'self' | 'others' | 'leaderId'>;
  readonly raft: () => RaftPort | undefined;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit or the office has changed, or some time has passed. */
  progress(): Promise<void>;
}

export class Handover {
  readonly #ports: HandoverPorts;
  #isUnderWay = false;

  constructor(ports: HandoverPorts) {
    this.#ports = ports;
  }

  /**
   * Hands the office over, and says who has it then. Appends wait meanwhile. Rejects with a LogError: NOT_LEADER, SHUTTING_DOWN; UNSUPPORTED where there is nobody else, or nobody of that id;
   * TOO_MANY_REQUESTS while another one is under way; NOT_READY where that node cannot take over now: this one leads on.
   */
  async request({ to, term, isDryRun }: HandoverRequest): Promise<Office> {
    const { cluster, memory } = this.#ports;
    this.#refuse();
    const now: Office = { leader: cluster.self, term: memory.word(WORD.TERM) };
    if (to === cluster.self || (term !== 0 && term < now.term)) return now;
    const successor = this.#successor(to);
    if (isDryRun) return { leader: successor, term: now.term };
    if (this.#isUnderWay) throw new LogError('TOO_MANY_REQUESTS', 'the office is being handed over already: try again');
    this.#isUnderWay = true;
    try {
      return await this.#handOver(to === 0 ? undefined : to, successor);
    } finally {
      this.#isUnderWay = false;
    }
  }

  #refuse(): void {
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** The node that is named, or the one that is furthest of those that could take over. */
  #successor(to: number): number {
    const { cluster, memory } = this.#ports;
    const { self, others } = cluster;
    if (others.length === 0)
      throw new LogError('UNSUPPORTED', `node ${self} is the only one of its log: there is nobody to lead in its place`);
    if (to !== 0 && !others.includes(to)) {
      throw new LogError(
        'UNSUPPORTED',
        `node ${to} is none of this log's: they are ${formatNodes([self, ...others].sort((a, b) => a - b))}`,
      );
    }
    let furthest = 0;
    for (const id of to === 0 ? others : [to]) {
      const { isConnected, match } = memory.peers.get(id);
      if (isConnected && (furthest === 0 || (match ?? 0) > (memory.peers.get(furthest).match ?? 0))) furthest = id;
    }
    if (furthest !== 0) return furthest;
    const who = to === 0 ? 'any other node' : `node ${to}`;
    throw new LogError('NOT_READY', `node ${self} has no connection with ${who}, and leads on: see loglog status`);
  }

  async #handOver(to: number | undefined, successor: number): Promise<Office> {
    const { raft, cluster, memory, loop, progress, refusal } = this.#ports;
    const isDone = (await raft()?.transfer(to)) ?? false;
    if (!isDone) {
      const { match } = memory.peers.get(successor);
      const lag = match === null ? 'has not said how far its log is' : `lacks ${Math.max(0, memory.tail - match)} bytes of the log`;
      const sentence = `node ${successor} did not take over within an election timeout, and node ${cluster.self} leads on: it ${lag}, or may not lead; see loglog status`;
      throw new LogError('NOT_READY', sentence);
    }
    // Whoever takes over campaigns first: it is known a moment later.
    const endMs = loop.nowMs() + HANDOVER_SETTLE_MS;
    while (cluster.leaderId === 0 && loop.nowMs() < endMs && refusal()?.code !== 'SHUTTING_DOWN') await progress();
    return { leader: cluster.leaderId, term: memory.word(WORD.TERM) };
  }
}
