// A node that was told where one of its cluster's nodes is asks there for the others. The question is a HELLO and the answer a WELCOME, with the proof that all nodes need:
// who may speak with the nodes at all may know where they are. docs/PEERS.md, "Joining by one address".

import { LogError } from '../core/errors.ts';
import { NO_CLUSTER } from '../core/ids.ts';
import { addressOf, type Seed } from '../core/peers.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import { ANY_NODE } from '../protocol/peerHandshake.ts';
import type { Self } from '../protocol/peerJudgement.ts';
import { Backoff } from './backoff.ts';
import { type DialOutcome, describeRefusal, dial } from './peerDial.ts';
import type { PeerTransport } from './peerTransport.ts';
import { introductionOf, type Stranger, selfOfStranger } from './stranger.ts';
import { sayWhileWaiting } from './waitingLog.ts';

export interface JoiningOptions extends Stranger {
  /** How it connects; what is proven may change meanwhile. */
  readonly transport: PeerTransport;
  /** Whom it asks, all at once. */
  readonly seeds: readonly Seed[];
  /** The cluster of its data directory; undefined: that is empty. */
  readonly clusterId: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly log: (level: 'info' | 'warn', text: string) => void;
}

/** What one of the nodes has said of its cluster. */
export interface AskedCluster {
  readonly clusterId: string;
  /** Where its nodes are, as its log says. */
  readonly addresses: readonly NodeAddress[];
}

/**
 * Asks until one of the seeds says where the nodes of its cluster are, for as long as that takes. Rejects with `USAGE` when one belongs to another cluster than this node's
 * directory, and with `ABORTED` when the signal says so.
 */
export async function askForNodes(options: JoiningOptions): Promise<AskedCluster> {
  const joining = new Joining(options);
  try {
    return await joining.run();
  } finally {
    joining.close();
  }
}

/** Whom this node asks. */
interface Asked {
  readonly seed: Seed;
  readonly backoff: Backoff;
  /** What it last said, or why it said nothing. */
  answer: string;
  timer: NodeJS.Timeout | undefined;
  cancel: () => void;
}

const OLDER = 'it runs an older LogLog, which cannot be asked for the other nodes: name all nodes with --peers';

class Joining {
  readonly #options: JoiningOptions;
  readonly #self: Self;
  readonly #asked: readonly Asked[];
  #isOver = false;

  constructor(options: JoiningOptions) {
    this.#options = options;
    this.#self = selfOfStranger(options, [options.id]);
    this.#asked = options.seeds.map((seed) => {
      return { seed, backoff: new Backoff(), answer: 'no answer yet', timer: undefined, cancel: () => undefined };
    });
  }

  async run(): Promise<AskedCluster> {
    const { signal, log } = this.#options;
    const stopSaying = sayWhileWaiting(() => {
      const answers = this.#asked.map(({ seed, answer }) => `${addressOf(seed.host, seed.peerPort)}: ${answer}`);
      log('info', `waiting for a node of the cluster that says where the others are: ${answers.join('; ')}`);
    });
    let abort: () => void = () => undefined;
    try {
      return await new Promise<AskedCluster>((resolve, reject) => {
        abort = () => reject(new LogError('ABORTED', 'this node was stopped while it asked for its cluster'));
        signal?.addEventListener('abort', abort);
        if (signal?.aborted) abort();
        for (const asked of this.#asked) this.#dial(asked, resolve, reject);
      });
    } finally {
      stopSaying();
      signal?.removeEventListener('abort', abort);
    }
  }

  close(): void {
    this.#isOver = true;
    for (const { timer, cancel } of this.#asked) {
      clearTimeout(timer);
      cancel();
    }
  }

  #dial(asked: Asked, found: (cluster: AskedCluster) => void, failed: (error: LogError) => void): void {
    if (this.#isOver) return;
    const hello = { ...introductionOf(this.#self, ANY_NODE), asksAddresses: true };
    asked.timer = undefined;
    asked.cancel = dial(this.#options.transport, { id: ANY_NODE, ...asked.seed }, this.#self, hello, (outcome) => {
      asked.cancel = () => undefined;
      if (outcome.kind === 'welcome') outcome.socket.destroy();
      const cluster = this.#answerOf(asked, outcome);
      if (cluster instanceof LogError) failed(cluster);
      else if (cluster !== undefined) found(cluster);
      else asked.timer = setTimeout(() => this.#dial(asked, found, failed), asked.backoff.next());
    });
  }

  #answerOf(asked: Asked, outcome: DialOutcome): AskedCluster | LogError | undefined {
    if (outcome.kind === 'failed') {
      asked.answer = outcome.reason;
      return undefined;
    }
    const at = addressOf(asked.seed.host, asked.seed.peerPort);
    if (outcome.kind === 'refused') {
      // It knows no node 0.
      const isOlder = outcome.code === 'MALFORMED' && !outcome.isOurs;
      this.#note(asked, `${at}: ${isOlder ? OLDER : describeRefusal(outcome)}`);
      return undefined;
    }
    const { clusterId, from, addresses } = outcome.welcome;
    if (clusterId === NO_CLUSTER) {
      asked.answer = `node ${from} does not know its cluster either`;
      return undefined;
    }
    const own = this.#options.clusterId;
    if (own !== undefined && own !== clusterId) {
      return new LogError(
        'USAGE',
        `the node at ${at} belongs to cluster ${clusterId}, and this node's data directory to cluster ${own}: name a node of its own cluster, or give it an empty directory; nothing was changed`,
      );
    }
    if (addresses === undefined) {
      this.#note(asked, `${at}: ${OLDER}`);
      return undefined;
    }
    this.#options.log('info', `node ${from} at ${at} belongs to cluster ${clusterId}, and says where its ${addresses.length} nodes are`);
    return { clusterId, addresses };
  }

  /** A refusal is worth a line of its own, once: waiting alone does not mend it. */
  #note(asked: Asked, text: string): void {
    if (asked.answer === text) return;
    asked.answer = text;
    this.#options.log('warn', text);
  }
}
