// The secret that the nodes of a cluster on this machine prove to each other: made once, and kept beside their directories.

import { randomBytes } from 'node:crypto';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { flagOf } from '../core/options.ts';
import { PEER_SECRET_BYTES } from '../core/peerLimits.ts';

export const PEER_SECRET_FILE = 'peer-secret';

/** Flags by which somebody else says what nodes prove themselves by. */
const PROOF_FLAGS: readonly string[] = [flagOf('peerSecretFile'), flagOf('peerCa')];

/** The flags by which nodes prove a secret in `directory` to each other, which is made if there is none; none where `flags` name another proof. */
export function secretFlags(directory: string, flags: readonly string[]): readonly string[] {
  if (flags.some((flag) => PROOF_FLAGS.includes(flag))) return [];
  const file = join(directory, PEER_SECRET_FILE);
  if (!existsSync(file)) {
    // Whole or not at all.
    const temporary = `${file}.tmp`;
    writeFileSync(temporary, `${randomBytes(PEER_SECRET_BYTES).toString('hex')}\n`, { mode: 0o600 });
    renameSync(temporary, file);
  }
  return [flagOf('peerSecretFile'), file];
}
