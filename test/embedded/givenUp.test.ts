// A log that is given up while its threads start.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { directory, start } from './support.ts';

/**
 * Runs in every thread before anything else. A thread of the kind that `<fifo>.kind` names waits in an open, as one does that loads its modules
 * from a busy disk, until somebody writes to the fifo; it says so in `<fifo>.told`.
 */
const loadingSlowly = (fifo: string): string => `
  import { isMainThread, workerData } from 'node:worker_threads';
  import { appendFileSync, promises, readFileSync } from 'node:fs';
  const kind = workerData?.vote === undefined ? 'pool' : 'raft';
  if (!isMainThread && kind === readFileSync('${fifo}.kind', 'utf8')) {
    appendFileSync('${fifo}.told', '.');
    await (await promises.open('${fifo}')).close();
  }
`;

it('E13: leaves no descriptor of a thread that was just loading', async () => {
  const dir = directory();
  const fifo = `${dir}.fifo`;
  const preload = `${dir}.mjs`;
  execFileSync('mkfifo', [fifo]);
  writeFileSync(preload, loadingSlowly(fifo));
  const program = start(
    dir,
    `import { closeSync, constants, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
     const moment = () => new Promise((resolve) => setTimeout(resolve, 5));
     const descriptors = () => readdirSync('/proc/self/fd').length;
     const giveUpWhileLoading = async (kind) => {
       writeFileSync('${fifo}.kind', kind);
       writeFileSync('${fifo}.told', '');
       const controller = new AbortController();
       const outcome = openLog({ dir, ...SMALL, signal: controller.signal }).then(() => 'opened', ({ code }) => code);
       while (readFileSync('${fifo}.told', 'utf8').length === 0) await moment();
       await moment();
       controller.abort();
       await moment();
       const letThrough = openSync('${fifo}', constants.O_WRONLY | constants.O_NONBLOCK);
       const became = await outcome;
       closeSync(letThrough);
       return became;
     };
     const outcomes = [await giveUpWhileLoading('pool'), await giveUpWhileLoading('raft')];
     const before = descriptors();
     outcomes.push(await giveUpWhileLoading('pool'), await giveUpWhileLoading('raft'));
     console.log(JSON.stringify({ leaked: descriptors() - before, outcomes }));`,
    { flags: ['--import', preload] },
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ leaked: 0, outcomes: Array.from({ length: 4 }, () => 'ABORTED') });
});
