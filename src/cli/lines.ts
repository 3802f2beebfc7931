// Splits a stream of bytes into lines without making strings of them. A line ends with a newline, which is not part of it; what
// comes after the last newline is a line too, unless it is empty.

const NEWLINE = 0x0a;
/** Short lines are found faster by a loop, long ones by a call. */
const LOOP_BYTES = 64;

/** Where the line that begins at `from` ends; -1 when `bytes` does not hold its newline. */
function newlineFrom(bytes: Uint8Array, from: number): number {
  const end = Math.min(bytes.length, from + LOOP_BYTES);
  for (let at = from; at < end; at += 1) {
    if (bytes[at] === NEWLINE) return at;
  }
  return end === bytes.length ? -1 : bytes.indexOf(NEWLINE, end);
}

export class LineSplitter {
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Pieces of a line that began in earlier chunks. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;

  /** Hands in the next chunk, after {@link next} has returned undefined. The chunk is used until that happens again. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The next whole line, a view that is good until the next call; undefined when another chunk is needed. */
  next(): Uint8Array | undefined {
    const at = this.#at;
    if (at === this.#chunk.length) return undefined;
    const end = newlineFrom(this.#chunk, at);
    if (end < 0) {
      this.#keep(this.#chunk.subarray(at));
      this.#at = this.#chunk.length;
      return undefined;
    }
    this.#at = end + 1;
    const piece = this.#chunk.subarray(at, end);
    if (this.#pieces.length === 0) return piece;
    this.#keep(piece);
    return this.#join();
  }

  /** Bytes of the line that is still without its newline. */
  get partialBytes(): number {
    return this.#pieceBytes;
  }

  /** The line after the last newline, after the last chunk; undefined when there is none. */
  last(): Uint8Array | undefined {
    return this.#pieceBytes === 0 ? undefined : this.#join();
  }

  #keep(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
  }

  #join(): Uint8Array {
    const line = Buffer.concat(this.#pieces, this.#pieceBytes);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return line;
  }
}
