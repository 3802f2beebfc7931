// A program that reads a log as a named consumer: it says the number that each entry begins with on its standard output, then commits the entry. Whoever started it kills it.
//
//   node consumerReader.js <name> <url,url,…>

import { writeSync } from 'node:fs';
import { connect } from '../../src/client/index.ts';

const STDOUT = 1;
const [name = '', urls = ''] = process.argv.slice(2);

const log = await connect(urls.split(','));
const consumer = await log.consumer({ name });
for await (const entry of consumer) {
  // All of it is in the pipe before the entry counts as handled.
  writeSync(STDOUT, `${Buffer.from(entry.payload).toString()}\n`);
  void consumer.commit(entry);
}
