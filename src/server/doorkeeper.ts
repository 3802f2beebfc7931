// Who may come in: what a caller shows, what that allows, and when it ends. Sessions and downloads that stand on a token are told when it was revoked
// or has expired.

import { type Identity, identityOf, OPEN_IDENTITY, type TokenRecord, tokenIdOf } from '../core/access.ts';
import { TOKEN_ENDING_MS, TOKEN_LOOK_MS } from '../core/accessLimits.ts';
import type { Loop, Timer } from '../node/loop.ts';
import { isSameSecret } from '../node/sameSecret.ts';
import type { HttpBody, HttpRequest } from './acceptor.ts';
import { type Account, outWaitMs } from './accounts.ts';
import { type Certificates, NO_CERTIFICATES } from './clientCertificates.ts';
import type { Ending, Holder } from './holder.ts';

/** The tokens of the log, as far as this node has them. */
export interface Tokens {
  find(id: string): TokenRecord | undefined;
  /** Whether this node knows of what the leader has done up to a moment ago: if not, nobody comes in by a token. */
  readonly isSettled: boolean;
  hasExpired(of: Pick<TokenRecord, 'expiresMs'>): boolean;
  /** `changed` is called each time that tokens were put or removed; returns what ends that. */
  onChanged(changed: () => void): () => void;
}

interface Leaving {
  readonly holder: Holder;
  readonly why: Ending;
  readonly untilMs: number;
}

/** Why a token is not taken. `malformed`: it is none; `unknown`: this node has no such one, or not this secret; `unsettled`: it cannot know now. */
export type Denial = 'malformed' | 'unknown' | 'expired' | 'unsettled';

interface Group {
  readonly identity: Identity;
  /** What the token said when it was shown. */
  readonly said: string;
  readonly holders: Set<Holder>;
}

/** One with a certificate that was renewed is another one. */
function keyOf({ kind, id, expiresMs }: Identity): string {
  return `${kind} ${id} ${expiresMs}`;
}

/** Who asks for a WebSocket: with an identity, or what it showed, or nothing yet. */
export interface Visitor {
  readonly identity?: Identity;
  /** What it showed where that is to be looked for once more. */
  readonly token?: string;
  readonly denial?: Denial;
}

const OPEN: Visitor = { identity: OPEN_IDENTITY };

/** What is said with HTTP 401 (RFC 9110, 11.6.1), and all that is. */
export const CHALLENGE: Readonly<Record<string, string>> = { 'www-authenticate': 'Bearer' };

const BEARER = /^bearer +(\S+) *$/i;

/** The token that a request shows in its header; undefined: none; empty: what it shows is no token. */
export function tokenShown(request: HttpRequest): string | undefined {
  const shown = request.header('authorization');
  return shown === '' ? undefined : (BEARER.exec(shown)?.[1] ?? '');
}

export class Doorkeeper {
  /** Whether callers have to show who they are. */
  readonly isNeeded: boolean;
  /** What came of what was shown, since the process started. */
  readonly counts: ReadonlyMap<string, { count: number }> = new Map(
    ['accepted', 'malformed', 'unknown', 'expired', 'unsettled'].map((result) => [result, { count: 0 }]),
  );
  readonly #tokens: Tokens;
  readonly #certificates: Certificates;
  /** Those with an identity that may end, by its kind and id. */
  readonly #groups = new Map<string, Group>();
  /** Those that were told that it is over, and have not ended. */
  #leaving: Leaving[] = [];
  readonly #loop: Pick<Loop, 'nowMs' | 'after'>;
  readonly #unfollow: () => void;
  #looking: Timer | undefined;

  constructor(isNeeded: boolean, tokens: Tokens, loop: Pick<Loop, 'nowMs' | 'after'>, certificates: Certificates = NO_CERTIFICATES) {
    this.#certificates = certificates;
    this.isNeeded = isNeeded;
    this.#tokens = tokens;
    this.#loop = loop;
    this.#unfollow = isNeeded ? tokens.onChanged(() => this.look()) : () => undefined;
  }

  /** Who shows `token`, or why it is not taken. What is no token costs no look-up. */
  identify(token: string): Identity | Denial {
    const found = this.#identify(token);
    const counter = this.counts.get(typeof found === 'string' ? found : 'accepted');
    if (counter !== undefined) counter.count += 1;
    return found;
  }

  #identify(token: string): Identity | Denial {
    const id = tokenIdOf(token);
    if (id === undefined) return 'malformed';
    if (!this.#tokens.isSettled) return 'unsettled';
    const record = this.#tokens.find(id);
    if (record === undefined || !isSameSecret(token, record.hash)) return 'unknown';
    return this.#tokens.hasExpired(record) ? 'expired' : identityOf(record);
  }

  /** Who asks for a WebSocket. */
  visitor(request: HttpRequest): Visitor {
    if (!this.isNeeded) return OPEN;
    const token = tokenShown(request);
    if (token === undefined) return this.#byCertificate(request);
    const found = this.identify(token);
    return typeof found === 'string' ? { token, denial: found } : { identity: found };
  }

  /** Who asks over HTTP. */
  ofRequest(request: HttpRequest): Identity | Denial {
    if (!this.isNeeded) return OPEN_IDENTITY;
    const token = tokenShown(request);
    const certified = token === undefined ? this.#certificates.find(request) : undefined;
    return certified ?? this.identify(token ?? '');
  }

  #byCertificate(request: HttpRequest): Visitor {
    const identity = this.#certificates.find(request);
    return identity === undefined ? {} : { identity };
  }

  /** `holder` is told when `identity`, which was identified in this turn, holds no more. */
  hold(identity: Identity, holder: Holder): void {
    if (identity.kind === 'open') return;
    const key = keyOf(identity);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { identity, said: this.#saidOf(identity) ?? '', holders: new Set() };
      this.#groups.set(key, group);
      if (identity.expiresMs !== 0) this.#watch();
    }
    group.holders.add(holder);
    // It was revoked between two moments of a request.
    if (this.#saidOf(identity) !== group.said) this.#watch();
  }

  release(identity: Identity, holder: Holder): void {
    const key = keyOf(identity);
    const group = this.#groups.get(key);
    if (group === undefined) return;
    group.holders.delete(holder);
    if (group.holders.size === 0) this.#groups.delete(key);
  }

  /** Ends what stands on a token that is gone or has expired. */
  look(): void {
    const nowMs = this.#loop.nowMs();
    this.#leaving = this.#leaving.filter(({ holder, why, untilMs }) => !holder.ended(why, nowMs >= untilMs));
    for (const [key, { identity, said, holders }] of this.#groups) {
      const why = this.#tokens.hasExpired(identity) ? 'TOKEN_EXPIRED' : this.#saidOf(identity) === said ? undefined : 'TOKEN_REVOKED';
      if (why === undefined) continue;
      this.#groups.delete(key);
      for (const holder of holders) {
        if (!holder.ended(why, false)) this.#leaving.push({ holder, why, untilMs: nowMs + TOKEN_ENDING_MS });
      }
    }
    if (this.#leaving.length > 0) this.#watch();
  }

  /** Waits so long, and at most a second. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#loop.after(Math.min(1000, Math.ceil(ms)), resolve, true));
  }

  stop(): void {
    this.#looking?.cancel();
    this.#unfollow();
  }

  /** Of a token as it is now, of a certificate as the rules are. */
  #saidOf(identity: Identity): string | undefined {
    if (identity.kind !== 'token') return this.#certificates.saidOf(identity);
    const record = this.#tokens.find(identity.id);
    return record === undefined ? undefined : `${record.hash} ${record.scopes} ${record.expiresMs}`;
  }

  /** Looks again and again, as long as anything that expires is held. */
  #watch(): void {
    if (this.#looking !== undefined) return;
    const look = (): void => {
      this.#looking = undefined;
      this.look();
      if ([...this.#groups.values()].some(({ identity }) => identity.expiresMs !== 0)) this.#watch();
    };
    this.#looking = this.#loop.after(TOKEN_LOOK_MS, look, true);
  }
}

/** A body that is cut when what it was asked with holds no more, and leaves no faster than the quotas allow. */
export class HeldBody implements HttpBody, Holder {
  readonly bytes: number;
  readonly #access: Doorkeeper;
  readonly #identity: Identity;
  readonly #inner: HttpBody;
  readonly #accounts: readonly Account[];
  #isOver = false;
  #cut: () => void = () => undefined;

  constructor(access: Doorkeeper, identity: Identity, inner: HttpBody, accounts: readonly Account[]) {
    this.#accounts = accounts;
    this.bytes = inner.bytes;
    this.#access = access;
    this.#identity = identity;
    this.#inner = inner;
  }

  begin(cut: () => void): void {
    this.#cut = cut;
    for (const account of this.#accounts) account.bodies += 1;
    this.#access.hold(this.#identity, this);
    this.#inner.begin(cut);
  }

  async next(): Promise<Uint8Array | undefined> {
    for (let waitMs = outWaitMs(this.#accounts); waitMs > 0 && !this.#isOver; waitMs = outWaitMs(this.#accounts)) {
      await this.#access.pause(waitMs);
    }
    const part = await this.#inner.next();
    for (const { bytesOut } of this.#accounts) bytesOut.take(part?.length ?? 0);
    return part;
  }

  failed(thrown: unknown): ReturnType<HttpBody['failed']> {
    return this.#inner.failed(thrown);
  }

  end(): void {
    if (!this.#isOver) for (const account of this.#accounts) account.bodies -= 1;
    this.#isOver = true;
    this.#access.release(this.#identity, this);
    this.#inner.end();
  }

  ended(): boolean {
    this.end();
    this.#cut();
    return true;
  }
}
