// A node whose directory is empty looks for the cluster that it belongs to, before it makes the directory its own. docs/PEERS.md,
// "Joining".

import { LogError } from '../core/errors.ts';
import { NO_CLUSTER, NO_INSTANCE } from '../core/ids.ts';
import { FOUNDING_WAIT_MS, WAITING_LOG_MS } from '../core/limits.ts';
import type { Introduction, Self } from '../protocol/peerHandshake.ts';
import { Backoff } from './backoff.ts';
import { type DialOutcome, dial, type PeerAddress } from './peerDial.ts';
import { PeerListener } from './peerListener.ts';

export interface DiscoveryOptions {
  readonly id: number;
  readonly segmentBytes: number;
  /** Where this node listens for nodes; port 0 takes any free one. */
  readonly host: string;
  readonly peerPort: number;
  /** The other nodes; an entry for this node is passed over. */
  readonly peers: readonly PeerAddress[];
  readonly signal?: AbortSignal;
  readonly log: (level: 'info' | 'warn', text: string) => void;
  /** Called with the port once this node listens. */
  readonly listening?: (port: number) => void;
  /** For tests: how long a node that may begin a cluster looks for one. */
  readonly foundingWaitMs?: number;
}

/**
 * The id of the cluster that the other nodes have. Undefined, only on the node of the lowest id: there seems to be none, so this node may
 * begin one. Any other node waits for as long as it takes. The port is free again when this settles. Rejects with `PORT_IN_USE`, or with
 * `ABORTED` when the signal says so.
 */
export async function findCluster(options: DiscoveryOptions): Promise<string | undefined> {
  const search = new Search(options);
  try {
    return await search.run();
  } finally {
    await search.close();
  }
}

class Search {
  readonly #options: DiscoveryOptions;
  readonly #self: Self;
  readonly #peers: readonly PeerAddress[];
  readonly #listener: PeerListener;
  readonly #startedMs = performance.now();
  /** What each node last said, or why it said nothing. */
  readonly #answers = new Map<number, string>();
  /** Nodes that answered that they have no cluster either. */
  readonly #without = new Set<number>();
  /** A node that has a cluster refuses this one: then there is one, and none is to be begun. */
  #isRefused = false;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #cancels = new Map<number, () => void>();
  #found: (clusterId: string | undefined) => void = () => undefined;
  #isOver = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    const { id, segmentBytes } = options;
    this.#peers = options.peers.filter((peer) => peer.id !== id);
    this.#self = { clusterId: NO_CLUSTER, id, segmentBytes, nodes: this.#peers.map((peer) => peer.id) };
    this.#listener = new PeerListener({
      self: this.#self,
      introduce: (to) => this.#introduce(to),
      // Nobody counts on a node without a cluster.
      greeting: () => undefined,
      taken: (socket) => socket.destroy(),
      asked: (hello) => this.#heard(hello),
      refused: (from, code, sentence) => {
        if (from !== 0) this.#answers.set(from, `refused here (${code}): ${sentence}`);
      },
    });
  }

  async run(): Promise<string | undefined> {
    const { signal, host, peerPort, listening, log, id, foundingWaitMs = FOUNDING_WAIT_MS } = this.#options;
    const aborted = (): LogError => new LogError('ABORTED', 'this node was stopped while it looked for its cluster');
    if (signal?.aborted) throw aborted();
    const port = await this.#listener.listen(host, peerPort);
    listening?.(port);
    let abort: () => void = () => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string | undefined>((resolve, reject) => {
        this.#found = resolve;
        abort = () => reject(aborted());
        signal?.addEventListener('abort', abort);
        if (signal?.aborted) abort();
        for (const peer of this.#peers) this.#dial(peer, new Backoff());
        const isLowest = this.#peers.every((peer) => peer.id > id);
        const onTime = (): void => {
          if (isLowest && !this.#isRefused) {
            resolve(undefined);
            return;
          }
          log('info', `waiting for the cluster: ${this.#peers.map((peer) => this.#describe(peer)).join('; ')}`);
          timer = setTimeout(onTime, WAITING_LOG_MS);
        };
        timer = setTimeout(onTime, foundingWaitMs);
        if (isLowest) this.#maybeFound();
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const cancel of this.#cancels.values()) cancel();
    await this.#listener.close();
  }

  #introduce(to: number): Introduction {
    const { id: from, segmentBytes } = this.#self;
    return { clusterId: NO_CLUSTER, from, to, instance: NO_INSTANCE, segmentBytes, standing: 'stranger', isFounder: false, term: 0 };
  }

  #describe({ id, host, peerPort }: PeerAddress): string {
    return `node ${id} at ${host}:${peerPort}: ${this.#answers.get(id) ?? 'no answer yet'}`;
  }

  #dial(peer: PeerAddress, backoff: Backoff): void {
    const cancel = dial(peer, this.#self, this.#introduce(peer.id), (outcome) => {
      this.#cancels.delete(peer.id);
      this.#dialed(peer, outcome);
      if (this.#isOver) return;
      const timer = setTimeout(() => this.#dial(peer, backoff), backoff.next());
      this.#timers.set(peer.id, timer);
    });
    this.#cancels.set(peer.id, cancel);
  }

  #dialed(peer: PeerAddress, outcome: DialOutcome): void {
    switch (outcome.kind) {
      case 'welcome':
        outcome.socket.destroy();
        this.#heard(outcome.welcome);
        break;
      case 'refused':
        if (outcome.clusterId !== NO_CLUSTER) this.#isRefused = true;
        this.#note(peer.id, `it refuses this node (${outcome.code}): ${outcome.sentence}`);
        break;
      case 'failed':
        this.#answers.set(peer.id, outcome.reason);
        break;
    }
  }

  /** A refusal is worth a line of its own, once: waiting alone does not mend it. */
  #note(id: number, text: string): void {
    if (this.#answers.get(id) === text) return;
    this.#answers.set(id, text);
    this.#options.log('warn', `node ${id}: ${text}`);
  }

  /** A node said which cluster it belongs to, in its HELLO or its WELCOME. */
  #heard({ clusterId, from }: Introduction): void {
    if (this.#isOver) return;
    if (clusterId === NO_CLUSTER) {
      this.#answers.set(from, 'it does not know the cluster either');
      this.#without.add(from);
      this.#maybeFound();
      return;
    }
    const ms = Math.round(performance.now() - this.#startedMs);
    this.#options.log('info', `node ${from} belongs to cluster ${clusterId}: this node joins it, after ${ms} ms`);
    this.#isOver = true;
    this.#found(clusterId);
  }

  /** All others have said that they have no cluster: no need to wait any longer. */
  #maybeFound(): void {
    const { id } = this.#options;
    if (this.#isRefused || !this.#peers.every((peer) => peer.id > id && this.#without.has(peer.id))) return;
    this.#isOver = true;
    this.#found(undefined);
  }
}
