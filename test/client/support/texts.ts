import type { Reading } from '../../../src/client/read/reading.ts';

const decoder = new TextDecoder();

/** The payloads of the next `count` entries, or of all that come before the reading ends. */
export async function textsOf(reading: Reading, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const texts: string[] = [];
  for await (const { payload } of reading) {
    texts.push(decoder.decode(payload));
    if (texts.length === count) break;
  }
  return texts;
}
