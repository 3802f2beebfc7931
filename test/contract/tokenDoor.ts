// A node that asks for tokens, in this process.

import { onTestFinished } from 'vitest';
import { LogServer } from '../../dist/src/server/server.js';
import { configure } from '../../src/core/config.ts';
import type { OptionName } from '../../src/core/options.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { TestTokens } from '../support/access.ts';

type Ending = (end: () => Promise<void>) => void;

export interface TokenDoor {
  readonly server: LogServer;
  readonly tokens: TestTokens;
  /** `http://host:port`. */
  readonly http: string;
  /** What it logged as a warning or an error. */
  readonly warnings: readonly string[];
  /** What it told of who did what. */
  readonly audited: readonly Readonly<Record<string, string>>[];
}

/** So long strangers may stay: a test says when it is over. */
const STRANGER_MS = 600_000;

/** Starts one, which stops when the test ends, or, with `ending`, when that calls what it is given. */
export async function openDoor(
  options: { readonly [name in OptionName]?: unknown } = {},
  ending: Ending = onTestFinished,
  strangerMs = STRANGER_MS,
): Promise<TokenDoor> {
  const tokens = new TestTokens();
  const warnings: string[] = [];
  const audited: Readonly<Record<string, string>>[] = [];
  const data = temporaryDirectory();
  const config = configure({ data, port: 0, slots: 3, segmentBytes: 1 << 20, fsync: 'off', tokens: 'on', ...options });
  const warn = (text: string): void => void warnings.push(text);
  const audit = (fields: Readonly<Record<string, string>>): void => void audited.push(fields);
  const server = await LogServer.start({ config, log: { info: () => undefined, warn, error: warn, audit }, tokens, strangerMs });
  ending(async () => {
    await server.stop();
    removeDirectory(data);
  });
  return { server, tokens, http: server.url.replace('ws:', 'http:'), warnings, audited };
}
