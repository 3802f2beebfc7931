// One simulation: all that there is in it, and its three parts. First faults strike, while clients work. Then a majority is mended, while
// the rest stays as it is, and must make progress. At last all is mended, and must come to be the same.

import { LEVELS, type LevelRange } from '../../src/core/levels.ts';
import { HistoryRecorder } from '../../src/history/recorder.ts';
import type { MemoryShape } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { RaftSettings } from '../../src/raft/core.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import { Checker } from './checker.ts';
import { Client } from './client.ts';
import { Clocks } from './clocks.ts';
import { Consumers } from './consumers.ts';
import { DamagesOfWorld, profileFor } from './damages.ts';
import { drawFounding, Operator } from './founding.ts';
import { FullDisks } from './fullDisks.ts';
import { Hangs } from './hangs.ts';
import { Nemesis } from './nemesis.ts';
import { Network } from './network.ts';
import { NodeChanges } from './nodeChanges.ts';
import { OldCopies } from './oldCopies.ts';
import { OpenDamagesOfWorld } from './openDamages.ts';
import { drawProfile, type Profile } from './profile.ts';
import { Refusals } from './refusals.ts';
import { Scheduler } from './scheduler.ts';
import { SealCheck } from './seals.ts';
import { SegmentSizes } from './segmentSizes.ts';
import { Sessions } from './sessions.ts';
import { drawsGrowth, drawsSets } from './sets.ts';
import { SimNode } from './simNode.ts';
import { Stops } from './stops.ts';
import { TermBombs } from './termBombs.ts';
import { Tokens } from './tokens.ts';
import { Trace } from './trace.ts';
import { Trims } from './trims.ts';
import { OLDER_LEVELS, Upgrades } from './upgrades.ts';
import { UploadsOfWorld } from './uploads.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Trace lines to keep. */
  readonly keepLines: number;
  /** A memory for the node with this index. */
  readonly memoryFor: (index: number, shape: MemoryShape) => TailMemory;
}

export class World {
  readonly seed: number;
  readonly random: Random;
  readonly profile: Profile;
  readonly clocks: Clocks;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  /** These, and those that only a longer list of nodes names. */
  readonly allNodes: readonly SimNode[];
  readonly clients: readonly Client[];
  readonly nemesis: Nemesis;
  readonly oldCopies: OldCopies;
  readonly segmentSizes: SegmentSizes;
  readonly hangs: Hangs;
  readonly uploads: UploadsOfWorld;
  readonly stops: Stops;
  readonly refusals: Refusals;
  readonly trims: Trims;
  readonly tokens: Tokens;
  readonly consumers: Consumers;
  readonly seals: SealCheck;
  readonly damages: DamagesOfWorld;
  readonly openDamages: OpenDamagesOfWorld;
  readonly fullDisks: FullDisks;
  readonly nodeChanges: NodeChanges;
  readonly upgrades: Upgrades;
  readonly sessions: Sessions;
  readonly checker: Checker;
  readonly history: HistoryRecorder;
  readonly operator: Operator;
  /** Where the log begins on all nodes. */
  readonly start: number;
  /** Bytes that clients have appended, or tried to. */
  sentBytes = 0;
  /** Whether the log says which nodes it has. */
  readonly hasSets: boolean;
  /** The node that began alone knows of the others. */
  isGrown: boolean;
  #nextId = 1;

  constructor({ seed, keepLines, memoryFor }: WorldOptions) {
    this.seed = seed;
    this.random = new Random(seed);
    const profile = profileFor(seed, drawProfile(this.random));
    this.profile = { ...profile, growsLater: profile.growsLater || (drawsGrowth(seed) && profile.nodeCount > 1) };
    this.clocks = new Clocks(this.profile, () => this.scheduler.nowMs);
    this.trace = new Trace(keepLines);
    this.uploads = new UploadsOfWorld(seed);
    const { nodeCount, clientCount, network, slots, syncMs, growsLater } = this.profile;
    this.isGrown = !growsLater;
    this.hasSets = drawsSets(seed);
    this.network = new Network(this.scheduler, this.random, network);
    const makeNode = (id: NodeId): SimNode => new SimNode(this, id, (segmentBytes) => memoryFor(id - 1, { segmentBytes, slots }));
    this.nodes = Array.from({ length: nodeCount }, (_, i) => makeNode(i + 1));
    this.oldCopies = new OldCopies(this);
    const founding = drawFounding(seed, this.profile, this.oldCopies.isOn);
    this.start = founding.start;
    this.upgrades = new Upgrades(this);
    const extras = Array.from({ length: founding.extraCount }, (_, i) => nodeCount + i + 1);
    this.allNodes = [...this.nodes, ...extras.map(makeNode)];
    this.segmentSizes = new SegmentSizes(this);
    this.hangs = new Hangs(this);
    this.stops = new Stops(this);
    this.refusals = new Refusals(this);
    this.trims = new Trims(this);
    this.tokens = new Tokens(this);
    this.consumers = new Consumers(this);
    this.seals = new SealCheck(this);
    this.damages = new DamagesOfWorld(this);
    this.openDamages = new OpenDamagesOfWorld(this);
    this.fullDisks = new FullDisks(this);
    this.nodeChanges = new NodeChanges(this);
    this.sessions = new Sessions(this);
    for (const node of this.allNodes) node.disk.syncMs = syncMs;
    this.operator = new Operator(this, founding);
    this.checker = new Checker(this.allNodes, founding.start);
    this.network.portOf = (id) => {
      const node = this.allNodes.find((each) => each.id === id);
      return node?.search ?? (node?.list.length === 1 && !node.isOpen ? undefined : node?.process?.links);
    };
    this.network.onSend = (from, to, message) => this.checker.sent(from, to, message);
    this.history = new HistoryRecorder(() => this.scheduler.nowMs);
    this.clients = Array.from({ length: clientCount }, (_, i) => new Client(this, i + 1));
    this.nemesis = new Nemesis(this);
  }

  /** Starts nodes, clients and faults. */
  begin(): void {
    this.segmentSizes.start();
    this.operator.begin();
    for (const client of this.clients) client.start();
    this.nemesis.start();
    this.oldCopies.start();
    new TermBombs(this).start();
    this.hangs.start();
    this.stops.start();
    this.refusals.start();
    this.trims.start();
    this.tokens.start();
    this.consumers.start();
    this.damages.start();
    this.fullDisks.start();
    this.nodeChanges.start();
    this.upgrades.start();
    this.sessions.start();
  }

  /** The node that began alone is started again as one of a cluster, and the others join. */
  grow(): void {
    if (this.isGrown) return;
    this.isGrown = true;
    this.operator.grow();
  }

  settings(node: SimNode, instance: string, segmentBytes: number): RaftSettings {
    const { electionTimeoutMs, electionSpread, maxAppendBytes } = this.profile;
    return {
      id: node.id,
      instance,
      electionTimeoutMs,
      heartbeatMs: electionTimeoutMs / 10,
      diskTimeoutMs: 5 * electionTimeoutMs,
      windowBytes: segmentBytes,
      maxAppendBytes,
      random: () => (electionSpread * this.random.u32()) / 2 ** 32,
    };
  }

  /** The node that leads in the highest term. */
  get leader(): SimNode | undefined {
    let best: SimNode | undefined;
    let bestTerm = 0;
    for (const node of this.nodes) {
      const raft = node.process?.replica.raft;
      if (raft?.role !== 'leader' || raft.currentTerm <= bestTerm) continue;
      best = node;
      bestTerm = raft.currentTerm;
    }
    return best;
  }

  newId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  note(node: NodeId, text: string): void {
    this.trace.add(this.scheduler.nowMs, node, 'says', text);
  }

  readonly clientDelayMs = (): number =>
    this.profile.network.minDelayMs + (this.profile.network.maxDelayMs * this.random.below(1000)) / 4000;

  drawClockRate(): number {
    const { clockSpread } = this.profile;
    return clockSpread ** ((this.random.below(2001) - 1000) / 1000);
  }

  drawDownMs(): number {
    return (this.profile.downMs * this.random.below(2000)) / 1000;
  }

  /** A node for a client: the one it was told of, or any. */
  pickNode(hint: NodeId): SimNode {
    const node = this.nodes.find(({ id }) => id === hint) ?? this.nodes[this.random.below(this.nodes.length)];
    if (node === undefined) throw new Error('there are no nodes');
    return node;
  }

  /** Whether the log says which nodes it has: one that began above 0 is of no level. */
  get saysNodes(): boolean {
    return this.hasSets && this.start === 0;
  }

  /** A node alone gets the others by command. */
  get growsByCommand(): boolean {
    return drawsGrowth(this.seed) && this.nodeChanges.isOn;
  }

  /** The founder's list says who is still to be added to the set: nobody else knows it. */
  get isGrowing(): boolean {
    return this.profile.growsLater && !this.checker.areAllVoters(this.nodes.map(({ id }) => id));
  }

  /** Levels of the log that all nodes may run from the beginning. */
  get levels(): LevelRange {
    return this.saysNodes && !this.upgrades.isOn ? LEVELS : OLDER_LEVELS;
  }

  /** Levels that the build of a node knows now. */
  levelsOf(node: SimNode): LevelRange {
    return this.saysNodes ? this.upgrades.levelsOf(node) : OLDER_LEVELS;
  }

  /** The founder lost its disk before all had joined, and the voters that are left are no majority. */
  get lacksVoters(): boolean {
    const voters = this.nodes.filter(({ id }) => this.checker.standingOf(id) === 'voter').length;
    return this.operator.hasLostFounder && voters * 2 <= this.nodes.length;
  }

  /** Whether enough nodes keep their disks if this one loses its own. */
  mayWipe(victim: SimNode): boolean {
    const others = this.nodes.filter((node) => node !== victim);
    const whole = others.filter(({ id }) => this.checker.standingOf(id) === 'voter').length;
    if (this.hasSets && (this.isGrowing || !this.checker.isEnoughWithout(victim.id))) return false;
    return !this.damages.forbidsWipes && this.isGrown && this.checker.standingOf(victim.id) === 'voter' && whole > this.nodes.length / 2;
  }
}
