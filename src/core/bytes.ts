// 64-bit log offsets in little-endian bytes, without BigInt.

/** Two digits for each byte. */
const HEX_PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const TWO_TO_32 = 0x1_0000_0000;

/** Writes a log offset (0 to 2^53 - 1) as u64 at `at`. */
export function setOffset(view: DataView, at: number, offset: number): void {
  view.setUint32(at, offset % TWO_TO_32, true);
  view.setUint32(at + 4, Math.floor(offset / TWO_TO_32), true);
}

/** Reads a u64. Values above 2^53 - 1 come back rounded, and are always larger than any offset of a log. */
export function getOffset(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_TO_32;
}

/** A DataView over exactly the bytes of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Lower-case hexadecimal of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX_PAIRS[byte];
  return hex;
}

/** Bytes of a hexadecimal string of even length. */
export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
