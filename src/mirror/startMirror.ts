// Starts a mirror: a node that follows the log of a source.

import { LogServer, type ServerOptions } from '../server/server.ts';
import { mirrorOf, type SourceOptions } from './following.ts';

export interface MirrorOptions extends Omit<ServerOptions, 'mirror'>, SourceOptions {}

/**
 * Starts a mirror of the log at `urls` in the directory of `config`, or goes on with it. It serves what it has at once; in an empty directory the source
 * must answer. Throws as `LogServer.start`, and UNREACHABLE.
 */
export async function startMirror({ urls, token, tls, stuckMs, config, signal, ...options }: MirrorOptions): Promise<LogServer> {
  return LogServer.start({ ...options, signal, ...(await mirrorOf({ urls, token, tls, stuckMs, signal }, config)) });
}
