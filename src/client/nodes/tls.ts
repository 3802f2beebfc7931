// What a client on Node takes for its nodes' certificates, and shows as its own. Browsers have both already.

import { describe } from '../describe.ts';
import { checkOptions, TLS_OPTIONS } from '../optionNames.ts';

/** Certificates or a key: a text in PEM, or the bytes of one. */
export type Pem = string | Uint8Array;

/** For `wss:` and `https:` addresses. */
export interface TlsOptions {
  /** Authorities that nodes' certificates may be of, in place of those that Node knows. Several may be in one text. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** The certificate that this client shows, and those between it and its authority; with `key`. */
  readonly cert?: Pem | undefined;
  /** Its private key, without a password. */
  readonly key?: Pem | undefined;
  /** The name that nodes' certificates must have, in place of that in their addresses. */
  readonly servername?: string | undefined;
}

/** Asked anew for each connection, so that certificates may change under a client. */
export type TlsSource = () => TlsOptions;

/** As `fetch`, as far as it is needed. */
export type Fetch = (
  url: string,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<Response>;

/** How resources over HTTP are asked for: of nodes of the log, and of other hosts. */
export interface Fetches {
  readonly nodes: Fetch;
  readonly others: Fetch;
}

/** The platform's own. */
export const PLAIN_FETCHES: Fetches = { nodes: (url, init) => fetch(url, init), others: (url, init) => fetch(url, init) };

const isPem = (value: unknown): value is Pem => typeof value === 'string' || value instanceof Uint8Array;

function checkTlsOptions(value: unknown): TlsOptions {
  checkOptions('connect’s tls', value, TLS_OPTIONS, { called: 'tls' });
  const { ca, cert, key, servername } = value as Readonly<Record<string, unknown>>;
  const authorities: readonly unknown[] = Array.isArray(ca) ? ca : ca === undefined ? [] : [ca];
  for (const [name, given] of [...authorities.map((one) => ['ca', one] as const), ['cert', cert] as const, ['key', key] as const]) {
    // What a key is, is shown to nobody.
    if (given !== undefined && !isPem(given))
      throw new TypeError(`tls.${name} must be a text in PEM, or its bytes, and is a ${typeof given}`);
  }
  if ((cert === undefined) !== (key === undefined)) throw new TypeError('tls.cert and tls.key belong together: give both, or none');
  if (servername !== undefined && typeof servername !== 'string')
    throw new TypeError(`tls.servername must be a string, not ${describe(servername)}`);
  return value as TlsOptions;
}

/** Where certificates come from; undefined: the platform's own. */
export function checkTls(value: unknown): TlsSource | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'function') return () => checkTlsOptions((value as () => unknown)());
  const options = checkTlsOptions(value);
  return () => options;
}
