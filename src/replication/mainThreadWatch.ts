// Watches the main thread of this node, tells the core whether it answers, and says so.

import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { RaftRole } from '../raft/effects.ts';
import type { NodeId } from '../raft/messages.ts';
import type { Raft } from '../raft/raft.ts';
import { HangWatch } from './hangWatch.ts';
import type { ReplicaPorts } from './ports.ts';

/** What is said of a main thread that hangs, and what its node does. */
function hangSentence(seconds: string, role: RaftRole, isAlone: boolean): string {
  const what = `the main thread has not answered for ${seconds} s, so that no client is served`;
  if (isAlone) return `${what}; there is no other node that could take over`;
  return role === 'leader'
    ? `${what}: this node hands its leadership over as soon as it hears a node that can lead`
    : `${what}: until it answers, this node does not campaign`;
}

/** What is said when it answers again, and who leads by now. */
function answersSentence(seconds: string, leader: NodeId, self: NodeId): string {
  const now = leader === 0 ? 'no leader is known' : leader === self ? 'this node leads' : `node ${leader} leads`;
  return `the main thread answers again, after ${seconds} s; ${now}`;
}

/** When a main thread that does not answer hangs, and how often that is looked at. */
export interface HangTimes {
  readonly hangMs: number;
  readonly lookMs: number;
}

export class MainThreadWatch {
  readonly #memory: TailMemory;
  readonly #raft: Raft;
  readonly #ports: Pick<ReplicaPorts, 'log'>;
  readonly #watch: HangWatch;

  /** A main thread that does not answer for `hangMs` hangs; it is looked each `lookMs`, or later. */
  constructor(memory: TailMemory, raft: Raft, ports: Pick<ReplicaPorts, 'log' | 'nowMs'>, { hangMs, lookMs }: HangTimes) {
    this.#memory = memory;
    this.#raft = raft;
    this.#ports = ports;
    this.#watch = new HangWatch(ports.nowMs(), lookMs, hangMs);
  }

  /** Whether it hangs, as of the last look. */
  get isHung(): boolean {
    return this.#watch.isHung;
  }

  /** When {@link look} is to be called at the latest. */
  get nextMs(): number {
    return this.#watch.nextMs;
  }

  /** At `nowMs`, within a turn of the core. */
  look(nowMs: number): void {
    const news = this.#watch.look(nowMs, this.#memory.word32(STATE.BEAT));
    if (news === undefined) return;
    const { role, leader, members, settings } = this.#raft;
    const isHung = news === 'hangs';
    if (isHung) this.#memory.addWord32(STATE.HANGS, 1);
    const seconds = (this.#watch.silentMs / 1000).toFixed(1);
    const sentence = isHung ? hangSentence(seconds, role, members.isAlone) : answersSentence(seconds, leader, settings.id);
    this.#ports.log('warn', sentence);
    this.#raft.hung(isHung);
  }
}
