// Bytes that came in pieces.

/** The bytes of `chunks` after the first `skip`. */
export function skipBytes(chunks: readonly Uint8Array[], skip: number): readonly Uint8Array[] {
  if (skip === 0) return chunks;
  const rest: Uint8Array[] = [];
  let left = skip;
  for (const chunk of chunks) {
    if (left < chunk.length) rest.push(chunk.subarray(left));
    left = Math.max(0, left - chunk.length);
  }
  return rest;
}

/** A copy of all their bytes. */
export function joinBytes(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let next = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, next);
    next += chunk.length;
  }
  return bytes;
}
