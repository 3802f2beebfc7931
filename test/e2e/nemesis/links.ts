// Links that are cut, one way or both, hold bytes back or swallow them, and are slow.

import type { LinkState } from '../../../src/cluster/link.ts';
import type { PeerNetwork } from '../../../src/cluster/network.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

type Cut = Exclude<LinkState, 'open'>;

export class LinkLane implements Lane {
  readonly #context: NemesisContext;
  readonly #network: PeerNetwork;

  constructor(context: NemesisContext, network: PeerNetwork) {
    this.#context = context;
    this.#network = network;
  }

  restMs(): number {
    return 500 + this.#context.random.below(3_000);
  }

  async next(): Promise<Fault | undefined> {
    const { random, cluster } = this.#context;
    const durationMs = 200 + random.below(random.oneIn(3) ? 5_000 : 1_500);
    const state = random.pick<Cut>('hold', 'reset', 'swallow');
    const [one = 1, other = 2] = sample(random, this.#network.nodes, 2);
    const leader = (await cluster.findLeader())?.id ?? one;
    const others = this.#network.nodes.filter((id) => id !== leader);
    const side = sample(random, this.#network.nodes, 1 + random.below(this.#network.nodeCount - 1));
    const pace = {
      delayMs: random.below(120),
      bytesPerSecond: random.oneIn(3) ? 200_000 + random.below(2_000_000) : Number.POSITIVE_INFINITY,
    };
    const fault = (name: string, what: string, make: () => void): Fault => ({
      name,
      sentence: `${name}: ${what}, for ${durationMs} ms`,
      happen: () => this.#last(make, durationMs),
    });
    const network = this.#network;
    return choose<() => Fault>(random, [
      [3, () => fault('cut one way', `${one} → ${other} (${state})`, () => network.cut(one, other, state))],
      [2, () => fault('cut both ways', `${one} and ${other} (${state})`, () => network.cutBoth(one, other, state))],
      [3, () => fault('isolate the leader', `node ${leader} (${state})`, () => network.split([leader], state))],
      [2, () => fault('deafen the leader', `nothing reaches node ${leader} (${state})`, () => cutAll(network, others, [leader], state))],
      [
        2,
        () => fault('silence the leader', `nothing comes from node ${leader} (${state})`, () => cutAll(network, [leader], others, state)),
      ],
      [3, () => fault('split', `nodes ${side.join(', ')} from the rest (${state})`, () => network.split(side, state))],
      [2, () => fault('star', `the others reach each other only by way of node ${one} (${state})`, () => star(network, one, state))],
      [
        2,
        () => fault('slow links', `of node ${one}, ${pace.delayMs} ms and ${pace.bytesPerSecond} bytes/s`, () => network.slow(one, pace)),
      ],
    ])();
  }

  async #last(make: () => void, durationMs: number): Promise<void> {
    make();
    await this.#context.schedule.wait(durationMs);
    this.#network.heal();
  }
}

function cutAll(network: PeerNetwork, from: readonly number[], to: readonly number[], state: Cut): void {
  for (const one of from) for (const other of to) if (one !== other) network.cut(one, other, state);
}

/** Every link between two nodes that are not `center`. */
function star(network: PeerNetwork, center: number, state: Cut): void {
  const others = network.nodes.filter((id) => id !== center);
  cutAll(network, others, others, state);
}
