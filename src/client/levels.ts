// The log's level: asked of the leader, and raised there once all nodes know the next one.

import { LogError } from '../core/errors.ts';
import type { LevelsAnswer } from '../protocol/levels.ts';
import { type AskLeaderPorts, askLeader } from './askLeader.ts';
import type { LogLevel, NodeLevel } from './logLevel.ts';

export interface LevelQuestion {
  readonly isFinal: boolean;
  readonly timeoutMs: number;
  /** Told of each answer while it waits. */
  readonly onWaiting?: ((level: LogLevel) => void) | undefined;
}

function levelOf({ level, newest, nodes }: LevelsAnswer): LogLevel {
  const seen = nodes.map(({ id, isHeard, lowest, highest }): NodeLevel => {
    const holdsBack = level < newest && !(isHeard && lowest <= newest && newest <= highest);
    return { id, newest: isHeard ? highest : null, holdsBack };
  });
  return { level, newest, nodes: seen };
}

/** Who keeps the level from being raised, for people. */
export function whoHoldsBack({ newest, nodes }: LogLevel): string {
  const held = nodes.filter(({ holdsBack }) => holdsBack);
  return held
    .map(({ id, newest: known }) =>
      known === null
        ? `node ${id} has no connection with the leader`
        : `the LogLog of node ${id} knows levels up to ${known}, not ${newest}`,
    )
    .join('; ');
}

/** Rejects with what the leader says, UNREACHABLE, NOT_LEADER, TIMEOUT, which says who holds the level back, CLOSED. */
export async function askLevel(ports: AskLeaderPorts, { isFinal, timeoutMs, onWaiting }: LevelQuestion): Promise<LogLevel> {
  const endMs = performance.now() + timeoutMs;
  for (let waits = 0; ; waits += 1) {
    const leftMs = Math.max(1, endMs - performance.now());
    const question = { what: 'the level', timeoutMs: Math.ceil(leftMs) };
    const found = levelOf(await askLeader(ports, { ...question, ask: (connection) => connection.questions.upgrade(isFinal) }));
    if (!isFinal || found.level >= found.newest) return found;
    onWaiting?.(found);
    if (performance.now() >= endMs) {
      throw new LogError('TIMEOUT', `The level of the log stays ${found.level}, after ${timeoutMs} ms: ${whoHoldsBack(found)}.`);
    }
    await ports.pause(waits);
  }
}
