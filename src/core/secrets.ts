// Addresses may carry a password or a token, and everything that is shown may end in a log that others read.

/** User and password: all up to the last @, whatever is in them; several addresses may stand in a list with commas. */
const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)(?:(?!,\s*[a-z][a-z0-9+.-]*:\/\/)\S)*@/gi;
/**
 * Query and fragment: all up to the next space or quotation mark, whatever is in them, as any of it may be a part of a token. Only what a sentence
 * puts after an address is no part of it.
 */
const QUERY = /([a-z][a-z0-9+.-]*:\/\/[^\s?#]*[?#])[^\s"]*[^\s"',;):.]/gi;

/** Where a query has an @, nobody can tell in a sentence which part is the host: nothing of the address is shown. */
const UNCLEAR = /([a-z][a-z0-9+.-]*:\/\/)[^\s?#]*[?#][^\s"]*@[^\s"]*[^\s"',;):.]/gi;

/** An address that is one, with `***` in place of its secrets. */
function shownAddress({ protocol, host, pathname, username, password, search, hash }: URL): string {
  const user = username + password === '' ? '' : '***@';
  const path = pathname === '/' && search + hash === '' ? '' : pathname;
  return `${protocol}//${user}${host}${path}${search === '' ? '' : '?***'}${hash === '' ? '' : '#***'}`;
}

/** The text with `***` in place of the user name, the password, the query and the fragment of each address in it. Show no address without this. */
export function withoutSecrets(text: string): string {
  if (!text.includes('://')) return text;
  const isOne = /^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(text) && text.indexOf('://') === text.lastIndexOf('://');
  if (isOne && URL.canParse(text)) return shownAddress(new URL(text));
  return text.replace(UNCLEAR, '$1***').replace(USER_INFO, '$1***@').replace(QUERY, '$1***');
}

/** The same for what was given as an address, and is none: `before`, if it is there, is shown, what follows it up to the last @ is not. */
export function badAddressWithoutSecrets(text: string, before = /^(?:[a-z][a-z0-9+.-]*:\/\/)?/i): string {
  const start = before.exec(text);
  const from = start === null ? 0 : start.index + start[0].length;
  const at = text.lastIndexOf('@');
  return withoutSecrets(start === null || at < from ? text : `${text.slice(0, from)}***${text.slice(at)}`);
}
