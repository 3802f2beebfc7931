// Judges a history against the log as it stood at last. For a log this is exact and fast, where linearizability in general is
// neither: the log itself says in which order the appends took effect, so what is left to find is a moment for each of them.
//
//  1. Every acknowledged append stands in the log where it was acknowledged; what failed is not; nothing is there twice or unsent.
//  2. Whatever a reader was shown equals the log.
//  3. There are moments: walk the log, and give each append the earliest moment that its own beginning, the appends before it and
//     the linearizable ends that did not see it allow. Whoever was told of it before that moment was told too early.
//  4. Sessions: never back, own writes seen, at least what was asked for, subscriptions without gap or repeat.
//  5. Conditions and chains: conditions.ts.
//  6. Sessions of producers: producers.ts.
//  7. Named consumers: positions.ts.
//
// O(n log n) for n operations and entries.

import { checkConditions } from './conditions.ts';
import { checkPositions } from './positions.ts';
import { checkProducers } from './producers.ts';
import { nameAppend, nameEnd, nameEntry, nameRead, Report } from './report.ts';
import type { AppendRecord, DeliveryRecord, EndRecord, History, LogEntry, ReadRecord, Violation } from './types.ts';

export interface CheckOptions {
  /** How many nodes must have held an entry when it was acknowledged as committed. Default: not checked. */
  readonly majority?: number | undefined;
  /** Where the log begins. Default: at offset 0. */
  readonly start?: number;
}

/** The final log, with the places of its entries. */
class FinalLog {
  readonly entries: readonly LogEntry[];
  readonly end: number;
  /** The last data entry before each entry. */
  readonly #dataBefore = new Map<LogEntry, LogEntry>();
  readonly #byOffset = new Map<number, number>();
  readonly #byId = new Map<number, number>();

  constructor(entries: readonly LogEntry[], start: number, report: Report) {
    this.entries = entries;
    let previous: LogEntry | undefined;
    let data: LogEntry | undefined;
    for (const [index, entry] of entries.entries()) {
      if (data !== undefined) this.#dataBefore.set(entry, data);
      if (entry.id >= 0) data = entry;
      const due = previous?.end ?? start;
      if (entry.offset !== due) report.add('malformed log', `${nameEntry(entry)} is in the final log where offset ${due} was due`);
      if (previous !== undefined && entry.term < previous.term) {
        report.add('malformed log', `${nameEntry(entry)} follows term ${previous.term} in the final log`);
      }
      this.#byOffset.set(entry.offset, index);
      if (entry.id >= 0) this.#addId(entry, index, report);
      previous = entry;
    }
    this.end = previous?.end ?? start;
  }

  #addId(entry: LogEntry, index: number, report: Report): void {
    const first = this.entries[this.#byId.get(entry.id) ?? -1];
    if (first === undefined) this.#byId.set(entry.id, index);
    else report.add('duplicate', `${nameEntry(entry)} is in the final log a second time; the first is at offset ${first.offset}`);
  }

  /** How many entries lie before `offset`; undefined when it is no boundary. */
  countBefore(offset: number): number | undefined {
    return offset === this.end ? this.entries.length : this.#byOffset.get(offset);
  }

  at(offset: number): LogEntry | undefined {
    return this.entries[this.#byOffset.get(offset) ?? -1];
  }

  /** Whether `delivery` says that only entries of the log's own stand between `to` and it, and that is so. */
  isSkip(to: number, { from, hasSkipped }: DeliveryRecord): boolean {
    const next = this.at(from);
    return hasSkipped === true && from > to && next !== undefined && (this.dataBefore(next)?.end ?? 0) <= to;
  }

  dataBefore(entry: LogEntry): LogEntry | undefined {
    return this.#dataBefore.get(entry);
  }

  withId(id: number): LogEntry | undefined {
    return this.entries[this.#byId.get(id) ?? -1];
  }
}

/** Whether `append` was promised to last. */
function isPromised({ level, result }: AppendRecord): boolean {
  return (result.kind === 'ok' || result.kind === 'done') && level === 'committed';
}

/** Rule 1 for one append whose first entry should be at `offset`, when that is known. */
function checkPlaces(log: FinalLog, append: AppendRecord, offset: number | undefined, report: Report): void {
  const { ids, result } = append;
  let due = offset;
  for (const [index, id] of ids.entries()) {
    const entry = log.withId(id);
    if (entry === undefined) {
      // What was not promised may be gone, or its rest: a crash can leave the front of a batch, but nothing after what is gone.
      const later = ids.slice(index).find((other) => log.withId(other) !== undefined);
      const instead = log.at(due ?? -1);
      const what = instead === undefined ? 'nothing' : nameEntry(instead);
      if (isPromised(append)) report.add('lost', `${nameAppend(append)} is lost: where entry ${id} was due, the final log has ${what}`);
      else if (later !== undefined) report.add('misplaced', `${nameAppend(append)} is torn: the final log has ${later} and lacks ${id}`);
      return;
    }
    if (due !== undefined && entry.offset !== due) {
      report.add('misplaced', `${nameAppend(append)} was due at offset ${due}, but the final log has ${nameEntry(entry)}`);
      return;
    }
    if (result.kind === 'ok' && entry.term !== result.term) {
      report.add('misplaced', `${nameAppend(append)} has another term in the final log: ${nameEntry(entry)}`);
      return;
    }
    due = entry.end;
  }
  if (result.kind === 'ok' && due !== result.end) report.add('misplaced', `${nameAppend(append)} ends at ${due} in the final log`);
}

function checkAppends(log: FinalLog, appends: readonly AppendRecord[], majority: number, report: Report): void {
  const sent = new Set<number>();
  for (const append of appends) {
    const { ids, result } = append;
    for (const id of ids) sent.add(id);
    if (result.kind === 'failed') {
      const entry = ids.map((id) => log.withId(id)).find((found) => found !== undefined);
      if (entry !== undefined)
        report.add('failed append present', `${nameAppend(append)} did happen: the final log has ${nameEntry(entry)}`);
      continue;
    }
    checkPlaces(log, append, result.kind === 'ok' ? result.offset : undefined, report);
    if (result.kind !== 'ok') continue;
    if (append.level === 'committed' && result.nodes !== undefined && result.nodes.length < majority) {
      const held = result.nodes.length === 0 ? 'no node' : `node ${result.nodes.join(', ')}`;
      report.add('too few nodes', `${nameAppend(append)} was held by ${held} only, where ${majority} are needed`);
    }
  }
  for (const entry of log.entries) {
    if (entry.id >= 0 && !sent.has(entry.id)) report.add('unsent', `${nameEntry(entry)} is in the final log, and nobody appended it`);
  }
}

/** Rule 2 for one answer. */
function checkRead(log: FinalLog, read: ReadRecord | DeliveryRecord, report: Report): void {
  let at = read.from;
  for (const seen of read.entries) {
    if (seen.offset !== at) {
      report.add('read differs', `${nameRead(read)} has ${nameEntry(seen)} where offset ${at} was due`);
      return;
    }
    const entry = log.at(at);
    if (entry === undefined || entry.id !== seen.id || entry.term !== seen.term || entry.end !== seen.end) {
      const isElsewhere = seen.id >= 0 && log.withId(seen.id) !== undefined;
      const instead = entry === undefined ? 'nothing' : nameEntry(entry);
      report.add(
        isElsewhere ? 'read differs' : 'precommitted read',
        `${nameRead(read)} has ${nameEntry(seen)}, but the final log has ${instead} there`,
      );
      return;
    }
    at = seen.end;
  }
  if (at !== read.to && read.entries.length > 0) report.add('read differs', `${nameRead(read)} has entries up to ${at} only`);
  if (read.commit !== undefined && read.entries.length > 0 && read.to > read.commit) {
    report.add('precommitted read', `${nameRead(read)} goes beyond what was said to be committed`);
  }
}

/** One place in the order: what was seen or appended there, and the interval in which that took effect. */
interface Step {
  readonly invoked: number;
  readonly completed: number;
  readonly name: () => string;
}

interface Sight extends Step {
  /** How many entries were seen. */
  readonly count: number;
}

const ALWAYS: Step = { invoked: Number.NEGATIVE_INFINITY, completed: Number.POSITIVE_INFINITY, name: () => 'an entry of the log itself' };

/** All that readers saw, by how much they saw. What is not linearizable may be old, but never from the future: it has no beginning. */
function sightsOf(log: FinalLog, { ends, reads, deliveries }: History, report: Report): Sight[] {
  const sights: Sight[] = [];
  const add = (position: number, invoked: number, completed: number, name: () => string): void => {
    const count = log.countBefore(position);
    if (count !== undefined) sights.push({ count, invoked, completed, name });
    else if (position > log.end) report.add('precommitted read', `${name()} goes to ${position}, but the final log ends at ${log.end}`);
    else report.add('read differs', `${name()} goes to ${position}, where no entry of the final log ends`);
  };
  for (const end of ends) {
    add(end.commit, end.isLinearizable ? end.invoked : Number.NEGATIVE_INFINITY, end.completed, () => nameEnd(end));
  }
  for (const read of [...reads, ...deliveries]) {
    // An answer without entries says nothing of where it was asked to begin.
    const position = Math.max(read.entries.length > 0 ? read.to : 0, read.commit ?? 0);
    add(position, Number.NEGATIVE_INFINITY, read.completed, () => nameRead(read));
  }
  return sights.sort((left, right) => left.count - right.count);
}

/** Rule 3. Exact: a history passes if and only if every operation can be given a moment between its beginning and its end. */
function checkOrder(log: FinalLog, appends: readonly AppendRecord[], sights: readonly Sight[], report: Report): void {
  const steps = new Map<number, Step>();
  for (const append of appends) {
    if (append.result.kind === 'failed') continue;
    const completed = isPromised(append) ? append.completed : Number.POSITIVE_INFINITY;
    for (const id of append.ids) steps.set(id, { invoked: append.invoked, completed, name: () => nameAppend(append) });
  }
  // The step that begins last of all that come before the present one, in the log's order.
  let latest = ALWAYS;
  const check = (step: Step): void => {
    if (latest.invoked > step.completed) {
      report.add('not linearizable', `${step.name()} was over before ${latest.name()} began, yet the log puts it after that`);
    }
  };
  let at = 0;
  for (let count = 0; count <= log.entries.length; count++) {
    let latestHere = latest;
    for (let sight = sights[at]; sight?.count === count; sight = sights[++at]) {
      check(sight);
      if (sight.invoked > latestHere.invoked) latestHere = sight;
    }
    latest = latestHere;
    const step = steps.get(log.entries[count]?.id ?? -1);
    if (step === undefined) continue;
    if (step.invoked > latest.invoked) latest = step;
    check(step);
  }
}

interface Told {
  readonly at: number;
  readonly position: number;
  readonly isOwnWrite: boolean;
  readonly name: () => string;
}

/** Rule 4 within one session: `told` and `asked` in order of time. */
function checkSession(told: readonly Told[], asked: readonly (Told & { readonly invoked: number })[], report: Report): void {
  const highest: { read: Told | undefined; write: Told | undefined } = { read: undefined, write: undefined };
  let at = 0;
  for (const question of asked) {
    for (let next = told[at]; next !== undefined && next.at < question.invoked; next = told[++at]) {
      const kind = next.isOwnWrite ? 'write' : 'read';
      if (next.position > (highest[kind]?.position ?? -1)) highest[kind] = next;
    }
    const { read, write } = highest;
    if (read !== undefined && read.position > question.position) {
      report.add('not monotonic', `${question.name()} shows less than the same session saw before: ${read.name()}`);
    }
    if (write !== undefined && write.position > question.position) {
      report.add('own write unread', `${question.name()} does not show what the same session had appended: ${write.name()}`);
    }
  }
}

function checkSessions(history: History, report: Report): void {
  const sessions = new Map<string, { told: Told[]; asked: (Told & { invoked: number })[] }>();
  const see = (seen: EndRecord | ReadRecord, position: number | undefined, name: () => string): void => {
    if (seen.session === undefined || position === undefined) return;
    const session = sessions.get(seen.session) ?? { told: [], asked: [] };
    sessions.set(seen.session, session);
    const told = { at: seen.completed, position, isOwnWrite: false, name, invoked: seen.invoked };
    session.told.push(told);
    session.asked.push(told);
  };
  for (const end of history.ends) see(end, end.commit, () => nameEnd(end));
  for (const read of history.reads) see(read, read.commit, () => nameRead(read));
  for (const append of history.appends) {
    const { result } = append;
    const session = sessions.get(append.session ?? '');
    if (session === undefined || result.kind !== 'ok' || append.level !== 'committed') continue;
    session.told.push({ at: append.completed, position: result.end, isOwnWrite: true, name: () => nameAppend(append) });
  }
  for (const { told, asked } of sessions.values()) {
    told.sort((left, right) => left.at - right.at);
    asked.sort((left, right) => left.invoked - right.invoked);
    checkSession(told, asked, report);
  }
  for (const end of history.ends) {
    if (end.atLeast !== undefined && end.commit < end.atLeast)
      report.add('less than asked', `${nameEnd(end)} was asked for ${end.atLeast} at least`);
  }
}

function checkSubscriptions(log: FinalLog, deliveries: readonly DeliveryRecord[], report: Report): void {
  const last = new Map<number, DeliveryRecord>();
  for (const delivery of deliveries) {
    const previous = last.get(delivery.subscription);
    const joins = previous === undefined || delivery.from === previous.to || log.isSkip(previous.to, delivery);
    if (!joins) {
      const what = delivery.from > previous.to ? 'leaves out what follows' : 'repeats a part of';
      report.add('subscription gap', `${nameRead(delivery)} ${what} ${nameRead(previous)}`);
    }
    last.set(delivery.subscription, delivery);
  }
}

/**
 * Judges `history` against `entries`, the whole log as it stood when all was over, from its start on. Returns every promise that was
 * broken, in sentences; none when the history is that of a log.
 */
export function checkHistory(history: History, entries: readonly LogEntry[], { majority = 0, start = 0 }: CheckOptions = {}): Violation[] {
  const report = new Report();
  const log = new FinalLog(entries, start, report);
  checkAppends(log, history.appends, majority, report);
  checkConditions(log, history.appends, report);
  checkProducers(history.appends, (id) => log.withId(id), report);
  checkPositions(history.positions ?? [], log.end, report);
  for (const read of history.reads) checkRead(log, read, report);
  for (const delivery of history.deliveries) checkRead(log, delivery, report);
  checkOrder(log, history.appends, sightsOf(log, history, report), report);
  checkSessions(history, report);
  checkSubscriptions(log, history.deliveries, report);
  return report.finish();
}
