// Values and addresses in error messages, events and logs.

import { withoutSecrets } from '../core/secrets.ts';

/** What a value is, for an error message: short, without secrets, and never its whole content. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') return `an object of ${value.constructor?.name ?? 'no class'}`;
  return typeof value === 'string' ? JSON.stringify(withoutSecrets(value).slice(0, 40)) : `${typeof value} ${String(value).slice(0, 40)}`;
}

/** A message that others follow: servers send theirs without a full stop. */
export function asSentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}
