// What an engine of a simulated node stands on: a loop that is the node's main thread on its made-up clock, and a channel to its raft thread.

import { configure } from '../../src/core/config.ts';
import type { LogError } from '../../src/core/errors.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { EngineConfig } from '../../src/node/engineOptions.ts';
import type { Loop, Timer } from '../../src/node/loop.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import type { FromRaft, RaftChannel, RaftListener, ToRaft } from '../../src/threads/messages.ts';
import { DIRECTORY } from './identity.ts';
import { MAX_PAYLOAD_BYTES } from './payloads.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';

const DEFAULTS = configure({ data: DIRECTORY });

/** The options of node `node` of `nodes`; where it is the only one, others reach it only if it is `isOpen`. */
export function configOf(
  node: NodeId,
  nodes: readonly NodeId[],
  { shape }: TailMemory['map'],
  electionTimeoutMs: number,
  stagingBytes: number,
  scrubDays: number,
  sessions: Pick<EngineConfig, 'maxSessions' | 'sessionAge'>,
  isOpen: boolean,
  autoFinalizeAfter: number,
): EngineConfig {
  const peers = nodes.length === 1 && !isOpen ? [] : nodes.map((id) => ({ id, host: `node${id}`, port: 1, peerPort: 2 }));
  const bounds = { electionTimeoutMs, stagingBytes, maxPayloadBytes: MAX_PAYLOAD_BYTES, scrubDays, autoFinalizeAfter, ...sessions };
  return { ...DEFAULTS, ...shape, node, peers, ...bounds };
}

interface Wait {
  readonly signal: number;
  readonly seen: number;
  readonly moved: () => void;
}

export class SimLoop implements Loop {
  readonly #process: Process;
  readonly #waits: Wait[] = [];

  constructor(process: Process) {
    this.#process = process;
  }

  nowMs(): number {
    return this.#process.node.localMs();
  }

  wallMs(): number {
    return this.#process.node.wallMs();
  }

  afterTurn(run: () => void): void {
    this.#process.mainThread.post(0, 'turn', run);
  }

  after(delayMs: number, run: () => void): Timer {
    let isOff = false;
    const { world, node, mainThread } = this.#process;
    const call = (): void => {
      if (!isOff) run();
    };
    // Where promises wait for timers, too, they are settled there and then.
    if (world.damages.isOn || world.openDamages.isOn) this.#process.settles(node.virtualMs(delayMs), 'timer', call);
    else mainThread.post(node.virtualMs(delayMs), 'timer', call);
    return {
      cancel: () => {
        isOff = true;
      },
    };
  }

  wait(signal: number, seen: number, moved: () => void): void {
    this.#waits.push({ signal, seen, moved });
  }

  /** Wakes what waits for words that have changed. */
  plan(): void {
    const { memory, mainThread } = this.#process;
    for (let i = this.#waits.length - 1; i >= 0; i -= 1) {
      const wait = this.#waits[i];
      if (wait === undefined || memory.signal(wait.signal) === wait.seen) continue;
      this.#waits.splice(i, 1);
      mainThread.post(this.#process.hopMs(), 'woken', wait.moved);
    }
  }
}

/** The raft thread's end of the channel is the process's raft host. */
export class SimChannel implements RaftChannel {
  readonly #process: Process;
  #listener: RaftListener | undefined;

  constructor(process: Process) {
    this.#process = process;
  }

  listen(listener: RaftListener): void {
    this.#listener = listener;
    this.#process.begun();
  }

  /** As the raft thread's `postMessage`. */
  tell(message: FromRaft): void {
    const { id } = this.#process;
    promise(message.kind !== 'failed', 'committed bytes', () => `node ${id} stops itself: ${JSON.stringify(message)}`);
    // Nothing waits for these.
    if (message.kind === 'log') this.#listener?.message(message);
    else this.#process.settles(this.#process.hopMs(), message.kind, () => this.#listener?.message(message));
  }

  /** The thread has ended. */
  ended(): void {
    this.#process.settles(this.#process.hopMs(), 'raft thread ended', () => this.#listener?.ended());
  }

  /** It died of an error. */
  failed(error: LogError): void {
    this.#process.settles(this.#process.hopMs(), 'raft thread failed', () => this.#listener?.failed(error));
  }

  post(message: ToRaft): void {
    const { raftThread, uploads } = this.#process;
    const isStaging = message.kind === 'staging';
    if (isStaging) uploads.stages(message.shared);
    // Nothing that is staged there overtakes the memory.
    raftThread.post(isStaging ? 0 : this.#process.hopMs(), message.kind, () => this.#process.handle(message));
  }

  terminate(): Promise<void> {
    this.#process.endRaft();
    return Promise.resolve();
  }
}
