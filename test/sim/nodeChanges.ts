// Changes of the set of nodes in a simulated log, as operators ask for them: nodes are demoted and promoted, and removed, also the one that leads; who was removed gets an
// empty disk and comes back as a learner. At the end all nodes are voters again. Has chance of its own, so that a world without it is what it would be without it.

import type { MemberChange } from '../../src/core/memberChanges.ts';
import type { Configuration, Member } from '../../src/core/members.ts';
import { Random } from '../assembly/random.ts';
import { covers } from './coverage.ts';
import type { Process } from './process.ts';
import { drawsGrowth } from './sets.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

/** Whether a set is what `change` was to make of it. */
function isDone(members: Configuration, change: MemberChange): boolean {
  const { id, kind } = change;
  const member = members.find((each) => each.id === id);
  if (kind === 'move') return member?.host === change.host && member.port === change.port && member.peerPort === change.peerPort;
  const role = member?.role;
  if (kind === 'remove') return role === undefined;
  if (kind === 'demote') return role === 'reader';
  return kind === 'add' ? role !== undefined : role !== undefined && role !== 'reader';
}

export class NodeChanges {
  readonly #world: World;
  readonly #random: Random;
  /** Whether the set changes in this simulation. Not where much of what is on disks is lost, which is shown to do no harm while all nodes keep copies. */
  readonly isOn: boolean;
  #isEnding = false;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x5e7_c4a9);
    const losesMore = world.damages.isOn || world.openDamages.isOn || world.oldCopies.isOn || world.fullDisks.isOn;
    const draws = this.#random.oneIn(2) || drawsGrowth(world.seed);
    this.isOn = draws && world.saysNodes && world.nodes.length > 1 && !losesMore;
  }

  start(): void {
    if (this.isOn) this.#plan();
  }

  /** From now on the set becomes that of all nodes again. */
  end(): void {
    this.#isEnding = true;
  }

  stop(): void {
    this.#isOver = true;
  }

  #plan(): void {
    const { scheduler, profile } = this.#world;
    scheduler.after((profile.electionTimeoutMs * (100 + this.#random.below(1400))) / 1000, () => {
      if (this.#isOver) return;
      this.#look();
      this.#plan();
    });
  }

  #look(): void {
    const { leader } = this.#world;
    const process = leader?.process;
    const members = process?.replica.raft.members.latest?.members;
    if (process === undefined || members === undefined) return;
    const change = this.#isEnding ? this.#towardsAll(members) : this.#draw(members);
    if (change === undefined) return;
    if (process.hasBegun) process.settles(0, 'change of nodes', () => this.#ask(process, change));
  }

  /** As a client does: what is answered as done is committed, and was not before it was asked for. */
  #ask(process: Process, change: MemberChange): void {
    const from = process.memory.commit;
    const isAlone = process.replica.raft.members.isAlone;
    process.engine.members.request(change, false).then(
      () => {
        process.witness(() => this.#world.checker.checkAnswered(process.id, from, (members) => isDone(members, change)));
        covers(`a node is asked to ${change.kind}`);
        if (isAlone && change.kind === 'add') covers('a node alone gets another one');
        if (change.id === process.id && change.kind === 'remove') covers('a leader removes itself');
      },
      () => undefined,
    );
  }

  #draw(members: Configuration): MemberChange | undefined {
    const draw = this.#random.below(100);
    const missing = this.#missingFrom(members);
    if (missing !== undefined && draw < 50) return this.#bringBack(members, missing, this.#random.oneIn(4));
    const member = members[this.#random.below(members.length)];
    if (member === undefined) return undefined;
    if (draw < 70) return { kind: member.role === 'reader' ? 'promote' : 'demote', id: member.id };
    if (draw < 73) return { kind: 'move', id: member.id, host: member.host || `node${member.id}`, port: draw, peerPort: 2 };
    return members.length > 1 ? { kind: 'remove', id: member.id } : undefined;
  }

  #towardsAll(members: Configuration): MemberChange | undefined {
    const missing = this.#missingFrom(members);
    if (missing !== undefined) return this.#bringBack(members, missing, false);
    const reader = members.find(({ role }) => role === 'reader');
    return reader === undefined ? undefined : { kind: 'promote', id: reader.id };
  }

  #missingFrom(members: Configuration): SimNode | undefined {
    return this.#world.nodes.find(({ id }) => !members.some((member: Member) => member.id === id));
  }

  /** A node that was removed comes back with an empty disk: first it gets that, then it is added. */
  #bringBack(members: Configuration, node: SimNode, isReader: boolean): MemberChange | undefined {
    const { checker } = this.#world;
    const instance = checker.instanceOf(node.id);
    if (instance === '' || checker.mayBeIn(node.id, members)) return undefined;
    if (checker.hasBeenIn(node.id)) {
      node.wipe();
      return undefined;
    }
    if (node.process === undefined) return undefined;
    return { kind: 'add', id: node.id, instance, isReader, host: `node${node.id}`, port: 1, peerPort: 2 };
  }
}
