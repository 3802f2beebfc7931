// What a node says of itself: the greeting of its clients, and /status.

import { type Config, maxBatchBytes } from '../core/config.ts';
import { MAX_READ_BYTES } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Appends } from '../node/appends.ts';
import type { ClusterStatus } from '../node/clusterStatus.ts';
import { residentBytes } from '../node/residentBytes.ts';
import type { Segments } from '../node/segments.ts';
import type { NodeStatus } from '../node/status.ts';
import { VERSION } from '../node/version.ts';
import { encodeHello, FEATURE_INTRODUCE, PROTOCOL_VERSION } from '../protocol/greeting.ts';
import type { Listener } from './listener.ts';

/** Whom the facts are taken from. */
export interface FactSources {
  readonly config: Config;
  /** The number of this process. */
  readonly processNumber: string;
  readonly clusterId: string;
  readonly memory: TailMemory;
  readonly cluster: ClusterStatus;
  readonly segments: Segments;
  readonly appends: Appends;
  readonly listener: Listener;
}

export class Facts {
  readonly #sources: FactSources;
  readonly #startedMs = Date.now();

  constructor(sources: FactSources) {
    this.#sources = sources;
  }

  /** A HELLO with what is so now; with the cluster as the client sees it, for one that has introduced itself: `url` is where it reaches this node. */
  hello(url: string | undefined): Uint8Array {
    const { config, processNumber, clusterId, memory, cluster } = this.#sources;
    return encodeHello({
      protocolVersion: PROTOCOL_VERSION,
      lowestVersion: PROTOCOL_VERSION,
      features: FEATURE_INTRODUCE,
      role: cluster.role === 'leader' ? 'leader' : 'follower',
      nodeId: config.node,
      clusterId,
      start: memory.word(WORD.START),
      commit: memory.commit,
      term: memory.word(WORD.TERM),
      maxPayloadBytes: config.maxPayloadBytes,
      windowBytes: config.windowBytes,
      maxBatchBytes: maxBatchBytes(config),
      maxReadBytes: MAX_READ_BYTES,
      leader: cluster.leaderUrl(),
      process: processNumber,
      isDurable: config.fsync,
      whyNoLeader: cluster.whyNoLeader,
      cluster: url === undefined ? undefined : cluster.view(url),
    });
  }

  /** What /status shows; `url` is where clients reach this node. */
  status(url: string): NodeStatus {
    const { config, processNumber, clusterId, memory, cluster, segments, appends, listener } = this.#sources;
    const start = memory.word(WORD.START);
    return {
      version: VERSION,
      clusterId,
      node: { ...cluster.node(url), process: processNumber, isDurable: config.fsync, uptimeMs: Date.now() - this.#startedMs },
      cluster: { nodes: cluster.nodes(url), causes: cluster.causes },
      log: { start, commit: memory.commit, durable: memory.durable, tail: memory.tail },
      segments: { sealed: segments.sealedCount, bytes: memory.tail - start },
      clients: {
        connections: listener.sessions.size,
        heldAppendBytes: appends.heldBytes,
        sendBufferedBytes: listener.sendBudget.bufferedBytes,
      },
      appends: { ...appends.counters },
      memory: { residentBytes: residentBytes() },
      limits: { maxPayloadBytes: config.maxPayloadBytes, windowBytes: config.windowBytes, maxBatchBytes: maxBatchBytes(config) },
    };
  }
}
