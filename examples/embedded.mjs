// The log inside a program: a notebook that outlives it, without a server. Run it with: node examples/embedded.mjs <directory> <note>

import { openLog } from 'loglogd';

const [dir = './notes', ...words] = process.argv.slice(2);

// With TypeScript, or on Node 24: `await using log = await openLog(…)`.
const log = await openLog({ dir });
// A disk that fails ends the log, not the program.
log.failed.then((error) => console.error(`notes can no longer be kept: ${error.message}`));

if (words.length > 0) {
  const { offset } = await log.append(words.join(' '));
  // It is on disk now, whatever happens to this program.
  console.log(`noted at ${offset}`);
}

for await (const { offset, payload } of log.read()) {
  console.log(`${offset}: ${new TextDecoder().decode(payload)}`);
}

await log.close();
