// A leader's office, as the raft thread has it: the gate, through which the main thread orders appends at the log's end meanwhile; what this thread orders itself, the
// no-op that begins a term and sets of nodes, which may have to wait for room; and whether the writers move the commit, as those of a node alone do.

import { KIND_CONFIGURATION, KIND_NOOP } from '../../assembly/layout.ts';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import type { ChangeOutcome, ChangeRefusal } from '../core/memberChanges.ts';
import { configurationPayload } from '../format/configuration.ts';
import { newGeneration, type Policy } from '../format/controlEntries.ts';
import { noOpPayload } from '../format/noOp.ts';
import { Gate } from '../memory/gate.ts';
import { STATE, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Raft } from '../raft/raft.ts';
import { describeNodes, type NodesOfLog } from './nodesOfLog.ts';
import type { ReplicaPorts } from './ports.ts';
import type { TurnState } from './turnState.ts';

const NOT_LEADING: ChangeRefusal = { code: 'NOT_LEADER', sentence: 'this node leads no longer: the set of nodes was not changed' };
const OVERTAKEN: ChangeRefusal = {
  code: 'CHANGE_IN_PROGRESS',
  sentence: 'before there was room for it in the log, what this change of nodes needs was no longer so: try again',
};

export interface OfficeOptions {
  readonly raft: Raft;
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly nodes: NodesOfLog;
  readonly ports: Pick<ReplicaPorts, 'wallMs' | 'log' | 'nodesChanged'>;
  readonly turn: TurnState;
  /** What the log keeps, and its level, where this node begins it. */
  readonly founding: { readonly policy: Policy; readonly level: number };
}

export class Office {
  readonly #raft: Raft;
  readonly #memory: TailMemory;
  readonly #tail: Tail;
  readonly #nodes: NodesOfLog;
  readonly #ports: OfficeOptions['ports'];
  readonly #turn: TurnState;
  readonly #founding: OfficeOptions['founding'];
  readonly #gate: Gate;
  #isOpen = false;
  /** Term whose no-op waits for room. */
  #noopDue = 0;
  /** A change of the set of nodes waits for room. */
  #isConfigurationDue = false;
  /** Number of the question that asked for that change, or for the one that comes next; 0: nobody waits for it. */
  #changeId = 0;

  constructor({ raft, memory, tail, nodes, ports, turn, founding }: OfficeOptions) {
    this.#raft = raft;
    this.#memory = memory;
    this.#tail = tail;
    this.#nodes = nodes;
    this.#ports = ports;
    this.#turn = turn;
    this.#founding = founding;
    this.#gate = new Gate(memory);
  }

  /** Whether what the main thread orders is to be taken, or a term waits for room. */
  get isUnderWay(): boolean {
    return this.#isOpen || this.#noopDue !== 0;
  }

  /** The disk has caught up further. */
  takeDurable(): void {
    // The end is read after the durable end: it is never below it.
    const { durable } = this.#memory;
    this.takeOrdered();
    this.#raft.durableMoved(Math.min(durable, this.#raft.log.end));
  }

  /** Others may have a say in what is committed, or this node leads no longer: the writers do not move the commit any more, and this thread hears of the disk again. */
  takeCommitBack(): void {
    if (this.#memory.word32(STATE.SOLE) === 0) return;
    this.#memory.takeCommitBack();
    this.takeDurable();
    this.#turn.hasTakenBack = true;
  }

  #answerChange(outcome: ChangeOutcome): void {
    if (this.#changeId !== 0) this.#ports.nodesChanged(this.#changeId, outcome);
    this.#changeId = 0;
  }

  /** Takes the log's end back from the main thread; what it had ordered until then is part of the log. */
  close(): void {
    if (!this.#isOpen) return;
    this.#gate.closeSync();
    this.#isOpen = false;
    this.#raft.appended(this.#memory.word(WORD.OPEN_TERM), this.#memory.tail);
  }

  /** Lets appends in while this node leads, its term has begun, and nobody is to take over. */
  openIfDue(): void {
    const { leadership } = this.#raft;
    if (this.#isOpen || leadership === undefined || !leadership.hasBegun || leadership.transfer.isUnderWay) return;
    // It would take the room that a change of the nodes waits for.
    if (this.#isConfigurationDue) return;
    // A leader that does not count by the newest set hands over once that is committed: what it let in after it could not be committed any more.
    if (this.#raft.members.leavesSelfOut) return;
    this.#memory.setWord(WORD.OPEN_TERM, this.#raft.currentTerm);
    this.#gate.open();
    this.#isOpen = true;
    this.#turn.hasRoleNews = true;
  }

  /** The main thread has ordered entries, or there is room for what waits for it. */
  takeOrdered(): void {
    if (this.#isOpen) this.#raft.appended(this.#raft.currentTerm, this.#memory.tail);
    else this.orderDue();
  }

  /** Puts what waits for room at the log's end. */
  orderDue(): void {
    this.#beginTerm();
    this.#configure();
  }

  /** This node leads in `term`, whose no-op is due. */
  begin(term: number): void {
    this.#noopDue = term;
    this.#beginTerm();
  }

  /** The core wants another set of nodes. */
  configure(): void {
    this.#isConfigurationDue = true;
    this.#configure();
  }

  /** A change of the set of nodes is begun; the port `nodesChanged` says with this number what became of it. 0: nobody waits for that. */
  changing(id: number): void {
    this.#changeId = id;
  }

  /** The office is over, or there was none: what was committed in it is told before it is given up for all to see. */
  end(): void {
    const memory = this.#memory;
    this.close();
    this.#noopDue = 0;
    this.#isConfigurationDue = false;
    this.#answerChange({ refusal: NOT_LEADING });
    const wasSole = memory.word32(STATE.SOLE) !== 0;
    this.takeCommitBack();
    const endedTerm = memory.word(WORD.OPEN_TERM);
    if (endedTerm === 0) return;
    // So that its appends can be answered.
    memory.setWord(WORD.ENDED_TERM, 0);
    // Where the writers committed, the core does not know how far: up to what is durable, as long as it led.
    memory.setWord(WORD.ENDED_COMMIT, wasSole ? Math.max(this.#raft.commit, this.#raft.durable) : this.#raft.commit);
    memory.setWord(WORD.ENDED_TERM, endedTerm);
    memory.setWord(WORD.OPEN_TERM, 0);
  }

  /** Puts the no-op of a new term at the log's end, as soon as there is room. */
  #beginTerm(): void {
    if (this.#noopDue === 0) return;
    const { instance, random } = this.#raft.settings;
    const { policy, level } = this.#founding;
    const isFirst = this.#raft.log.end === 0;
    if (isFirst && this.#tail.fold.level === 0)
      this.#tail.fold.found(newGeneration(1, random), policy, level, level < MEMBERS_LEVEL ? [] : this.#nodes.founding);
    const founded = isFirst ? this.#nodes.founded : [];
    const status = this.#tail.appendOwn(KIND_NOOP, noOpPayload(instance), this.#noopDue, this.#ports.wallMs());
    if (status !== 'ordered') return;
    this.#noopDue = 0;
    this.#turn.hasOrdered = true;
    this.#raft.begun(this.#tail.end, founded);
    this.#memory.lastEntry = this.#raft.log.last;
  }

  /** Puts the set of nodes that the core was asked for at the log's end, as soon as there is room, if it still may come. */
  #configure(): void {
    if (!this.#isConfigurationDue || this.#noopDue !== 0) return;
    // What was ordered until now counts by the set of before.
    this.close();
    const members = this.#raft.configurationDue;
    if (members !== undefined) {
      const { currentTerm } = this.#raft;
      if (this.#tail.appendOwn(KIND_CONFIGURATION, configurationPayload(members), currentTerm, this.#ports.wallMs()) !== 'ordered') return;
      this.#turn.hasOrdered = true;
      // The core knows what it asked for.
      this.#nodes.said();
      this.#raft.configured(this.#tail.end);
      this.#memory.lastEntry = this.#raft.log.last;
      this.#ports.log('info', `the nodes are ${describeNodes(members)} from offset ${this.#tail.end} on, once that is committed`);
      this.#answerChange({ end: this.#tail.end });
    } else this.#answerChange({ refusal: OVERTAKEN });
    this.#isConfigurationDue = false;
  }
}
