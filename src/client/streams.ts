// Web streams of a log: what is written into a writer's, and what a reading gives.

import type { Payload } from './append/payload.ts';
import type { Batch, Entry } from './read/entries.ts';
import type { Reading } from './read/reading.ts';
import type { WrittenRange } from './writer/written.ts';

/** Entries are put into a stream's queue in portions of so many: a batch may have very many small ones. */
const PORTION = 256;

interface Sink {
  write(payload: Payload): boolean;
  ready(): Promise<void>;
  flushed(): Promise<WrittenRange | undefined>;
  close(): Promise<void>;
}

/** Tells why a writer takes no more. */
interface Failing {
  /** Calls `listener` with what ended it, at once where something has; not where it was closed. */
  onFailure(listener: (thrown: unknown) => void): void;
}

/** See `writer.writable`. What ends the writer ends the stream at once, also where nobody writes. */
export function writableOf(writer: Sink, failing: Failing): WritableStream<Payload> {
  // Of what is waited for, which is one thing at a time.
  let interrupt: ((thrown: unknown) => void) | undefined;
  const unlessAborted = <T>(waited: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      interrupt = reject;
      waited.then(resolve, reject);
    });
  return new WritableStream<Payload>({
    start(controller) {
      const { signal } = controller;
      signal.addEventListener('abort', () => interrupt?.(signal.reason), { once: true });
      failing.onFailure((thrown) => controller.error(thrown));
    },
    write: (payload) => (writer.write(payload) ? undefined : unlessAborted(writer.ready())),
    async close() {
      try {
        await unlessAborted(writer.flushed());
      } finally {
        void writer.close();
      }
    },
    // What is on its way is not waited for: a server may hang.
    abort: () => void writer.close(),
  });
}

/** See `log.readable`. Nothing is read before somebody asks for it. */
export function readableOf(reading: Reading): ReadableStream<Entry> {
  const batches = reading.batches();
  let entries: ReturnType<Batch['entries']> | undefined;
  return new ReadableStream<Entry>(
    {
      async pull(controller) {
        for (let given = 0; given === 0; entries = undefined) {
          if (entries === undefined) {
            const { done, value } = await batches.next();
            if (done === true) {
              controller.close();
              return;
            }
            entries = value.entries();
          }
          for (let entry = entries.nextEntry(); entry !== undefined; entry = entries.nextEntry()) {
            controller.enqueue(entry);
            given += 1;
            if (given === PORTION) return;
          }
        }
      },
      async cancel() {
        await batches.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
