// A node that asks for tokens, in this process.

import { onTestFinished } from 'vitest';
import { LogServer } from '../../dist/src/server/server.js';
import { configure, type OptionName } from '../../src/core/config.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { TestTokens } from '../support/access.ts';

export interface TokenDoor {
  readonly server: LogServer;
  readonly tokens: TestTokens;
  /** `http://host:port`. */
  readonly http: string;
  /** What it logged as a warning or an error. */
  readonly warnings: readonly string[];
}

/** Starts one, which stops when the test ends. */
export async function openDoor(options: { readonly [name in OptionName]?: unknown } = {}): Promise<TokenDoor> {
  const tokens = new TestTokens();
  const warnings: string[] = [];
  const config = configure({ data: makeDirectory(), port: 0, slots: 3, segmentBytes: 1 << 20, fsync: 'off', tokens: 'on', ...options });
  const warn = (text: string): void => void warnings.push(text);
  const server = await LogServer.start({ config, log: { info: () => undefined, warn, error: warn }, tokens });
  onTestFinished(async () => void (await server.stop()));
  return { server, tokens, http: server.url.replace('ws:', 'http:'), warnings };
}
