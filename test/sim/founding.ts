// How a cluster begins in a simulation, and what its operator does meanwhile, right and wrong: a founder of any id, a node that comes late, a
// founder's disk that is lost before all nodes have ever started, longer lists of nodes given to one node after the other.

import type { NodeId } from '../../src/raft/messages.ts';
import { type Identity, writeIdentity, writeVote } from '../../src/storage/dataDirectory.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY, newIdentity } from './identity.ts';
import type { Profile } from './profile.ts';
import { writeRivals } from './rivals.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

export interface Founding {
  /** The node that runs alone first, or that `loglog init` is called for. */
  readonly founder: NodeId;
  /** The founder's directory is made by `loglog init`, before anybody starts. */
  readonly isInitialized: boolean;
  /** The node that is started late; 0: none. */
  readonly late: NodeId;
  /** Before that, the founder's disk is lost. */
  readonly losesFounder: boolean;
  /** Nodes beyond those of the cluster, which only a longer list names. */
  readonly extraCount: number;
  /** Where the log begins: above 0 on all nodes, which have joined already, as if they had been trimmed there. */
  readonly start: number;
  /** There, and in one term, nodes have entries of two leaders. */
  readonly hasRivals: boolean;
}

const MAX_NODES = 7;
/** Term of the last entry before the start of a log that begins above 0. */
const START_TERM = 3;

/** From a source of chance of its own, so that the rest of a seed's profile does not depend on it. */
export function drawFounding(seed: number, { nodeCount, growsLater, faults }: Profile, losesDisks: boolean): Founding {
  const random = new Random(seed * 2 + 1);
  const founder = random.oneIn(2) ? 1 : 1 + random.below(nodeCount);
  const isInitialized = nodeCount > 1 && !growsLater && random.oneIn(4);
  const canBeLate = nodeCount > 2 && (isInitialized || growsLater);
  const others = Array.from({ length: nodeCount }, (_, i) => i + 1).filter((id) => id !== founder);
  const late = canBeLate && random.oneIn(2) ? (others[random.below(others.length)] ?? 0) : 0;
  const extraCount = nodeCount > 1 && nodeCount < MAX_NODES && random.oneIn(8) ? Math.min(2, MAX_NODES - nodeCount) : 0;
  const losesFounder = late !== 0 && random.oneIn(2);
  // A node that lost its disk could not be fed.
  const keepsDisks = !losesDisks && !faults.some(({ fault }) => fault === 'wipe');
  const start = keepsDisks && !growsLater && random.oneIn(6) ? random.pick(4096, 65_537, 2 ** 40 + 1) : 0;
  const hasRivals = start > 0 && nodeCount > 1 && !random.oneIn(4);
  if (start > 0) return { founder, isInitialized: false, late: 0, losesFounder: false, extraCount, start, hasRivals };
  return { founder, isInitialized, late, losesFounder, extraCount, start, hasRivals };
}

/** Who starts the nodes, and says which nodes there are. */
export class Operator {
  readonly #world: World;
  readonly #founding: Founding;
  /** The list of a node that is not alone, and a longer one that is wrong. */
  readonly #right: readonly NodeId[];
  readonly #longer: readonly NodeId[];
  #isActive = true;
  hasLostFounder = false;

  constructor(world: World, founding: Founding) {
    this.#world = world;
    this.#founding = founding;
    this.#right = world.nodes.map(({ id }) => id);
    this.#longer = world.allNodes.map(({ id }) => id);
  }

  /** Starts what is to run from the beginning. */
  begin(): void {
    const { nodes, allNodes, random, profile, scheduler, isGrown } = this.#world;
    const { founder, isInitialized, late, extraCount } = this.#founding;
    const { start, hasRivals } = this.#founding;
    if (start > 0) joinAt(this.#world, hasRivals);
    for (const node of allNodes) {
      node.list = node.id > nodes.length ? this.#longer : this.#right;
      if (!isGrown && node.id === founder) node.list = [founder];
      node.isHeldDown = node.id === late || (!isGrown && node.id !== founder);
      if (isInitialized && node.id === founder) node.initialize();
      this.#maybeMistake(node);
      if (!node.isHeldDown) node.planStart(random.below(profile.electionTimeoutMs));
    }
    if (!isGrown) scheduler.after(profile.electionTimeoutMs * (2 + random.below(8)), () => this.#world.grow());
    if (extraCount > 0) this.#planMistake();
    if (late !== 0) scheduler.after((profile.chaosMs * (200 + random.below(600))) / 1000, () => this.#startLate());
  }

  /** The node that began alone is started again as one of a cluster, and the others join. */
  grow(): void {
    const { nodes, random, profile } = this.#world;
    const { founder, late } = this.#founding;
    for (const node of nodes) {
      if (node.id === founder) {
        if (this.#world.growsByCommand) node.isOpen = true;
        else node.list = this.#right;
        node.kill(false);
      }
      this.#maybeMistake(node);
      node.isHeldDown = node.id === late && this.#isActive;
      node.planStart(random.below(profile.electionTimeoutMs));
    }
  }

  /** No more mistakes; those that were made are mended. */
  end(): void {
    this.#isActive = false;
    for (const node of this.#world.nodes) this.correct(node);
    this.#startLate();
  }

  /** The node was refused at its start, or waits in vain: it gets the right list. */
  correct(node: SimNode): void {
    if (!this.#world.isGrown || node.list === this.#right) return;
    node.list = this.#right;
    if (node.process === undefined) node.kill(false);
  }

  /** With an empty directory, and without a list of others, it would begin a log of its own. */
  diskLost(node: SimNode): void {
    if (node.isOpen) node.list = this.#right;
  }

  #startLate(): void {
    const late = this.#world.nodes.find(({ id }) => id === this.#founding.late);
    if (late === undefined || !late.isHeldDown || !this.#world.isGrown) return;
    if (this.#founding.losesFounder) this.#maybeLoseFounder();
    late.isHeldDown = false;
    late.planStart(0);
  }

  /** Only while another node has all that was committed: nobody can bring back what was on one disk alone. */
  #maybeLoseFounder(): void {
    const { nodes, checker } = this.#world;
    const founder = nodes.find(({ id }) => id === this.#founding.founder);
    const isElsewhere = checker.ledger.end > 0 && nodes.some((node) => node !== founder && checker.hasAllCommitted(node.id));
    if (founder === undefined || !isElsewhere || checker.standingOf(founder.id) !== 'voter') return;
    if (this.#world.hasSets && (this.#world.isGrowing || !checker.isEnoughWithout(founder.id))) return;
    founder.wipe();
    this.hasLostFounder = true;
  }

  /** A node is given the longer list at first. Not the one that the cluster may begin with: the first list of all is the right one. */
  #maybeMistake(node: SimNode): void {
    const { random, scheduler, profile } = this.#world;
    const { founder, extraCount } = this.#founding;
    const mayBegin = node.id === founder || node.id === 1;
    if (!this.#isActive || extraCount === 0 || mayBegin || node.list !== this.#right || random.oneIn(2)) return;
    node.list = this.#longer;
    scheduler.after((profile.chaosMs * random.below(1000)) / 1000, () => this.correct(node));
  }

  /** A longer list is given to one node after the other, the founder among them, and taken back after a while. */
  #planMistake(): void {
    const { random, profile, scheduler, nodes } = this.#world;
    scheduler.after((profile.chaosMs * random.below(400)) / 1000, () => {
      if (!this.#isActive) return;
      const node = nodes[random.below(nodes.length)];
      // The first list that a directory gets is the right one; a node without a directory finds out by itself that its list is not.
      const isFirst = node?.id === this.#founding.founder && !node.hasList;
      if (this.#world.isGrown && node !== undefined && !node.isHeldDown && !isFirst && !(node.id === 1 && !node.hasList)) {
        node.list = this.#longer;
        node.kill(false);
        scheduler.after((profile.chaosMs * random.below(400)) / 1000, () => this.correct(node));
      }
      this.#planMistake();
    });
  }
}

/** Makes the disks those of nodes that have joined each other, with logs that were trimmed at the start, and have nothing behind it, or rivals. */
function joinAt(world: World, hasRivals: boolean): void {
  const { nodes, start, random } = world;
  const list = nodes.length > 1 ? nodes.map(({ id }) => id) : null;
  const made = nodes.map((node): Identity => newIdentity(node.disk, node.id, undefined, list, random));
  const known = Object.fromEntries(made.slice(1).map(({ nodeId, instance }) => [nodeId, instance]));
  for (const [i, node] of nodes.entries()) {
    const [identity, first] = [made[i], made[0]];
    if (identity === undefined || first === undefined) throw new Error('every node has an identity');
    const isFounder = i === 0;
    const trimmed = { start, removeFrom: start, startTerm: START_TERM, startLeader: first.instance };
    const { clusterId } = first;
    writeIdentity(node.disk, DIRECTORY, { ...identity, clusterId, isFounder, known: isFounder ? known : {}, ...trimmed });
    writeVote(node.disk, DIRECTORY, { currentTerm: START_TERM, votedFor: 0, commit: start });
  }
  const [one, two] = made;
  if (!hasRivals || one === undefined || two === undefined) return;
  writeRivals(world, START_TERM + 1, [
    { node: one.nodeId, instance: one.instance },
    { node: two.nodeId, instance: two.instance },
  ]);
}
