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

/** See `writer.writable`. */
export function writableOf(writer: Sink): WritableStream<Payload> {
  return new WritableStream<Payload>({
    write: (payload) => (writer.write(payload) ? undefined : writer.ready()),
    async close() {
      try {
        await writer.flushed();
      } finally {
        await writer.close();
      }
    },
    abort: () => writer.close(),
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
