// The rule by which control entries make the state of a log: one for nodes, which keep the state in shared memory, and for backups.

import {
  ENTRY_HEADER_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { NO_INSTANCE, NO_TERM } from '../core/ids.ts';
import { CONSUMERS_LEVEL, MEMBERS_LEVEL } from '../core/levels.ts';
import { foldAccess, NO_ACCESS, readAccess } from './access.ts';
import { foldConfiguration, NO_MEMBERS, readConfiguration } from './configuration.ts';
import { foldConsumers, NO_CONSUMERS, readConsumerChanges } from './consumers.ts';
import { maySeal, NO_POLICY, NO_SEAL, NO_TRIM, readPolicy, readSeal, readTime, readTrim } from './controlEntries.ts';
import { kindOf, payloadBytesOf } from './entry.ts';
import { NO_SESSIONS } from './sessions.ts';
import { type LogState, readState } from './stateEntry.ts';

/** What is known of a log of which nothing was told: its level is 0. */
export const UNTOLD: LogState = {
  dataEnd: 0,
  before: NO_TERM,
  trim: NO_TRIM,
  timeMs: 0,
  seal: NO_SEAL,
  level: 0,
  generation: { number: 0, id: NO_INSTANCE },
  policy: NO_POLICY,
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};

/**
 * The state of a log after the control entry at byte `at` of `view`, whose word of kind and size is `kindSize`, where it was `state` before. Where the
 * data ends and whose the last entry is, only state entries change here. Returns `state` itself where the entry changes nothing: also one that is not
 * well-formed, and, while nothing was told, any that is not a state entry. Sessions change in place, for each append: whoever keeps them folds
 * their entries (foldSession), and here only state entries say them.
 */
export function foldControl(state: LogState, view: DataView, at: number, kindSize: number): LogState {
  const kind = kindOf(kindSize);
  const payloadAt = at + ENTRY_HEADER_BYTES;
  const bytes = payloadBytesOf(kindSize);
  if (kind === KIND_STATE) return readState(view, payloadAt, bytes) ?? state;
  if (state.level === 0) return state;
  if (kind === KIND_TRIM) {
    // The one that trims more holds: a trim that was ordered late takes nothing back.
    const trim = readTrim(view, payloadAt, bytes);
    return trim !== undefined && trim.start > state.trim.start ? { ...state, trim } : state;
  }
  if (kind === KIND_TIME) {
    const timeMs = readTime(view, payloadAt, bytes) ?? 0;
    return timeMs > state.timeMs ? { ...state, timeMs } : state;
  }
  if (kind === KIND_SEAL) {
    const seal = readSeal(view, payloadAt, bytes);
    if (seal === undefined || !maySeal(state.seal, seal)) return state;
    return { ...state, seal: { base: seal.base, end: seal.end, digest: seal.digest } };
  }
  if (kind === KIND_POLICY) return { ...state, policy: readPolicy(view, payloadAt, bytes) ?? state.policy };
  if (kind === KIND_CONFIGURATION && state.level >= MEMBERS_LEVEL) {
    const members = readConfiguration(view, payloadAt, bytes);
    const nodes = members === undefined ? state.nodes : foldConfiguration(state.nodes, members);
    return nodes === state.nodes ? state : { ...state, nodes };
  }
  if (kind === KIND_POSITION && state.level >= CONSUMERS_LEVEL) {
    const changes = readConsumerChanges(view, payloadAt, bytes) ?? [];
    const consumers = changes.reduce((table, change) => foldConsumers(table, change, state.timeMs), state.consumers);
    return consumers === state.consumers ? state : { ...state, consumers };
  }
  if (kind === KIND_ACCESS) {
    const change = readAccess(view, payloadAt, bytes);
    const access = change === undefined ? state.access : foldAccess(state.access, change);
    return access === state.access ? state : { ...state, access };
  }
  return state;
}
