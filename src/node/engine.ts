// The engine of a node, from recovery to a clean end: how its parts (engineParts.ts) begin, stop, and end where something has failed. It stands on
// ports (enginePorts.ts), knows callers (caller.ts) and doors (door.ts), and nothing of sockets. It never ends the process: where it can no
// longer go on it ends itself, once, and says so.

import { stateCapacityBytes } from '../core/capacities.ts';
import { LogError } from '../core/errors.ts';
import { STOP_ANSWER_MS, STOP_END_MS, STOP_QUIET_MS, STOP_SETTLE_MS } from '../core/limits.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import { type OpenDamage, RECOVERY_SLOT } from '../storage/openSegment.ts';
import type { Caller } from './caller.ts';
import { EngineParts } from './engineParts.ts';
import type { EnginePorts } from './enginePorts.ts';
import { startsAlone } from './membership.ts';
import type { PeerFiles } from './peerFiles.ts';
import { raftEvents } from './raftEvents.ts';
import { type NodeStatus, statusOf } from './status.ts';
import { type StopReport, stopNode } from './stop.ts';

export class Engine extends EngineParts {
  /** Resolves when the engine has stopped, or has failed, and all its threads have ended: its directory may be opened again. */
  readonly ended: Promise<void>;
  #stopping: Promise<StopReport> | undefined;
  #abandoning: Promise<void> | undefined;
  #onEnded: () => void = () => undefined;

  /** An engine on `ports`; {@link begin} lets it run. Starting one on the real ones: startEngine.ts. */
  constructor(ports: EnginePorts) {
    super(ports);
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    ports.failure.whenFailed((error) => {
      // Not from within whoever failed: it may be in the middle of something with a door.
      this.loop.afterTurn(() => void this.abandon());
      this.appends.fail(`this node has failed, and takes no more appends: ${error.message}`);
    });
  }

  /** Takes over the log's end and takes part in the cluster; alone it resolves when its own term has begun. Rejects when it fails meanwhile. */
  async begin(): Promise<void> {
    const { start, end, dataEnd, openBase, damage } = this.recovered;
    const { memory } = this;
    memory.setWord(WORD.BASE, start);
    // Or more than where data ends before it, which is not known here: who reads from there on has all of it.
    memory.setWord(WORD.START_DATA_END, start);
    memory.setWord(WORD.START, start);
    if (damage !== undefined) this.ports.log.error(damagedSentence(damage));
    this.#refuseLargeState();
    await this.disk.start();
    await this.segments.start(this.recovered);
    // Whoever failed meanwhile had no raft thread to end, and the directory may be another's by now.
    if (this.error !== undefined) throw this.error;
    this.tail.start(end, dataEnd, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.segments.open(RECOVERY_SLOT, true);
    this.pulse.start();
    this.retention.start();
    // Before the raft thread has the log's end.
    this.access.start(end);
    const { log, failure } = this.ports;
    this.raft = this.ports.startRaft(raftEvents(this, log, failure));
    const { peerFiles } = this.ports;
    if (peerFiles !== undefined) peerFiles.changed = (proof) => this.raft?.prove(proof);
    this.trims.look();
    this.scrub.start();
    this.seals.start(this.tail.fold.seal, end);
    await Promise.race([this.raft.started, this.failed]);
    this.role.follow();
    this.mending.start(this.recovered);
    if (this.mirror === undefined && startsAlone(this.recovered))
      await Promise.race([this.progress.until(() => memory.commit > end), this.failed]);
    this.tokenRequests.start();
  }

  /** Segments that are smaller than those that the log was made with may have no room for its state. */
  #refuseLargeState(): void {
    const { stateEntryBytes, level } = this.tail.fold;
    const { segmentBytes, callOf } = this.config;
    if (level === 0 || stateEntryBytes <= stateCapacityBytes(this.memory.map.shape.segmentBytes)) return;
    const sentence = `the state of this log, which each segment begins with, has ${stateEntryBytes} bytes, mostly of tokens and consumers: more than a quarter of a segment with ${callOf('segmentBytes')} ${segmentBytes}`;
    throw new LogError('USAGE', `${sentence}; nothing was changed: start it as before, or revoke tokens and remove consumers first`);
  }

  /** Nobody else comes to have a part in the log while this engine runs: it has no address for other nodes. */
  get staysAlone(): boolean {
    return this.config.peers.length === 0 && this.mirror === undefined;
  }

  /** What the node knows of itself and its cluster, as /status shows it. */
  status(): NodeStatus {
    return statusOf(this);
  }

  /** Fails the engine for what was thrown where nothing was to be, as by a door: nothing may go on as if it had not happened. */
  broke(thrown: unknown): void {
    this.ports.failure.broke(thrown);
  }

  /** What nodes prove themselves by to each other: when its certificates end, and why newer files are not taken; undefined: nothing is asked for. */
  get peerFiles(): Pick<PeerFiles, 'certificates' | 'fault'> | undefined {
    return this.ports.peerFiles;
  }

  /** Reads again the files that may change while it runs. What cannot be used leaves in force what was there before, and is logged. */
  reload(): void {
    this.ports.peerFiles?.reload();
  }

  /** A caller has room again. */
  drained(caller: Caller): void {
    this.readings.drained(caller);
  }

  /** A caller is gone: nothing more is done for it. What of it was ordered stays ordered. */
  closed(caller: Caller): void {
    this.readings.closed(caller);
    this.ends.closed(caller);
    this.appends.closed(caller);
    this.uploads.closed(caller);
  }

  /**
   * Resolves once every append has its answer and, while this node leads, all that it ordered is committed, what was only received, too; or when
   * the engine ends before that.
   */
  settled(): Promise<void> {
    return this.progress.until(() => this.appends.isSettled || this.isOver);
  }

  /**
   * Stops within 6 s: takes no more appends, makes durable and answers what was ordered, hands leadership over, closes the clients, ends
   * the threads. Rejects when the engine fails meanwhile, or has failed. A second call has the outcome of the first.
   */
  stop(): Promise<StopReport> {
    this.#stopping ??= this.#stop().catch((thrown: unknown) => {
      // A failure already, or a step that threw: no directory is kept for an engine that does not end.
      this.broke(thrown);
      throw this.error ?? thrown;
    });
    return this.#stopping;
  }

  async #stop(): Promise<StopReport> {
    const undecidedBefore = this.appends.undecidedCount;
    const times = { settleMs: STOP_SETTLE_MS, answerMs: STOP_ANSWER_MS, endMs: STOP_END_MS, quietMs: STOP_QUIET_MS };
    const hasClients = (): boolean => [...this.doors].some(({ connections }) => connections > 0);
    const cut = await stopNode(
      {
        takeNoMore: () => {
          this.appends.drain();
          for (const door of this.doors) door.takeNoMore();
        },
        settled: () => this.settled(),
        handOver: async () => (this.cluster.others.length === 0 ? undefined : this.raft?.transfer()),
        refusedAppends: () => (hasClients() ? this.appends.refusedWhileDraining : undefined),
        giveUp: () => this.appends.giveUp(),
        disconnect: async () => void (await Promise.all([...this.doors].map((door) => door.disconnect()))),
        endThreads: () => this.#endThreads(),
        failed: this.failed,
      },
      times,
      this.loop,
    );
    const { commit, tail } = this.memory;
    return { cut, undecidedAppends: this.appends.undecidedCount - undecidedBefore, uncommittedBytes: tail - commit };
  }

  /** Each of its waits may be the one in which the engine fails, or is abandoned: that ends everything then, and this does no more. */
  async #endThreads(): Promise<void> {
    await this.raft?.stop();
    if (this.#isAbandoned) return this.abandon();
    this.#endLoops();
    await this.segments.stop();
    if (this.#isAbandoned) return this.abandon();
    for (const door of this.doors) door.close();
    await this.ports.close();
    if (this.#isAbandoned) return this.abandon();
    this.#onEnded();
  }

  get #isAbandoned(): boolean {
    return this.#abandoning !== undefined || this.error !== undefined;
  }

  /**
   * Ends everything at once, as a crash would, but for the process. Resolves when its threads have ended: a call to the system is not cut
   * short. Never rejects: what one of its steps throws is a failure, and keeps no other step from being done.
   */
  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon();
    return this.#abandoning;
  }

  async #abandon(): Promise<void> {
    const doors = [...this.doors].map((door) => () => door.close());
    const steps: (() => Promise<void> | undefined | void)[] = [
      () => this.#endLoops(),
      ...doors,
      () => this.raft?.terminate(),
      () => this.ports.destroy(),
    ];
    for (const step of steps) {
      try {
        const ending = step();
        if (ending !== undefined) await ending;
      } catch (thrown) {
        this.broke(thrown);
      }
    }
    this.#onEnded();
  }

  /** What waits on a word of the memory goes on, and ends; the pulse, too, and whoever waits for progress. */
  #endLoops(): void {
    this.isOver = true;
    this.role.stop();
    this.pulse.stop();
    this.disk.stop();
    this.trims.stop();
    this.scrub.stop();
    this.retention.stop();
    this.seals.stop();
    this.heals.stop();
    this.mending.stop();
    this.levels.stop();
    this.members.stop();
    this.access.stop();
    this.consumers.stop();
    this.sessions.stop();
    this.tokenRequests.stop();
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE, SIGNAL.COMMIT, SIGNAL.ROLE, SIGNAL.ORDERED]) this.memory.raise(signal);
    this.progress.moved();
  }
}

/** What an operator is told of a node that starts without a part of what its disk had. */
function damagedSentence({ sentence, from, bound, durable, hasKnownEnd }: OpenDamage): string {
  const had = hasKnownEnd ? `at least what is before ${durable}` : 'an unknown part';
  return (
    `${sentence}. This node lacks the log from offset ${from} on, of which it had ${had}, committed up to ${Math.max(from, bound)}: ` +
    'it votes for nobody and does not count until it has all of that again from the others; nothing of its file was changed'
  );
}
