// A simulated node with an empty disk: it asks the others for their cluster, as src/peers/discovery.ts does over sockets. Whether it may begin one
// is decided by the real rule.

import { NO_CLUSTER, NO_INSTANCE } from '../../src/core/ids.ts';
import type { FoundCluster } from '../../src/peers/discovery.ts';
import { FoundingRule } from '../../src/peers/foundingRule.ts';
import type { Introduction } from '../../src/protocol/peerHandshake.ts';
import { faultOfWelcome, judgeHello, type Self } from '../../src/protocol/peerJudgement.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import type { SimNode } from './simNode.ts';
import { Thread } from './thread.ts';
import type { World } from './world.ts';

/** What another node says to a HELLO; undefined: it refuses, or says nothing. */
export type Welcome = Introduction | undefined;

/** The answer of a node that is `self`, and says `own` of itself. */
export function answerTo(hello: Introduction, self: Self, own: Introduction): Welcome {
  return 'code' in judgeHello({ kind: 'hello', introduction: hello }, self) ? undefined : own;
}

/** The number of the process of node `id`. The simulator has one process of an id at a time, so its lives need no numbers of their own. */
export function processOf(id: NodeId): string {
  return id.toString(16).padStart(16, '0');
}

export class Search {
  readonly thread: Thread;
  readonly #world: World;
  readonly #node: SimNode;
  readonly #rule: FoundingRule;
  readonly #self: Self;
  readonly #found: (cluster: FoundCluster | undefined) => void;
  #isOver = false;

  /** `found` is called once: with the cluster to join, or undefined to begin one. */
  constructor(world: World, node: SimNode, found: (cluster: FoundCluster | undefined) => void) {
    this.#world = world;
    this.#node = node;
    this.#found = found;
    const { dialTimeoutMs, redialMs } = world.profile.network;
    this.#rule = new FoundingRule(node.id, node.list, 2 * dialTimeoutMs + 1.5 * redialMs);
    this.#self = {
      clusterId: NO_CLUSTER,
      id: node.id,
      instance: NO_INSTANCE,
      process: processOf(node.id),
      segmentBytes: node.segmentBytes,
      isSynced: true,
      takesUploads: true,
      nodes: node.list,
      saysNodes: false,
      voters: node.list,
      isRemoved: () => false,
      advertise: '',
      levels: world.levelsOf(node),
      level: 0,
      generation: NO_INSTANCE,
      standing: 'stranger',
      term: 0,
    };
    this.thread = new Thread(world.scheduler, ({ label, act }) => {
      world.trace.add(world.scheduler.nowMs, node.id, label);
      act();
      return !this.#isOver;
    });
  }

  start(): void {
    for (const to of this.#node.list) if (to !== this.#node.id) this.#dial(to);
    this.thread.post(0, 'search', () => this.#maybeBegin());
  }

  end(): void {
    this.#isOver = true;
    this.thread.die();
  }

  get segmentBytes(): number {
    return this.#self.segmentBytes;
  }

  introduction(to: NodeId): Introduction {
    const { id: from, process, segmentBytes, nodes, levels } = this.#self;
    // Made by the thousand: one literal is several times as fast as objects spread into another one.
    return {
      clusterId: NO_CLUSTER,
      from,
      to,
      instance: NO_INSTANCE,
      process,
      segmentBytes,
      isSynced: true,
      takesUploads: true,
      standing: 'stranger',
      isFounder: false,
      term: 0,
      nodes,
      saysNodes: false,
      advertise: '',
      levels,
      generation: NO_INSTANCE,
    };
  }

  /** Another node that looks for its cluster, or one that has one, says HELLO. */
  greeted(hello: Introduction): Welcome {
    return answerTo(hello, this.#self, this.introduction(hello.from));
  }

  #dial(to: NodeId): void {
    if (this.#isOver) return;
    const { network, profile, random, scheduler } = this.#world;
    const askedAtMs = this.#node.localMs();
    let isAnswered = false;
    const settle = (welcome: Welcome): void => {
      if (isAnswered) return;
      isAnswered = true;
      this.#dialed(to, welcome, askedAtMs);
      this.thread.post((profile.network.redialMs * (500 + random.below(1000))) / 1000, 'dial', () => this.#dial(to));
    };
    network.ask(this.#node.id, this.introduction(to), (welcome) => this.thread.arrive('is answered', () => settle(welcome)));
    scheduler.after(this.#node.virtualMs(profile.network.dialTimeoutMs), () => this.thread.arrive('no answer', () => settle(undefined)));
  }

  #dialed(to: NodeId, welcome: Welcome, askedAtMs: number): void {
    this.#rule.isUnknown(to);
    const isTaken = welcome !== undefined && faultOfWelcome(welcome, this.#self, to) === undefined;
    if (isTaken && welcome.clusterId !== NO_CLUSTER) {
      this.#end(welcome);
      return;
    }
    if (isTaken) this.#rule.hasNothing(to, askedAtMs);
    this.#maybeBegin();
  }

  #maybeBegin(): void {
    if (this.#rule.mayBegin(this.#node.localMs())) this.#end(undefined);
  }

  #end(cluster: FoundCluster | undefined): void {
    if (this.#isOver) return;
    this.end();
    this.#found(cluster);
  }
}
