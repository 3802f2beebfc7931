// The raft thread: a replica with real sockets, timers, files and a pool to read sealed segments with. It has its own sockets, so that a
// burst of clients cannot delay heartbeats. The main thread starts it and talks to it in messages.ts' terms; the log's bytes and ends
// are in shared memory.

import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../core/assert.ts';
import { type LogError, toPlainError } from '../core/errors.ts';
import {
  CAUSES_LOOK_MS,
  COLD_READERS,
  FEED_READERS,
  HANG_ELECTIONS,
  MAX_APPEND_BYTES,
  MIN_HANG_MS,
  PEER_WINDOW_BYTES,
  RAFT_DESCRIPTOR_WAIT_MS,
} from '../core/limits.ts';
import { follow } from '../memory/follow.ts';
import { SIGNAL, STATE } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { CauseWatch } from '../peers/causeWatch.ts';
import { PeerSockets } from '../peers/peerSockets.ts';
import { QuorumWatch } from '../peers/quorumWatch.ts';
import { TermTable } from '../raft/termTable.ts';
import { Admission } from '../replication/admission.ts';
import type { ReplicaPorts } from '../replication/ports.ts';
import { Replica } from '../replication/replica.ts';
import { beforeStart, saveKnown, saveStanding, writeVote } from '../storage/dataDirectory.ts';
import type { NodeDisk } from '../storage/nodeDisk.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import { HungMain } from './hungMain.ts';
import type { FromRaft, RaftSetup, ToRaft } from './messages.ts';
import { ColdPool } from './pools.ts';

/** A leader whose disk makes no progress for this many election timeouts hands over; never sooner than the second bound. */
const DISK_TIMEOUT_ELECTIONS = 5;
const MIN_DISK_TIMEOUT_MS = 3_000;
/** Elections that may fail, one after the other, before a node asks itself whether any could succeed. */
const QUORUM_LOOK_ELECTIONS = 10;
/** A link on which nothing moves for some election timeouts, and for this long, is dialed anew. */
const MIN_STUCK_MS = 1_000;
/** Bytes that do not move hold memory that appends may need. */
const MAX_STUCK_MS = 2_000;

class RaftThread {
  readonly #setup: RaftSetup;
  readonly #memory: TailMemory;
  readonly #disk: NodeDisk;
  readonly #replica: Replica;
  readonly #sockets: PeerSockets | undefined;
  readonly #feeders: ColdPool | undefined;
  readonly #tell: (message: FromRaft) => void;
  readonly #main: HungMain;
  readonly #admission: Admission;
  readonly #quorum: QuorumWatch;
  readonly #causes: CauseWatch;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #admissionTimer: NodeJS.Timeout | undefined;
  #quorumTimer: NodeJS.Timeout | undefined;
  #causesTimer: NodeJS.Timeout | undefined;
  #isStopped = false;
  /** At the last look, no leader was known. */
  #lackedLeader = false;

  constructor(setup: RaftSetup, tell: (message: FromRaft) => void) {
    this.#setup = setup;
    this.#disk = diskOf(setup.fsync, RAFT_DESCRIPTOR_WAIT_MS);
    this.#memory = TailMemory.attach(setup.shared);
    this.#tell = tell;
    this.#main = new HungMain(tell, () => this.#replica.isMainHung, setup.directLog);
    const { node, peers, electionTimeoutMs, log, vote, sealed } = setup;
    const { segmentBytes } = setup.shared.shape;
    this.#replica = new Replica({
      settings: {
        id: node,
        instance: setup.identity.instance,
        nodes: peers.length === 0 ? [node] : peers.map(({ id }) => id),
        electionTimeoutMs,
        heartbeatMs: electionTimeoutMs / 10,
        diskTimeoutMs: Math.max(MIN_DISK_TIMEOUT_MS, DISK_TIMEOUT_ELECTIONS * electionTimeoutMs),
        windowBytes: Math.min(PEER_WINDOW_BYTES, segmentBytes),
        maxAppendBytes: MAX_APPEND_BYTES,
        random: Math.random,
      },
      state: {
        ...vote,
        standing: setup.identity.standing,
        commit: log.commit,
        log: new TermTable(log.start, log.end, log.terms, beforeStart(setup.identity)),
      },
      memory: this.#memory,
      tail: new Tail(this.#memory, (slot) => tell({ kind: 'openSegment', slot })),
      sealed,
      hangMs: Math.max(MIN_HANG_MS, HANG_ELECTIONS * electionTimeoutMs),
      ports: this.#ports(),
    });
    this.#admission = this.#makeAdmission();
    this.#quorum = new QuorumWatch(peers.map(({ id }) => id).filter((id) => id !== node));
    this.#causes = this.#makeCauses();
    if (peers.length > 0) {
      this.#feeders = new ColdPool(setup, FEED_READERS, {
        died: (error) => tell({ kind: 'failed', error: toPlainError(error) }),
        // The feeder says whom it could not feed, and tries again.
        short: () => undefined,
      });
      this.#sockets = this.#makeSockets();
    }
  }

  async start(): Promise<void> {
    const { node, peers } = this.#setup;
    const own = peers.find(({ id }) => id === node);
    if (this.#sockets !== undefined && own !== undefined) {
      await this.#sockets.listen(this.#setup.host, own.peerPort);
      this.#sockets.dial(peers);
      this.#admissionTimer = setTimeout(() => this.#admission.waited(), this.#admission.waitMs);
      this.#quorumTimer = setInterval(() => this.#lookForQuorum(), QUORUM_LOOK_ELECTIONS * this.#setup.electionTimeoutMs);
    }
    this.#tell({ kind: 'started' });
    this.#replica.start();
    // No longer when the writers commit without this thread.
    const isOver = (): boolean => this.#isStopped || this.#memory.word32(STATE.SOLE) !== 0;
    void follow(this.#memory, SIGNAL.DURABLE, isOver, () => this.#replica.durableMoved());
    // Alone, what was ordered is of no use to anybody before it is durable.
    if (this.#sockets !== undefined) void follow(this.#memory, SIGNAL.ORDERED, isOver, () => this.#replica.logMoved());
  }

  handle(message: ToRaft): void {
    switch (message.kind) {
      case 'sealed':
        this.#replica.sealed(message.segment);
        break;
      case 'truncated':
        this.#replica.truncated(message.end);
        break;
      case 'transfer':
        this.#replica.transfer();
        break;
      case 'readIndex':
        this.#replica.readIndex(message.id);
        break;
      case 'stop':
        void this.#stop();
        break;
      default:
        unreachable(message);
    }
  }

  async #stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#admissionTimer);
    clearInterval(this.#quorumTimer);
    clearTimeout(this.#causesTimer);
    this.#replica.stop();
    await this.#sockets?.close();
    await this.#feeders?.close();
    this.#tell({ kind: 'stopped' });
    parentPort?.close();
  }

  #ports(): ReplicaPorts {
    return {
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      wakeAt: (atMs) => this.#wakeAt(atMs),
      canSend: (to) => this.#sockets?.canSend(to) ?? false,
      send: (to, message, body, released) => {
        if (this.#sockets?.send(to, message, body, released) !== true) released?.();
      },
      cut: (node, reason) => this.#sockets?.cut(node, reason),
      saveVote: (vote) => writeVote(this.#disk, this.#setup.directory, vote),
      saveStanding: (standing) => this.#admission.saveStanding(standing),
      truncate: (offset) => this.#tell({ kind: 'truncate', offset }),
      readCold: (range, buffer, done) => {
        assert(this.#feeders !== undefined, 'only a cluster feeds other nodes');
        this.#feeders.readCold({ range, buffer: COLD_READERS + buffer }).then(done, (error: LogError) => done(error));
      },
      readIndexDone: (id, index) => this.#tell({ kind: 'readIndexDone', id, index }),
      transferDone: (ok) => this.#tell({ kind: 'transferDone', ok }),
      fatal: (error) => this.#tell({ kind: 'failed', error: toPlainError(error) }),
      log: (level, text) => this.#main.log(level, text),
    };
  }

  /** Arms the timer. One that is armed for an earlier time stays: setting it anew at every message would cost more than a call for nothing. */
  #wakeAt(atMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#replica.tick();
      },
      Math.max(0, Math.ceil(atMs - performance.now())),
    );
  }

  #makeSockets(): PeerSockets {
    const { node, process, peers, advertise, electionTimeoutMs, shared } = this.#setup;
    const { clusterId, instance } = this.#setup.identity;
    const { segmentBytes } = shared.shape;
    const log = (level: 'info' | 'warn', text: string): void => this.#main.log(level, text);
    return new PeerSockets({
      self: {
        clusterId,
        id: node,
        instance,
        process,
        segmentBytes,
        isSynced: this.#setup.fsync,
        nodes: peers.map(({ id }) => id),
        advertise,
      },
      now: () => {
        const { standing, isFounder } = this.#admission.identity;
        return { standing, isFounder, term: this.#replica.raft.currentTerm };
      },
      stuckMs: Math.max(MIN_STUCK_MS, Math.min(electionTimeoutMs, MAX_STUCK_MS)),
      silentMs: Math.max(MIN_STUCK_MS, 4 * electionTimeoutMs),
      events: {
        message: (from, message, body) => this.#replica.receive(from, message, body),
        receiving: (from, message) => this.#replica.receiving(from, message),
        connected: (to, welcome) => {
          this.#admission.connected(to, welcome);
          this.#quorum.connected(to, welcome);
        },
        disconnected: (to, reason) => {
          if (!this.#isStopped) log('info', `the link to node ${to} is down: ${reason}`);
          this.#quorum.disconnected(to);
          this.#admission.disconnected(to);
        },
        doubts: (introduction) => this.#admission.doubts(introduction),
        greeting: (hello) => this.#admission.greeting(hello),
        accepted: (from, hello) => this.#admission.accepted(from, hello),
        drained: () => this.#replica.drained(),
        changed: () => this.#planLook(),
        log,
      },
    });
  }

  #lookForQuorum(): void {
    const { leader } = this.#replica.raft;
    this.#causes.setTooFewVoters(this.#quorum.look(this.#setup.node, this.#admission.identity, leader));
    this.#causes.look();
    if (leader === 0 && this.#lackedLeader) this.#causes.lacksLeader();
    this.#lackedLeader = leader === 0;
  }

  /** A link has changed, or another process wants to be a node: what that means is looked at in a moment, once for all that happens until then. */
  #planLook(): void {
    if (this.#isStopped) return;
    this.#causesTimer ??= setTimeout(() => {
      this.#causesTimer = undefined;
      this.#causes.look();
    }, CAUSES_LOOK_MS);
  }

  #makeCauses(): CauseWatch {
    return new CauseWatch({
      own: () => this.#sockets?.own() ?? { id: this.#setup.node, process: this.#setup.process, listensOn: undefined, isSilent: false },
      links: () => this.#sockets?.links() ?? [],
      leader: () => this.#replica.raft.leader,
      nowMs: () => performance.now(),
      log: (text) => this.#main.log('warn', text),
      tell: (causes, whyNoLeader) => this.#main.causes(causes, whyNoLeader),
    });
  }

  #makeAdmission(): Admission {
    const { directory, identity } = this.#setup;
    return new Admission(this.#replica, identity, {
      saveKnown: (before, node, instance) => saveKnown(this.#disk, directory, before, node, instance),
      saveStanding: (before, standing) => saveStanding(this.#disk, directory, before, standing),
      send: (to, message) => void this.#sockets?.send(to, message),
      advertised: (node, url) => this.#tell({ kind: 'advertised', node, url }),
      log: (level, text) => this.#main.log(level, text),
    });
  }
}

const port = parentPort;
assert(port !== null, 'the raft thread is a worker');
const thread = new RaftThread(workerData as RaftSetup, (message) => port.postMessage(message));
port.on('message', (message: ToRaft) => thread.handle(message));
thread.start().catch((thrown: unknown) => port.postMessage({ kind: 'failed', error: toPlainError(thrown) } satisfies FromRaft));
