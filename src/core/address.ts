// Addresses of nodes that are told to others: what may stand in one, so that nothing secret is, and nothing that is none.

/** Longest address that a node tells of itself, in bytes: all of its characters are ASCII. */
export const MAX_ADDRESS_BYTES = 255;

/** Printable ASCII without what begins a user name's end, a query or a fragment. */
const PLAIN = /^wss?:\/\/[!-~]+$/i;
const NEVER = /[@?#\\"<>`]/;

/**
 * `text` as an address that clients may be told, in its one form (without a last slash): `ws://` or `wss://` and a host, without a user, a
 * password, a query or a fragment. Undefined: it is none.
 */
export function publicAddress(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_BYTES || !PLAIN.test(text) || NEVER.test(text) || !URL.canParse(text)) return undefined;
  const { href, host, pathname } = new URL(text);
  if (host === '' || href.length > MAX_ADDRESS_BYTES) return undefined;
  return pathname === '/' ? href.slice(0, -1) : href;
}

/** The address under which `url` is known where neither its user and password nor its query count; undefined where there is none. */
export function bareAddress(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, host, pathname } = new URL(url);
  return publicAddress(`${protocol}//${host}${pathname}`);
}

/** Whether what is said to `url` is encrypted on its way. */
export function isEncrypted(url: string): boolean {
  return /^(wss|https):/i.test(url);
}
