// Addresses may carry a password or a token, and everything that is shown may end in a log that others read.

/** User and password: all up to the last @, whatever is in them; several addresses may stand in a list with commas. */
const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)(?:(?!,\s*[a-z][a-z0-9+.-]*:\/\/)\S)*@/gi;
/** What stands after the address in a sentence is no part of it. */
const QUERY = /([a-z][a-z0-9+.-]*:\/\/[^\s?#]*\?)[^\s#"',;)]*[^\s#"',;):.]/gi;

/** The text with `***` in place of the user name, the password and the query of each address in it. Show no address without this. */
export function withoutSecrets(text: string): string {
  return text.includes('://') ? text.replace(USER_INFO, '$1***@').replace(QUERY, '$1***') : text;
}

/** The same for what was given as an address, and is none: `before`, if it is there, is shown, what follows it up to the last @ is not. */
export function badAddressWithoutSecrets(text: string, before = /^(?:[a-z][a-z0-9+.-]*:\/\/)?/i): string {
  const start = before.exec(text);
  const from = start === null ? 0 : start.index + start[0].length;
  const at = text.lastIndexOf('@');
  return withoutSecrets(start === null || at < from ? text : `${text.slice(0, from)}***${text.slice(at)}`);
}
