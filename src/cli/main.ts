#!/usr/bin/env node
// The command `loglog`. It loads the program only once it runs: its modules are opened all together, and where this process may not open so
// many files, or Node is too old, that is said in a sentence. So nothing here is opened beside anything else.

import { outOfDescriptors } from '../core/descriptors.ts';

try {
  await import('./nodeVersion.ts');
  const { runProgram } = await import('./program.ts');
  await runProgram();
} catch (thrown) {
  const sentence = outOfDescriptors(thrown);
  if (sentence === undefined) throw thrown;
  console.error(`loglog: cannot load the program: ${sentence}`);
  process.exit(1);
}
