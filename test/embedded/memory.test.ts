// What an embedded log leaves in its program.

import { expect, it } from 'vitest';
import { directory, start } from './support.ts';

it.each([
  ['', ''],
  [', which served others by uws', "listen: { port: 0 }, acceptor: 'uws'"],
  [', which served others by ws', "listen: { port: 0 }, acceptor: 'ws'"],
])('E9: leaves no memory of a log that was closed%s', async (_, options) => {
  const program = start(
    directory(),
    `const external = [];
     for (let i = 0; i < 4; i += 1) {
       const log = await openLog({ dir, ${options} });
       await log.append('x');
       await log.close();
       // What was closed is collected once nothing holds it, its timers and promises included.
       await new Promise((resolve) => setImmediate(resolve));
       gc();
       external.push(process.memoryUsage().external);
     }
     console.log(JSON.stringify(external));`,
    { flags: ['--expose-gc'] },
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [, second = 0, , fourth = Infinity] = JSON.parse(stdout) as number[];
  expect(fourth - second).toBeLessThan(16 * 1024 * 1024);
});
