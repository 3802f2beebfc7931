// A consumer that may be killed at any moment: it goes on where it left off. Run it with: node examples/consumer.mjs <name> <directory of positions>

import { connect, fileStore } from 'loglogd/client';

const [name = 'reader', directory = './positions'] = process.argv.slice(2);
const log = await connect();
const consumer = await log.consumer({ name, store: fileStore(directory) });

for await (const entry of consumer) {
  console.log(`${entry.offset}: ${new TextDecoder().decode(entry.payload)}`);
  // Kept soon, with those before it; what cannot be kept ends the loop.
  consumer.commit(entry);
}
