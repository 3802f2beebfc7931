// Addresses may carry a password or a token, and everything that is shown may end in a log that others read.

/** What a file with a secret may be at most, of whoever runs the program; of another owner, as where secrets are mounted, a group may read it. */
const OWN_MODE = 0o600;
const MOUNTED_MODE = 0o640;

/** Why a file with a secret will not do: others may use it. `ownUid`: of whoever runs the program; undefined where the system has none. */
export function openSecret(
  file: string,
  { mode, uid }: { readonly mode: number; readonly uid: number },
  ownUid: number | undefined,
): string | undefined {
  if (ownUid === undefined) return undefined;
  const most = uid === ownUid ? OWN_MODE : MOUNTED_MODE;
  const has = mode & 0o777;
  if ((has & ~most) === 0) return undefined;
  return `others may use it (mode ${has.toString(8)}), and nobody else is to know it: chmod ${most.toString(8)} ${file}`;
}

/** User and password: all up to the last @, whatever is in them; several addresses may stand in a list with commas. */
const USER_INFO = /([a-z][a-z0-9+.-]*:\/\/)(?:(?!,\s*[a-z][a-z0-9+.-]*:\/\/)\S)*@/gi;
/**
 * Query and fragment: all up to the next space or quotation mark, whatever is in them, as any of it may be a part of a token. Only what a sentence
 * puts after an address is no part of it.
 */
const QUERY = /([a-z][a-z0-9+.-]*:\/\/[^\s?#]*[?#])[^\s"]*[^\s"',;):.]/gi;

/** Where a query has an @, nobody can tell in a sentence which part is the host: nothing of the address is shown. */
const UNCLEAR = /([a-z][a-z0-9+.-]*:\/\/)[^\s?#]*[?#][^\s"]*@[^\s"]*[^\s"',;):.]/gi;

/** Tokens, and what was cut off from one: those whose id alone is there show nothing. */
const TOKENS = /\bloglog_[0-9A-Za-z]{12,}/g;

/** A parameter that somebody may put a token into. */
const SECRET_PARAMETER = /^(access[_-]?)?(token|secret|password|authorization|api[_-]?key)$/i;

/** Why an address of clients is refused: it would end in logs, of this program, of proxies, with what is secret in it. Undefined: nothing is. */
export function secretIn(url: string): string | undefined {
  const { username, password, searchParams } = new URL(url);
  if (username + password !== '')
    return 'has no name and no password before its @: give a token with the option token, LOGLOG_TOKEN or --token-file';
  const parameter = [...searchParams.keys()].find((name) => SECRET_PARAMETER.test(name));
  const isToken = /loglog_[0-9A-Za-z]{12,}/.test(url);
  if (parameter === undefined && !isToken) return undefined;
  return 'has no token in it: give that with the option token, LOGLOG_TOKEN or --token-file';
}

/** An address that is one, with `***` in place of its secrets. */
function shownAddress({ protocol, host, pathname, username, password, search, hash }: URL): string {
  const user = username + password === '' ? '' : '***@';
  const path = pathname === '/' && search + hash === '' ? '' : pathname;
  return `${protocol}//${user}${host}${path}${search === '' ? '' : '?***'}${hash === '' ? '' : '#***'}`;
}

/** The text with `***` in place of the user name, the password, the query and the fragment of each address in it. Show no address without this. */
export function withoutSecrets(text: string): string {
  const plain = text.replace(TOKENS, 'loglog_***');
  return plain.includes('://') ? withoutAddressSecrets(plain) : plain;
}

function withoutAddressSecrets(text: string): string {
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
