// A node whose directory is empty looks for the cluster that it belongs to, before it makes the directory its own. An empty directory may be
// that of a node that lost its disk: so nobody begins a cluster while another node has not said that it has nothing. docs/PEERS.md, "Joining".

import { LogError } from '../core/errors.ts';
import { NO_CLUSTER } from '../core/ids.ts';
import { FOUNDING_ANSWER_MS } from '../core/peerLimits.ts';
import type { Introduction } from '../protocol/peerHandshake.ts';
import type { Self } from '../protocol/peerJudgement.ts';
import { Backoff } from './backoff.ts';
import { causeOfFault } from './causeWatch.ts';
import { FoundingRule } from './foundingRule.ts';
import { type DialOutcome, describeRefusal, dial, type PeerAddress } from './peerDial.ts';
import { PeerListener } from './peerListener.ts';
import type { PeerTransport } from './peerTransport.ts';
import { introductionOf, type Stranger, selfOfStranger } from './stranger.ts';
import { StrangerLog } from './strangerLog.ts';
import { sayWhileWaiting } from './waitingLog.ts';

export interface DiscoveryOptions extends Stranger {
  /** How it connects; what is proven may change meanwhile. */
  readonly transport: PeerTransport;
  /** Where this node listens for nodes; port 0 takes any free one. */
  readonly host: string;
  readonly peerPort: number;
  /** All nodes, this one among them. */
  readonly peers: readonly PeerAddress[];
  readonly signal?: AbortSignal;
  readonly log: (level: 'info' | 'warn', text: string) => void;
  /** Called with the port once this node listens. */
  readonly listening?: (port: number) => void;
}

/** The cluster that other nodes have. */
export interface FoundCluster {
  readonly clusterId: string;
  /** Its log says which nodes it has. */
  readonly saysNodes: boolean;
}

/**
 * The cluster that the other nodes have. Undefined, only on the node of the lowest id: all others have said that they have none,
 * so this node begins one. It takes as long as it takes. The port is free again when this settles. Rejects with `PORT_IN_USE`, or with
 * `ABORTED` when the signal says so.
 */
export async function findCluster(options: DiscoveryOptions): Promise<FoundCluster | undefined> {
  const search = new Search(options);
  try {
    return await search.run();
  } finally {
    await search.close();
  }
}

/** What is known of another node. */
interface Other {
  readonly address: PeerAddress;
  readonly backoff: Backoff;
  /** What it last said, or why it said nothing. */
  answer: string;
  /** Until it is asked again; undefined while it is. */
  timer: NodeJS.Timeout | undefined;
  cancel: () => void;
}

class Search {
  readonly #options: DiscoveryOptions;
  readonly #self: Self;
  readonly #others: ReadonlyMap<number, Other>;
  readonly #rule: FoundingRule;
  readonly #listener: PeerListener;
  readonly #startedMs = performance.now();
  #found: (cluster: FoundCluster | undefined) => void = () => undefined;
  #isOver = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    const { id, peers } = options;
    const others = peers.filter((peer) => peer.id !== id);
    this.#others = new Map(others.map((address) => [address.id, newOther(address)]));
    const nodes = peers.map((peer) => peer.id);
    const strangers = new StrangerLog((text) => options.log('warn', text));
    this.#rule = new FoundingRule(id, nodes, FOUNDING_ANSWER_MS);
    this.#self = selfOfStranger(options, nodes);
    this.#listener = new PeerListener({
      self: this.#self,
      introduce: (to) => this.#introduce(to),
      addresses: () => [],
      // Nobody counts on a node without a cluster.
      doubts: () => undefined,
      greeting: () => undefined,
      taken: (socket) => socket.destroy(),
      asked: (hello) => this.#heard(hello),
      refused: (from, code, sentence) => {
        const other = this.#others.get(from);
        if (other !== undefined) this.#note(other, `this node refuses it (${code}): ${sentence}`);
      },
      stranger: (sentence, address) => strangers.met(sentence, address),
      transport: options.transport,
    });
  }

  async run(): Promise<FoundCluster | undefined> {
    const { signal, host, peerPort, listening } = this.#options;
    const aborted = (): LogError => new LogError('ABORTED', 'this node was stopped while it looked for its cluster');
    if (signal?.aborted) throw aborted();
    const port = await this.#listener.listen(host, peerPort);
    listening?.(port);
    let abort: () => void = () => undefined;
    const stopLogging = this.#logWaiting();
    try {
      return await new Promise<FoundCluster | undefined>((resolve, reject) => {
        this.#found = resolve;
        abort = () => reject(aborted());
        signal?.addEventListener('abort', abort);
        if (signal?.aborted) abort();
        for (const other of this.#others.values()) this.#dial(other);
        this.#maybeFound();
      });
    } finally {
      stopLogging();
      signal?.removeEventListener('abort', abort);
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const { timer, cancel } of this.#others.values()) {
      clearTimeout(timer);
      cancel();
    }
    await this.#listener.close();
  }

  #introduce(to: number): Introduction {
    return introductionOf(this.#self, to);
  }

  /** Says for whom this node waits, often at first. Returns what ends that. */
  #logWaiting(): () => void {
    const { nodes } = this.#self;
    const begins =
      `Node ${Math.min(...nodes)} begins the cluster when all others have answered that they have nothing; if a node cannot come, ` +
      'see loglog init --help (never for a node that lost its disk)';
    return sayWhileWaiting(() => {
      const others = Array.from(this.#others.values(), ({ address, answer }) => {
        return `node ${address.id} at ${address.host}:${address.peerPort}: ${answer}`;
      });
      const what = this.#rule.isLowest
        ? 'waiting for the cluster, or until all others answer that they have none'
        : 'waiting for the cluster';
      this.#options.log('info', `${what}: ${others.join('; ')}. ${begins}`);
    });
  }

  #dial(other: Other): void {
    const askedAtMs = performance.now();
    other.timer = undefined;
    other.cancel = dial(this.#options.transport, other.address, this.#self, this.#introduce(other.address.id), (outcome) => {
      other.cancel = () => undefined;
      this.#dialed(other, outcome, askedAtMs);
      if (!this.#isOver) other.timer = setTimeout(() => this.#dial(other), other.backoff.next());
    });
  }

  #dialed(other: Other, outcome: DialOutcome, askedAtMs: number): void {
    const { id } = other.address;
    this.#rule.isUnknown(id);
    switch (outcome.kind) {
      case 'welcome':
        outcome.socket.destroy();
        if (outcome.welcome.clusterId === NO_CLUSTER) {
          other.answer = 'it does not know the cluster either';
          this.#rule.hasNothing(id, askedAtMs);
        } else {
          this.#join(outcome.welcome);
        }
        break;
      case 'refused':
        this.#refused(other, outcome);
        break;
      case 'failed':
        other.answer = outcome.reason;
        break;
    }
    this.#maybeFound();
  }

  #refused(other: Other, outcome: DialOutcome & { kind: 'refused' }): void {
    const { address } = other;
    const cause = causeOfFault({ ...this.#self, isSilent: false }, { address, fault: outcome, isConnected: false, isHeard: false });
    // Another node than the one that was meant: its own sentence knows less.
    if (cause === undefined || cause.code === 'REFUSED') this.#note(other, describeRefusal(outcome));
    else this.#note(other, cause.sentence, cause.sentence);
  }

  /** A refusal is worth a line of its own, once: waiting alone does not mend it. */
  #note(other: Other, text: string, line = `node ${other.address.id}: ${text}`): void {
    if (other.answer === text) return;
    other.answer = text;
    this.#options.log('warn', line);
  }

  /**
   * A node that dialed this one said whether it has a cluster. That it has none is no answer, because it may have been long under way: it is
   * asked.
   */
  #heard(hello: Introduction): void {
    if (this.#isOver) return;
    if (hello.clusterId !== NO_CLUSTER) {
      this.#join(hello);
      return;
    }
    const other = this.#others.get(hello.from);
    if (!this.#rule.isLowest || other?.timer === undefined || this.#rule.isEmpty(hello.from, performance.now())) return;
    clearTimeout(other.timer);
    this.#dial(other);
  }

  #join({ from, clusterId, saysNodes }: Introduction): void {
    const ms = Math.round(performance.now() - this.#startedMs);
    this.#options.log('info', `node ${from} belongs to cluster ${clusterId}: this node joins it, after ${ms} ms`);
    this.#isOver = true;
    this.#found({ clusterId, saysNodes });
  }

  #maybeFound(): void {
    if (this.#isOver || !this.#rule.mayBegin(performance.now())) return;
    this.#isOver = true;
    this.#found(undefined);
  }
}

function newOther(address: PeerAddress): Other {
  return {
    address,
    backoff: new Backoff(),
    answer: 'no answer yet',
    timer: undefined,
    cancel: () => undefined,
  };
}
