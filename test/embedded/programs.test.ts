// What an embedded log does to the program around it: it never keeps it running for nothing, and never lets it end too early.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { directory, open, start, textsOf, withFaultyDisk } from './support.ts';

describe('a program that does not close its log', () => {
  it('ends when all that it asked for is answered, and what was acknowledged is there', async () => {
    const dir = directory();
    const program = start(
      dir,
      `const log = await openLog({ dir, ...SMALL });
       for (let i = 0; i < 500; i++) void log.append('entry ' + i).then(() => console.log(i));`,
    );
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n')).toHaveLength(500);
    expect(await textsOf(await open({ dir }))).toHaveLength(500);
  });

  it('gets what it awaits: appends, batches, chains, ends, reads; a subscription at the end of the log does not hold it', async () => {
    const program = start(
      directory(),
      `const log = await openLog({ dir, ...SMALL });
       const { end } = await log.append('one');
       const writer = log.writer({ expectedEnd: end });
       await Promise.all([writer.append('two'), writer.appendBatch(['three'])]);
       await log.end({ linearizable: true });
       let count = 0;
       for await (const entry of log.read()) count += 1;
       void (async () => { for await (const { payload } of log.subscribe()) console.log('told', payload.length); })();
       await log.append('last');
       console.log('count', count);`,
    );
    const { code, stdout, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('count 3');
    expect(stdout).toContain('told');
  });

  it('E7: reads what is on the disk only, to its end, and is not held by a subscription that has read it', async () => {
    const dir = directory();
    const written = start(
      dir,
      `const log = await openLog({ dir, ...SMALL, segmentBytes: '128KiB' });
       await Promise.all(Array.from({ length: 400 }, (_, i) => log.append('x'.repeat(1000) + i)));
       await log.close();`,
    );
    expect((await written.ended).code).toBe(0);
    const read = start(
      dir,
      `const main = async () => {
         const log = await openLog({ dir, ...SMALL, segmentBytes: '128KiB' });
         void (async () => { let told = 0; for await (const entry of log.subscribe({ from: 0 })) if (++told === 400) console.log('told all'); })();
         let count = 0;
         for await (const entry of log.read()) count += 1;
         console.log('read', count);
       };
       void main();`,
    );
    const { code, stdout, stderr } = await read.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n').sort()).toEqual(['read 400', 'told all']);
  });

  it('E8: that subscribes to an empty log, and does nothing else, ends', async () => {
    const program = start(
      directory(),
      `const log = await openLog({ dir, ...SMALL });
       void (async () => { for await (const entry of log.subscribe()) console.log('told'); })();`,
    );
    expect(await program.ended).toMatchObject({ code: 0, stdout: '' });
  });

  it('E4: ends when what was only received is there', async () => {
    const dir = directory();
    const { testing, flags, env } = withFaultyDisk(dir);
    const program = start(
      dir,
      `import { TestDisk } from '${testing}/testDisk.js';
       const log = await openLog({ dir, ...SMALL, ack: 'received' });
       new TestDisk(dir).set({ syncDelayMs: 200 });
       for (let i = 0; i < 300; i++) await log.append('entry ' + i);`,
      { flags, env },
    );
    const { code, stderr } = await program.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await textsOf(await open({ dir }))).toHaveLength(300);
  });

  it('stays with unref: false, and so does one that serves others', async () => {
    for (const options of ['unref: false', 'listen: { port: 0 }']) {
      const program = start(
        directory(),
        `const log = await openLog({ dir, ...SMALL, ${options} });
         await log.append('x');
         // Nothing else is left to do by now.
         setTimeout(() => console.log('still here'), 500).unref();`,
      );
      await program.printed('still here');
      program.kill();
      expect((await program.ended).signal).toBe('SIGKILL');
    }
  });

  it('loses nothing that was acknowledged by process.exit or kill -9', async () => {
    for (const end of ['process.exit(3)', "process.kill(process.pid, 'SIGKILL')"]) {
      const dir = directory();
      const program = start(
        dir,
        `import { openSync, writeSync } from 'node:fs';
         const log = await openLog({ dir, ...SMALL });
         // A file takes each line at once, which a pipe that nobody reads does not.
         const told = openSync(dir + '.told', 'a');
         const acknowledged = (i) => { writeSync(told, i + '\\n'); if (i === 300) ${end}; };
         for (let i = 0; ; i++) {
           void log.append('entry ' + i).then(() => acknowledged(i));
           if (i % 50 === 49) await new Promise(setImmediate);
         }`,
      );
      const { stderr } = await program.ended;
      expect(stderr).toBe('');
      const acknowledged = readFileSync(`${dir}.told`, 'utf8').trim().split('\n').map(Number);
      expect(acknowledged).toContain(300);
      const texts = await textsOf(await open({ dir }));
      expect(texts.slice(0, acknowledged.length)).toEqual(acknowledged.map((i) => `entry ${i}`));
    }
  });
});

it('closes its log with await using, and then nothing of it is left', async () => {
  const program = start(
    directory(),
    `const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)]).sort().join();
     const before = listeners();
     const log = await openLog({ dir, ...SMALL, unref: false });
     const during = listeners();
     await log.append('x');
     await log[Symbol.asyncDispose ?? 'close']();
     console.log(process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap' && name !== 'TTYWrap'), before === during);`,
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: '', stdout: '[] true\n' });
});
