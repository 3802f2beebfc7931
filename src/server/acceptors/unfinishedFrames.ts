// What a WebSocket has sent that is not a whole message yet, where the library (`ws`) does not say: the heads of frames are followed in the bytes
// as they come. Whatever it follows wrongly, because it is no WebSocket, the library closes.

/** What a piece of a message costs besides its bytes: a Buffer of its own. Measured with Node 20 and rounded up. */
const PIECE_BYTES = 256;

const IS_FINAL = 0x80;
const IS_CONTROL = 0x08;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;

export class UnfinishedFrames {
  /** Of the frame whose head is being read: how much of that has come, and how long it is as far as is known. */
  #headSeen = 0;
  #headBytes = 2;
  #first = 0;
  /** Of the payload, what has not come yet. */
  #left = 0;
  /** Chunks that hold something of what is not whole, in full, because the smallest piece of one keeps all of it. */
  #chunkBytes = 0;
  /** Pieces of it: frames, and chunks. */
  #pieces = 0;
  #isWithinMessage = false;

  /** Memory of what is not whole. */
  get bytes(): number {
    return this.#chunkBytes + this.#pieces * PIECE_BYTES;
  }

  /** Follows what has come. */
  take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#headSeen < this.#headBytes) {
        this.#takeHead(chunk[at] ?? 0);
        at += 1;
      } else {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
      }
      if (this.#headSeen === this.#headBytes && this.#left === 0) this.#endFrame();
    }
    if (!this.#isWithinMessage && this.#headSeen === 0) return;
    this.#chunkBytes += chunk.length;
    this.#pieces += 1;
  }

  #takeHead(byte: number): void {
    if (this.#headSeen === 0) {
      this.#first = byte;
    } else if (this.#headSeen === 1) {
      const length = byte & 0x7f;
      this.#headBytes = 2 + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0) + MASK_BYTES;
      this.#left = length < LENGTH_16 ? length : 0;
    } else if (this.#headSeen < this.#headBytes - MASK_BYTES) {
      this.#left = this.#left * 256 + byte;
    }
    this.#headSeen += 1;
  }

  #endFrame(): void {
    this.#headSeen = 0;
    this.#headBytes = 2;
    if ((this.#first & IS_CONTROL) === 0) {
      this.#isWithinMessage = (this.#first & IS_FINAL) === 0;
      this.#pieces += 1;
    }
    if (this.#isWithinMessage) return;
    this.#chunkBytes = 0;
    this.#pieces = 0;
  }
}
