// What the log says of itself at its end, as it stands in shared memory: read by any thread, changed by whoever owns the log's end. Words that others read together are
// changed between two steps of a version.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { fromHex, toHex, viewOf } from '../core/bytes.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { MAX_ACCESS_BYTES, MAX_LOG_OFFSET } from '../core/limits.ts';
import { hasSameNodes, type LogMembers } from '../format/configuration.ts';
import { type Generation, isSamePolicy, type Policy, SEAL_DIGEST_BYTES, type Seal, type TrimEntry } from '../format/controlEntries.ts';
import { type LogState, stateBytes } from '../format/stateEntry.ts';
import { LogConsumers } from './logConsumers.ts';
import { nodesIn, putNodes } from './logNodes.ts';
import { LogSessions } from './logSessions.ts';
import { CONSUMERS, STATE, WORD } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

/** Later than what any clock shows. */
const NO_CLOCK_MS = MAX_LOG_OFFSET;

/** Log offsets at which the entries end that say so; 0: none does. */
export interface StateEnds {
  readonly trim: number;
  readonly policy: number;
  readonly access: number;
  readonly consumers: number;
}

export const NO_ENDS: StateEnds = { trim: 0, policy: 0, access: 0, consumers: 0 };

export class LoggedState {
  protected readonly memory: TailMemory;
  protected readonly view: DataView;
  /** Those of the log at its end. */
  readonly named: LogConsumers;
  /** The sessions of producers. */
  readonly producers: LogSessions;

  constructor(memory: TailMemory) {
    this.memory = memory;
    this.view = viewOf(memory.bytes);
    this.named = new LogConsumers(memory);
    this.producers = new LogSessions(memory);
  }

  /** 0: a log of builds before control entries, or one without entries. */
  get level(): number {
    return this.memory.word(WORD.LOG_LEVEL);
  }

  /** The level that all nodes know, by the log, and the end of the entry that says so; it is {@link level} from the next segment on that says so. */
  get nextLevel(): { readonly level: number; readonly end: number } {
    return { level: this.memory.word(WORD.NEXT_LEVEL), end: this.memory.word(WORD.NEXT_LEVEL_END) };
  }

  /** The log's time, Unix ms; 0 while it has none: a log of level 0, or without entries. */
  get timeMs(): number {
    return this.memory.word(WORD.LOG_TIME);
  }

  get trim(): TrimEntry {
    return { start: this.memory.word(WORD.TRIM_START), dataEnd: this.memory.word(WORD.TRIM_DATA_END) };
  }

  /** Log offset of the end of the entry that trimmed last, so that all from there on know of it; 0 while none did. */
  get trimEnd(): number {
    return this.memory.word(WORD.TRIM_END);
  }

  /** The last segment that the log seals. */
  get seal(): Seal {
    const digest = toHex(this.#sealDigest);
    return { base: this.memory.word(WORD.SEAL_BASE), end: this.memory.word(WORD.SEAL_END), digest };
  }

  get #sealDigest(): Uint8Array {
    return this.memory.bytes.subarray(WORD.SEAL_DIGEST, WORD.SEAL_DIGEST + SEAL_DIGEST_BYTES);
  }

  get policy(): Policy {
    const consumerBytes = this.memory.word(this.memory.map.consumersAt + CONSUMERS.POLICY_BYTES);
    const policy = { bytes: this.memory.word(WORD.POLICY_BYTES), ageMs: this.memory.word(WORD.POLICY_AGE) };
    return consumerBytes === 0 ? policy : { ...policy, consumerBytes };
  }

  /** Log offset of the end of the entry that set the {@link policy} last; 0 while none did, or the log began with it. */
  get policyEnd(): number {
    return this.memory.word(WORD.POLICY_END);
  }

  /** The tokens that the log has at its end, as access.ts has them: a view. */
  get access(): Uint8Array {
    const at = this.memory.map.accessAt;
    return this.memory.bytes.subarray(at, at + this.memory.word(WORD.ACCESS_BYTES));
  }

  /** How many changes of it were told, in this memory, by whichever thread. */
  get accessVersion(): number {
    return this.memory.word(WORD.ACCESS_VERSION);
  }

  /** Log offset of the end of the entry that changed the {@link access} last; 0 while none did, or the log began with it. */
  get accessEnd(): number {
    return this.memory.word(WORD.ACCESS_END);
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
    return nodesIn(this.memory);
  }

  get generation(): Generation {
    return { number: this.memory.word(WORD.GENERATION), id: readInstance(this.view, WORD.GENERATION_ID) };
  }

  /** The state at the log's end. */
  get state(): LogState {
    const { dataEnd, lastEntry } = this.memory;
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
    this.memory.setWord(WORD.TIME_TO, toMs);
    this.memory.setWord(WORD.TIME_FROM, fromMs);
  }

  /** Whether no clock may move the log's time on. */
  get isTimeHeld(): boolean {
    return this.memory.word(WORD.TIME_FROM) === NO_CLOCK_MS;
  }

  /** Whether the log's time is to be moved on to `nowMs`, a clock's, by an entry that comes `afterMs` after it at least. */
  isTimeDue(nowMs: number, afterMs: number): boolean {
    return nowMs - this.timeMs >= afterMs && this.level > 0 && this.#isAllowed(nowMs);
  }

  #isAllowed(nowMs: number): boolean {
    const toMs = this.memory.word(WORD.TIME_TO);
    return toMs === 0 || (nowMs <= toMs && nowMs >= this.memory.word(WORD.TIME_FROM));
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
    const version = this.memory.word32(STATE.STATE_VERSION);
    const found = read();
    return version % 2 === 0 && this.memory.word32(STATE.STATE_VERSION) === version ? found : undefined;
  }

  protected advance(nowMs: number): void {
    if (this.#isAllowed(nowMs)) this.memory.setWord(WORD.LOG_TIME, Math.max(this.timeMs, Math.floor(nowMs)));
  }

  /** Makes it that, and the entries that say so end at `ends`. */
  protected setState(
    { trim, timeMs, seal, level, generation, policy, access, consumers, nodes, sessions }: Omit<LogState, 'dataEnd' | 'before'>,
    ends: StateEnds,
  ): void {
    const memory = this.memory;
    memory.setWord(WORD.LOG_LEVEL, level);
    memory.setWord(WORD.LOG_TIME, timeMs);
    const { start, dataEnd } = this.trim;
    if (trim.start !== start || trim.dataEnd !== dataEnd || ends.trim !== this.trimEnd) this.#putTrim(trim, ends.trim);
    if (seal.end !== this.memory.word(WORD.SEAL_END)) this.#putSeal(seal);
    if (!isSamePolicy(policy, this.policy) || ends.policy !== this.policyEnd) this.putPolicy(policy, ends.policy);
    this.#putAccess(access, ends.access);
    this.named.put(consumers, ends.consumers);
    if (!hasSameNodes(nodes, this.nodes)) this.putTogether(putNodes(this.memory, nodes));
    this.producers.replace(sessions);
    this.setGeneration(generation);
  }

  #putTrim({ start, dataEnd }: TrimEntry, end: number): void {
    this.putTogether([
      [WORD.TRIM_START, start],
      [WORD.TRIM_DATA_END, dataEnd],
      [WORD.TRIM_END, end],
    ]);
  }

  /** Sets words that other threads read together: see {@link settledTrim}. */
  protected putTogether(words: readonly (readonly [number, number])[]): void {
    this.memory.addWord32(STATE.STATE_VERSION, 1);
    for (const [at, value] of words) this.memory.setWord(at, value);
    this.memory.addWord32(STATE.STATE_VERSION, 1);
  }

  #putSeal({ base, end, digest }: Seal): void {
    this.memory.setWord(WORD.SEAL_BASE, base);
    this.memory.setWord(WORD.SEAL_END, end);
    this.#sealDigest.set(fromHex(digest));
  }

  protected putPolicy({ bytes, ageMs, consumerBytes = 0 }: Policy, end: number): void {
    this.putTogether([
      [WORD.POLICY_BYTES, bytes],
      [WORD.POLICY_AGE, ageMs],
      [this.memory.map.consumersAt + CONSUMERS.POLICY_BYTES, consumerBytes],
      [WORD.POLICY_END, end],
    ]);
  }

  #putAccess(access: Uint8Array, end: number): void {
    assert(access.length <= MAX_ACCESS_BYTES, 'the tokens of a log have a bound');
    // What it is already is a view of itself.
    if (access.buffer !== this.memory.bytes.buffer) {
      this.memory.copyIn(access, this.memory.map.accessAt);
      this.memory.setWord(WORD.ACCESS_BYTES, access.length);
    }
    this.memory.setWord(WORD.ACCESS_END, end);
  }

  protected setNextLevel(level: number, end: number): void {
    this.memory.setWord(WORD.NEXT_LEVEL, level);
    this.memory.setWord(WORD.NEXT_LEVEL_END, end);
  }

  protected setGeneration({ number, id }: Generation): void {
    this.memory.setWord(WORD.GENERATION, number);
    writeInstance(this.view, WORD.GENERATION_ID, id);
  }
}
