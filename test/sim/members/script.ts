// A cluster of cores alone, in which a script says what arrives and when time passes.

import type { Configuration, Member } from '../../../src/core/members.ts';
import { Random } from '../../assembly/random.ts';
import { type CoreNode, ELECTION_MS } from './coreNode.ts';
import { World } from './coreWorld.ts';

/** A cluster whose script says what arrives. */
export class Script {
  readonly world: World;

  constructor(founders: number, spares = 0) {
    this.world = new World(new Random(1), founders, spares);
  }

  node(id: number): CoreNode {
    const node = this.world.node(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** Delivers all that is between `ids`, by default between all, and loses the rest. */
  calm(...ids: readonly number[]): void {
    const { world } = this;
    for (let next = world.bag.shift(); next !== undefined; next = world.bag.shift()) {
      if (ids.length === 0 || (ids.includes(next.from) && ids.includes(next.to))) world.hand(next);
    }
  }

  /** Time passes, and all that is between `ids` arrives. */
  pass(ms: number, ...ids: readonly number[]): void {
    const untilMs = this.world.nowMs + ms;
    this.calm(...ids);
    while (this.world.nowMs < untilMs) {
      this.world.nowMs += 20;
      for (const node of this.world.nodes) if (node.isLive && node.raft.deadlineMs <= this.world.nowMs) node.turn((raft) => raft.tick());
      this.calm(...ids);
    }
  }

  /** Node `id` campaigns, and all that is between `ids` arrives. Returns whether it leads. */
  campaign(id: number, ...ids: readonly number[]): boolean {
    const { world } = this;
    world.nowMs = Math.max(world.nowMs + 2 * ELECTION_MS, this.node(id).raft.deadlineMs);
    world.bag = [];
    this.node(id).turn((raft) => raft.tick());
    this.calm(...ids);
    return this.node(id).raft.role === 'leader';
  }

  /** Asks node `id` for a change of its set. Returns why it refuses. */
  change(id: number, next: (before: Configuration) => Configuration): string | undefined {
    let fault: string | undefined;
    this.node(id).turn((raft) => {
      const { latest } = raft.members;
      const configuration = latest === undefined ? raft.firstConfiguration : next(latest.members);
      fault = configuration === undefined ? 'there is no first set' : raft.configure(configuration)?.sentence;
    });
    return fault;
  }

  /** The same, and all that is between `ids` arrives; it must not be refused. */
  changed(id: number, next: (before: Configuration) => Configuration, ...ids: readonly number[]): void {
    const fault = this.change(id, next);
    if (fault !== undefined) throw new Error(`node ${id} refuses a change of its set: ${fault}`);
    this.pass(300, ...ids);
  }

  member(id: number, role: Member['role']): Member {
    return { id, instance: this.node(id).disk.instance, role, host: '', port: 0, peerPort: 0 };
  }

  set(id: number): string[] {
    return (this.node(id).raft.members.latest?.members ?? []).map((member) => `${member.id} ${member.role}`);
  }
}

/** The set without a node. */
export const without =
  (id: number) =>
  (before: Configuration): Configuration =>
    before.filter((member) => member.id !== id);
/** The set with another role of a node. */
export const withRole =
  (id: number, role: Member['role']) =>
  (before: Configuration): Configuration =>
    before.map((member) => (member.id === id ? { ...member, role } : member));
/** The set with a node, in the place of one that has its id. */
export const withMember =
  (added: Member) =>
  (before: Configuration): Configuration =>
    [...before.filter(({ id }) => id !== added.id), added].sort((a, b) => a.id - b.id);

/** A cluster of `founders` nodes that has its first set, led by node 1. */
export function cluster(founders: number, spares = 0): Script {
  const script = new Script(founders, spares);
  if (!script.campaign(1)) throw new Error('node 1 is not elected');
  script.changed(1, without(0));
  if (script.set(1).length !== founders) throw new Error(`the first set is ${script.set(1)}`);
  return script;
}

/** The term of each node. */
export const termsOf = (script: Script): number[] => script.world.nodes.map(({ raft }) => raft.currentTerm);
