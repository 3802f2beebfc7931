// Zeros at the end of a segment's bytes: most of an open segment is that, and is compared by the page rather than byte by byte.

/** Bytes that are compared with zeros at once. */
export const ZERO_PIECE_BYTES = 64 * 1024;
const ZEROS = new Uint8Array(ZERO_PIECE_BYTES);

/** Whether all of `bytes` are 0; at most {@link ZERO_PIECE_BYTES}. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, ZEROS.subarray(0, bytes.length)) === 0;
}

/** How many of `bytes` there are up to the last one that is not 0; 0 when there is none. */
export function usedBytes(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0) {
    const start = Math.max(0, end - ZERO_PIECE_BYTES);
    if (!isZero(bytes.subarray(start, end))) break;
    end = start;
  }
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
