// The greeting of a node's clients.

import { maxBatchBytes } from '../core/config.ts';
import { MAX_READ_BYTES } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import type { Engine } from '../node/engine.ts';
import { encodeHello, FEATURE_INTRODUCE, PROTOCOL_VERSION } from '../protocol/greeting.ts';

/** A HELLO with what is so now; with the cluster as the client sees it, for one that has introduced itself. */
export function helloOf(engine: Engine, isIntroduced: boolean): Uint8Array {
  const { config, processNumber, identity, memory, cluster } = engine;
  return encodeHello({
    protocolVersion: PROTOCOL_VERSION,
    lowestVersion: PROTOCOL_VERSION,
    features: FEATURE_INTRODUCE,
    role: cluster.role === 'leader' ? 'leader' : 'follower',
    nodeId: config.node,
    clusterId: identity.clusterId,
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
    cluster: isIntroduced ? cluster.view(engine.url) : undefined,
  });
}
