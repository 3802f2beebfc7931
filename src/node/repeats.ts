// Appends of sessions that are in the log already, sent again by producers that have no receipt for them: each gets the one that it would have had. Where
// they are, the log says: each entry of a session names the one before it, and the table of sessions the last.
//
//   table: last ──► entry of 9 ──► entry of 8 ──► entry of 7          7 is asked for: found; 8 and 9, which come next, are known then
//
// Who asks waits until the entry is committed, as for any append. What was trimmed is done, and its place is not known.

import { ENTRY_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { type ErrorCode, LogError } from '../core/errors.ts';
import { MAX_KNOWN_PLACES, MAX_UNACKNOWLEDGED_APPENDS } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { entryBytesOf, kindSizeAt, payloadBytesOf, termAt } from '../format/entry.ts';
import { readSequence } from '../format/sessions.ts';
import type { Gate } from '../memory/gate.ts';
import type { HotReader } from '../memory/hotReader.ts';
import type { LogFold } from '../memory/logFold.ts';
import type { SessionAppend } from '../memory/logSessions.ts';
import { SLOT, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Appender } from './caller.ts';
import type { Loop } from './loop.ts';
import type { Readings } from './reading.ts';
import type { Segments } from './segments.ts';

/** What was sent again. */
export interface Repeat extends SessionAppend {
  readonly caller: Appender;
  readonly requestId: number;
  /** Of its entries. */
  readonly bytes: number;
  /** Answer at once, not when it is committed. */
  readonly received: boolean;
}

/** Where an append of a session is in the log. */
export interface RepeatPlace {
  readonly term: number;
  readonly first: number;
  readonly end: number;
}

/** An entry of a session, and the one before it. */
interface Known extends RepeatPlace {
  readonly before: number;
}

export interface RepeatPorts {
  readonly memory: TailMemory;
  readonly gate: Gate;
  readonly fold: Pick<LogFold, 'producers'>;
  readonly hot: Pick<HotReader, 'pin' | 'release'>;
  readonly segments: Pick<Segments, 'find'>;
  readonly readings: Pick<Readings, 'readCopy'>;
  readonly loop: Pick<Loop, 'afterTurn'>;
  /** Answers with a receipt; `place` undefined: it is not known any more. */
  acknowledge(repeat: Repeat, place: RepeatPlace | undefined, isCommitted: boolean): void;
  refuse(repeat: Repeat, code: ErrorCode, sentence: string, mayHaveHappened: boolean): void;
  /** Answers were given, outside of a turn of appends. */
  answered(): void;
  broke(thrown: unknown): void;
}

type Found = Known | 'trimmed' | 'forgotten' | { readonly coldAt: number; readonly sequence: number };

const FORGOTTEN =
  'this session is not one of the log’s any more: its producer opened another one, or the log has forgotten it; this append was done in it, at a place that is not known here';

export class Repeats {
  readonly #ports: RepeatPorts;
  /** Places of appends of each session, by sequence. */
  readonly #known = new Map<number, Map<number, Known>>();
  #knownCount = 0;
  /** Those whose places are looked for, by session, in the order in which they came. */
  readonly #looking = new Map<number, Repeat[]>();
  /** Those that are not committed yet, ends ascending. */
  #waiting: { readonly repeat: Repeat; readonly place: RepeatPlace }[] = [];
  #count = 0;
  /** Counts the terms that ended: what was looked for in an earlier one is answered. */
  #ended = 0;

  constructor(ports: RepeatPorts) {
    this.#ports = ports;
  }

  /** How many are not answered. */
  get size(): number {
    return this.#count;
  }

  /** Takes what was sent again, in the gate. */
  take(repeat: Repeat): void {
    this.#count += 1;
    const looking = this.#looking.get(repeat.session);
    if (looking !== undefined) {
      looking.push(repeat);
      return;
    }
    const found = this.#find(repeat);
    if (typeof found === 'string' || 'term' in found) {
      this.#settle(repeat, found);
      return;
    }
    this.#looking.set(repeat.session, [repeat]);
    void this.#look(repeat.session).catch(this.#ports.broke);
  }

  /** The commit is at `commit`: answers what it has reached. */
  committed(commit: number): void {
    const { length } = this.#waiting;
    let reached = 0;
    for (; reached < length; reached += 1) {
      const next = this.#waiting[reached];
      if (next === undefined || next.place.end > commit) break;
      this.#acknowledge(next.repeat, next.place, true);
    }
    if (reached > 0) this.#waiting = this.#waiting.slice(reached);
  }

  /** This node leads no longer in the term in which they came: what is not answered is in its log, and may be taken back. */
  giveUp(sentence: string): void {
    this.#ended += 1;
    const all = [...this.#waiting.map(({ repeat }) => repeat), ...[...this.#looking.values()].flat()];
    this.#waiting = [];
    this.#looking.clear();
    this.#known.clear();
    this.#knownCount = 0;
    for (const repeat of all) this.#refuse(repeat, 'NOT_LEADER', sentence, true);
  }

  #refuse(repeat: Repeat, code: ErrorCode, sentence: string, mayHaveHappened: boolean): void {
    this.#count -= 1;
    this.#ports.refuse(repeat, code, sentence, mayHaveHappened);
  }

  #acknowledge(repeat: Repeat, place: RepeatPlace | undefined, isCommitted: boolean): void {
    this.#count -= 1;
    this.#ports.acknowledge(repeat, place, isCommitted);
  }

  #settle(repeat: Repeat, found: Known | 'trimmed' | 'forgotten'): void {
    if (found === 'trimmed') {
      this.#acknowledge(repeat, undefined, true);
    } else if (found === 'forgotten') {
      this.#refuse(repeat, 'UNKNOWN_SESSION', FORGOTTEN, true);
    } else if (found.end - found.first !== repeat.bytes) {
      const had = `append ${repeat.sequence} of this session had ${found.end - found.first} bytes of entries, not ${repeat.bytes}`;
      this.#refuse(repeat, 'MALFORMED', `${had}: a sequence belongs to its entries for ever; nothing was appended`, false);
    } else if (found.end <= this.#ports.memory.commit) {
      this.#acknowledge(repeat, found, true);
    } else if (repeat.received) {
      this.#acknowledge(repeat, found, false);
    } else {
      let at = this.#waiting.length;
      while (at > 0 && (this.#waiting[at - 1]?.place.end ?? 0) > found.end) at -= 1;
      this.#waiting.splice(at, 0, { repeat, place: found });
    }
  }

  /** Looks for all of a session that wait for their places, where those are on the disk. */
  async #look(session: number): Promise<void> {
    const { gate, loop } = this.#ports;
    const ended = this.#ended;
    const turn = (): Promise<void> => new Promise((resolve) => loop.afterTurn(resolve));
    // Not in the gate, in which it came.
    await turn();
    for (;;) {
      const repeat = this.#looking.get(session)?.[0];
      if (repeat === undefined || this.#ended !== ended) break;
      if (!gate.enter()) {
        // The office changes hands, or a commit is being noted.
        await turn();
        continue;
      }
      const found = this.#findInside(repeat);
      if (typeof found === 'string' || 'term' in found) {
        this.#looking.get(session)?.shift();
        this.#settle(repeat, found);
      } else if (!(await this.#readCold(repeat, found, ended))) {
        this.#looking.get(session)?.shift();
        if (this.#ended === ended) this.#refuse(repeat, 'OVERLOADED', 'the place of this append could not be read: send it again', true);
      }
    }
    if (this.#ended === ended) this.#looking.delete(session);
    this.#ports.answered();
  }

  /** Leaves the gate. */
  #findInside(repeat: Repeat): Found {
    try {
      return this.#find(repeat);
    } finally {
      this.#ports.gate.leave();
    }
  }

  /** Goes back from the session's last entry, as far as that is in memory or known. */
  #find({ session, sequence: wanted }: Repeat): Found {
    const last = this.#ports.fold.producers.lastOf(session);
    if (last === undefined || wanted > last.sequence) return 'forgotten';
    // A producer has no more than so many that are not answered.
    if (last.sequence - wanted >= MAX_UNACKNOWLEDGED_APPENDS) return 'trimmed';
    const known = this.#knownOf(session);
    const there = known.get(wanted);
    if (there !== undefined) return there;
    let { sequence, last: at } = last;
    for (;;) {
      const entry = known.get(sequence) ?? this.#read(session, sequence, at);
      if (entry === 'trimmed') return 'trimmed';
      if (entry === undefined) return { coldAt: at, sequence };
      this.#note(known, sequence, entry);
      if (sequence === wanted) return entry;
      sequence -= 1;
      at = entry.before;
    }
  }

  #knownOf(session: number): Map<number, Known> {
    if (this.#knownCount > MAX_KNOWN_PLACES) {
      this.#known.clear();
      this.#knownCount = 0;
    }
    let known = this.#known.get(session);
    if (known === undefined) {
      known = new Map();
      this.#known.set(session, known);
    }
    return known;
  }

  #note(known: Map<number, Known>, sequence: number, entry: Known): void {
    if (known.has(sequence)) return;
    known.set(sequence, entry);
    this.#knownCount += 1;
  }

  /** The session's entry at log offset `at`; undefined: it is on the disk only. */
  #read(session: number, sequence: number, at: number): Known | 'trimmed' | undefined {
    const { memory, hot } = this.#ports;
    if (at < memory.word(WORD.START)) return 'trimmed';
    const slot = hot.pin(at);
    if (slot < 0) return undefined;
    const position = positionOf(at, memory.slotWord(slot, SLOT.BASE));
    const entry = entryIn(viewOf(memory.bytes), memory.map.slotAt(slot) + position, at, session, sequence);
    hot.release(slot);
    return entry;
  }

  /** Reads one entry from the disk. False: that cannot be done now. */
  async #readCold(
    { session, caller }: Repeat,
    { coldAt: at, sequence }: { coldAt: number; sequence: number },
    ended: number,
  ): Promise<boolean> {
    const { segments, readings } = this.#ports;
    const segment = segments.find(at);
    if (segment === undefined) return false;
    const { base, end } = segment;
    try {
      const range = { base, from: at, isBoundary: true, limit: end, maxBytes: 0 };
      const { bytes } = await readings.readCopy(range, { from: at, to: end }, () => caller.isClosed || this.#ended !== ended);
      if (this.#ended !== ended) return false;
      this.#note(this.#knownOf(session), sequence, entryIn(viewOf(bytes), 0, at, session, sequence));
      return true;
    } catch (thrown) {
      if (thrown instanceof LogError) return false;
      throw thrown;
    }
  }
}

/** The entry of `session` at byte `at` of `view`, which is at log offset `offset`: what is there is verified. */
function entryIn(view: DataView, at: number, offset: number, session: number, sequence: number): Known {
  const kindSize = kindSizeAt(view, at);
  const found = readSequence(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize));
  assert(found !== undefined && found.session === session && found.sequence === sequence, 'the entries of a session name the one before');
  const first = offset + entryBytesOf(kindSize);
  return { term: termAt(view, at), first, end: first + found.bytes, before: found.before };
}
