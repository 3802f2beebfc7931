// Follows what the raft thread says of this node's office, its term, its links and the nodes of the log, and lets clients hear of it: who appends is to go where the leader
// is, and who waits for one is to know why there is none.

import type { Cause } from '../core/causes.ts';
import type { NodesView } from '../core/members.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Appends } from './appends.ts';
import type { ClusterStatus } from './clusterStatus.ts';
import type { DiskRoom } from './diskRoom.ts';
import type { Greeted } from './door.ts';
import type { Ends } from './ends.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Loop } from './loop.ts';
import type { Progress } from './progress.ts';

/** What hears of a change, or has to do with it. */
export interface RoleParts {
  readonly memory: TailMemory;
  readonly loop: Loop;
  readonly cluster: ClusterStatus;
  readonly appends: Pick<Appends, 'settle'>;
  readonly ends: Pick<Ends, 'leaderChanged'>;
  readonly disk: Pick<DiskRoom, 'nodesChanged'>;
  readonly progress: Progress;
  readonly log: EngineLog;
  /** It follows another log: who leads is not told as of a cluster. */
  readonly isMirror: boolean;
  hasFailed(): boolean;
  greetingChanged(whom: Greeted): void;
}

export class RoleWatch {
  /** Terms in which a leader was heard of. */
  elections = 0;
  readonly #parts: RoleParts;
  /** Role, term and leader that clients were told last. */
  #toldRole = '';
  /** The last term in which a leader was heard of. */
  #leaderTerm = 0;
  #isOver = false;

  constructor(parts: RoleParts) {
    this.#parts = parts;
  }

  /** Nothing is followed any more. */
  stop(): void {
    this.#isOver = true;
  }

  /** Acts on what the raft thread says of this node's office, its term and its links. One wake-up for all that happened meanwhile. */
  readonly follow = (): void => {
    if (this.#isOver) return;
    const seen = this.#parts.memory.signal(SIGNAL.ROLE);
    if (!this.#parts.hasFailed()) this.#roleChanged();
    this.#parts.loop.wait(SIGNAL.ROLE, seen, this.follow);
  };

  #roleChanged(): void {
    this.#parts.disk.nodesChanged();
    this.#parts.appends.settle(this.#parts.loop.nowMs());
    const role = this.#parts.cluster.roleText();
    if (role !== this.#toldRole) {
      this.#heardOfLeader();
      const isFirst = this.#toldRole === '';
      this.#toldRole = role;
      this.#parts.ends.leaderChanged();
      if (this.#parts.isMirror) this.#parts.greetingChanged('all');
      else if (!isFirst && this.#parts.cluster.others.length > 0) this.#sayWhoLeads();
    }
    this.#parts.progress.moved();
  }

  #heardOfLeader(): void {
    const term = this.#parts.memory.word(WORD.TERM);
    if (this.#parts.cluster.leaderId === 0 || term === this.#leaderTerm) return;
    this.#leaderTerm = term;
    this.elections += 1;
  }

  /** The raft thread says what keeps the nodes apart. Who waits for a leader hears why there is none. */
  causesChanged(causes: readonly Cause[], whyNoLeader: string): void {
    const before = this.#parts.cluster.whyNoLeader;
    this.#parts.cluster.setCauses(causes, whyNoLeader);
    if (this.#parts.cluster.whyNoLeader !== before) this.#parts.greetingChanged('all');
  }

  /** Whoever may have to go there hears where another node is reached. */
  advertised(other: number, url: string): void {
    if (!this.#parts.cluster.setAdvertised(other, url)) return;
    this.#parts.greetingChanged(this.#parts.cluster.leaderId === other ? 'all' : 'introduced');
  }

  /** The log says other nodes, or what it says is committed now. */
  nodesChanged(view: NodesView): void {
    if (this.#parts.cluster.setNodes(view)) this.#parts.greetingChanged('introduced');
    this.#parts.progress.moved();
  }

  /** Clients are greeted anew, so that those who append go where the leader is. */
  #sayWhoLeads(): void {
    this.#parts.log.info(this.#parts.cluster.whoLeads());
    this.#parts.greetingChanged('all');
  }
}
