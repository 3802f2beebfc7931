// What conditions and chains promise, held against the final log (docs/PROTOCOL.md, "Conditional" and "Chains"). Entries of the log itself are
// invisible to both.
//
//  * An append with an expected end stands in the log only if no data ends after that and before the append, and the log had come that far.
//  * Of a chain, what stands in the log is a beginning, in order, all in one term unless its client resumes it, with nothing of anybody else in between.
//  * Both are there whole or not at all: each is one batch.

import { nameAppend, nameEntry, type Report } from './report.ts';
import type { AppendRecord, LogEntry } from './types.ts';

/** The final log, as far as it is needed here. */
export interface Log {
  withId(id: number): LogEntry | undefined;
  /** The last data entry before `entry`. */
  dataBefore(entry: LogEntry): LogEntry | undefined;
}

/** Whether all of the append's entries stand in the log, which must not have a part of them. */
function isThere(log: Log, append: AppendRecord, report: Report): boolean {
  const [first, ...rest] = append.ids.map((id) => log.withId(id));
  const missing = rest.filter((entry) => (entry === undefined) !== (first === undefined));
  if (missing.length > 0) report.add('misplaced', `${nameAppend(append)} is one batch, but the final log has a part of it`);
  return first !== undefined;
}

/** The append stands where its expected end allows. */
function checkHead(log: Log, append: AppendRecord, expectedEnd: number, report: Report): void {
  const { result, ids } = append;
  if (result.kind === 'ok' && result.offset < expectedEnd) {
    report.add('condition ignored', `${nameAppend(append)} was acknowledged before the log came to its expected end`);
  }
  const first = log.withId(ids[0] ?? -1);
  if (first === undefined || !isThere(log, append, report)) return;
  const before = log.dataBefore(first);
  if (first.offset < expectedEnd) {
    report.add('condition ignored', `${nameAppend(append)} is before its expected end: ${nameEntry(first)}`);
  } else if (before !== undefined && before.end > expectedEnd) {
    report.add('condition ignored', `${nameAppend(append)} is after other data than it expected: ${nameEntry(before)}`);
  }
}

/** The links of one chain, in the order of their numbers. */
function checkChain(log: Log, links: readonly AppendRecord[], report: Report): void {
  let refused: AppendRecord | undefined;
  let previous: AppendRecord | undefined;
  for (const link of links) {
    const { result } = link;
    if (refused !== undefined && result.kind === 'ok') {
      report.add('chain broken', `${nameAppend(link)} was done, although one before it in its chain was not: ${nameAppend(refused)}`);
    }
    if (result.kind === 'failed') refused ??= link;
    checkLink(log, previous, link, report);
    previous = link;
  }
}

/** A link that stands in the log stands directly after the one before it. */
function checkLink(log: Log, previous: AppendRecord | undefined, link: AppendRecord, report: Report): void {
  const first = log.withId(link.ids[0] ?? -1);
  if (previous === undefined || first === undefined || !isThere(log, link, report)) return;
  const last = log.withId(previous.ids.at(-1) ?? -1);
  const before = log.dataBefore(first);
  if (last === undefined) {
    report.add('chain broken', `${nameAppend(link)} is in the final log, but not the one before it in its chain: ${nameAppend(previous)}`);
  } else if (before !== last) {
    const what = before === undefined ? 'nothing' : nameEntry(before);
    report.add('chain broken', `${nameAppend(link)} is after ${what}, not after the one before it in its chain: ${nameAppend(previous)}`);
  } else if (first.term !== last.term && link.chain?.isResumed !== true) {
    report.add('chain broken', `${nameAppend(link)} has another term than the one before it in its chain: ${nameAppend(previous)}`);
  }
}

/** Judges all appends with a condition. */
export function checkConditions(log: Log, appends: readonly AppendRecord[], report: Report): void {
  const chains = new Map<number, AppendRecord[]>();
  for (const append of appends) {
    const { expectedEnd, chain } = append;
    if (expectedEnd !== undefined) checkHead(log, append, expectedEnd, report);
    if (chain === undefined) continue;
    const links = chains.get(chain.id) ?? [];
    links[chain.number - 1] = append;
    chains.set(chain.id, links);
  }
  for (const links of chains.values()) checkChain(log, links, report);
}
