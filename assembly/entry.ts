// Walks over entries in linear memory: framing by a producer, stamping by a leader, scanning by everyone.
// Each walk writes its outcome at `result` (layout.ts, RESULT_*) and returns its status (WALK_*).

import {
  ACTED_ON_KINDS,
  ENTRY_HEADER_BYTES,
  ENTRY_OVERHEAD_BYTES,
  INDEX_INTERVAL_BYTES,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_MASK,
  KIND_NOOP,
  KIND_SESSION,
  MAX_CONTROL_KIND,
  NO_CONTROL,
  RESULT_BYTES_AT,
  RESULT_CONTROL_AT,
  RESULT_COUNT_AT,
  RESULT_DATA_END_AT,
  RESULT_LAST_TERM_AT,
  RESULT_POINTS_AT,
  RESULT_STATUS_AT,
  RESULT_STOPPED_AT,
  SCAN_ACTED_ON,
  SCAN_FIRST_ALWAYS,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  STAMP_ONE_BATCH,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_NEWER_KIND,
  WALK_SECOND_BATCH,
  WALK_TOO_LARGE,
  WALK_TRUNCATED,
} from './layout';
import { place, xxh64 } from './xxh64';

/** The producer's check: low 32 bits of XXH64 from the kind-and-size word to the end of the payload. */
function producerCheck(entry: usize, payloadBytes: u32): u32 {
  return xxh64(entry + 4, 4 + payloadBytes, 0) as u32;
}

/** The file position at or after which the next index point is due, given the last one (0: none yet). */
function nextPointAfter(lastPoint: u32): u32 {
  return lastPoint == 0 ? 0 : (lastPoint & ~(INDEX_INTERVAL_BYTES - 1)) + INDEX_INTERVAL_BYTES;
}

/** The index point before those at `points`; 0: none, for the first entry of a segment is the first point. */
function lastPointBefore(points: usize, filePosition: u32): u32 {
  return filePosition == SEGMENT_HEADER_BYTES ? 0 : load<u32>(points - 4);
}

function finish(result: usize, status: u32, count: u32, bytes: u32, lastTerm: u32, points: u32): u32 {
  store<u32>(result, count, RESULT_COUNT_AT);
  store<u32>(result, bytes, RESULT_BYTES_AT);
  store<u32>(result, status, RESULT_STATUS_AT);
  store<u32>(result, lastTerm, RESULT_LAST_TERM_AT);
  store<u32>(result, points, RESULT_POINTS_AT);
  store<u32>(result, bytes, RESULT_STOPPED_AT);
  store<u32>(result, bytes, RESULT_DATA_END_AT);
  store<u32>(result, NO_CONTROL, RESULT_CONTROL_AT);
  return status;
}

/** Whether this build acts on control entries of `kind`, which has the bit of a batch that goes on: only those of sessions begin one, and none is inside. */
function isActedOn(kind: u32): bool {
  return (kind < 32 && ((ACTED_ON_KINDS >>> kind) & 1) != 0) || kind == (KIND_SESSION | KIND_CONTINUED);
}

/** Producer: writes term 0 and the check of every entry whose kind-and-size word and payload stand in [at, at + length). */
export function frame(at: usize, length: u32, result: usize): u32 {
  let position: u32 = 0;
  let count: u32 = 0;
  while (position < length) {
    if (length - position < (ENTRY_OVERHEAD_BYTES as u32)) return finish(result, WALK_TRUNCATED, count, position, 0, 0);
    const entry = at + position;
    const payloadBytes = load<u32>(entry, 4) & 0xffffff;
    if (length - position - ENTRY_OVERHEAD_BYTES < payloadBytes) {
      return finish(result, WALK_TRUNCATED, count, position, 0, 0);
    }
    store<u32>(entry, 0);
    store<u32>(entry + ENTRY_HEADER_BYTES + payloadBytes, producerCheck(entry, payloadBytes));
    position += ENTRY_OVERHEAD_BYTES + payloadBytes;
    count += 1;
  }
  return finish(result, WALK_COMPLETE, count, position, 0, 0);
}

/**
 * Leader: verifies every producer's check in [at, at + length), and writes term and final check. The first entry gets log
 * offset `offset` and file position `filePosition`. Index points go to `points`, after those of the entries before.
 * Stops at the first bad entry, at RESULT_BYTES: what it stamped before that must not be used. A last entry that says that its
 * batch goes on is a bad one; with STAMP_ONE_BATCH, so is the first one of a second batch.
 */
export function stamp(
  at: usize,
  length: u32,
  term: u32,
  offset: f64,
  maxPayloadBytes: u32,
  flags: u32,
  filePosition: u32,
  points: usize,
  result: usize,
): u32 {
  const base = offset as u64;
  // Set in the entry before one that may follow it.
  const needed: u32 = flags & STAMP_ONE_BATCH ? (KIND_CONTINUED as u32) << 24 : 0;
  let position: u32 = 0;
  let count: u32 = 0;
  let pointCount: u32 = 0;
  let kindSize: u32 = 0;
  let nextPoint = nextPointAfter(lastPointBefore(points, filePosition));
  while (position < length) {
    if (length - position < (ENTRY_OVERHEAD_BYTES as u32)) return finish(result, WALK_TRUNCATED, count, position, term, 0);
    const entry = at + position;
    if (position > 0 && (kindSize & needed) != needed) return finish(result, WALK_SECOND_BATCH, count, position, term, 0);
    kindSize = load<u32>(entry, 4);
    const payloadBytes = kindSize & 0xffffff;
    if (load<u32>(entry) != 0) return finish(result, WALK_BAD_TERM, count, position, term, 0);
    if (((kindSize >>> 24) & KIND_MASK) != KIND_DATA) return finish(result, WALK_BAD_KIND, count, position, term, 0);
    if (payloadBytes > maxPayloadBytes) return finish(result, WALK_TOO_LARGE, count, position, term, 0);
    if (length - position - ENTRY_OVERHEAD_BYTES < payloadBytes) {
      return finish(result, WALK_TRUNCATED, count, position, term, 0);
    }
    const checkAt = entry + ENTRY_HEADER_BYTES + payloadBytes;
    const check = producerCheck(entry, payloadBytes);
    if (load<u32>(checkAt) != check) return finish(result, WALK_BAD_CHECK, count, position, term, 0);
    store<u32>(entry, term);
    store<u32>(checkAt, check ^ place(term, base + position));
    if (filePosition + position >= nextPoint) {
      store<u32>(points + (pointCount << 2), filePosition + position);
      pointCount += 1;
      nextPoint = nextPointAfter(filePosition + position);
    }
    position += ENTRY_OVERHEAD_BYTES + payloadBytes;
    count += 1;
  }
  if ((kindSize >>> 24) & KIND_CONTINUED) {
    const lastBytes = ENTRY_OVERHEAD_BYTES + (kindSize & 0xffffff);
    return finish(result, WALK_INSIDE_BATCH, count - 1, position - lastBytes, term, 0);
  }
  return finish(result, WALK_COMPLETE, count, position, term, pointCount);
}

/**
 * Walks log bytes in [at, at + length) that begin at log offset `base`, taking whole entries while their sum is at most `limitBytes`; with
 * SCAN_WHOLE_BATCHES, whole batches. Terms must be at least `minTerm` and never fall. Emits index points when `points` is not 0. With
 * SCAN_WHOLE_BATCHES the bytes must begin where a batch does, and all of a batch must be of one term. Control entries are taken, known or
 * not; with SCAN_ACTED_ON only those of ACTED_ON_KINDS that are alone, or head a batch as those of sessions may, and a valid entry that is neither that nor data ends the walk.
 *
 * A call with so many numbers costs a walk over one entry a tenth of its time. So each of the functions below has the loop in itself, with
 * the constants that it gives folded into it; only a class's method can be told so in what the linter reads as TypeScript.
 */
class Walk {
  @inline
  static over(
    at: usize,
    length: u32,
    base: u64,
    minTerm: u32,
    limitBytes: u32,
    flags: u32,
    filePosition: u32,
    points: usize,
    lastPoint: u32,
    result: usize,
  ): u32 {
    const continued: u32 = flags & SCAN_WHOLE_BATCHES ? KIND_CONTINUED : 0;
    // Of the first entry or batch; then `limitBytes`.
    let limit: u32 = flags & SCAN_FIRST_ALWAYS ? 0xffffffff : limitBytes;
    let status: u32 = WALK_COMPLETE;
    let position: u32 = 0;
    let count: u32 = 0;
    let pointCount: u32 = 0;
    let lastTerm = minTerm;
    let dataEnd: u32 = 0;
    let control: u32 = NO_CONTROL;
    // Inside a batch: all of it as it was before the batch.
    let isInside: u32 = 0;
    let bytesBefore: u32 = 0;
    let countBefore: u32 = 0;
    let pointsBefore: u32 = 0;
    let termBefore: u32 = 0;
    let dataEndBefore: u32 = 0;
    let nextPoint = nextPointAfter(lastPoint);
    while (position < length) {
      const left = length - position;
      if (left < (ENTRY_HEADER_BYTES as u32)) {
        status = WALK_TRUNCATED;
        break;
      }
      const entry = at + position;
      const term = load<u32>(entry);
      const kindSize = load<u32>(entry, 4);
      const kind = kindSize >>> 24;
      const payloadBytes = kindSize & 0xffffff;
      const entryBytes = payloadBytes + ENTRY_OVERHEAD_BYTES;
      if (term == 0 || (term != lastTerm && (term < lastTerm || isInside != 0))) {
        status = WALK_BAD_TERM;
        break;
      }
      const bare = kind & KIND_MASK;
      const isForeign = bare != KIND_DATA && (flags & SCAN_ACTED_ON) != 0 && (!isActedOn(kind) || isInside != 0);
      if (bare > (MAX_CONTROL_KIND as u32) && !isForeign) {
        status = WALK_BAD_KIND;
        break;
      }
      // A position is never near 2^32: the sum does not wrap.
      if (position + entryBytes > limit) break;
      if (entryBytes > left) {
        status = WALK_TRUNCATED;
        break;
      }
      if (flags & SCAN_VERIFY) {
        const check = producerCheck(entry, payloadBytes) ^ place(term, base + position);
        if (load<u32>(entry + ENTRY_HEADER_BYTES + payloadBytes) != check) {
          status = WALK_BAD_CHECK;
          break;
        }
      }
      if (isForeign) {
        status = WALK_NEWER_KIND;
        break;
      }
      if ((kind & continued) != isInside) {
        if (isInside == 0) {
          bytesBefore = position;
          countBefore = count;
          pointsBefore = pointCount;
          termBefore = lastTerm;
          dataEndBefore = dataEnd;
        }
        isInside = kind & continued;
      }
      if (points != 0 && filePosition + position >= nextPoint) {
        store<u32>(points + (pointCount << 2), filePosition + position);
        pointCount += 1;
        nextPoint = nextPointAfter(filePosition + position);
      }
      if (bare > (KIND_NOOP as u32) && control == NO_CONTROL) control = position;
      lastTerm = term;
      position += entryBytes;
      count += 1;
      if (bare == KIND_DATA) dataEnd = position;
      if (isInside == 0) limit = limitBytes;
      if (position >= limit) break;
    }
    if (isInside) {
      if (status == WALK_COMPLETE && position == length) status = WALK_INSIDE_BATCH;
      finish(result, status, countBefore, bytesBefore, termBefore, pointsBefore);
    } else {
      finish(result, status, count, position, lastTerm, pointCount);
    }
    store<u32>(result, position, RESULT_STOPPED_AT);
    store<u32>(result, isInside ? dataEndBefore : dataEnd, RESULT_DATA_END_AT);
    store<u32>(result, control, RESULT_CONTROL_AT);
    return status;
  }
}

/**
 * Anyone: how many of the log bytes in [at, at + length), which begin at log offset `offset`, are whole entries (or batches) of at most
 * `limitBytes`. `flags`: SCAN_VERIFY, without which `offset` says nothing; SCAN_FIRST_ALWAYS, SCAN_WHOLE_BATCHES.
 */
export function clip(at: usize, length: u32, offset: f64, limitBytes: u32, flags: u32, result: usize): u32 {
  return Walk.over(at, length, offset as u64, 0, limitBytes, flags, 0, 0, 0, result);
}

/** Anyone: verifies the log bytes in [at, at + length), which begin at log offset `offset`, entry by entry; no term is under `minTerm`. */
export function verify(at: usize, length: u32, offset: f64, minTerm: u32, result: usize): u32 {
  return Walk.over(at, length, offset as u64, minTerm, 0xffffffff, SCAN_VERIFY, 0, 0, 0, result);
}

/**
 * A node: walks all of the log bytes in [at, at + length), which begin at log offset `offset` and file position `filePosition`; no term is
 * under `minTerm`. Index points go to `points`, after those of the entries before. `flags`: SCAN_VERIFY, SCAN_WHOLE_BATCHES, SCAN_ACTED_ON.
 */
export function index(at: usize, length: u32, offset: f64, minTerm: u32, flags: u32, filePosition: u32, points: usize, result: usize): u32 {
  const lastPoint = lastPointBefore(points, filePosition);
  return Walk.over(at, length, offset as u64, minTerm, 0xffffffff, flags, filePosition, points, lastPoint, result);
}

/** Writes one entry of the leader's own (a no-op) with its final check; its payload is already at `at` + 8. Returns its bytes. */
export function stampOwn(at: usize, term: u32, kind: u32, payloadBytes: u32, offset: f64): u32 {
  store<u32>(at, term);
  store<u32>(at, (kind << 24) | payloadBytes, 4);
  store<u32>(at + ENTRY_HEADER_BYTES + payloadBytes, producerCheck(at, payloadBytes) ^ place(term, offset as u64));
  return ENTRY_OVERHEAD_BYTES + payloadBytes;
}

/** Bytes of the run of entries at `at` that share the first one's term; `length` bytes must be whole entries. */
export function sameTermBytes(at: usize, length: u32): u32 {
  const term = load<u32>(at);
  let position: u32 = 0;
  while (position < length && load<u32>(at + position) == term) {
    position += (load<u32>(at + position, 4) & 0xffffff) + ENTRY_OVERHEAD_BYTES;
  }
  return position;
}
