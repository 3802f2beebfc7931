// The list of sealed segments that a node, or a copy of what nodes serve, has: docs/PROTOCOL.md, "Sealed segments".

import { MAX_SEGMENT_LIST_BYTES } from '../../core/clientLimits.ts';
import { LogError } from '../../core/errors.ts';
import { Interrupted, Patience, type SegmentSource } from './source.ts';

/** Log bytes [base, end) that never change. */
export interface ListedSegment {
  readonly base: number;
  readonly end: number;
  /** Where it is, from the root of its source on. */
  readonly path: string;
  /** SHA-256 of its entries, as the log says by whom the list is from: 64 hexadecimal digits; undefined: not said. */
  readonly digest?: string | undefined;
}

export interface SegmentList {
  readonly clusterId: string;
  /** 16 hexadecimal digits. */
  readonly generation: string;
  /** First offset kept, and end of what may be read. */
  readonly start: number;
  readonly commit: number;
  /** Ascending, each where the one before ends. The start may lie in the first one. */
  readonly segments: readonly ListedSegment[];
}

/** A path as nodes give it: no other host, no way out, nothing that would have to be escaped. */
const PATH = /^\/log(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/;

/**
 * Asks for the list of the log of cluster `clusterId`. Throws LogErrors: BEHIND (there is no such log), UNREACHABLE, PROTOCOL (what came is no
 * list, or of another log), ABORTED.
 */
export async function fetchSegmentList(
  source: SegmentSource,
  clusterId: string,
  signal?: AbortSignal,
  stallMs?: number,
): Promise<SegmentList> {
  const path = `/log/${clusterId}/segments`;
  const patience = new Patience(signal, stallMs);
  try {
    const answer = await source.get(path, {}, patience);
    return parseSegmentList(await textOf(answer, patience), clusterId, `${source.shown}${path}`);
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw thrown;
    throw new LogError('UNREACHABLE', `${source.shown} did not say which segments are sealed: ${thrown.message}.`);
  } finally {
    patience.end();
  }
}

async function textOf(answer: Response, patience: Patience): Promise<string> {
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { value, done } = (await (reader && patience.within(reader.read()))) ?? { value: undefined, done: true };
    if (done || value === undefined) return text + decoder.decode();
    bytes += value.length;
    if (bytes > MAX_SEGMENT_LIST_BYTES)
      throw new LogError('PROTOCOL', `A list of segments has at most ${MAX_SEGMENT_LIST_BYTES} bytes; more came.`, {}, 'failed');
    text += decoder.decode(value, { stream: true });
  }
}

/** Reads a list. Throws a LogError PROTOCOL that names `where` it came from. */
export function parseSegmentList(text: string, clusterId: string, where: string): SegmentList {
  const wrong = (what: string): LogError => new LogError('PROTOCOL', `${where} is no list of sealed segments: ${what}.`, {}, 'failed');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  const { generation, start, commit, segments, ...rest } = (parsed ?? {}) as Record<string, unknown>;
  if (rest.clusterId !== clusterId) throw wrong(`it is not of cluster ${clusterId}`);
  if (typeof generation !== 'string' || !/^[0-9a-f]{16}$/.test(generation)) throw wrong('it has no valid generation');
  if (!isOffset(start) || !isOffset(commit) || start > commit) throw wrong('its start and commit are no offsets');
  if (!Array.isArray(segments)) throw wrong('it has no segments');
  const listed: ListedSegment[] = [];
  for (const one of segments as unknown[]) {
    const { base, end, url, digest } = (one ?? {}) as Record<string, unknown>;
    const due = listed.at(-1)?.end ?? base;
    if (!isOffset(base) || !isOffset(end) || base >= end || end <= start || end > commit || base !== due)
      throw wrong('its segments are no ascending ranges of the log without gaps');
    if (typeof url !== 'string' || !PATH.test(url)) throw wrong('a segment has no valid url');
    if (digest !== undefined && !(typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest)))
      throw wrong('a segment has no valid digest');
    listed.push({ base, end, path: url, ...(digest === undefined ? {} : { digest }) });
  }
  return { clusterId, generation, start, commit, segments: listed };
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
