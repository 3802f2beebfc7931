// What a running node has done on its disk, on other threads than its own: a port, so that a simulator can have its own threads and disk. Every
// task rejects with a LogError when the disk fails it.

import type { TrimEntry } from '../format/controlEntries.ts';
import type { ScrubPosition } from '../format/scrubPosition.ts';
import type { Examined, ExamineRequest } from './examiner.ts';
import type { HealAnswer, HealRequest } from './healer.ts';
import type { MendAnswer, MendRequest } from './mender.ts';
import type { Removed, RemoveRequest } from './removal.ts';
import type { SealRow, SealRows } from './sealsFile.ts';
import type { ColdRange } from './segmentReader.ts';
import type { SegmentOutcome } from './segmentTask.ts';
import type { TokenRequest } from './tokenRequest.ts';
import type { Truncation } from './truncation.ts';

export interface DiskTasks {
  /**
   * Writes the segment in `slot` until it is sealed (its facts come back), or writers stop: then it stays open, or it was not even made, so that
   * the file `spare` is still one. `spare` undefined: recovery has loaded it from its file.
   */
  write(request: { readonly slot: number; readonly spare: string | undefined }): Promise<SegmentOutcome>;
  /**
   * At once, on the caller's thread, which it blocks: makes durable what was ordered, in place of the writer of the open segment, if that rests and it is little. False:
   * the writer is to be woken for it. Throws a LogError when the disk fails it.
   */
  writeAtOnce(): boolean;
  /** Makes the file `name` of `bytes` zeros. */
  allocate(request: { readonly name: string; readonly bytes: number }): Promise<true>;
  /** Cuts the log at `offset`; no writer may run. */
  truncate(request: { readonly offset: number }): Promise<Truncation>;
  /** One step of removing segments that are before the log's durable start; see {@link removeSegments}. */
  remove(request: RemoveRequest): Promise<Removed>;
  /** Drops the log, which ends before `base`, and lets it begin there, empty; no writer may run, and that it begins there is durable. */
  empty(request: { readonly base: number }): Promise<true>;
  /** Bytes that files in the data directory may yet take. */
  freeBytes(): Promise<number>;
  /** Where a trim to `offset`, which the sealed segment at `base` holds or ends at, begins the log. Takes the cold buffer `buffer`. */
  findBatch(request: { readonly base: number; readonly offset: number; readonly buffer: number }): Promise<TrimEntry>;
  /** Examines one piece of a sealed segment, past the page cache; see {@link Examiner}. One at a time, whatever the purpose. */
  examine(request: ExamineRequest): Promise<Examined>;
  /** One step of healing a damaged segment; see healer.ts. */
  heal(request: HealRequest): Promise<HealAnswer>;
  /** One step of mending a damaged open segment; see mender.ts. No writer may run beside the last one. */
  mend(request: MendRequest): Promise<MendAnswer>;
  /** Where the node was in reading its sealed segments through; undefined: nowhere. */
  readScrub(): Promise<ScrubPosition | undefined>;
  saveScrub(request: { readonly position: ScrubPosition }): Promise<true>;
  /** The token that the directory asks for; undefined: none. Rejects where that is not followed. */
  readTokenRequest(): Promise<TokenRequest | undefined>;
  /** The request for the token `id` was carried out. */
  removeTokenRequest(request: { readonly id: string }): Promise<true>;
  /** What is remembered of the seals and digests of segments; see {@link readSeals}. */
  readSeals(request: Record<string, never>): Promise<SealRows>;
  /** Remembers more of them, after byte `at` of their file. */
  addSeals(request: { readonly rows: readonly SealRow[]; readonly at: number }): Promise<number>;
  /** The log's time, Unix ms, before `offset`, which the sealed segment at `base` holds or ends at; 0: it says none. Takes the cold buffer `buffer`. */
  findTime(request: { readonly base: number; readonly offset: number; readonly buffer: number }): Promise<number>;
  /** Reads entries into the cold buffer `buffer`; resolves to their bytes. */
  readCold(request: { readonly range: ColdRange; readonly buffer: number }): Promise<number>;
}
