// The one place in which secrets are compared.

import { createHash, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a secret's text. */
export function secretHash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** Whether `secret` is the one whose SHA-256 is `hash`, in 64 hexadecimal digits. Takes as long whatever they have in common. */
export function isSameSecret(secret: string, hash: string): boolean {
  const known = Buffer.from(hash, 'hex');
  const shown = secretHash(secret);
  return known.length === shown.length && timingSafeEqual(shown, known);
}
