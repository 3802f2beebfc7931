// The greeting of a node's clients.

import { maxBatchBytes } from '../core/capacities.ts';
import { MAX_READ_BYTES } from '../core/servingLimits.ts';
import { WORD } from '../memory/map.ts';
import type { Engine } from '../node/engine.ts';
import {
  CLIENT_UPLOADS,
  type ClientIntroduction,
  encodeHello,
  FEATURE_CONSUMERS,
  FEATURE_INSECURE,
  FEATURE_INTRODUCE,
  FEATURE_MIRROR,
  FEATURE_SESSIONS,
  FEATURE_TIMES,
  FEATURE_UPLOADS,
  FEATURE_UPLOADS_HELP,
  PROTOCOL_VERSION,
} from '../protocol/greeting.ts';

/** What of uploads is told to a client: nothing to one that does not understand them. */
function uploadFeatures({ uploads, uploadHelp, cluster }: Engine, introduction: ClientIntroduction | undefined): number {
  if (!uploads.isOn || ((introduction?.features ?? 0) & CLIENT_UPLOADS) === 0) return 0;
  return uploadHelp.isNeeded && cluster.role === 'leader' ? FEATURE_UPLOADS | FEATURE_UPLOADS_HELP : FEATURE_UPLOADS;
}

/** A HELLO with what is so now; with the cluster as the client sees it, for one that has introduced itself. */
export function helloOf(engine: Engine, introduction: ClientIntroduction | undefined): Uint8Array {
  const { config, processNumber, identity, memory, cluster } = engine;
  return encodeHello({
    protocolVersion: PROTOCOL_VERSION,
    lowestVersion: PROTOCOL_VERSION,
    features:
      FEATURE_INTRODUCE |
      FEATURE_TIMES |
      FEATURE_CONSUMERS |
      FEATURE_SESSIONS |
      (engine.mirror === undefined ? 0 : FEATURE_MIRROR) |
      (config.insecure ? FEATURE_INSECURE : 0) |
      uploadFeatures(engine, introduction),
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
    cluster: introduction !== undefined ? cluster.view(engine.url) : undefined,
  });
}
