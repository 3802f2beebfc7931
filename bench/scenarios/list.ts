// All scenarios, in the order of the report.

import type { Scenario } from '../scenario.ts';
import { appendBatches } from './appendBatches.ts';
import { appendLarge } from './appendLarge.ts';
import { appendSizes } from './appendSizes.ts';
import { appendSmall } from './appendSmall.ts';
import { clusterAppend } from './clusterAppend.ts';
import { clusterCatchUp } from './clusterCatchUp.ts';
import { clusterFailover } from './clusterFailover.ts';
import { clusterMembers } from './clusterMembers.ts';
import { clusterOneInFlight } from './clusterOneInFlight.ts';
import { clusterStability } from './clusterStability.ts';
import { clusterStorm } from './clusterStorm.ts';
import { consumers } from './consumers.ts';
import { embedded } from './embedded.ts';
import { fairness } from './fairness.ts';
import { fanOut } from './fanOut.ts';
import { growth } from './growth.ts';
import { limits } from './limits.ts';
import { manyConnections } from './manyConnections.ts';
import { memory } from './memory.ts';
import { mixed } from './mixed.ts';
import { oneInFlight } from './oneInFlight.ts';
import { openLoop } from './openLoop.ts';
import { peerProof } from './peerProof.ts';
import { producers } from './producers.ts';
import { read } from './read.ts';
import { readBack } from './readBack.ts';
import { restart } from './restart.ts';
import { restartIdle } from './restartIdle.ts';
import { scrub } from './scrub.ts';
import { spin } from './spin.ts';
import { startSegments } from './startSegments.ts';
import { tail } from './tail.ts';
import { testCluster } from './testCluster.ts';
import { tls } from './tls.ts';
import { trickledUploads } from './trickledUploads.ts';
import { trims } from './trims.ts';
import { underAttack } from './underAttack.ts';
import { uploads } from './uploads.ts';
import { wakeUpsScenario } from './wakeUps.ts';

export const SCENARIOS: readonly Scenario[] = [
  limits,
  appendSmall,
  appendLarge,
  appendSizes,
  appendBatches,
  oneInFlight,
  spin,
  tls,
  producers,
  openLoop,
  manyConnections,
  read,
  readBack,
  consumers,
  tail,
  fanOut,
  growth,
  mixed,
  underAttack,
  fairness,
  memory,
  wakeUpsScenario,
  restart,
  restartIdle,
  startSegments,
  trims,
  scrub,
  clusterAppend,
  clusterOneInFlight,
  peerProof,
  clusterCatchUp,
  clusterMembers,
  clusterFailover,
  clusterStability,
  clusterStorm,
  testCluster,
  uploads,
  trickledUploads,
  embedded,
];
