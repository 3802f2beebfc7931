// Appends that wait for tail memory, oldest first, with their bytes: the message's memory is gone once its callback returns. Small ones share
// blocks of memory, so that each costs little more than its bytes; what each does cost is counted, by connection and in total.

import { assert } from '../core/assert.ts';
import { HELD_APPEND_BYTES, HELD_APPEND_EXTRA_BYTES, HELD_APPEND_OVERHEAD_BYTES } from '../core/servingLimits.ts';
import type { AppendRequest } from './appendPorts.ts';
import { AppendRows } from './appendRows.ts';
import { BlockQueue, MAX_BLOCK_PART_BYTES } from './blockQueue.ts';
import type { Appender } from './caller.ts';

/** What was dropped from the midst is let go when it comes to so much. */
const MAX_DROPPED_BYTES = HELD_APPEND_BYTES / 8;

/** What one connection has here. */
interface Account {
  readonly caller: Appender;
  /** Memory that they take. */
  bytes: number;
  entryBytes: number;
  count: number;
  /** Its connection is gone: what it has here is not to be ordered. */
  isDropped: boolean;
}

const NOTHING = { count: 0, entryBytes: 0 };

/** A connection that has to give its place, with the number of its appends here, and the id of the oldest one. */
export interface Payer {
  readonly caller: Appender;
  readonly count: number;
  readonly requestId: number;
}

/** Whoever has one append is not to pay for whoever has many, however large it is. */
function paysBefore(a: Pick<Account, 'bytes' | 'count'>, b: Pick<Account, 'bytes' | 'count'>): boolean {
  return a.count > 1 === b.count > 1 ? a.bytes > b.bytes : a.count > 1;
}

/** What few appends have: more than one entry, a condition, `received`, an upload, a session, or too many bytes for a block. */
interface Extra extends Pick<AppendRequest, 'entryCount' | 'received' | 'condition' | 'upload' | 'session'> {
  readonly own: Uint8Array | undefined;
}

function hasExtra({ entryCount, received, condition, upload, session, entries }: AppendRequest): boolean {
  const isMarked = received || condition !== undefined || upload !== undefined || session !== undefined;
  return isMarked || entryCount !== 1 || entries.length > MAX_BLOCK_PART_BYTES;
}

function costOf(bytes: number, isExtra: boolean): number {
  return bytes + HELD_APPEND_OVERHEAD_BYTES + (isExtra ? HELD_APPEND_EXTRA_BYTES : 0);
}

/** Memory that holding `request` takes. */
export function heldCostOf(request: AppendRequest): number {
  return costOf(request.entries.length, hasExtra(request));
}

export class HeldAppends {
  readonly #rows = new AppendRows<Account, Extra>();
  readonly #blocks = new BlockQueue();
  readonly #accounts = new Map<Appender, Account>();
  #bytes = 0;
  #droppedBytes = 0;

  /** Memory that those take that are to be ordered. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is none, not even one of a connection that is gone. */
  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /**
   * The caller that gives its place to one more append of `caller`, which costs `cost`: the one with most here, of those with more than one append if
   * there are any. Undefined when that is `caller`.
   */
  payer(caller: Appender, cost: number): Payer | undefined {
    const own = this.#accounts.get(caller);
    let most: Pick<Account, 'bytes' | 'count'> = { bytes: (own?.bytes ?? 0) + cost, count: (own?.count ?? 0) + 1 };
    let found: Account | undefined;
    for (const account of this.#accounts.values()) {
      if (account === own || !paysBefore(account, most)) continue;
      most = account;
      found = account;
    }
    if (found === undefined) return undefined;
    let oldest = 0;
    while (this.#rows.owner(oldest) !== found) oldest += 1;
    return { caller: found.caller, count: found.count, requestId: this.#rows.requestId(oldest) };
  }

  /** Adds `request`, and copies its entries. */
  push(request: AppendRequest): void {
    const { caller, requestId, entries, entryCount, received, condition, session, arrivedMs } = request;
    const upload = request.upload === undefined ? undefined : { ...request.upload, id: request.upload.id.slice() };
    if (this.#droppedBytes >= MAX_DROPPED_BYTES) this.#compact();
    let account = this.#accounts.get(caller);
    if (account === undefined) {
      account = { caller, bytes: 0, entryBytes: 0, count: 0, isDropped: false };
      this.#accounts.set(caller, account);
    }
    const own = entries.length > MAX_BLOCK_PART_BYTES ? entries.slice() : undefined;
    const place = own === undefined ? this.#blocks.push(entries) : 0;
    const extra = hasExtra(request) ? { entryCount, received, condition, upload, session, own } : undefined;
    this.#rows.push(account, requestId, entries.length, place, arrivedMs, extra);
    const cost = heldCostOf(request);
    account.bytes += cost;
    account.entryBytes += entries.length;
    account.count += 1;
    this.#bytes += cost;
  }

  /** The oldest one that is to be ordered; undefined when there is none. Its entries are valid until it is taken out. */
  first(): AppendRequest | undefined {
    const rows = this.#rows;
    while (rows.size > 0 && rows.owner().isDropped) this.shift();
    if (rows.size === 0) return undefined;
    const { entryCount, received, condition, upload, session, own } = rows.extra() ?? { entryCount: 1, received: false };
    const entries = own ?? this.#blocks.at(rows.place(), rows.bytes());
    return {
      caller: rows.owner().caller,
      requestId: rows.requestId(),
      entries,
      entryCount,
      received,
      condition,
      upload,
      session,
      arrivedMs: rows.arrivedMs(),
    };
  }

  /** Takes the oldest one out. Returns whether its caller is still there. */
  shift(): boolean {
    const rows = this.#rows;
    const account = rows.owner();
    const cost = costOf(rows.bytes(), rows.extra() !== undefined);
    if (account.isDropped) this.#droppedBytes -= cost;
    else {
      account.bytes -= cost;
      account.entryBytes -= rows.bytes();
      account.count -= 1;
      this.#bytes -= cost;
      assert((account.count === 0) === (account.bytes === 0) && account.count >= 0, 'what a caller has held is counted');
      if (account.count === 0) this.#accounts.delete(account.caller);
    }
    if (rows.extra()?.own === undefined) this.#blocks.shiftTo(rows.place());
    rows.shift();
    if (rows.size === 0) {
      this.#blocks.clear();
      assert(this.#bytes === 0 && this.#droppedBytes === 0, 'held bytes are counted');
    }
    return !account.isDropped;
  }

  /** Forgets all that `caller` has here: it is gone. Returns how much that was. */
  drop(caller: Appender): { readonly count: number; readonly entryBytes: number } {
    const account = this.#accounts.get(caller);
    if (account === undefined) return NOTHING;
    this.#accounts.delete(caller);
    account.isDropped = true;
    this.#bytes -= account.bytes;
    this.#droppedBytes += account.bytes;
    return account;
  }

  /** Takes those that were dropped out, and moves the others together: one that is left would keep a whole block. */
  #compact(): void {
    const rows = this.#rows;
    const blocks = this.#blocks;
    blocks.rewrite(() => {
      rows.rewrite((i) => {
        if (rows.owner(i).isDropped) return undefined;
        return rows.extra(i)?.own === undefined ? blocks.push(blocks.at(rows.place(i), rows.bytes(i))) : 0;
      });
    });
    this.#droppedBytes = 0;
    assert(this.#bytes === 0 || rows.size > 0, 'what is counted is there');
  }
}
