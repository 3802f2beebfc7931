// The state of the log at its end, folded from its control entries: in shared memory, so that it is handed over with the log's end. Whoever
// owns the log's end changes it, and only as it puts a control entry there; it is made anew where the log's end is found or moved back. What
// follows from a trim waits until the entry is committed; that is the business of others.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_OVERHEAD_BYTES,
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
import { fromHex, toHex, viewOf } from '../core/bytes.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { CONSUMERS_LEVEL, LOG_LEVEL, MEMBERS_LEVEL, SESSIONS_LEVEL } from '../core/levels.ts';
import { MAX_ACCESS_BYTES, MAX_LOG_OFFSET } from '../core/limits.ts';
import type { Configuration } from '../core/members.ts';
import { NO_ACCESS, tokensIn } from '../format/access.ts';
import { hasSameNodes, type LogMembers, NO_MEMBERS } from '../format/configuration.ts';
import { consumersIn, NO_CONSUMERS, readConsumerChanges } from '../format/consumers.ts';
import {
  type Generation,
  isSamePolicy,
  isSameState,
  isWellFormed,
  type LogState,
  NO_POLICY,
  NO_SEAL,
  NO_TRIM,
  POLICY_PAYLOAD_BYTES,
  type Policy,
  readLevel,
  readState,
  SEAL_DIGEST_BYTES,
  type Seal,
  stateBytes,
  type TrimEntry,
  writeState,
  writeTime,
} from '../format/controlEntries.ts';
import { foldControl } from '../format/controlFold.ts';
import { entryBytesAt, entryBytesOf, isContinued, kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { NO_SESSIONS, readSession, sessionsIn } from '../format/sessions.ts';
import { LogConsumers } from './logConsumers.ts';
import { nodesIn, putNodes } from './logNodes.ts';
import { LogSessions } from './logSessions.ts';
import { CONSUMERS, SLOT, STATE, WORD } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

const TIME_ENTRY_PAYLOAD_BYTES = 8;
/** Later than what any clock shows. */
const NO_CLOCK_MS = MAX_LOG_OFFSET;

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

/** Log offsets at which the entries end that say so; 0: none does. */
interface Ends {
  readonly trim: number;
  readonly policy: number;
  readonly access: number;
  readonly consumers: number;
}

const NO_ENDS: Ends = { trim: 0, policy: 0, access: 0, consumers: 0 };

export class LogFold {
  readonly #memory: TailMemory;
  readonly #view: DataView;
  /** Those of the log at its end. */
  readonly named: LogConsumers;
  /** The sessions of producers. */
  readonly producers: LogSessions;
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

  constructor(memory: TailMemory) {
    this.#memory = memory;
    this.#view = viewOf(memory.bytes);
    this.named = new LogConsumers(memory);
    this.producers = new LogSessions(memory);
  }

  /** 0: a log of builds before control entries, or one without entries. */
  get level(): number {
    return this.#memory.word(WORD.LOG_LEVEL);
  }

  /** The level that all nodes know, by the log, and the end of the entry that says so; it is {@link level} from the next segment on that says so. */
  get nextLevel(): { readonly level: number; readonly end: number } {
    return { level: this.#memory.word(WORD.NEXT_LEVEL), end: this.#memory.word(WORD.NEXT_LEVEL_END) };
  }

  /** The log's time, Unix ms; 0 while it has none: a log of level 0, or without entries. */
  get timeMs(): number {
    return this.#memory.word(WORD.LOG_TIME);
  }

  get trim(): TrimEntry {
    return { start: this.#memory.word(WORD.TRIM_START), dataEnd: this.#memory.word(WORD.TRIM_DATA_END) };
  }

  /** Log offset of the end of the entry that trimmed last, so that all from there on know of it; 0 while none did. */
  get trimEnd(): number {
    return this.#memory.word(WORD.TRIM_END);
  }

  /** The last segment that the log seals. */
  get seal(): Seal {
    const digest = toHex(this.#sealDigest);
    return { base: this.#memory.word(WORD.SEAL_BASE), end: this.#memory.word(WORD.SEAL_END), digest };
  }

  get #sealDigest(): Uint8Array {
    return this.#memory.bytes.subarray(WORD.SEAL_DIGEST, WORD.SEAL_DIGEST + SEAL_DIGEST_BYTES);
  }

  get policy(): Policy {
    const consumerBytes = this.#memory.word(this.#memory.map.consumersAt + CONSUMERS.POLICY_BYTES);
    const policy = { bytes: this.#memory.word(WORD.POLICY_BYTES), ageMs: this.#memory.word(WORD.POLICY_AGE) };
    return consumerBytes === 0 ? policy : { ...policy, consumerBytes };
  }

  /** Log offset of the end of the entry that set the {@link policy} last; 0 while none did, or the log began with it. */
  get policyEnd(): number {
    return this.#memory.word(WORD.POLICY_END);
  }

  /** The tokens that the log has at its end, as access.ts has them: a view. */
  get access(): Uint8Array {
    const at = this.#memory.map.accessAt;
    return this.#memory.bytes.subarray(at, at + this.#memory.word(WORD.ACCESS_BYTES));
  }

  /** How many changes of it were told, in this memory, by whichever thread. */
  get accessVersion(): number {
    return this.#memory.word(WORD.ACCESS_VERSION);
  }

  /** Log offset of the end of the entry that changed the {@link access} last; 0 while none did, or the log began with it. */
  get accessEnd(): number {
    return this.#memory.word(WORD.ACCESS_END);
  }

  /** The named consumers that the log has at its end, as consumers.ts has them: a view. */
  get consumers(): Uint8Array {
    return this.named.table;
  }

  /** The sessions of producers that the log has at its end, as sessions.ts has them: a view. */
  get sessions(): Uint8Array {
    return this.producers.table;
  }

  /** The nodes that the log says at its end. */
  get nodes(): LogMembers {
    return nodesIn(this.#memory);
  }

  get generation(): Generation {
    return { number: this.#memory.word(WORD.GENERATION), id: readInstance(this.#view, WORD.GENERATION_ID) };
  }

  /** The state at the log's end. */
  get state(): LogState {
    const { dataEnd, lastEntry } = this.#memory;
    const { trim, timeMs, seal, level, generation, policy, access, consumers, nodes, sessions } = this;
    return { dataEnd, before: lastEntry, trim, timeMs, seal, level, generation, policy, access, consumers, nodes, sessions };
  }

  /** Bytes of a state entry at the log's end. */
  get stateEntryBytes(): number {
    return ENTRY_OVERHEAD_BYTES + stateBytes(this);
  }

  /** Lets the log's time be moved on by clocks that show so much, both ends among it; undefined: by none. Before this was called, by any. */
  allowTimes(range: { readonly fromMs: number; readonly toMs: number } | undefined): void {
    const fromMs = range === undefined ? NO_CLOCK_MS : Math.max(0, Math.ceil(range.fromMs));
    const toMs = range === undefined ? 1 : Math.max(1, Math.min(MAX_LOG_OFFSET, Math.floor(range.toMs)));
    // None is allowed by the first of the two where none was before.
    this.#memory.setWord(WORD.TIME_TO, toMs);
    this.#memory.setWord(WORD.TIME_FROM, fromMs);
  }

  /** Whether no clock may move the log's time on. */
  get isTimeHeld(): boolean {
    return this.#memory.word(WORD.TIME_FROM) === NO_CLOCK_MS;
  }

  /** Whether the log's time is to be moved on to `nowMs`, a clock's, by an entry that comes `afterMs` after it at least. */
  isTimeDue(nowMs: number, afterMs: number): boolean {
    return nowMs - this.timeMs >= afterMs && this.level > 0 && this.#isAllowed(nowMs);
  }

  #isAllowed(nowMs: number): boolean {
    const toMs = this.#memory.word(WORD.TIME_TO);
    return toMs === 0 || (nowMs <= toMs && nowMs >= this.#memory.word(WORD.TIME_FROM));
  }

  /** A new log begins, at the newest level that its nodes may have, with this policy, and with the set of its nodes, where that is known already. */
  found(generation: Generation, policy: Policy = NO_POLICY, level = LOG_LEVEL, members: Configuration = []): void {
    assert(this.level === 0 && this.#memory.tail === 0, 'a log is founded once, empty');
    assert(members.length === 0 || level >= MEMBERS_LEVEL, 'only a log of that level says which nodes it has');
    this.#memory.setWord(WORD.LOG_LEVEL, level);
    this.#setGeneration(generation);
    this.#putPolicy(policy, 0);
    this.#putTogether(putNodes(this.#memory, { members, removed: [] }));
  }

  /** The log is of the level that all nodes know from the segment on that begins here; one of level 0 is of `generation`, too. */
  raise(generation: Generation): void {
    const { level } = this.nextLevel;
    assert(this.level < level, 'a log’s level is raised to what all nodes know');
    if (this.level === 0) this.#setGeneration(generation);
    this.#memory.setWord(WORD.LOG_LEVEL, level);
  }

  /**
   * The last trim and {@link trimEnd}, of one moment, for a thread that is not the owner of the log's end; undefined while they are being changed: look again
   * in a moment.
   */
  get settledTrim(): (TrimEntry & { readonly end: number }) | undefined {
    return this.#ofOneMoment(() => ({ ...this.trim, end: this.trimEnd }));
  }

  /** The policy, and where the entry ends that says so: as {@link settledTrim}. */
  get settledPolicy(): (Policy & { readonly end: number }) | undefined {
    return this.#ofOneMoment(() => ({ ...this.policy, end: this.policyEnd }));
  }

  #ofOneMoment<Found>(read: () => Found): Found | undefined {
    const version = this.#memory.word32(STATE.STATE_VERSION);
    const found = read();
    return version % 2 === 0 && this.#memory.word32(STATE.STATE_VERSION) === version ? found : undefined;
  }

  /** Nothing is known of the log: it has no entries, or none that say anything. Clients go on to be told the generation that they knew. */
  reset(): void {
    const tables = { access: NO_ACCESS, consumers: NO_CONSUMERS };
    const nothing = { trim: NO_TRIM, timeMs: 0, seal: NO_SEAL, level: 0, policy: NO_POLICY, ...tables, nodes: NO_MEMBERS };
    this.#set({ ...nothing, generation: this.generation, sessions: NO_SESSIONS }, NO_ENDS);
    this.#setNextLevel(0, 0);
  }

  /** Moves the log's time up to `nowMs`, if that is later and allowed, and writes the payload of an entry that says so at address `at`. Returns its bytes. */
  putTime(at: number, nowMs: number): number {
    this.#advance(nowMs);
    writeTime(this.#view, at, this.timeMs);
    return TIME_ENTRY_PAYLOAD_BYTES;
  }

  /** The same for a state entry at the log's end. */
  putState(at: number, nowMs: number): number {
    this.#advance(nowMs);
    writeState(this.#view, at, this.state);
    return stateBytes(this);
  }

  #advance(nowMs: number): void {
    if (this.#isAllowed(nowMs)) this.#memory.setWord(WORD.LOG_TIME, Math.max(this.timeMs, Math.floor(nowMs)));
  }

  /**
   * Where the first entry is, among those in memory at [at, at + bytes), that no leader writes there: a control entry with another payload than its kind
   * has, or a state entry elsewhere than at the head of a segment. `isHead`: they begin a segment. -1: there is none.
   */
  firstWrong(at: number, bytes: number, isHead: boolean): number {
    const view = this.#view;
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
    const kindSize = kindSizeAt(this.#view, at);
    const kind = kindOf(kindSize);
    if (kind === KIND_CONFIGURATION && level < MEMBERS_LEVEL) return false;
    if (kind === KIND_POSITION && level < CONSUMERS_LEVEL) return false;
    if (kind === KIND_POLICY && payloadBytesOf(kindSize) > POLICY_PAYLOAD_BYTES && level < CONSUMERS_LEVEL) return false;
    if (kind === KIND_SESSION && level < SESSIONS_LEVEL) return false;
    return isWellFormed(this.#view, at + ENTRY_HEADER_BYTES, kindSize >>> 24, payloadBytesOf(kindSize));
  }

  /** Whether the entry at address `at` has a payload that this build knows, wherever it stands. */
  isKnown(at: number): boolean {
    return this.#isOfLevel(at, this.level);
  }

  /**
   * Folds the entries at [at, at + bytes) of `view`, by default of memory, which begin at log offset `offset`, the log's end. They are right. Returns
   * where their last data entry ends; undefined: they have none.
   */
  absorb(at: number, bytes: number, offset: number, view = this.#view): number | undefined {
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
  apply(at: number, end: number, view = this.#view): void {
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
      this.#setNextLevel(readLevel(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) ?? 0, end);
      return;
    }
    if (kindOf(kindSize) === KIND_SEAL && next === state) {
      this.difference = `its leader sealed a segment out of turn, after ${textOf(state.seal)}: this node passes over it`;
    }
    this.#set(next, {
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
    this.#memory.setWord(WORD.ACCESS_VERSION, version);
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
    const memory = this.#memory;
    const base = memory.slotWord(slot, SLOT.BASE);
    const at = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    const dataEnd = this.remakeFrom(this.#view, at, end - base, base);
    if (this.level === 0) return dataEnd;
    const head = readState(this.#view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSizeAt(this.#view, at)));
    memory.setSlotWord(slot, SLOT.FIRST_MS, head?.timeMs ?? 0);
    memory.setSlotWord(slot, SLOT.LAST_MS, this.timeMs);
    return dataEnd;
  }

  /** Makes it what it was before the segment in `slot`, which has entries: by its state entry. */
  remakeHead(slot: number): void {
    const memory = this.#memory;
    const at = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    this.reset();
    if (kindOf(kindSizeAt(this.#view, at)) === KIND_STATE) this.absorb(at, entryBytesAt(this.#view, at), memory.slotWord(slot, SLOT.BASE));
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

  #set(
    { trim, timeMs, seal, level, generation, policy, access, consumers, nodes, sessions }: Omit<LogState, 'dataEnd' | 'before'>,
    ends: Ends,
  ): void {
    const memory = this.#memory;
    memory.setWord(WORD.LOG_LEVEL, level);
    memory.setWord(WORD.LOG_TIME, timeMs);
    const { start, dataEnd } = this.trim;
    if (trim.start !== start || trim.dataEnd !== dataEnd || ends.trim !== this.trimEnd) this.#putTrim(trim, ends.trim);
    if (seal.end !== this.#memory.word(WORD.SEAL_END)) this.#putSeal(seal);
    if (!isSamePolicy(policy, this.policy) || ends.policy !== this.policyEnd) this.#putPolicy(policy, ends.policy);
    this.#putAccess(access, ends.access);
    this.named.put(consumers, ends.consumers);
    if (!hasSameNodes(nodes, this.nodes)) this.#putTogether(putNodes(this.#memory, nodes));
    this.producers.replace(sessions);
    this.#setGeneration(generation);
  }

  #putTrim({ start, dataEnd }: TrimEntry, end: number): void {
    this.#putTogether([
      [WORD.TRIM_START, start],
      [WORD.TRIM_DATA_END, dataEnd],
      [WORD.TRIM_END, end],
    ]);
  }

  /** Sets words that other threads read together: see {@link settledTrim}. */
  #putTogether(words: readonly (readonly [number, number])[]): void {
    this.#memory.addWord32(STATE.STATE_VERSION, 1);
    for (const [at, value] of words) this.#memory.setWord(at, value);
    this.#memory.addWord32(STATE.STATE_VERSION, 1);
  }

  #putSeal({ base, end, digest }: Seal): void {
    this.#memory.setWord(WORD.SEAL_BASE, base);
    this.#memory.setWord(WORD.SEAL_END, end);
    this.#sealDigest.set(fromHex(digest));
  }

  #putPolicy({ bytes, ageMs, consumerBytes = 0 }: Policy, end: number): void {
    this.#putTogether([
      [WORD.POLICY_BYTES, bytes],
      [WORD.POLICY_AGE, ageMs],
      [this.#memory.map.consumersAt + CONSUMERS.POLICY_BYTES, consumerBytes],
      [WORD.POLICY_END, end],
    ]);
  }

  #putAccess(access: Uint8Array, end: number): void {
    assert(access.length <= MAX_ACCESS_BYTES, 'the tokens of a log have a bound');
    // What it is already is a view of itself.
    if (access.buffer !== this.#memory.bytes.buffer) {
      this.#memory.copyIn(access, this.#memory.map.accessAt);
      this.#memory.setWord(WORD.ACCESS_BYTES, access.length);
    }
    this.#memory.setWord(WORD.ACCESS_END, end);
  }

  #setNextLevel(level: number, end: number): void {
    this.#memory.setWord(WORD.NEXT_LEVEL, level);
    this.#memory.setWord(WORD.NEXT_LEVEL_END, end);
  }

  #setGeneration({ number, id }: Generation): void {
    this.#memory.setWord(WORD.GENERATION, number);
    writeInstance(this.#view, WORD.GENERATION_ID, id);
  }
}
