// Names of producers: who appends in sessions is known by one.

/** Most bytes of a producer's name, in UTF-8. */
export const MAX_PRODUCER_NAME_BYTES = 64;

const NO_NAME = /[\p{Cc}\p{Cs}]/u;
const text = new TextEncoder();

/** Why `name` is no producer's, in a clause; undefined when it may be one's. */
export function faultOfProducer(name: string): string | undefined {
  const { length } = text.encode(name);
  if (length >= 1 && length <= MAX_PRODUCER_NAME_BYTES && !NO_NAME.test(name)) return undefined;
  return `a producer's name has 1 to ${MAX_PRODUCER_NAME_BYTES} bytes of UTF-8 without control characters, not ${length} bytes`;
}
