// What runs on the raft thread, on ports: the replica, the admission of nodes, and the watches over quorum and causes. Which message starts
// what, the order of steps at a start and at a stop, and what is told to whom are decided here. The raft thread (raftThread.ts) builds it
// on real timers, sockets and files, the simulator on made-up ones.

import { createHash } from 'node:crypto';
import { assert, unreachable } from '../core/assert.ts';
import { type LogError, toPlainError } from '../core/errors.ts';
import { CAUSES_LOOK_MS } from '../core/peerLimits.ts';
import { SIGNAL, STATE } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { CauseWatch } from '../peers/causeWatch.ts';
import type { PeerAddress } from '../peers/peerDial.ts';
import type { PeerEvents, PeerSocketsOptions } from '../peers/peerSockets.ts';
import { QuorumWatch } from '../peers/quorumWatch.ts';
import { PEER_FRAME_BYTES } from '../protocol/peer.ts';
import type { NodeId } from '../raft/messages.ts';
import { TermTable } from '../raft/termTable.ts';
import { Admission } from '../replication/admission.ts';
import type { ReplicaPorts } from '../replication/ports.ts';
import { Replica } from '../replication/replica.ts';
import { beforeStart } from '../storage/dataDirectory.ts';
import { reachedNodes, toldAddresses } from './addresses.ts';
import { HungMain } from './hungMain.ts';
import type { ToRaft } from './messages.ts';
import type { RaftHostOptions, RaftHostPorts, RaftLinks, RaftTimer } from './raftHostPorts.ts';
import { selfOf } from './self.ts';

/** Elections that may fail, one after the other, before a node asks itself whether any could succeed. */
const QUORUM_LOOK_ELECTIONS = 10;

export class RaftHost {
  readonly replica: Replica;
  readonly admission: Admission;
  readonly #setup: RaftHostOptions['setup'];
  readonly #memory: TailMemory;
  readonly #ports: RaftHostPorts;
  readonly #links: RaftLinks | undefined;
  readonly #main: HungMain;
  readonly #quorum: QuorumWatch;
  readonly #causes: CauseWatch;
  /** Nodes that announce uploads and take references to them. */
  readonly #uploadTakers = new Set<NodeId>();
  #tick: RaftTimer | undefined;
  #tickAtMs = Number.POSITIVE_INFINITY;
  #admissionTimer: RaftTimer | undefined;
  #quorumTimer: RaftTimer | undefined;
  #causesTimer: RaftTimer | undefined;
  #reachTimer: RaftTimer | undefined;
  #isStopped = false;
  /** Which of its followings of the log's ends goes on: the last one. */
  #following = 0;
  /** At the last look, no leader was known. */
  #lackedLeader = false;

  /** Takes part in nothing before {@link start}. */
  constructor({ setup, settings, hang, memory, ports }: RaftHostOptions) {
    this.#setup = setup;
    this.#memory = memory;
    this.#ports = ports;
    this.#main = new HungMain(
      (message) => ports.tell(message),
      () => this.replica.isMainHung,
      setup.directLog,
    );
    const { identity, log, vote, sealed, policy, trustsClock, levels, peers } = setup;
    this.replica = new Replica({
      settings,
      state: {
        ...vote,
        standing: identity.standing,
        commit: log.commit,
        damage: log.damage,
        membership: log.membership,
        list: setup.nodes,
        log: new TermTable(log.start, log.end, log.terms, beforeStart(identity)),
      },
      memory,
      tail: new Tail(memory, (slot) => ports.tell({ kind: 'openSegment', slot })),
      sealed,
      policy,
      newLevel: levels.highest,
      peers,
      trustsClock,
      hang,
      ports: this.#replicaPorts(),
    });
    this.admission = this.#makeAdmission();
    this.#quorum = new QuorumWatch(() => this.replica.raft.members.otherVoters);
    this.#causes = this.#makeCauses();
    if (setup.peers.length === 0) return;
    this.#links = ports.makeLinks({
      self: selfOf(setup, memory, this.replica, this.admission),
      now: () => this.#now(),
      events: this.#events(),
      addresses: () => toldAddresses(setup, this.replica.raft.members),
    });
  }

  /** Meets the others, and begins. Rejects when it cannot listen for them. */
  async start(): Promise<void> {
    this.#reach();
    this.#warnLost();
    await this.#links?.open();
    if (this.#isStopped) return;
    if (this.#links !== undefined) {
      this.#admissionTimer = this.#ports.after(this.admission.waitMs, 'admission', () => this.admission.waited());
      this.#planQuorum();
    }
    this.#ports.tell({ kind: 'started' });
    this.replica.start();
    this.#follow();
  }

  get #reached(): readonly PeerAddress[] {
    return reachedNodes(this.#setup, this.replica.raft.members, (text) => this.#main.log('warn', text));
  }

  #reach(): void {
    this.#links?.reach(this.#reached);
    this.#cutRemoved();
  }

  /** Nobody looks for a node that is in no set. */
  #warnLost(): void {
    const { node } = this.#setup;
    const { list, latest } = this.replica.raft.members;
    const isIn = list.includes(node) || latest?.members.some(({ id }) => id === node) === true;
    if (isIn || this.#links === undefined || this.#reached.some(({ id }) => id !== node)) return;
    this.#main.log(
      'warn',
      'this node is in no set of nodes, and was told of no other one: start it with --join HOST:PEERPORT, where a node of its cluster listens for nodes',
    );
  }

  /** Who was removed hears why when it comes again. One that leads is heard until it has handed over. */
  #cutRemoved(): void {
    const { members, leader } = this.replica.raft;
    for (const { id } of members.removed) {
      if (id !== leader && id !== this.#setup.node && members.isRemoved(id)) this.#links?.cut(id, 'it was removed from the set of nodes');
    }
  }

  /** The set of nodes has changed: links follow, after this turn. */
  #planReach(): void {
    if (this.#isStopped || this.#links === undefined) return;
    this.#reachTimer ??= this.#ports.after(1, 'links', () => {
      this.#reachTimer = undefined;
      this.#reach();
    });
  }

  /** Hears of the log's ends from now on. */
  #follow(): void {
    this.#following += 1;
    const following = this.#following;
    // No longer when the writers commit without this thread.
    const isOver = (): boolean => this.#isStopped || this.#memory.word32(STATE.SOLE) !== 0 || following !== this.#following;
    this.#ports.follow(SIGNAL.DURABLE, isOver, () => this.replica.durableMoved());
    // Alone, what was ordered is of no use to anybody before it is durable.
    if (this.#links !== undefined) this.#ports.follow(SIGNAL.ORDERED, isOver, () => this.replica.logMoved());
  }

  handle(message: ToRaft): void {
    switch (message.kind) {
      case 'sealed':
        this.replica.sealed(message.segment);
        break;
      case 'truncated':
        this.replica.truncated(message.end);
        break;
      case 'trim':
        this.#trim(message.base);
        break;
      case 'emptied':
        this.admission.saveRemoved(message.base);
        this.replica.emptied(message.base);
        break;
      case 'removed':
        this.admission.saveRemoved(message.base);
        break;
      case 'fetch':
        this.replica.fetch(message.question);
        break;
      case 'mended':
        this.replica.mended(message.log);
        break;
      case 'mending':
        this.replica.mending(message.isUnderWay);
        break;
      case 'transfer':
        this.replica.transfer(message.to);
        break;
      case 'changeNodes':
        this.replica.changeNodes(message.change, message);
        break;
      case 'prove':
        this.#links?.prove(message.proof);
        break;
      case 'readIndex':
        this.replica.readIndex(message.id);
        break;
      case 'staging':
        this.replica.staging(message.shared);
        break;
      case 'staged':
        this.replica.staged(message.rows);
        this.#ports.tell({ kind: 'announced' });
        break;
      case 'askAccess':
        this.replica.askAccess(message.change);
        break;
      case 'digest':
        this.replica.report(message.seal);
        break;
      case 'different':
        this.replica.different(message.bases);
        break;
      case 'stop':
        this.#stop().catch((thrown: unknown) => this.#ports.tell({ kind: 'failed', error: toPlainError(thrown) }));
        break;
      default:
        unreachable(message);
    }
  }

  #trim(base: number): void {
    // It may be about to begin anew, later.
    if (base > this.admission.identity.start) this.replica.trim(base, (before) => this.admission.saveStart(base, before, false));
    // A replica that has stopped has saved nothing, and then nothing may go.
    if (base <= this.admission.identity.start) this.#ports.tell({ kind: 'trimmed', base });
  }

  async #stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of [this.#tick, this.#admissionTimer, this.#quorumTimer, this.#causesTimer, this.#reachTimer]) timer?.cancel();
    this.replica.stop();
    await this.#links?.close();
    await this.#ports.closeReaders();
    this.#ports.tell({ kind: 'stopped' });
    this.#ports.ended();
  }

  #replicaPorts(): ReplicaPorts {
    const ports = this.#ports;
    return {
      nowMs: () => ports.nowMs(),
      wallMs: () => ports.wallMs(),
      followLog: () => this.#follow(),
      wakeAt: (atMs) => this.#wakeAt(atMs),
      canSend: (to) => this.#links?.canSend(to) ?? false,
      send: (to, message, body, released) => {
        if (this.#links?.send(to, message, body, released) === true) this.#memory.peers.addSent(to, PEER_FRAME_BYTES + (body?.length ?? 0));
        else released?.();
      },
      takesUploads: (node) => this.#setup.takesUploads && this.#uploadTakers.has(node),
      placed: (row, isPlaced) => ports.tell({ kind: 'placed', row, isPlaced }),
      seal: (seal, by) => ports.tell({ kind: 'seal', seal, by }),
      access: (news, by) => ports.tell({ kind: 'access', news, by }),
      askedAccess: (node, change) => ports.tell({ kind: 'askedAccess', node, change }),
      digest: (node, seal) => ports.tell({ kind: 'digest', node, seal }),
      hash: () => createHash('sha256'),
      cut: (node, reason) => this.#links?.cut(node, reason),
      saveVote: (vote) => ports.saveVote(vote),
      saveGeneration: (id, nodes) => this.admission.saveGeneration(id, nodes),
      saveNodes: (nodes) => this.admission.saveNodes(nodes),
      saveStanding: (standing) => this.admission.saveStanding(standing),
      truncate: (offset) => ports.tell({ kind: 'truncate', offset }),
      beginAt: (start, before) => {
        this.admission.saveStart(start, before, true);
        ports.tell({ kind: 'beginAt', base: start });
      },
      readCold: (range, buffer, done) => {
        assert(this.#links !== undefined, 'only a cluster feeds other nodes');
        ports.readCold(range, buffer, done);
      },
      fetched: (id, answer) => ports.tell({ kind: 'fetched', id, answer }),
      damaged: (offset, error) => ports.tell({ kind: 'damaged', offset, error: toPlainError(error) }),
      readIndexDone: (id, index) => ports.tell({ kind: 'readIndexDone', id, index }),
      transferDone: (ok) => ports.tell({ kind: 'transferDone', ok }),
      nodes: (view) => {
        ports.tell({ kind: 'nodes', view });
        this.#planReach();
      },
      nodesChanged: (id, outcome) => ports.tell({ kind: 'nodesChanged', id, outcome }),
      fatal: (error: LogError) => ports.tell({ kind: 'failed', error: toPlainError(error) }),
      log: (level, text) => this.#main.log(level, text),
    };
  }

  /** Arms the timer. One that is armed for an earlier time stays: setting it anew at every message would cost more than a call for nothing. */
  #wakeAt(atMs: number): void {
    if (this.#isStopped || (this.#tick !== undefined && this.#tickAtMs <= atMs)) return;
    this.#tick?.cancel();
    this.#tickAtMs = atMs;
    this.#tick = this.#ports.after(Math.max(1, Math.ceil(atMs - this.#ports.nowMs())), 'tick', () => {
      this.#tick = undefined;
      this.replica.tick();
    });
  }

  #now(): ReturnType<PeerSocketsOptions['now']> {
    const { standing, isFounder } = this.admission.identity;
    return { standing, isFounder, term: this.replica.raft.currentTerm };
  }

  #events(): PeerEvents {
    const log = (level: 'info' | 'warn', text: string): void => this.#main.log(level, text);
    return {
      message: (from, message, body) => this.replica.receive(from, message, body),
      receiving: (from, message) => this.replica.receiving(from, message),
      connected: (to, welcome) => {
        if (welcome.takesUploads) this.#uploadTakers.add(to);
        else this.#uploadTakers.delete(to);
        this.#memory.peers.set(to, { levels: welcome.levels });
        this.admission.connected(to, welcome);
        this.#quorum.connected(to, welcome);
      },
      disconnected: (to, reason) => {
        if (!this.#isStopped) log('info', `the link to node ${to} is down: ${reason}`);
        this.#quorum.disconnected(to);
        this.admission.disconnected(to);
      },
      gone: (node) => this.replica.gone(node),
      doubts: (introduction) => this.admission.doubts(introduction),
      greeting: (hello) => this.admission.greeting(hello),
      accepted: (from, hello) => this.admission.accepted(from, hello),
      drained: () => this.replica.drained(),
      changed: () => this.#planLook(),
      unproven: (which) => this.#memory.addWord32(which === 'came' ? STATE.PROOFS_REFUSED : STATE.PROOFS_FAILED, 1),
      log,
    };
  }

  #planQuorum(): void {
    const { electionTimeoutMs } = this.replica.raft.settings;
    this.#quorumTimer = this.#ports.after(QUORUM_LOOK_ELECTIONS * electionTimeoutMs, 'quorum', () => {
      this.#lookForQuorum();
      this.#cutRemoved();
      this.#planQuorum();
    });
  }

  #lookForQuorum(): void {
    const { leader } = this.replica.raft;
    this.#causes.setTooFewVoters(this.#quorum.look(this.#setup.node, this.admission.identity, leader));
    this.#causes.look();
    if (leader === 0 && this.#lackedLeader) this.#causes.lacksLeader();
    this.#lackedLeader = leader === 0;
  }

  /** A link has changed, or another process wants to be a node: what that means is looked at in a moment, once for all that happens until then. */
  #planLook(): void {
    if (this.#isStopped) return;
    this.#causesTimer ??= this.#ports.after(CAUSES_LOOK_MS, 'causes', () => {
      this.#causesTimer = undefined;
      this.#causes.look();
    });
  }

  #makeCauses(): CauseWatch {
    const { node: id, process } = this.#setup;
    return new CauseWatch({
      own: () => this.#links?.own() ?? { id, process, listensOn: undefined, isSilent: false },
      links: () => this.#links?.links() ?? [],
      voters: () => this.replica.raft.members.voters,
      leader: () => this.replica.raft.leader,
      nowMs: () => this.#ports.nowMs(),
      log: (text) => this.#main.log('warn', text),
      tell: (causes, whyNoLeader) => this.#main.causes(causes, whyNoLeader),
    });
  }

  #makeAdmission(): Admission {
    const ports = this.#ports;
    return new Admission(this.replica, this.#setup.identity, {
      saveKnown: (before, node, instance) => ports.saveKnown(before, node, instance),
      saveStanding: (before, standing) => ports.saveStanding(before, standing),
      saveStart: (before, start, entry, isEmpty) => ports.saveStart(before, start, entry, isEmpty),
      saveRemoved: (before) => ports.saveRemoved(before),
      saveGeneration: (before, generation, nodes) => ports.saveGeneration(before, generation, nodes),
      saveNodes: (before, nodes) => ports.saveNodes(before, nodes),
      send: (to, message) => void this.#links?.send(to, message),
      advertised: (node, url) => ports.tell({ kind: 'advertised', node, url }),
      log: (level, text) => this.#main.log(level, text),
    });
  }
}
