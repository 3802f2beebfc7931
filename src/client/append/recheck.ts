// What became of conditional appends that may have been done? The committed log decides. The leader that orders an append of expected end
// E has no data at or after E, and committed logs are beginnings of leaders' logs; so if it is ever committed, it is the first data entry
// at or after E, and a chain that began at E is there link by link, up to some link. Another data entry there: never. None: not decided,
// and sending it again is safe.
//
//   log:  … data │E  no-op  ├ own ┤├ own ┤  no-op  ├ another's ┤ …        two are done, the third never will be
//
// Own entries are known by kind, size, payload and whether their batch goes on, and by the term when only one will do.

import { viewOf } from '../../core/bytes.ts';
import { LogError } from '../../core/errors.ts';
import { entryBytesOf, isContinued, isData, kindSizeAt, payloadAt, termAt } from '../../format/entry.ts';
import { LEVEL_COMMITTED, LEVEL_VOLATILE, type Receipt as WireReceipt } from '../../protocol/client.ts';
import { withDeadline } from '../deadline.ts';
import { asSentence } from '../describe.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import { walk } from '../read/walk.ts';
import type { Workspace } from '../wasm.ts';
import type { Message } from './message.ts';

export interface Question {
  /** The payloads of own appends, in order; each append is one batch. */
  readonly appends: readonly (readonly Uint8Array[])[];
  /** The expected end of the first of them. */
  readonly expectedEnd: number;
  /** The only term in which they may have been done; 0: any. */
  readonly expectedTerm: number;
  /** Longest time for the answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** Where one append is in the log: [offset, end). */
export interface Place {
  readonly term: number;
  readonly offset: number;
  readonly end: number;
  /** Of each of its entries. */
  readonly offsets: readonly number[];
}

export interface Finding {
  /** Where the first of the appends are. */
  readonly places: readonly Place[];
  /** The next one after those can never be there: another data entry has its place. */
  readonly isTaken: boolean;
  /** How far the log was committed, which counts everything that was acknowledged before the question. */
  readonly end: number;
  /** That answer is of this term or a later one: everything of earlier terms that is committed, ever, is before `end`. */
  readonly atTerm: number;
}

/** Compares the log's data entries with own appends, one after the other. */
class Matcher {
  readonly places: Place[] = [];
  isTaken = false;
  readonly #question: Question;
  /** Of the append that is being compared. */
  #offsets: number[] = [];

  constructor(question: Question) {
    this.#question = question;
  }

  /** All is found, or nothing more can be. */
  get isOver(): boolean {
    return this.isTaken || this.places.length === this.#question.appends.length;
  }

  /** Takes whole entries that begin at log offset `base`, the ones after those of the last call. */
  take(bytes: Uint8Array, base: number): void {
    const view = viewOf(bytes);
    for (let at = 0; at < bytes.length && !this.isOver; ) {
      const kindSize = kindSizeAt(view, at);
      const end = at + entryBytesOf(kindSize);
      if (isData(kindSize) && base + end > this.#question.expectedEnd) {
        this.#compare(payloadAt(bytes, at, kindSize), isContinued(kindSize), base + at, termAt(view, at), base + end);
      }
      at = end;
    }
  }

  #compare(payload: Uint8Array, isContinued: boolean, offset: number, term: number, end: number): void {
    const { appends, expectedEnd, expectedTerm } = this.#question;
    const own = appends[this.places.length] ?? [];
    const index = this.#offsets.length;
    const isLast = index === own.length - 1;
    const isOtherTerm = expectedTerm !== 0 && term !== expectedTerm;
    if (offset < expectedEnd || isOtherTerm || isContinued === isLast || !isSame(payload, own[index])) {
      this.isTaken = true;
      return;
    }
    this.#offsets.push(offset);
    if (!isLast) return;
    const offsets = this.#offsets;
    this.#offsets = [];
    this.places.push({ term, offset: offsets[0] ?? offset, end, offsets });
  }
}

function isSame(payload: Uint8Array, own: Uint8Array | undefined): boolean {
  return own !== undefined && payload.length === own.length && payload.every((byte, i) => byte === own[i]);
}

/** Looks for appends in the committed log. Rejects with a LogError when the log cannot be asked, or no longer has that place (OFFSET_TRIMMED). */
export function findAppends(readNodes: ReadNodes, workspace: Workspace, question: Question): Promise<Finding> {
  const { expectedEnd, timeoutMs } = question;
  return withDeadline('This look into the log', timeoutMs, async (signal) => {
    const { end, atTerm } = await readNodes.ask({ linearizable: true, atLeast: 0, timeoutMs });
    let matcher = new Matcher(question);
    const search = (from: number): Promise<void> =>
      walk(readNodes, workspace, { from, to: end.end, signal }, (bytes, base) => {
        matcher.take(bytes, base);
        return matcher.isOver;
      });
    try {
      await search(expectedEnd);
    } catch (thrown) {
      if (!(thrown instanceof LogError) || thrown.code !== 'OFFSET_NOT_BOUNDARY') throw thrown;
      // The expected end is inside an entry of another log than the one that it was meant for: the search begins with that entry.
      const { beginning } = thrown.details;
      if (typeof beginning !== 'number' || beginning >= expectedEnd) throw thrown;
      matcher = new Matcher(question);
      await search(beginning);
    }
    return { places: matcher.places, isTaken: matcher.isTaken, end: end.end, atTerm };
  });
}

/**
 * What became of a conditional append that may have been done, and whose new try was refused with `refusal`, a CONDITION_FAILED. Its
 * receipt when it is in the log; the error when it never will be, or the log does not tell, which is `unknown`; undefined when nothing
 * is decided, after a pause. Never rejects.
 */
export async function recheck(
  readNodes: ReadNodes,
  workspace: Workspace,
  message: Message,
  refusal: LogError,
): Promise<WireReceipt | LogError | undefined> {
  const { expectedEnd, expectedTerm, requestId } = message;
  // However late it is, the log is asked once.
  const timeoutMs = Math.max(readNodes.lookTimeoutMs, Math.ceil(message.retryUntilMs - performance.now()));
  const { code } = refusal;
  try {
    const appends = [message.payloads(workspace)];
    const { places, isTaken, end, atTerm } = await findAppends(readNodes, workspace, {
      appends,
      expectedEnd,
      expectedTerm,
      timeoutMs,
    });
    const [place] = places;
    if (place !== undefined) {
      const { term, offset, end: placeEnd } = place;
      return { requestId, term, offset, end: placeEnd, level: readNodes.isDurable ? LEVEL_COMMITTED : LEVEL_VOLATILE, nodes: 0 };
    }
    const details = { offset: end, end };
    if (isTaken) {
      return new LogError(code, `This append is not in the log: another one is, at or after its expected end ${expectedEnd}.`, details);
    }
    if (expectedTerm !== 0 && atTerm > expectedTerm) {
      return new LogError(code, `This append is not in the log, and term ${expectedTerm}, in which it was to be done, is over.`, details);
    }
    if (expectedTerm === 0 && end < expectedEnd) {
      const sentence =
        `The log is committed only up to ${end}, below the expected end ${expectedEnd}, and an earlier try of this append may still be on its way. ` +
        'Expect only the end of what is committed, or say in which term it was ordered (expectedTerm).';
      return new LogError(code, sentence, details, 'unknown');
    }
    await readNodes.pause(message.recheckCount);
    message.recheckCount += 1;
    return undefined;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const sentence = `An earlier try of this append may be in the log, which could not be read at the expected end: ${asSentence(why)} The last try was refused: ${refusal.message}`;
    return new LogError(code, sentence, refusal.details, 'unknown');
  }
}
