// What the loads append.

/** A payload that neither compresses nor repeats. */
export function makePayload(bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  let state = 0x9e3779b9;
  for (let i = 0; i < bytes; i++) {
    // Xorshift: the same bytes on every run.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    payload[i] = state;
  }
  return payload;
}
