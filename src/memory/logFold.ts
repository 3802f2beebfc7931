// The state of the log at its end, folded from its control entries: in shared memory (loggedState.ts), so that it is handed over with the log's end. Whoever
// owns the log's end changes it, and only as it puts a control entry there; it is made anew where the log's end is found or moved back. What
// follows from a trim waits until the entry is committed; that is the business of others.

import {
  ENTRY_HEADER_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_DATA,
  KIND_LEVEL,
  KIND_NOOP,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  SEGMENT_HEADER_BYTES,
} from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { CONSUMERS_LEVEL, LOG_LEVEL, MEMBERS_LEVEL, SESSIONS_LEVEL } from '../core/levels.ts';
import type { Configuration } from '../core/members.ts';
import { NO_ACCESS, tokensIn } from '../format/access.ts';
import { hasSameNodes, type LogMembers, NO_MEMBERS } from '../format/configuration.ts';
import { consumersIn, NO_CONSUMERS, readConsumerChanges } from '../format/consumers.ts';
import {
  type Generation,
  isSamePolicy,
  NO_POLICY,
  NO_SEAL,
  NO_TRIM,
  POLICY_PAYLOAD_BYTES,
  type Policy,
  readLevel,
  type Seal,
  writeTime,
} from '../format/controlEntries.ts';
import { foldControl } from '../format/controlFold.ts';
import { entryBytesAt, entryBytesOf, isContinued, kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { NO_SESSIONS, readSession, sessionsIn } from '../format/sessions.ts';
import { isSameState, type LogState, readState, stateBytes, writeState } from '../format/stateEntry.ts';
import { isWellFormed } from '../format/wellFormed.ts';
import { LoggedState, NO_ENDS } from './loggedState.ts';
import { putNodes } from './logNodes.ts';
import { SLOT, WORD } from './map.ts';

const TIME_ENTRY_PAYLOAD_BYTES = 8;

const textOf = (state: LogState | Seal): string =>
  // Of the tokens their ids alone: the hashes are for nobody.
  JSON.stringify(
    'access' in state
      ? {
          ...state,
          access: [...tokensIn(state.access).keys()],
          consumers: consumersIn(state.consumers),
          sessions: sessionsIn(state.sessions),
        }
      : state,
  );

/** A change of the log's tokens as it is folded: the payload of an access entry; or all of them, as a state entry says it of a log not known before. */
export interface AccessNews {
  /** A copy. */
  readonly bytes: Uint8Array;
  readonly isTable: boolean;
  /** Which change of this memory's it is, ascending: threads that take turns tell them in any order. */
  readonly version: number;
}

export class LogFold extends LoggedState {
  /** How the last state entry that a leader sent differs from this node's own fold; undefined: not at all. */
  difference: string | undefined;
  /** End of the last data entry before the last state entry that was folded. */
  toldDataEnd = 0;
  /** Told each segment that the log seals, and where the entry ends that says so; of several in a segment that was skipped, the last. */
  onSeal: (seal: Seal, by: number) => void = () => undefined;
  /** Told each change of the log's tokens, and where the entry ends that says so. */
  onAccess: (news: AccessNews, by: number) => void = () => undefined;
  /** Told each change of the log's nodes, where the entry ends that says so, and whether it is a state entry, which says all. */
  onNodes: (nodes: LogMembers, by: number, isState: boolean) => void = () => undefined;

  /** A new log begins, at the newest level that its nodes may have, with this policy, and with the set of its nodes, where that is known already. */
  found(generation: Generation, policy: Policy = NO_POLICY, level = LOG_LEVEL, members: Configuration = []): void {
    assert(this.level === 0 && this.memory.tail === 0, 'a log is founded once, empty');
    assert(members.length === 0 || level >= MEMBERS_LEVEL, 'only a log of that level says which nodes it has');
    this.memory.setWord(WORD.LOG_LEVEL, level);
    this.setGeneration(generation);
    this.putPolicy(policy, 0);
    this.putTogether(putNodes(this.memory, { members, removed: [] }));
  }

  /** The log is of the level that all nodes know from the segment on that begins here; one of level 0 is of `generation`, too. */
  raise(generation: Generation): void {
    const { level } = this.nextLevel;
    assert(this.level < level, 'a log’s level is raised to what all nodes know');
    if (this.level === 0) this.setGeneration(generation);
    this.memory.setWord(WORD.LOG_LEVEL, level);
  }

  /** Nothing is known of the log: it has no entries, or none that say anything. Clients go on to be told the generation that they knew. */
  reset(): void {
    const tables = { access: NO_ACCESS, consumers: NO_CONSUMERS };
    const nothing = { trim: NO_TRIM, timeMs: 0, seal: NO_SEAL, level: 0, policy: NO_POLICY, ...tables, nodes: NO_MEMBERS };
    this.setState({ ...nothing, generation: this.generation, sessions: NO_SESSIONS }, NO_ENDS);
    this.setNextLevel(0, 0);
  }

  /** Moves the log's time up to `nowMs`, if that is later and allowed, and writes the payload of an entry that says so at address `at`. Returns its bytes. */
  putTime(at: number, nowMs: number): number {
    this.advance(nowMs);
    writeTime(this.view, at, this.timeMs);
    return TIME_ENTRY_PAYLOAD_BYTES;
  }

  /** The same for a state entry at the log's end. */
  putState(at: number, nowMs: number): number {
    this.advance(nowMs);
    writeState(this.view, at, this.state);
    return stateBytes(this);
  }

  /**
   * Where the first entry is, among those in memory at [at, at + bytes), that no leader writes there: a control entry with another payload than its kind
   * has, or a state entry elsewhere than at the head of a segment. `isHead`: they begin a segment. -1: there is none.
   */
  firstWrong(at: number, bytes: number, isHead: boolean): number {
    const view = this.view;
    let { level } = this;
    for (let next = at; next < at + bytes; next += entryBytesOf(kindSizeAt(view, next))) {
      const kindSize = kindSizeAt(view, next);
      const kind = kindOf(kindSize);
      const mayBeState = isHead && next === at;
      if (kind === KIND_STATE ? !mayBeState : mayBeState && this.level > 0) return next - at;
      if (kind === KIND_STATE) level = readState(view, next + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.level ?? 0;
      if (!this.#isOfLevel(next, level)) return next - at;
    }
    return -1;
  }

  /** Whether the entry at address `at` has a payload that this build knows, and is one that logs of `level` have. */
  #isOfLevel(at: number, level: number): boolean {
    const kindSize = kindSizeAt(this.view, at);
    const kind = kindOf(kindSize);
    if (kind === KIND_CONFIGURATION && level < MEMBERS_LEVEL) return false;
    if (kind === KIND_POSITION && level < CONSUMERS_LEVEL) return false;
    if (kind === KIND_POLICY && payloadBytesOf(kindSize) > POLICY_PAYLOAD_BYTES && level < CONSUMERS_LEVEL) return false;
    if (kind === KIND_SESSION && level < SESSIONS_LEVEL) return false;
    return isWellFormed(this.view, at + ENTRY_HEADER_BYTES, kindSize >>> 24, payloadBytesOf(kindSize));
  }

  /** Whether the entry at address `at` has a payload that this build knows, wherever it stands. */
  isKnown(at: number): boolean {
    return this.#isOfLevel(at, this.level);
  }

  /**
   * Folds the entries at [at, at + bytes) of `view`, by default of memory, which begin at log offset `offset`, the log's end. They are right. Returns
   * where their last data entry ends; undefined: they have none.
   */
  absorb(at: number, bytes: number, offset: number, view = this.view): number | undefined {
    let dataEnd: number | undefined;
    for (let next = at; next < at + bytes; next += entryBytesOf(kindSizeAt(view, next))) {
      const kindSize = kindSizeAt(view, next);
      const kind = kindOf(kindSize);
      const end = offset + (next - at) + entryBytesOf(kindSize);
      if (kind === KIND_DATA) dataEnd = end;
      else if (kind > KIND_NOOP) this.apply(next, end, view);
    }
    return dataEnd;
  }

  /** Folds the control entry at address `at`, which ends at log offset `end`. */
  apply(at: number, end: number, view = this.view): void {
    const kindSize = kindSizeAt(view, at);
    if (kindOf(kindSize) === KIND_POSITION) {
      // There are many of them, so they do without a copy of the state.
      this.#applyPositions(view, at, payloadBytesOf(kindSize), end);
      return;
    }
    if (kindOf(kindSize) === KIND_SESSION) {
      this.#applySession(view, at, kindSize, end);
      return;
    }
    const { state } = this;
    const next = foldControl(state, view, at, kindSize);
    if (kindOf(kindSize) === KIND_STATE) this.#meetState(state, next);
    if (kindOf(kindSize) === KIND_LEVEL) {
      this.setNextLevel(readLevel(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) ?? 0, end);
      return;
    }
    if (kindOf(kindSize) === KIND_SEAL && next === state) {
      this.difference = `its leader sealed a segment out of turn, after ${textOf(state.seal)}: this node passes over it`;
    }
    this.setState(next, {
      trim: next.trim.start === state.trim.start ? this.trimEnd : end,
      policy: isSamePolicy(next.policy, state.policy) ? this.policyEnd : end,
      access: next.access === state.access ? this.accessEnd : end,
      consumers: next.consumers === state.consumers ? this.named.end : end,
    });
    const from = view.byteOffset + at + ENTRY_HEADER_BYTES;
    const isOther = state.level === 0 || state.generation.id !== next.generation.id;
    if (kindOf(kindSize) === KIND_ACCESS && state.level > 0)
      this.#tellAccess(new Uint8Array(view.buffer, from, payloadBytesOf(kindSize)).slice(), false, end);
    // What is not known is told whole, and so is what another generation begins with.
    else if (kindOf(kindSize) === KIND_STATE && isOther) this.#tellAccess(next.access.slice(), true, end);
    if (next.seal.end > state.seal.end) this.onSeal(next.seal, end);
    if (!hasSameNodes(next.nodes, state.nodes)) this.onNodes(next.nodes, end, kindOf(kindSize) === KIND_STATE);
  }

  /** The same as format/controlFold.ts does. */
  #applyPositions(view: DataView, at: number, payloadBytes: number, end: number): void {
    if (this.level < CONSUMERS_LEVEL) return;
    this.named.apply(readConsumerChanges(view, at + ENTRY_HEADER_BYTES, payloadBytes) ?? [], this.timeMs, end);
  }

  /** One comes with each append of a session: nothing else of the state is looked at. */
  #applySession(view: DataView, at: number, kindSize: number, end: number): void {
    if (this.level < SESSIONS_LEVEL) return;
    const change = readSession(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize), isContinued(kindSize));
    if (change !== undefined && this.producers.fold(change, end - entryBytesOf(kindSize), this.timeMs)) return;
    const said = change === undefined ? 'an entry of none' : JSON.stringify(change);
    this.difference = `its leader ordered what does not follow from the sessions of producers before it, ${said}: this node passes over it`;
  }

  #tellAccess(bytes: Uint8Array, isTable: boolean, end: number): void {
    const version = this.accessVersion + 1;
    this.memory.setWord(WORD.ACCESS_VERSION, version);
    this.onAccess({ bytes, isTable, version }, end);
  }

  /**
   * Makes it anew from the entries at [at, at + bytes) of `view`: those of a segment, up to the end of the log. Returns where data ends there, in
   * the segment or before it; undefined: nothing says it.
   */
  remakeFrom(view: DataView, at: number, bytes: number, base: number): number | undefined {
    assert(bytes > 0, 'the state of a log is made anew from entries');
    this.reset();
    const isTold = kindOf(kindSizeAt(view, at)) === KIND_STATE;
    const dataEnd = this.absorb(at, bytes, base, view);
    this.difference = undefined;
    return dataEnd ?? (isTold ? this.toldDataEnd : undefined);
  }

  /** The same from the segment in `slot`, up to log offset `end`. */
  remake(slot: number, end: number): number | undefined {
    const memory = this.memory;
    const base = memory.slotWord(slot, SLOT.BASE);
    const at = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    const dataEnd = this.remakeFrom(this.view, at, end - base, base);
    if (this.level === 0) return dataEnd;
    const head = readState(this.view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSizeAt(this.view, at)));
    memory.setSlotWord(slot, SLOT.FIRST_MS, head?.timeMs ?? 0);
    memory.setSlotWord(slot, SLOT.LAST_MS, this.timeMs);
    return dataEnd;
  }

  /** Makes it what it was before the segment in `slot`, which has entries: by its state entry. */
  remakeHead(slot: number): void {
    const memory = this.memory;
    const at = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    this.reset();
    if (kindOf(kindSizeAt(this.view, at)) === KIND_STATE) this.absorb(at, entryBytesAt(this.view, at), memory.slotWord(slot, SLOT.BASE));
  }

  /** A state entry is a leader's fold at the same place: it must be this node's. Time may have gone on, and a restore makes another generation. */
  #meetState(state: LogState, told: LogState): void {
    assert(told !== state, 'a state entry was looked at before it is folded');
    this.toldDataEnd = told.dataEnd;
    this.difference = this.differenceFrom(told, state) ?? this.difference;
  }

  /** How the state that a leader tells at the log's end differs from `state`, this node's own there; undefined: not at all, or this node knows none. */
  differenceFrom(told: LogState, state = this.state): string | undefined {
    if (state.level === 0) return undefined;
    const isAnother = told.generation.number > state.generation.number;
    const own: LogState = {
      ...state,
      timeMs: Math.max(state.timeMs, told.timeMs),
      // A segment may begin with a newer one.
      level: Math.max(state.level, told.level),
      generation: isAnother ? told.generation : state.generation,
      // Another generation may begin without tokens.
      access: isAnother ? told.access : state.access,
      consumers: isAnother ? told.consumers : state.consumers,
      // It has other nodes.
      nodes: isAnother ? told.nodes : state.nodes,
      // Sessions are of the generation in which they were opened.
      sessions: isAnother ? told.sessions : state.sessions,
    };
    return isSameState(own, told) ? undefined : `by its leader the state of the log is ${textOf(told)}; by this node it is ${textOf(own)}`;
  }
}
