// The connections of a simulated process with the other nodes: what PeerSockets is to a real one, over the simulated network.

import type { LevelRange } from '../../src/core/levels.ts';
import { hasDirectory } from '../../src/core/members.ts';
import { GATE_CLOSED } from '../../src/memory/gate.ts';
import { STATE } from '../../src/memory/map.ts';
import type { LinkView, OwnView } from '../../src/peers/causeWatch.ts';
import { DeathWatch } from '../../src/peers/deathWatch.ts';
import type { Introduction } from '../../src/protocol/peerHandshake.ts';
import { faultOfWelcome } from '../../src/protocol/peerJudgement.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import type { RaftLinks, RaftLinksOptions } from '../../src/threads/raftHostPorts.ts';
import type { Endpoint } from './peerConnection.ts';
import type { Process } from './process.ts';
import { answerTo, type Welcome } from './search.ts';
import type { Thread } from './thread.ts';
import { promise } from './violation.ts';

export class SimLinks implements Endpoint, RaftLinks {
  readonly id: NodeId;
  /** Data directories that connections came from last. */
  readonly #met = new Map<NodeId, string>();
  readonly #levels = new Map<NodeId, LevelRange>();
  readonly #process: Process;
  readonly #options: RaftLinksOptions;
  readonly #deaths = new DeathWatch();
  /** All nodes there are in its world, as it was started: which of them real links lead to is not simulated. */
  readonly #list: readonly NodeId[];
  #isClosed = false;

  constructor(process: Process, options: RaftLinksOptions) {
    this.id = options.self.id;
    this.#process = process;
    this.#options = options;
    const { node, world } = process;
    this.#list = node.isOpen ? world.nodes.map(({ id }) => id) : [...node.list];
  }

  // What the raft thread does with them.

  open(): Promise<void> {
    this.#process.world.network.join(this, this.#list);
    return Promise.resolve();
  }

  reach(): void {}

  canSend(to: NodeId): boolean {
    return this.#process.world.network.canSend(this, to);
  }

  send(to: NodeId, message: PeerMessage, body?: Uint8Array, released?: () => void): boolean {
    const { uploads, world } = this.#process;
    if (message.kind === 'appendRequest' && message.referenceBytes !== undefined && body !== undefined) uploads.refers(to, message, body);
    if (message.kind === 'forget' && body !== undefined) uploads.forgets(to, body);
    if (message.kind === 'timeoutNow') this.#checkSuccessor(to);
    world.seals.sends(this.#process, message, body?.length ?? 0);
    world.network.send(this, to, message, body, released);
    return true;
  }

  /** Who is asked to take over has all that was let in, and nothing more is. */
  #checkSuccessor(to: NodeId): void {
    const { memory, replica } = this.#process;
    const progress = replica.raft.leadership?.peers.get(to);
    promise(
      progress === undefined || (memory.word32(STATE.GATE) === GATE_CLOSED && progress.verified === memory.tail),
      'transfers',
      () => `node ${this.id}, whose log ends at ${memory.tail}, asks node ${to} to take over, which has ${progress?.verified}`,
    );
  }

  /** Nobody else is in a simulated network. */
  prove(): void {}

  cut(from: NodeId): void {
    this.#process.world.network.reset(from, this.id);
  }

  own(): OwnView {
    const { id, process } = this.#options.self;
    return { id, process, listensOn: undefined, isSilent: false };
  }

  /** What is wrong between nodes is not simulated. */
  links(): readonly LinkView[] {
    return [];
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  /** They break. */
  end(): void {
    this.#process.world.network.leave(this, this.#list);
    this.#isClosed = true;
  }

  // What the network does with them.

  get isAlive(): boolean {
    return this.#process.isAlive && !this.#isClosed;
  }

  get thread(): Thread {
    return this.#process.raftThread;
  }

  greeting(to: NodeId): Introduction {
    const {
      id: from,
      clusterId,
      instance,
      process,
      segmentBytes,
      isSynced,
      takesUploads,
      nodes,
      saysNodes,
      advertise,
      levels,
      generation,
    } = this.#options.self;
    const { standing, isFounder, term } = this.#options.now();
    return {
      clusterId,
      from,
      to,
      instance,
      process,
      segmentBytes,
      isSynced,
      takesUploads,
      standing,
      isFounder,
      term,
      nodes,
      saysNodes,
      advertise,
      levels,
      generation,
    };
  }

  get instance(): string {
    return this.#options.self.instance;
  }

  isPast({ id, instance }: { readonly id: NodeId; readonly instance: string }): boolean {
    return this.#process.world.hasSets && (this.#met.get(id) ?? instance) !== instance;
  }

  greeted(hello: Introduction): Welcome {
    return answerTo(hello, this.#options.self, this.greeting(hello.from));
  }

  takes(welcome: Introduction, to: NodeId): boolean {
    return faultOfWelcome(welcome, this.#options.self, to) === undefined && this.#options.events.doubts(welcome) === undefined;
  }

  accepted(from: NodeId, hello: Introduction): Welcome {
    const { events } = this.#options;
    if (this.greeted(hello) === undefined || events.doubts(hello) !== undefined) return undefined;
    const { members } = this.#process.replica.raft;
    promise(
      !hasDirectory(members.removed, { id: from, instance: hello.instance }),
      'removed nodes',
      () => `node ${this.id} lets in node ${from} with ${hello.instance}, which it knows to be removed`,
    );
    events.greeting(hello);
    this.#met.set(from, hello.instance);
    this.#deaths.opened(from);
    const welcome = this.greeting(from);
    events.accepted(from, hello);
    return welcome;
  }

  received(from: NodeId, message: PeerMessage, body: readonly Uint8Array[]): void {
    this.#process.world.checker.heard(this.#process, from);
    if (message.kind === 'appendResponse') this.#process.uploads.answered(from, message);
    if (message.kind === 'announce') this.#process.uploads.hears(from, body);
    this.#options.events.message(from, message, message.kind === 'fetched' ? this.#arrives(body) : body);
    const { uploads, memory, isAlive } = this.#process;
    if (isAlive && message.kind === 'appendRequest' && message.referenceBytes !== undefined) uploads.referred(message.end, memory.tail);
  }

  /** What another node has sent to heal with. */
  #arrives(body: readonly Uint8Array[]): readonly Uint8Array[] {
    const { damages, openDamages } = this.#process.world;
    return openDamages.arrives(damages.arrives(body));
  }

  receiving(from: NodeId, message: PeerMessage): void {
    this.#options.events.receiving(from, message);
  }

  /** What the build of node `id` knows, as it said when the link to it came up; undefined: there is none. */
  levelsOf(id: NodeId): LevelRange | undefined {
    return this.#levels.get(id);
  }

  connected(to: NodeId, welcome: Introduction): void {
    this.#levels.set(to, welcome.levels);
    this.#options.events.connected(to, welcome);
  }

  disconnected(to: NodeId): void {
    this.#levels.delete(to);
    this.#options.events.disconnected(to, 'it broke');
  }

  closed(from: NodeId): void {
    this.#deaths.closed(from);
  }

  dials(to: NodeId): void {
    this.#deaths.dials(to);
  }

  unanswered(to: NodeId, isPortClosed: boolean): void {
    if (!this.#deaths.failed(to, isPortClosed)) return;
    const isHeard = this.#process.world.network.isHeard(to, this);
    promise(
      isPortClosed && !isHeard,
      'deaths',
      () => `node ${this.id} takes node ${to} for dead, ${isHeard ? 'whose connection is up' : 'which is only silent'}`,
    );
    this.#options.events.gone(to);
  }

  drained(to: NodeId): void {
    this.#options.events.drained(to);
  }
}
