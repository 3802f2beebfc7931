// Entries without a promise for each: every line of the standard input is one. Run it with: seq 1000000 | node examples/lines.mjs <directory>

import { createInterface } from 'node:readline';
import { openLog } from 'loglogd';

const [dir = './lines'] = process.argv.slice(2);
const log = await openLog({ dir });

// Its entries are one after the other in the log, from where that ends now, with nobody else's between.
const writer = log.writer({ expectedEnd: (await log.end()).end });
for await (const line of createInterface({ input: process.stdin })) {
  // False: enough is on its way.
  if (!writer.write(line)) await writer.ready();
}

// All of them are on disk when this resolves; it rejects with the error of the first that is not.
const written = await writer.flushed();
console.log(written === undefined ? 'no lines' : `${written.count} lines, from ${written.offset} to ${written.end}`);

// The log as a Web stream, up to its end.
let bytes = 0;
for await (const { payload } of log.readable({ follow: false })) bytes += payload.length;
console.log(`the log has ${bytes} bytes of lines`);

await log.close();
