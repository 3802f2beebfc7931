// Standard error, where a node writes its log. Whoever reads it may be slow, stop (Ctrl-S in a terminal, a pipe that nobody empties) or be gone;
// none of that may hold the process. What cannot be written waits, up to a bound; above it lines are dropped, counted, and the count is said
// in their place. Not pino's own destination: in its blocking mode it sleeps until the pipe takes the line, in the other one a thread of
// libuv's pool waits in `write`, and `process.exit` for that thread.

import * as fs from 'node:fs';
import { isatty } from 'node:tty';

const STDERR = 2;
/** Bytes that may wait for whoever reads stderr. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Pause before a stderr that takes nothing is tried again. */
const RETRY_MS = 50;
/** How long a process that ends waits for its last words to be taken. */
export const LAST_WORDS_MS = 500;

/** Whether stderr is a terminal. `process.stderr` would make a shared pipe non-blocking for all who have it. */
export const isStderrTerminal = isatty(STDERR);

/** A descriptor of stderr on which a write never blocks. */
function openNonBlocking(): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    const stat = fs.fstatSync(STDERR);
    // A description of its own, so that other processes with the same pipe or terminal keep theirs as it is.
    if (stat.isFIFO() || isStderrTerminal) return fs.openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (!stat.isSocket()) return STDERR;
  } catch {
    // No /proc, a pipe without a reader, or one that belongs to somebody else.
  }
  // libuv makes it non-blocking when it opens it, all but terminals. It may be closed: then nothing can be said.
  try {
    void process.stderr;
  } catch {
    return STDERR;
  }
  return STDERR;
}

/** What is said in place of `lines` lines that nobody took; ends with a newline. */
export type Notice = (lines: number) => string;

export class Stderr {
  #file: number | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #droppedLines = 0;
  #timer: NodeJS.Timeout | undefined;
  notice: Notice = (lines) => `${lines} lines are missing here: standard error took no more\n`;

  /** The descriptor, on which a write never blocks: other threads may write whole lines to it. */
  get file(): number {
    this.#file ??= openNonBlocking();
    return this.#file;
  }

  /** Writes whole lines, or keeps them until they can be written, or counts them. `isLast`: they are kept above the bound too. */
  write(text: string, isLast = false): void {
    const bytes = Buffer.from(text);
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES && !isLast) {
      this.#droppedLines += 1;
      return;
    }
    if (this.#droppedLines > 0) this.#addNotice();
    this.#add(bytes);
    // While it takes nothing it is tried again now and then, not for every line.
    if (this.#timer === undefined) this.#drain();
  }

  /** Writes what is of no use later: not at all if it cannot be written now. */
  show(text: string): void {
    if (this.#waiting.length === 0) this.write(text);
  }

  /** Blocks until everything is written, {@link LAST_WORDS_MS} at most: for the end of the process. */
  flushSync(): void {
    const word = new Int32Array(new SharedArrayBuffer(4));
    for (const endMs = performance.now() + LAST_WORDS_MS; this.#waiting.length > 0 && performance.now() < endMs; ) {
      Atomics.wait(word, 0, 0, RETRY_MS / 5);
      this.#drain();
    }
  }

  #addNotice(): void {
    const lines = this.#droppedLines;
    this.#droppedLines = 0;
    this.#add(Buffer.from(this.notice(lines)));
  }

  #add(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Writes what waits, as far as that goes now. */
  #drain(): void {
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const written = fs.writeSync(this.file, next);
        this.#waitingBytes -= written;
        if (written === next.length) this.#waiting.shift();
        else this.#waiting[0] = next.subarray(written);
      }
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN') this.#retryLater();
      else this.#drop();
    }
  }

  #next(): Buffer | undefined {
    if (this.#waiting.length === 0 && this.#droppedLines > 0) this.#addNotice();
    return this.#waiting[0];
  }

  #retryLater(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, RETRY_MS);
    // Nobody stays for it: whoever ends waits for it.
    this.#timer.unref();
  }

  /** Nobody listens any more, or the disk under a file is full: the exit code still says how it went. Another line may be luckier. */
  #drop(): void {
    this.#droppedLines += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

/** The one of this process. */
export const stderr = new Stderr();
