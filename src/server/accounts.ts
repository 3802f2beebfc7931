// What each token, certificate or address uses of this node at the moment, over all of its connections, held against its quotas. Over those of requests
// and bytes nothing is refused: what it sent waits, and what is sent to it does. So nobody need try again.

import { type Identity, NO_QUOTAS, QUOTA_NAMES, type Quotas } from '../core/access.ts';
import { QUOTA_BURST_MS, QUOTA_OVERDRAFT_MS } from '../core/accessLimits.ts';
import { type Pace, Party } from './inbox.ts';
import type { Session } from './session.ts';

/** So much a second: what was taken above that is waited for. What was not used for {@link QUOTA_BURST_MS} may be taken at once. */
export class Rate {
  readonly #perMs: number;
  readonly #nowMs: () => number;
  #readyMs = Number.NEGATIVE_INFINITY;

  /** `perSecond` 0: there is no bound. */
  constructor(perSecond: number, nowMs: () => number) {
    this.#perMs = perSecond / 1000;
    this.#nowMs = nowMs;
  }

  take(amount: number): void {
    if (this.#perMs > 0) this.#readyMs = Math.max(this.#readyMs, this.#nowMs() - QUOTA_BURST_MS) + amount / this.#perMs;
  }

  /** Milliseconds until there may be more. */
  get waitMs(): number {
    return this.#perMs === 0 ? 0 : Math.max(0, this.#readyMs - this.#nowMs());
  }
}

/** Of one token, certificate or address. */
export class Account {
  readonly name: string;
  readonly quotas: Quotas;
  readonly sessions = new Set<Session>();
  /** Downloads that are under way. */
  bodies = 0;
  /** Its connections take their turns together. */
  readonly party = new Party<Session>();
  readonly requests: Rate;
  readonly bytesIn: Rate;
  readonly bytesOut: Rate;

  constructor(name: string, quotas: Quotas, nowMs: () => number) {
    this.name = name;
    this.quotas = quotas;
    this.requests = new Rate(quotas.requestsPerSecond, nowMs);
    this.bytesIn = new Rate(quotas.bytesInPerSecond, nowMs);
    this.bytesOut = new Rate(quotas.bytesOutPerSecond, nowMs);
  }

  /** Nobody uses it, and it owes nothing. */
  get isIdle(): boolean {
    return this.sessions.size + this.bodies === 0 && this.requests.waitMs + this.bytesIn.waitMs + this.bytesOut.waitMs === 0;
  }

  /** Why it may have no more of what `count` counts of one of its sessions; undefined: it may. */
  refusal(quota: 'subscriptions' | 'stagedUploads' | 'waits', count: (session: Session) => number): string | undefined {
    const most = this.quotas[quota];
    if (most === 0) return undefined;
    let sum = 0;
    for (const session of this.sessions) {
      sum += count(session);
      if (sum >= most) return `${this.name} has ${most} ${quota}, which is its quota`;
    }
    return undefined;
  }
}

const NONE: readonly Account[] = [];

/** With so many accounts those that nobody uses are forgotten. */
const SWEPT_ACCOUNTS = 1024;

export class Accounts {
  readonly #ofTokens: Quotas;
  readonly #ofAddresses: Quotas;
  readonly #hasAddresses: boolean;
  readonly #nowMs: () => number;
  readonly #all = new Map<string, Account>();
  #sweepAt = SWEPT_ACCOUNTS;

  /** `ofTokens`: for tokens and certificates that have none of their own; `ofAddresses`: for each address, if any is not 0. */
  constructor(ofTokens: Quotas, ofAddresses: Quotas, nowMs: () => number) {
    this.#ofTokens = ofTokens;
    this.#ofAddresses = ofAddresses;
    this.#hasAddresses = QUOTA_NAMES.some((name) => ofAddresses[name] > 0);
    this.#nowMs = nowMs;
  }

  /** Those that a caller counts for, from an address; none where nothing is bounded. */
  of(identity: Identity, address?: string): readonly Account[] {
    if (identity.kind === 'open' && !this.#hasAddresses) return NONE;
    const accounts: Account[] = [];
    if (identity.kind !== 'open') accounts.push(this.#get(`${identity.kind} ${identity.id}`, () => this.#quotasOf(identity)));
    if (this.#hasAddresses && address !== undefined) accounts.push(this.#get(`address ${address}`, () => this.#ofAddresses));
    return accounts;
  }

  /** A session begins. Returns why it may not. */
  begin(session: Session, accounts: readonly Account[]): string | undefined {
    const full = accounts.find(({ quotas, sessions }) => quotas.connections > 0 && sessions.size >= quotas.connections);
    if (full !== undefined) return `${full.name} has ${full.quotas.connections} connections, which is its quota`;
    session.accounts = accounts;
    for (const { sessions } of accounts) sessions.add(session);
    return undefined;
  }

  end(session: Session): void {
    for (const account of session.accounts) {
      account.sessions.delete(session);
      // What it took a moment ago counts until it is paid.
      if (account.isIdle) this.#all.delete(account.name);
    }
  }

  #get(name: string, quotas: () => Quotas): Account {
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    if (this.#all.size >= this.#sweepAt) {
      for (const [other, account] of this.#all) if (account.isIdle) this.#all.delete(other);
      this.#sweepAt = Math.max(SWEPT_ACCOUNTS, 2 * this.#all.size);
    }
    const account = new Account(name, quotas(), this.#nowMs);
    this.#all.set(name, account);
    return account;
  }

  #quotasOf({ quotas }: Identity): Quotas {
    const merged = QUOTA_NAMES.map((name) => [name, quotas[name] === 0 ? this.#ofTokens[name] : quotas[name]]);
    return { ...NO_QUOTAS, ...Object.fromEntries(merged) };
  }
}

/** What of a session counts as what. */
export const COUNTS = {
  subscriptions: ({ readings }: Session): number => [...readings.open.values()].filter(({ isSubscription }) => isSubscription).length,
  waits: ({ readings, ends }: Session): number =>
    ends.size + [...readings.open.values()].filter(({ isSubscription }) => !isSubscription).length,
} as const;

/** Refuses a request of a session that has as much of something as it may, and returns whether it did. */
export function isOverQuota(
  session: Session,
  requestId: number,
  quota: 'subscriptions' | 'stagedUploads' | 'waits',
  count: (session: Session) => number,
): boolean {
  for (const account of session.accounts) {
    const refusal = account.refusal(quota, count);
    if (refusal === undefined) continue;
    session.sendError(requestId, 'QUOTA_EXCEEDED', 0, refusal);
    return true;
  }
  return false;
}

/** How fast somebody with these accounts is served. */
export class AccountsPace implements Pace {
  readonly #accounts: readonly Account[];

  constructor(accounts: readonly Account[]) {
    this.#accounts = accounts;
  }

  get waitMs(): number {
    let most = 0;
    for (const { requests, bytesIn } of this.#accounts) most = Math.max(most, requests.waitMs, bytesIn.waitMs);
    return most;
  }

  took(bytes: number): void {
    for (const { requests, bytesIn } of this.#accounts) {
      requests.take(1);
      bytesIn.take(bytes);
    }
  }

  get isOverdrawn(): boolean {
    // Not by bytes: one message that is large, and was let through, is paid for long.
    return this.#accounts.some(({ requests }) => requests.waitMs > QUOTA_OVERDRAFT_MS);
  }
}

/** Milliseconds until more may be sent to somebody with these accounts. */
export function outWaitMs(accounts: readonly Account[]): number {
  let most = 0;
  for (const { bytesOut } of accounts) most = Math.max(most, bytesOut.waitMs);
  return most;
}
