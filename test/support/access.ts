// Tokens that a test makes, and a door that asks for none.

import { ALL_SCOPES, encodeToken, NO_QUOTAS, TOKEN_RANDOM_BYTES, type TokenRecord, tokenIdOf } from '../../src/core/access.ts';
import { secretHash } from '../../src/node/sameSecret.ts';
import { Accounts } from '../../src/server/accounts.ts';
import { Doorkeeper, type Tokens } from '../../src/server/doorkeeper.ts';
import { TEST_LOOP } from './loop.ts';

/** The tokens of a log, in the test's hands. */
export class TestTokens implements Tokens {
  isSettled = true;
  readonly records = new Map<string, TokenRecord>();
  /** How often one was looked for. */
  lookups = 0;
  readonly #listeners = new Set<() => void>();
  #made = 0;

  find(id: string): TokenRecord | undefined {
    this.lookups += 1;
    return this.records.get(id);
  }

  hasExpired({ expiresMs }: Pick<TokenRecord, 'expiresMs'>): boolean {
    return expiresMs !== 0 && expiresMs <= Date.now();
  }

  onChanged(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** A token that holds, with these scopes. */
  make(fields: Partial<TokenRecord> = {}): string {
    this.#made += 1;
    const token = encodeToken(new Uint8Array(TOKEN_RANDOM_BYTES).fill(this.#made));
    const id = tokenIdOf(token) ?? '';
    const hash = secretHash(token).toString('hex');
    this.records.set(id, { id, hash, name: 'test', scopes: ALL_SCOPES, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS, ...fields });
    for (const changed of this.#listeners) changed();
    return token;
  }

  revoke(token: string): void {
    this.records.delete(tokenIdOf(token) ?? '');
    for (const changed of this.#listeners) changed();
  }
}

/** No quotas. */
export const NO_ACCOUNTS = new Accounts(NO_QUOTAS, NO_QUOTAS, () => TEST_LOOP.nowMs());

/** Lets everybody in. */
export const OPEN_ACCESS = new Doorkeeper(false, new TestTokens(), TEST_LOOP);
