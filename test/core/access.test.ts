import { describe, expect, it } from 'vitest';
import {
  ALL_SCOPES,
  effectiveScopes,
  encodeToken,
  faultOfToken,
  identityOf,
  isTokenId,
  NO_QUOTAS,
  readTokenId,
  SCOPE_NAMES,
  SCOPES,
  scopeNames,
  scopesFrom,
  TOKEN_CHARACTERS,
  TOKEN_RANDOM_BYTES,
  type TokenRecord,
  tokenIdOf,
  writeTokenId,
} from '../../src/core/access.ts';
import { isSameSecret, secretHash } from '../../src/node/sameSecret.ts';

const BYTES = Uint8Array.from({ length: TOKEN_RANDOM_BYTES }, (_, at) => at * 7);
/** Calculated by another program: base 62 of the bytes, and zlib's CRC-32. */
const TOKEN = 'loglog_0095tH3lQf32CpHy3vl8DqSmcmMWjskYrLD8BM87v01jTwu';

const RECORD: TokenRecord = {
  id: '0095tH3lQf3',
  hash: 'ab'.repeat(32),
  name: 'sensors',
  scopes: SCOPES.read | SCOPES.append,
  createdMs: 1,
  expiresMs: 0,
  quotas: NO_QUOTAS,
};

describe('tokens as text', () => {
  it('are the digits of their bytes and a check', () => {
    expect(encodeToken(BYTES)).toBe(TOKEN);
    expect(tokenIdOf(TOKEN)).toBe(TOKEN.slice(7, 18));
    expect(TOKEN).toHaveLength(TOKEN_CHARACTERS);
  });

  it('are as long whatever their bytes', () => {
    for (const byte of [0, 255]) {
      const token = encodeToken(new Uint8Array(TOKEN_RANDOM_BYTES).fill(byte));
      expect(token).toHaveLength(TOKEN_CHARACTERS);
      expect(tokenIdOf(token)).toBe(token.slice(7, 18));
    }
  });

  it('are none with any one character changed, left out or added', () => {
    for (let at = 0; at < TOKEN.length; at++) {
      const other = TOKEN[at] === '1' ? '2' : '1';
      expect(tokenIdOf(TOKEN.slice(0, at) + other + TOKEN.slice(at + 1))).toBeUndefined();
      expect(tokenIdOf(TOKEN.slice(0, at) + TOKEN.slice(at + 1))).toBeUndefined();
      expect(tokenIdOf(`${TOKEN.slice(0, at)}1${TOKEN.slice(at)}`)).toBeUndefined();
      expect(tokenIdOf(`${TOKEN.slice(0, at)}ä${TOKEN.slice(at + 1)}`)).toBeUndefined();
    }
    expect(tokenIdOf('')).toBeUndefined();
  });

  it('have ids of 8 bytes, in the order of the bytes', () => {
    expect(isTokenId('LygHa16AHYF')).toBe(true);
    expect(isTokenId('LygHa16AHYG'), 'one above 2^64 - 1').toBe(false);
    const view = new DataView(new ArrayBuffer(8));
    for (const id of ['00000000000', '0095tH3lQf3', 'LygHa16AHYF']) {
      writeTokenId(view, 0, id);
      expect(readTokenId(view, 0)).toBe(id);
    }
    writeTokenId(view, 0, '00000000010');
    expect(view.getBigUint64(0)).toBe(62n);
  });
});

describe('scopes', () => {
  it('have the bits that are stored, in their order', () => {
    expect(SCOPES).toEqual({ read: 1, consume: 2, append: 4, trim: 8, admin: 16, metrics: 32 });
    expect(SCOPE_NAMES.reduce((bits, name) => bits | SCOPES[name], 0)).toBe(ALL_SCOPES);
  });

  it('are all there with admin, and otherwise what they say', () => {
    expect(effectiveScopes(SCOPES.admin)).toBe(ALL_SCOPES);
    expect(effectiveScopes(SCOPES.read | SCOPES.trim)).toBe(9);
    expect(identityOf({ ...RECORD, scopes: SCOPES.admin }).scopes).toBe(ALL_SCOPES);
  });

  it('have names', () => {
    expect(scopesFrom(['append', 'read', 'read'])).toBe(5);
    expect(scopeNames(5)).toEqual(['read', 'append']);
    for (const names of [[], ['write'], ['toString'], ['read', 'Append']]) expect(scopesFrom(names)).toBeUndefined();
  });
});

describe('records of tokens', () => {
  it('are right, or it is said what is wrong with them', () => {
    expect(faultOfToken(RECORD)).toBeUndefined();
    expect(faultOfToken({ ...RECORD, name: 'ü'.repeat(32) })).toBeUndefined();
    const wrong: readonly [Partial<TokenRecord>, string][] = [
      [{ id: 'LygHa16AHYG' }, 'id'],
      [{ hash: 'AB'.repeat(32) }, 'hash'],
      [{ name: '' }, 'name'],
      [{ name: 'ü'.repeat(33) }, 'name'],
      [{ name: 'a\nb' }, 'name'],
      [{ name: '\ud800' }, 'name'],
      [{ scopes: 0 }, 'scopes'],
      [{ scopes: 64 }, 'scopes'],
      [{ createdMs: -1 }, 'times'],
      [{ expiresMs: 0.5 }, 'times'],
      [{ quotas: { ...NO_QUOTAS, waits: 2 ** 32 } }, 'waits'],
      [{ quotas: { ...NO_QUOTAS, bytesInPerSecond: Number.NaN } }, 'bytesInPerSecond'],
    ];
    for (const [change, what] of wrong) expect(faultOfToken({ ...RECORD, ...change })).toContain(what);
  });
});

describe('secrets', () => {
  it('are the same only by all of their bytes', () => {
    const hash = secretHash(TOKEN).toString('hex');
    expect(isSameSecret(TOKEN, hash)).toBe(true);
    for (const other of ['', TOKEN.slice(1), `${TOKEN}1`, TOKEN.toLowerCase()]) expect(isSameSecret(other, hash)).toBe(false);
    for (const other of ['', hash.slice(2), `${hash}00`]) expect(isSameSecret(TOKEN, other)).toBe(false);
  });
});
