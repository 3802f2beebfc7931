// The log without its tokens: what entries say of them is written over, in the same length, so that all offsets stay. Ids stay, too, because other entries name
// them: no id lets anybody in. A backup that was not asked for tokens has its entries so, and so has a restored log in which they are not in force.
//
//   access entry, state entry ──► hash, name, scopes, times, quotas ──► zeros and dots ──► another check
//   seal entry, state entry   ──► the digest of a segment that has other bytes now ──► its digest now, when it is restored

import { ENTRY_HEADER_BYTES, KIND_ACCESS, KIND_SEAL, KIND_STATE } from '../../assembly/layout.ts';
import type { LogBytes } from '../client/segments/download.ts';
import { viewOf } from '../core/bytes.ts';
import { maskAccess, maskTable } from '../format/access.ts';
import { readSeal, readSealed, writeSeal, writeSealed } from '../format/controlEntries.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { writeCheck } from '../format/ownEntry.ts';
import { statePartsAt } from '../format/stateEntry.ts';
import type { LogSource } from './logSource.ts';

/** Masks what the entry at log offset `offset` says of tokens, in place, with its check. Returns whether it says anything. */
function maskEntry(entry: Uint8Array, offset: number): boolean {
  const view = viewOf(entry);
  const kindSize = kindSizeAt(view, 0);
  const kind = kindOf(kindSize);
  let isChanged = false;
  if (kind === KIND_ACCESS) isChanged = maskAccess(view, ENTRY_HEADER_BYTES, payloadBytesOf(kindSize));
  if (kind === KIND_STATE) {
    const { accessAt, accessBytes } = statePartsAt(view, ENTRY_HEADER_BYTES, payloadBytesOf(kindSize));
    isChanged = accessAt !== undefined && maskTable(entry.subarray(accessAt, accessAt + accessBytes));
  }
  if (isChanged) writeCheck(entry, offset);
  return isChanged;
}

/** Whole entries from log offset `offset` on, without tokens: `entries` itself where there are none. */
export function withoutTokens(entries: Uint8Array, offset: number): Uint8Array {
  const view = viewOf(entries);
  let masked: Uint8Array | undefined;
  for (let at = 0; at < entries.length; ) {
    const kindSize = kindSizeAt(view, at);
    const next = at + entryBytesOf(kindSize);
    const kind = kindOf(kindSize);
    if (kind === KIND_ACCESS || kind === KIND_STATE) {
      masked ??= entries.slice();
      maskEntry(masked.subarray(at, next), offset + at);
    }
    at = next;
  }
  return masked ?? entries;
}

/** A log as it is without its tokens. */
export class TokenlessSource implements LogSource {
  readonly #source: LogSource;

  constructor(source: LogSource) {
    this.#source = source;
  }

  facts(): ReturnType<LogSource['facts']> {
    return this.#source.facts();
  }

  async *read(range: Parameters<LogSource['read']>[0]): AsyncGenerator<LogBytes, void, void> {
    for await (const { offset, bytes } of this.#source.read(range)) yield { offset, bytes: withoutTokens(bytes, offset) };
  }
}

/** Makes entries of a log those of one without tokens, in their order; and what they say of its segments true of the segments as they are then. */
export class TokenlessLog {
  /** What the segments are now, by base. */
  readonly #segments = new Map<number, { readonly end: number; readonly digest: string }>();
  /** Digests that the log says, and what stands in their place. */
  readonly #digests = new Map<string, string>();

  /** A segment is whole: `digest` is its SHA-256, 64 hexadecimal digits. */
  segment(base: number, end: number, digest: string): void {
    this.#segments.set(base, { end, digest });
  }

  /** Changes the entry at log offset `offset` in place. */
  change(entry: Uint8Array, offset: number): void {
    maskEntry(entry, offset);
    const view = viewOf(entry);
    const kindSize = kindSizeAt(view, 0);
    const bytes = payloadBytesOf(kindSize);
    if (kindOf(kindSize) === KIND_SEAL) {
      const seal = readSeal(view, ENTRY_HEADER_BYTES, bytes);
      if (seal === undefined) return;
      const before = this.#digests.get(seal.before) ?? seal.before;
      const digest = this.#digestNow(seal.base, seal.end) ?? seal.digest;
      this.#digests.set(seal.digest, digest);
      writeSeal(view, ENTRY_HEADER_BYTES, { ...seal, digest, before });
    } else if (kindOf(kindSize) === KIND_STATE) {
      const { sealAt } = statePartsAt(view, ENTRY_HEADER_BYTES, bytes);
      const seal = sealAt === undefined ? undefined : readSealed(view, sealAt);
      if (sealAt === undefined || seal === undefined) return;
      writeSealed(view, sealAt, { ...seal, digest: this.#digests.get(seal.digest) ?? seal.digest });
    } else return;
    writeCheck(entry, offset);
  }

  #digestNow(base: number, end: number): string | undefined {
    const segment = this.#segments.get(base);
    return segment?.end === end ? segment.digest : undefined;
  }
}
