// Copies of payloads that wait to be sent: small ones side by side in larger pieces of memory, because making an array for each costs more than all else of a write.

import { payloadOf } from '../append/payload.ts';

const PIECE_BYTES = 16 * 1024;
/** A larger payload has memory of its own: at most an eighth of a piece stays empty. */
const SMALL_BYTES = PIECE_BYTES / 8;
/** Most bytes of UTF-8 for one unit of a string's length. */
const UTF8_BYTES = 3;

const utf8 = new TextEncoder();

export class Copies {
  #piece = new Uint8Array(0);
  #at = 0;

  /** The bytes of `payload`, which nobody changes. They stay as long as somebody has them. TypeError for what is no payload. */
  of(payload: unknown): Uint8Array {
    if (typeof payload === 'string') return this.#encoded(payload);
    const bytes = payloadOf(payload);
    // One of another realm is copied already. A Buffer's slice would be no copy.
    if (bytes !== payload) return bytes;
    if (bytes.length > SMALL_BYTES) return new Uint8Array(bytes);
    this.#makeRoom(bytes.length);
    this.#piece.set(bytes, this.#at);
    return this.#take(bytes.length);
  }

  #encoded(text: string): Uint8Array {
    const mostBytes = text.length * UTF8_BYTES;
    if (mostBytes > SMALL_BYTES) return utf8.encode(text);
    this.#makeRoom(mostBytes);
    return this.#take(utf8.encodeInto(text, this.#piece.subarray(this.#at)).written);
  }

  #makeRoom(bytes: number): void {
    if (this.#piece.length - this.#at >= bytes) return;
    this.#piece = new Uint8Array(PIECE_BYTES);
    this.#at = 0;
  }

  #take(bytes: number): Uint8Array {
    this.#at += bytes;
    return this.#piece.subarray(this.#at - bytes, this.#at);
  }
}
