// The token that a command shows to nodes: in a file, or in LOGLOG_TOKEN, never on the command line, where every user of the machine reads it.

import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { checkToken, checkTokenText, type TokenSource } from '../client/nodes/token.ts';
import { isEncrypted } from '../core/address.ts';
import { LogError } from '../core/errors.ts';

/** The process is one command. */
let source: TokenSource | undefined;
/** It was given an address with TLS: what it shows is for nobody on the way. */
let isOnlyEncrypted = false;

export function tokenFileOption(): Option {
  return new Option('--token-file <file>', 'the token to show where a node asks for one, in a file; without it, LOGLOG_TOKEN').env(
    'LOGLOG_TOKEN_FILE',
  );
}

/** Read again for each connection, so that a token can be changed under a command that goes on. */
function inFile(path: string): string {
  try {
    return checkTokenText(readFileSync(path, 'utf8').trim());
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LogError('USAGE', `the token cannot be read from ${path}: ${why}`);
  }
}

function inEnvironment(text: string): string {
  try {
    return checkTokenText(text.trim());
  } catch (thrown) {
    throw new LogError('USAGE', `LOGLOG_TOKEN is no token: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** Takes over what `command` was given, or `kept`, the token of its context. Throws a LogError `USAGE` for a file that has no token. */
export function takeToken(command: Command, kept?: string): void {
  const { tokenFile, url = [] } = command.opts<{ tokenFile?: string; url?: string | readonly string[] }>();
  isOnlyEncrypted = [url].flat().some(isEncrypted);
  const { LOGLOG_TOKEN } = process.env;
  if (tokenFile !== undefined) {
    inFile(tokenFile);
    source = () => inFile(tokenFile);
  } else if (kept !== undefined) {
    source = checkToken(kept);
  } else if (LOGLOG_TOKEN) {
    source = checkToken(inEnvironment(LOGLOG_TOKEN));
  }
}

/** What this command shows; undefined: nothing. */
export function tokenSource(): TokenSource | undefined {
  return source;
}

/** What it shows at `url`, an address that a node may have named: no node leads from TLS to where everybody on the way reads along. */
export function tokenFor(url: string): TokenSource | undefined {
  return isOnlyEncrypted && !isEncrypted(url) ? undefined : source;
}
