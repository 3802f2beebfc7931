// Quotas as a text: `connections=100,bytesInPerSecond=64MiB`.

import { maxQuota, NO_QUOTAS, QUOTA_NAMES, type Quotas } from './access.ts';
import { sizeOf } from './amounts.ts';

/** The quotas that `text` says, those that it does not name 0; a sentence's end where it says none. */
export function quotasOf(text: string): Quotas | string {
  const quotas: { -readonly [name in keyof Quotas]: number } = { ...NO_QUOTAS };
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [given = '', value = '', ...rest] = part.split('=').map((one) => one.trim());
    const name = QUOTA_NAMES.find((one) => one === given);
    if (name === undefined) return `there is no quota ${JSON.stringify(given)}, but ${QUOTA_NAMES.join(', ')}`;
    const number = /^\d+$/.test(value) ? Number(value) : name.startsWith('bytes') ? sizeOf(value) : undefined;
    if (rest.length > 0 || number === undefined || number > maxQuota(name)) {
      return `${name} takes a whole number${name.startsWith('bytes') ? ', or a size such as 64MiB' : ''}, not ${JSON.stringify(value)}`;
    }
    quotas[name] = number;
  }
  return quotas;
}
