// What goes wrong with a cluster in a run, by seed. Five lanes go on at the same time, so that faults of processes, links and disks, trims, and changes of
// the set of nodes meet in every combination. Each fault mends itself before its lane goes on; what the system does not let us break is left out, and said.

import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import type { LocalCluster } from '../../src/cluster/localCluster.ts';
import { Random } from '../assembly/random.ts';
import type { SmallDisk } from './disks.ts';
import { DiskLane } from './nemesis/disks.ts';
import { type Life, LifeLane } from './nemesis/life.ts';
import { LinkLane } from './nemesis/links.ts';
import { FEWEST_NODES, MemberLane } from './nemesis/members.ts';
import { ProcessLane } from './nemesis/processes.ts';
import { type Lane, type NemesisContext, Schedule } from './nemesis/schedule.ts';

export interface NemesisOptions {
  readonly seed: number;
  readonly cluster: LocalCluster;
  /** Of the last node, if there is one. */
  readonly smallDisk: SmallDisk | undefined;
  readonly canSlowDisks: boolean;
  readonly life: Life;
  /** Told each fault as it begins and ends. */
  readonly tell: (sentence: string) => void;
}

/** So much rarer faults are while a node of three is out of the set. */
const CALM = 4;

export class Nemesis {
  readonly #schedule = new Schedule();
  readonly #cluster: LocalCluster;
  readonly #lanes: readonly Lane[];
  readonly #tell: (sentence: string) => void;
  readonly #counts = new Map<string, number>();

  constructor({ seed, cluster, smallDisk, canSlowDisks, life, tell }: NemesisOptions) {
    this.#cluster = cluster;
    this.#tell = tell;
    const context = (salt: number): NemesisContext => ({ cluster, random: new Random(seed * 31 + salt), schedule: this.#schedule, tell });
    const hasSmallDisk = (node: ClusterNode): boolean => smallDisk !== undefined && node === cluster.nodes.at(-1);
    this.#lanes = [
      new ProcessLane(context(1)),
      ...(cluster.network === undefined ? [] : [new LinkLane(context(2), cluster.network)]),
      new DiskLane(context(3), smallDisk, canSlowDisks),
      new LifeLane(context(4), life, hasSmallDisk),
      ...(cluster.nodes.length < FEWEST_NODES ? [] : [new MemberLane(context(5), life.client)]),
    ];
  }

  /** How often each fault was made. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Makes faults for `seconds`, then mends everything: all links open, all nodes running. */
  async run(seconds: number): Promise<void> {
    this.#schedule.endsAfter(seconds * 1000);
    await Promise.all(this.#lanes.map((lane) => this.#runLane(lane)));
    await this.#mend();
  }

  /** With one node out of three each fault stops the cluster: there must be time between them, or it never comes in again. */
  #calm(lane: Lane): number {
    const isOut = this.#schedule.isSetTaken && this.#cluster.nodes.length === FEWEST_NODES;
    return isOut && !(lane instanceof MemberLane) ? CALM : 1;
  }

  async #runLane(lane: Lane): Promise<void> {
    while (!this.#schedule.isOver) {
      await this.#schedule.wait(lane.restMs() * this.#calm(lane));
      if (this.#schedule.isOver) return;
      const fault = await lane.next();
      if (fault === undefined) continue;
      this.#counts.set(fault.name, (this.#counts.get(fault.name) ?? 0) + 1);
      this.#tell(fault.sentence);
      await fault.happen();
    }
  }

  async #mend(): Promise<void> {
    this.#tell('everything is mended');
    this.#cluster.network?.heal();
    for (const node of this.#cluster.nodes) {
      node.resume();
      node.start();
    }
    await Promise.all(this.#cluster.nodes.map((node) => node.ready));
  }
}
