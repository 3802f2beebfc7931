// A log as streams, of Node and of the Web. Run it beside a node with: seq 1000 | node examples/streams.mjs ws://127.0.0.1:7070

import { createInterface } from 'node:readline';
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connect } from 'loglogd/client';

const log = await connect(process.argv[2] ?? 'ws://127.0.0.1:7070');
const { end: from } = await log.end({ linearizable: true });

// Node: every line of the standard input is an entry. The pipe waits when the log does, and ends when all is on disk.
const writer = log.writer({ expectedEnd: from });
await pipeline(createInterface({ input: process.stdin }), Writable.fromWeb(writer.writable, { objectMode: true }));

// Node: entries become lines. Nothing more is read from the log than standard output takes.
const lines = new Transform({
  writableObjectMode: true,
  transform: ({ offset, payload }, _encoding, done) => done(undefined, `${offset} ${Buffer.from(payload)}\n`),
});
await pipeline(Readable.fromWeb(log.readable({ from, follow: false }), { objectMode: true }), lines, process.stdout, { end: false });

// Web: the same entries through a TransformStream, summed up.
let sum = 0;
const numbers = new TransformStream({
  transform({ payload }, controller) {
    const number = Number(new TextDecoder().decode(payload));
    if (!Number.isNaN(number)) controller.enqueue(number);
  },
});
await log
  .readable({ from, follow: false })
  .pipeThrough(numbers)
  .pipeTo(
    new WritableStream({
      write(number) {
        sum += number;
      },
    }),
  );
console.log(`sum ${sum}`);
await log.close();
