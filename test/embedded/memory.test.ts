// What an embedded log leaves in its program.

import { expect, it } from 'vitest';
import { directory, start } from './support.ts';

const MIB = 1024 * 1024;

it.each([
  ['', ''],
  [', which served others by uws', "listen: { port: 0 }, acceptor: 'uws'"],
  [', which served others by ws', "listen: { port: 0 }, acceptor: 'ws'"],
])('E9, E16: leaves no memory of a log that was closed%s, and takes no more when it is opened again', async (_, options) => {
  const program = start(
    directory(),
    `const external = [];
     const resident = [];
     for (let i = 0; i < 4; i += 1) {
       const log = await openLog({ dir, ${options} });
       resident.push(process.memoryUsage.rss());
       await log.append('x');
       await log.close();
       // What was closed is collected once nothing holds it, its timers, sockets and promises included.
       for (let looks = 0; looks < 100; looks += 1) {
         await new Promise((resolve) => setTimeout(resolve, 10));
         gc();
         external[i] = process.memoryUsage().external;
         if (i < 2 || external[i] - external[1] < ${MIB}) break;
       }
     }
     console.log(JSON.stringify({ external, resident }));`,
    { flags: ['--expose-gc'] },
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { external, resident } = JSON.parse(stdout) as Record<'external' | 'resident', number[]>;
  const [, second = 0, , fourth = Infinity] = external;
  expect(fourth - second).toBeLessThan(16 * MIB);
  // A segment has 32 MiB, and one entry in it.
  const [asNew = 0, ...asBefore] = resident;
  expect(Math.min(...asBefore) - asNew).toBeLessThan(16 * MIB);
});
