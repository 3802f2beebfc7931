// What an engine of a simulated node stands on: a loop that is the node's main thread on its made-up clock, and a channel to its raft thread.

import { unreachable } from '../../src/core/assert.ts';
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

const DEFAULTS = configure({ data: DIRECTORY });

/** The options of node `node` of `nodes`. */
export function configOf(node: NodeId, nodes: readonly NodeId[], { shape }: TailMemory['map'], electionTimeoutMs: number): EngineConfig {
  const peers = nodes.length === 1 ? [] : nodes.map((id) => ({ id, host: `node${id}`, port: 1, peerPort: 2 }));
  return { ...DEFAULTS, ...shape, node, peers, electionTimeoutMs, maxPayloadBytes: MAX_PAYLOAD_BYTES };
}

interface Wait {
  readonly signal: number;
  readonly seen: number;
  readonly moved: () => void;
}

export class SimLoop implements Loop {
  readonly #process: Process;
  readonly #hopMs: () => number;
  readonly #waits: Wait[] = [];

  constructor(process: Process, hopMs: () => number) {
    this.#process = process;
    this.#hopMs = hopMs;
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
    this.#process.mainThread.post(this.#process.node.virtualMs(delayMs), 'timer', () => {
      if (!isOff) run();
    });
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
      mainThread.post(this.#hopMs(), 'woken', () => this.#process.woken(wait.moved));
    }
  }
}

/** The raft thread's end of the channel is the process's replica. */
export class SimChannel implements RaftChannel {
  readonly #process: Process;
  readonly #hopMs: () => number;
  #listener: RaftListener | undefined;

  constructor(process: Process, hopMs: () => number) {
    this.#process = process;
    this.#hopMs = hopMs;
  }

  listen(listener: RaftListener): void {
    this.#listener = listener;
    this.#process.begun();
    this.tell({ kind: 'started' });
  }

  /** As the raft thread's `postMessage`. */
  tell(message: FromRaft): void {
    this.#process.settles(this.#hopMs(), message.kind, () => this.#listener?.message(message));
  }

  failed(error: LogError): void {
    this.#listener?.failed(error);
  }

  post(message: ToRaft): void {
    this.#process.raftThread.post(this.#hopMs(), message.kind, () => this.#handle(message));
  }

  /** As in src/threads/raftThread.ts. */
  #handle(message: ToRaft): void {
    const { replica } = this.#process;
    switch (message.kind) {
      case 'sealed':
        replica.sealed(message.segment);
        break;
      case 'truncated':
        this.#process.isTruncating = false;
        replica.truncated(message.end);
        break;
      case 'transfer':
        replica.transfer();
        break;
      case 'readIndex':
        replica.readIndex(message.id);
        break;
      case 'stop':
        replica.stop();
        break;
      default:
        unreachable(message);
    }
  }

  terminate(): Promise<void> {
    return Promise.resolve();
  }
}
