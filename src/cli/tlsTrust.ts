// The certificates of a command that connects: whose nodes may have, and its own.

import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import type { TlsOptions, TlsSource } from '../client/nodes/tls.ts';
import { LogError } from '../core/errors.ts';

/** Not those of a node, which a command in the same environment may run beside. */
const FILES = {
  tlsCa: [
    '--tls-ca <file>',
    'authorities in PEM, of one of which the certificates of nodes at wss:// addresses must be; without it, those that Node knows',
    'LOGLOG_TLS_CA',
  ],
  clientCert: [
    '--client-cert <file>',
    'the certificate to show where a node asks for one, in PEM; with --client-key',
    'LOGLOG_CLIENT_CERT',
  ],
  clientKey: ['--client-key <file>', 'its private key in PEM, without a password', 'LOGLOG_CLIENT_KEY'],
} as const;

type Given = { readonly [name in keyof typeof FILES]?: string };

/** The process is one command. */
let source: TlsSource | undefined;

export function tlsTrustOptions(): Option[] {
  return Object.values(FILES).map(([flag, sentence, variable]) => new Option(flag, sentence).env(variable));
}

function contentOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (thrown) {
    throw new LogError('USAGE', `${file} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

/** Takes over what `command` was given. Throws a LogError `USAGE` for what cannot be read. */
export function takeTls(command: Command): void {
  const { tlsCa, clientCert, clientKey } = command.opts<Given>();
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw new LogError('USAGE', '--client-cert and --client-key belong together: give both, or none');
  }
  if (tlsCa === undefined && clientCert === undefined) return;
  // Again for each connection, so that certificates can be changed under a command that goes on.
  source = (): TlsOptions => ({
    ...(tlsCa === undefined ? {} : { ca: contentOf(tlsCa) }),
    ...(clientCert === undefined || clientKey === undefined ? {} : { cert: contentOf(clientCert), key: contentOf(clientKey) }),
  });
  source();
}

/** What this command takes and shows; undefined: what Node knows, and nothing. */
export function tlsSource(): TlsSource | undefined {
  return source;
}
