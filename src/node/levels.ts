// The log's level, and how it is raised: when somebody says so, and all nodes have said that they know the next one, the leader orders an entry that says
// that, and once that is committed, it begins a segment with the first state of the log. Until the entry is ordered, older builds can take over again.

import { LogError } from '../core/errors.ts';
import { knowsLevel, LEVELS, type LevelRange } from '../core/levels.ts';
import { MAX_UPGRADES } from '../core/limits.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ClusterStatus } from './clusterStatus.ts';
import type { EngineConfig, EngineLog } from './engineOptions.ts';
import type { Loop } from './loop.ts';
import type { OwnEntries } from './ownEntries.ts';

/** A node, and what its build knows. */
export interface NodeLevels {
  readonly id: number;
  readonly isConnected: boolean;
  /** Null: it has not said it since this node started. */
  readonly levels: LevelRange | null;
}

export interface LevelStatus {
  /** The log's. */
  readonly level: number;
  /** The newest that this build knows. */
  readonly newest: number;
  /** All nodes, by id. */
  readonly nodes: readonly NodeLevels[];
}

export interface LevelPorts {
  /** The newest level that a log may get. */
  readonly newest: number;
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'level' | 'nextLevel'>;
  readonly own: Pick<OwnEntries, 'level' | 'beginLevel'>;
  readonly cluster: Pick<ClusterStatus, 'self' | 'others'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
  readonly loop: Pick<Loop, 'nowMs'>;
  readonly config: Pick<EngineConfig, 'autoFinalizeAfter'>;
  readonly log: Pick<EngineLog, 'info' | 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
}

export class Levels {
  readonly #ports: LevelPorts;
  #isOver = false;
  /** Requests under way. */
  #asked = 0;
  /** Since when this node has led, and all nodes could have had the newest level; undefined: not now. */
  #dueSinceMs: number | undefined;

  constructor(ports: LevelPorts) {
    this.#ports = ports;
  }

  get status(): LevelStatus {
    const { memory, fold, cluster } = this.#ports;
    const others = cluster.others.map((id): NodeLevels => {
      const { isConnected, levels } = memory.peers.get(id);
      return { id, isConnected, levels };
    });
    const own: NodeLevels = { id: cluster.self, isConnected: true, levels: LEVELS };
    return { level: fold.level, newest: this.#ports.newest, nodes: [own, ...others].sort((a, b) => a.id - b.id) };
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Raises the level where that is due, if this node leads: the commit has moved, or it leads now, or some time has passed. */
  look(): void {
    const { memory, fold, own, refusal } = this.#ports;
    const { level, end } = fold.nextLevel;
    if (level > fold.level && end <= memory.commit && refusal() === undefined) own.beginLevel();
    this.#lookWhetherDue();
  }

  /** With `--auto-finalize-after`: raises the level where that could have been done, without a break, for so long. */
  #lookWhetherDue(): void {
    const { config, loop, log, refusal, broke } = this.#ports;
    if (config.autoFinalizeAfter === 0 || this.#asked > 0) return;
    const nowMs = loop.nowMs();
    if (this.#isOver || refusal() !== undefined || !this.#isDue) this.#dueSinceMs = undefined;
    else this.#dueSinceMs ??= nowMs;
    if (this.#dueSinceMs === undefined || nowMs - this.#dueSinceMs < config.autoFinalizeAfter) return;
    this.#dueSinceMs = undefined;
    const { newest } = this.#ports;
    // Said when it is done: until then a node may come back that keeps it from being so.
    const done = ({ level }: LevelStatus): void => {
      if (level < newest) return;
      log.info(
        `all nodes have known level ${newest} of the log for long, so this one, which leads, has raised it; older builds cannot take part any more`,
      );
    };
    this.request(true).then(done, (thrown: unknown) => {
      if (!(thrown instanceof LogError)) broke(thrown);
      else if (thrown.outcome === 'unknown')
        log.warn(`it is not known whether the log has level ${newest}, which was due: ${thrown.message}`);
      else log.warn(`the level of the log was not raised to ${newest}, which was due: ${thrown.message}`);
    });
  }

  /**
   * Says which level the log has, as the leader knows it; with `isFinal` it is raised first to the newest one that this build knows, if all nodes are there
   * and know it: if not, nothing is done, and the answer shows who does not. Rejects with a LogError: NOT_LEADER, SHUTTING_DOWN, TOO_MANY_REQUESTS;
   * NOT_LEADER may come although it was done.
   */
  async request(isFinal: boolean): Promise<LevelStatus> {
    if (this.#asked >= MAX_UPGRADES)
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_UPGRADES} requests for the level are under way: try again`);
    this.#asked += 1;
    try {
      this.#refuse();
      if (isFinal && this.#isDue) await this.#raise();
      return this.status;
    } finally {
      this.#asked -= 1;
    }
  }

  get #isDue(): boolean {
    const { level, newest, nodes } = this.status;
    return level < newest && nodes.every((node) => node.isConnected && node.levels !== null && knowsLevel(node.levels, newest));
  }

  async #raise(): Promise<void> {
    const { memory, fold, own, progress, newest } = this.#ports;
    let term = own.level(newest);
    for (; term === undefined; term = own.level(newest)) {
      await progress();
      this.#refuse();
      // A node may have come back with an older build meanwhile.
      if (!this.#isDue) return;
    }
    // Its first state is in force with the segment that it begins.
    while (fold.level < newest || memory.commit <= fold.nextLevel.end) {
      if (this.#isOver || memory.word(WORD.OPEN_TERM) !== term) {
        const sentence =
          'this node leads no longer, or stops, and does not know whether the level is raised: to ask for it again does no harm';
        throw new LogError('NOT_LEADER', sentence, {}, 'unknown');
      }
      this.look();
      await progress();
    }
  }

  #refuse(): void {
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) throw refusal;
  }
}
