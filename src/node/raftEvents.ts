// What the raft thread tells the engine, and who in it acts on that.

import { STATE } from '../memory/map.ts';
import type { EngineLog } from './engineOptions.ts';
import type { EngineParts } from './engineParts.ts';
import type { Failure } from './failure.ts';
import type { RaftEvents } from './raftPort.ts';

export function raftEvents(engine: EngineParts, log: EngineLog, failure: Failure): RaftEvents {
  const { role } = engine;
  return {
    openSegment: (slot) => engine.segments.open(slot, false),
    truncate: async (offset) => {
      const bytes = engine.memory.tail - offset;
      const isDamaged = engine.memory.word32(STATE.DAMAGED) !== 0;
      engine.mending.stop();
      engine.seals.cut(offset);
      await engine.segments.truncate(offset);
      // The raft thread does not go on before it hears that this is done.
      engine.access.start(offset);
      if (isDamaged) log.info(`what this node's disk had from offset ${offset} on was damaged: the leader sends it again`);
      else
        log.info(`${bytes} bytes at the end of the log, from offset ${offset}, gave way to what the leader has; they were not committed`);
    },
    beginAt: async (base) => {
      engine.mending.stop();
      engine.trims.beginAt(base);
      engine.seals.cut(0);
      await engine.segments.beginAt(base);
      engine.access.dropped();
      log.info(`this node lacked entries that the others have trimmed: its log begins at offset ${base} from now on`);
    },
    placed: (row, isPlaced) => engine.uploads.placed(row, isPlaced),
    announced: () => engine.uploads.announced(),
    seal: (seal, by) => {
      engine.seals.met(seal, by);
      engine.seals.committed();
    },
    access: (news, by) => {
      engine.access.met(news, by);
      engine.access.committed();
    },
    askedAccess: (other, change) => engine.tokenRequests.asked(other, change),
    digest: (other, seal) => engine.seals.reported(other, seal),
    damaged: (offset) => void engine.heals.at(offset),
    failed: failure.fail,
    causes: (causes, whyNoLeader) => role.causesChanged(causes, whyNoLeader),
    advertised: (other, url) => role.advertised(other, url),
    nodes: (view) => role.nodesChanged(view),
    log: (level, text) => log[level](text),
  };
}
