// Appends of sessions that are in the log already, sent again by producers that have no receipt for them: each gets the one that it would have had. Where
// they are, the log says: each entry of a session names the one before it, and the table of sessions the last.
//
//   table: last ──► entry of 9 ──► entry of 8 ──► entry of 7          7 is asked for: found; 8 and 9, which come next, are known then
//
// Who asks waits until the entry is committed, as for any append. What was trimmed is done, and its place is not known; nor is it of what has too many of its
// session's appends after it, which is done once the last of those is committed. All of it is of one term: what was found is what the log has as long as this
// node leads in it.

import { ENTRY_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { type ErrorCode, LogError } from '../core/errors.ts';
import { MAX_KNOWN_PLACES, MAX_SESSION_LOOKS } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { MAX_UNACKNOWLEDGED_APPENDS } from '../core/servingLimits.ts';
import { entryBytesOf, kindSizeAt, payloadBytesOf, termAt } from '../format/entry.ts';
import { readSequence } from '../format/sessions.ts';
import type { Gate } from '../memory/gate.ts';
import type { HotReader } from '../memory/hotReader.ts';
import type { LogSessions, SessionAppend } from '../memory/logSessions.ts';
import { SLOT, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment } from '../storage/context.ts';
import type { Appender } from './caller.ts';
import type { DiskReads } from './diskReads.ts';
import type { Loop } from './loop.ts';

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
  readonly gate: Pick<Gate, 'enter' | 'leave'>;
  readonly fold: { readonly producers: Pick<LogSessions, 'lastOf'> };
  readonly hot: Pick<HotReader, 'pin' | 'release'>;
  readonly segments: { find(offset: number): Pick<SealedSegment, 'base' | 'end'> | undefined };
  readonly diskReads: Pick<DiskReads, 'readCopy'>;
  readonly loop: Pick<Loop, 'afterTurn'>;
  /** Answers with a receipt; `place` undefined: it is not known any more. */
  acknowledge(repeat: Repeat, place: RepeatPlace | undefined, isCommitted: boolean): void;
  refuse(repeat: Repeat, code: ErrorCode, sentence: string, mayHaveHappened: boolean): void;
  /** Answers were given, outside of a turn of appends. */
  answered(): void;
  broke(thrown: unknown): void;
}

/** What is in the log at a place that is not known: it is done when all before `by` is committed. */
interface Placeless {
  readonly by: number;
}

/** What was trimmed was committed. */
const TRIMMED: Placeless = { by: 0 };

/** The entry of the session's append `sequence`, which is on the disk only. */
interface Cold {
  readonly coldAt: number;
  readonly sequence: number;
}

type Settled = Known | Placeless | 'forgotten';
type Found = Settled | Cold;

const isSettled = (found: Found): found is Settled => typeof found === 'string' || !('coldAt' in found);

/** What waits for the commit. */
interface Waiting {
  readonly repeat: Repeat;
  /** Undefined: it is not known. */
  readonly place: RepeatPlace | undefined;
  /** It is answered when all before this is committed. */
  readonly by: number;
}

const FORGOTTEN =
  'this session is not one of the log’s any more: its producer opened another one, or the log has forgotten it; this append was done in it, at a place that is not known here';

export class Repeats {
  readonly #ports: RepeatPorts;
  /** Places of appends of each session, by sequence. */
  readonly #known = new Map<number, Map<number, Known>>();
  #knownCount = 0;
  /** Those whose places are looked for, by session, in the order in which they came. */
  readonly #looking = new Map<number, Repeat[]>();
  /** Sessions of those whose turn has not come: each reads the disk. */
  #queue: number[] = [];
  #looks = 0;
  /** Those that are not committed yet, in the order in which they will be. */
  #waiting: Waiting[] = [];
  #count = 0;
  /** All that ever came. */
  taken = 0;
  /** The leader's in which they came. */
  #term = 0;
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
    this.taken += 1;
    this.#term = this.#ports.memory.word(WORD.OPEN_TERM);
    const looking = this.#looking.get(repeat.session);
    if (looking !== undefined) {
      looking.push(repeat);
      return;
    }
    const found = this.#find(repeat, this.#knownOf(repeat.session));
    if (isSettled(found)) {
      this.#settle(repeat, found, this.#ports.memory.commit);
      return;
    }
    this.#looking.set(repeat.session, [repeat]);
    this.#queue.push(repeat.session);
    this.#beginLooks();
  }

  /** Begins to look for those whose turn it is. */
  #beginLooks(): void {
    while (this.#looks < MAX_SESSION_LOOKS) {
      const session = this.#queue.shift();
      if (session === undefined) return;
      this.#looks += 1;
      this.#look(session)
        .finally(() => {
          this.#looks -= 1;
          this.#beginLooks();
        })
        .catch(this.#ports.broke);
    }
  }

  /** The commit is at `commit`: answers what it has reached. */
  committed(commit: number): void {
    const { length } = this.#waiting;
    let reached = 0;
    for (; reached < length; reached += 1) {
      const next = this.#waiting[reached];
      if (next === undefined || next.by > commit) break;
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
    this.#queue = [];
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

  /** `commit`: where the log was committed to when it was found. */
  #settle(repeat: Repeat, found: Settled, commit: number): void {
    if (found === 'forgotten') {
      this.#refuse(repeat, 'UNKNOWN_SESSION', FORGOTTEN, true);
      return;
    }
    const place = 'by' in found ? undefined : found;
    const by = 'by' in found ? found.by : found.end;
    const bytes = place === undefined ? repeat.bytes : place.end - place.first;
    if (bytes !== repeat.bytes) {
      const had = `append ${repeat.sequence} of this session had ${bytes} bytes of entries, not ${repeat.bytes}`;
      this.#refuse(repeat, 'MALFORMED', `${had}: a sequence belongs to its entries for ever; nothing was appended`, false);
    } else if (by <= commit) {
      this.#acknowledge(repeat, place, true);
    } else if (repeat.received && place !== undefined) {
      this.#acknowledge(repeat, place, false);
    } else {
      let at = this.#waiting.length;
      while (at > 0 && (this.#waiting[at - 1]?.by ?? 0) > by) at -= 1;
      this.#waiting.splice(at, 0, { repeat, place, by });
    }
  }

  /** Whether this node leads no longer in the term in which they came: {@link giveUp} comes, and what is found now may be of another log. */
  #isOver(ended: number): boolean {
    return this.#ended !== ended || this.#ports.memory.word(WORD.OPEN_TERM) !== this.#term;
  }

  /** Looks for all of a session that wait for their places, where those are on the disk. */
  async #look(session: number): Promise<void> {
    const { gate, loop, memory } = this.#ports;
    const ended = this.#ended;
    // Its own, also when others are forgotten: else many that look at once would have each other begin anew for ever.
    const known = this.#knownOf(session);
    const turn = (): Promise<void> => new Promise((resolve) => loop.afterTurn(resolve));
    let from: Cold | undefined;
    // Not in the gate, in which it came.
    await turn();
    for (;;) {
      const repeat = this.#looking.get(session)?.[0];
      if (repeat === undefined || this.#isOver(ended)) break;
      if (!gate.enter()) {
        // The office changes hands, or a commit is being noted.
        await turn();
        continue;
      }
      let found: Found;
      let commit: number;
      try {
        // The gate may have been opened in another term.
        if (this.#isOver(ended)) break;
        found = this.#find(repeat, known, from);
        commit = memory.commit;
      } finally {
        gate.leave();
      }
      if (isSettled(found)) {
        this.#looking.get(session)?.shift();
        this.#settle(repeat, found, commit);
        continue;
      }
      from = found;
      if (await this.#readCold(repeat, found, known, ended)) continue;
      if (this.#isOver(ended)) break;
      this.#looking.get(session)?.shift();
      this.#refuse(repeat, 'OVERLOADED', 'the place of this append could not be read: send it again', true);
    }
    // What is left is answered by giveUp, or was.
    if (this.#looking.get(session)?.length === 0) this.#looking.delete(session);
    this.#ports.answered();
  }

  /** Goes back from the session's last entry, or `from` one that it got to before, as far as that is in memory or known. */
  #find({ session, sequence: wanted }: Repeat, known: Map<number, Known>, from?: Cold): Found {
    const last = this.#ports.fold.producers.lastOf(session);
    if (last === undefined || wanted > last.sequence) return 'forgotten';
    const there = known.get(wanted);
    if (there !== undefined) return there;
    // A producer has no more than so many that are not answered.
    if (last.sequence - wanted >= MAX_UNACKNOWLEDGED_APPENDS) return { by: last.last + 1 };
    const isAfter = from !== undefined && wanted <= from.sequence;
    let sequence = isAfter ? from.sequence : last.sequence;
    let at = isAfter ? from.coldAt : last.last;
    for (;;) {
      const entry = known.get(sequence) ?? this.#read(session, sequence, at);
      if (entry === 'trimmed') return TRIMMED;
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
  async #readCold({ session, caller }: Repeat, { coldAt: at, sequence }: Cold, known: Map<number, Known>, ended: number): Promise<boolean> {
    const { segments, diskReads } = this.#ports;
    const segment = segments.find(at);
    if (segment === undefined) return false;
    const { base, end } = segment;
    try {
      const range = { base, from: at, isBoundary: true, limit: end, maxBytes: 0 };
      const { bytes } = await diskReads.readCopy(range, { from: at, to: end }, () => caller.isClosed || this.#isOver(ended));
      // After the read: where the log was cut, something else may have been there.
      if (this.#isOver(ended)) return false;
      this.#note(known, sequence, entryIn(viewOf(bytes), 0, at, session, sequence));
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
