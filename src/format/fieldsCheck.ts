// The check of a file that is JSON (node.json, a backup's manifest): over its fields, so that it does not matter how the file is laid out.

import { xxh64 } from './xxh64.ts';

/** XXH64 of the fields as JSON without white space, 16 hexadecimal digits. All values are plain ASCII, and an object's keys that are numbers come in their order. */
export function checkOfFields(fields: Readonly<Record<string, unknown>>): string {
  return xxh64(new TextEncoder().encode(JSON.stringify(fields)))
    .toString(16)
    .padStart(16, '0');
}

/** Whether what a file says, with its field `check`, is what somebody wrote: of any format, for each lists its fields in the order of its check. */
export function hasOwnCheck({ check, ...fields }: Readonly<Record<string, unknown>>): boolean {
  return check === checkOfFields(fields);
}
