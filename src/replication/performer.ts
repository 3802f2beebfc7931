// Carries out the effects of the consensus core, in order, on tail memory and on the ports.

import { unreachable } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { doesCount } from '../core/ids.ts';
import { ROLE_CANDIDATE, ROLE_FOLLOWER, ROLE_LEADER, STATE, WORD } from '../memory/map.ts';
import type { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Effect, RaftRole } from '../raft/effects.ts';
import type { AppendRequest, NodeId, RaftMessage } from '../raft/messages.ts';
import type { Raft } from '../raft/raft.ts';
import type { Feeder } from './feeder.ts';
import { type NodesOfLog, REMOVED_SENTENCE } from './nodesOfLog.ts';
import type { Office } from './office.ts';
import { oldCopySentence, RETURNED_SENTENCE } from './oldCopySentences.ts';
import type { ReplicaPorts } from './ports.ts';
import { RareLog } from './rareLog.ts';
import { ReplicatedEntries } from './replicatedEntries.ts';
import type { Staged } from './staged.ts';
import type { TimeGuard } from './timeGuard.ts';
import type { TurnState } from './turnState.ts';

const ROLES: Readonly<Record<RaftRole, number>> = {
  follower: ROLE_FOLLOWER,
  preCandidate: ROLE_CANDIDATE,
  candidate: ROLE_CANDIDATE,
  leader: ROLE_LEADER,
};

export interface PerformerOptions {
  readonly raft: Raft;
  readonly memory: TailMemory;
  readonly tail: Tail;
  readonly office: Office;
  readonly feeder: Pick<Feeder, 'clear' | 'publish'>;
  readonly staged: Staged;
  readonly nodes: Pick<NodesOfLog, 'isSole' | 'said'>;
  readonly timeGuard: Pick<TimeGuard, 'begin' | 'end'>;
  readonly ports: ReplicaPorts;
  readonly turn: TurnState;
}

export class Performer {
  readonly #raft: Raft;
  readonly #memory: TailMemory;
  readonly #office: Office;
  readonly #feeder: PerformerOptions['feeder'];
  readonly #entries: ReplicatedEntries;
  readonly #nodes: PerformerOptions['nodes'];
  readonly #timeGuard: PerformerOptions['timeGuard'];
  readonly #rareLog: RareLog;
  readonly #ports: ReplicaPorts;
  readonly #turn: TurnState;

  constructor({ raft, memory, tail, office, feeder, staged, nodes, timeGuard, ports, turn }: PerformerOptions) {
    this.#raft = raft;
    this.#memory = memory;
    this.#office = office;
    this.#feeder = feeder;
    this.#nodes = nodes;
    this.#timeGuard = timeGuard;
    this.#rareLog = new RareLog(ports);
    this.#entries = new ReplicatedEntries(memory, tail, ports, this.#rareLog, staged);
    this.#ports = ports;
    this.#turn = turn;
  }

  perform(effect: Effect): void {
    switch (effect.kind) {
      case 'saveVote':
        this.#ports.saveVote({ currentTerm: effect.currentTerm, votedFor: effect.votedFor, commit: this.#memory.commitBound });
        break;
      case 'saveStanding':
        this.#ports.saveStanding(effect.standing);
        if (effect.standing === 'returned') this.#ports.log('warn', RETURNED_SENTENCE);
        this.publishStanding();
        this.#turn.hasRoleNews = true;
        break;
      case 'send':
        this.#ports.send(effect.to, this.#withClock(effect.message));
        break;
      case 'role':
        this.#roleChanged(effect.role, effect.currentTerm, effect.leader);
        break;
      case 'beginTerm':
        this.#memory.setWord(WORD.TOLD_COMMIT, 0);
        this.#timeGuard.begin();
        this.#office.begin(effect.term);
        break;
      case 'pause':
        if (!effect.paused) break;
        this.#office.close();
        this.#raft.paused();
        break;
      case 'store':
        this.#store(effect.message, effect.from);
        break;
      case 'truncate':
        this.#ports.truncate(effect.offset);
        break;
      case 'beginAt':
        this.#ports.beginAt(effect.start, effect.before);
        break;
      case 'commit':
        // Receipts say which nodes have an entry: that must be known before it counts as committed.
        this.#feeder.publish();
        this.#memory.liftWord(WORD.COMMIT, effect.commit);
        this.#turn.hasCommitted = true;
        if (this.#nodes.isSole) this.#memory.leaveCommitToWriters();
        break;
      case 'readIndexDone':
        this.#ports.readIndexDone(effect.id, effect.index);
        break;
      case 'transferDone':
        this.#ports.transferDone(effect.ok);
        break;
      case 'distrust':
        this.warn(effect.node, effect.sentence);
        this.#ports.cut(effect.node, 'it tells a term that is not believed');
        break;
      case 'warn':
        this.warn(this.#raft.settings.id, effect.sentence);
        break;
      case 'lostData':
        this.#ports.log('warn', oldCopySentence(effect.node, effect.had, effect.has));
        this.#turn.hasRoleNews = true;
        break;
      case 'fatal':
        this.#die(effect.sentence);
        break;
      case 'configure':
        this.#office.configure();
        break;
      case 'removed':
        this.#ports.log('warn', REMOVED_SENTENCE);
        break;
      default:
        unreachable(effect);
    }
  }

  /** Answers say what this node's clock shows. */
  #withClock(message: RaftMessage): RaftMessage {
    if (message.kind !== 'appendResponse' && message.kind !== 'voteResponse') return message;
    return { ...message, clockMs: Math.max(0, Math.floor(this.#ports.wallMs())) };
  }

  /** Says whether this node counts. */
  publishStanding(): void {
    this.#memory.peers.set(this.#raft.settings.id, { isVoter: doesCount(this.#raft.standing) });
  }

  /** Says something about `node`, unless something was said about it in the last minute. */
  warn(node: NodeId, sentence: string): void {
    this.#rareLog.say('warn', `node ${node}`, sentence);
  }

  #die(sentence: string): void {
    this.#turn.isDead = true;
    this.#office.close();
    this.#ports.fatal(new LogError('DAMAGE', `this node must not go on: ${sentence}; compare its log with those of the others`));
  }

  #roleChanged(role: RaftRole, currentTerm: number, leader: NodeId): void {
    const memory = this.#memory;
    if (role !== 'leader') {
      this.#office.end();
      this.#timeGuard.end();
      this.#feeder.clear();
    }
    // Who leads next hears anew how much room the others have.
    for (const node of this.#raft.members.others) memory.peers.set(node, { isFull: false });
    memory.setWord(WORD.TERM, currentTerm);
    memory.setWord32(STATE.ROLE, ROLES[role]);
    memory.setWord32(STATE.LEADER_ID, leader);
    this.#turn.hasRoleNews = true;
  }

  /** Puts what a leader sent at the log's end: the bytes of the message in hand from log offset `from` on. */
  #store(message: AppendRequest, from: number): void {
    const outcome = this.#entries.store(message, from, this.#turn.body, this.#raft.log.lastTerm);
    if (outcome === 'stored') this.#turn.hasOrdered = true;
    this.#raft.stored(message, outcome, this.#nodes.said());
  }
}
