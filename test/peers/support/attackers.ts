// Strangers at the peer port of a node that asks for a proof: each comes by another way, and says what it likes.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { type PeerProof, proofOf } from '../../../src/peers/peerProof.ts';
import { closing, HOST } from './peers.ts';

export const SECRET = randomBytes(32).toString('hex');
export const OTHER_SECRET = randomBytes(32).toString('base64');

/** A proof by secrets, the first of which is spoken. */
export function secretProof(...lines: readonly string[]): PeerProof & { kind: 'secret' } {
  const proof = proofOf({ kind: 'secret', secret: `${lines.join('\n')}\n` });
  if (proof.kind !== 'secret') throw new TypeError('a secret makes a proof by a secret');
  return proof;
}

/** What came of a connection of a stranger. */
export interface Loot {
  /** What the node said inside TLS, or plainly. */
  readonly heard: Buffer;
}

/** Connects to `port`, says `words` as soon as it can, and waits until the node has had enough. */
export type Way = (port: number, words: Uint8Array) => Promise<Loot>;

function until(socket: net.Socket): Promise<Loot> {
  const heard: Buffer[] = [];
  closing({ close: () => socket.destroy() });
  socket.on('data', (chunk: Buffer) => heard.push(chunk));
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.on('close', () => resolve({ heard: Buffer.concat(heard) })));
}

function byTls(options: tls.ConnectionOptions): Way {
  return (port, words) => {
    const socket = tls.connect({ port, host: HOST, rejectUnauthorized: false, checkServerIdentity: () => undefined, ...options });
    socket.write(words);
    return until(socket);
  };
}

function byKey(identity: string, key: Uint8Array, options: tls.ConnectionOptions = {}): Way {
  return byTls({ ca: [], minVersion: 'TLSv1.3', pskCallback: () => ({ psk: key, identity }), ...options });
}

const [known] = secretProof(SECRET).secrets;
const [unknown] = secretProof(OTHER_SECRET).secrets;
if (known === undefined || unknown === undefined) throw new TypeError('a proof by a secret has one');

const OLD = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-PSK-CHACHA20-POLY1305:PSK-AES256-GCM-SHA384' } as const;

/** All do without the key but the last ones, which have it, and try to get less than TLS 1.3 for it. */
export const WAYS: Readonly<Record<string, Way>> = {
  'speaking plainly': (port, words) => {
    const socket = net.connect(port, HOST);
    socket.write(words);
    return until(socket);
  },
  'in TLS without a secret': byTls({ minVersion: 'TLSv1.3' }),
  'with another secret': byKey(unknown.identity, unknown.key),
  'with the name of the secret, seen on the wire, and another key': byKey(known.identity, unknown.key),
  'in TLS 1.2, with the secret': byKey(known.identity, known.key, OLD),
  'in TLS 1.1, with the secret': byKey(known.identity, known.key, {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL:@SECLEVEL=0',
  }),
};
