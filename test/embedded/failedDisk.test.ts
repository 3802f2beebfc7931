// A disk that fails beneath an embedded log: the log ends, with one error for every call, and nothing else in the program does.

import { expect, it } from 'vitest';
import { directory, start, withFaultyDisk } from './support.ts';

interface Told {
  readonly failed: string;
  readonly pending: readonly string[];
  readonly later: readonly string[];
  readonly other: readonly string[];
  readonly unhandled: readonly string[];
  readonly again: readonly string[];
}

it('E5: fails the log, not the program, nor another log in it', async () => {
  const dir = directory();
  const { testing, flags, env } = withFaultyDisk(dir);
  const program = start(
    dir,
    `import { TestDisk } from '${testing}/testDisk.js';
     const unhandled = [];
     process.on('unhandledRejection', (error) => unhandled.push(String(error)));
     const all = async (entries) => {
       const texts = [];
       for await (const { payload } of entries) texts.push(new TextDecoder().decode(payload));
       return texts;
     };
     const became = (calls) => Promise.all(calls.map((call) => Promise.resolve(call).then((value) => 'did ' + JSON.stringify(value),
       (error) => [error.name, error.code, error.outcome, /EIO/.test(error.message) && 'EIO'].filter(Boolean).join(' '))));

     const disk = new TestDisk(dir);
     const log = await openLog({ dir, ...SMALL });
     const other = await openLog({ dir: dir + '-other', ...SMALL });
     const writer = log.writer({ expectedEnd: (await log.append('kept')).end });
     const { end } = await writer.append('kept too');

     disk.set({ isFailing: true });
     const pending = await became([log.append('lost'), log.appendBatch(['lost']), all(log.subscribe({ from: end }))]);
     const error = await log.failed;
     const later = await became([
       log.append('late'), log.appendBatch(['late']), all(log.read()), all(log.subscribe()),
       log.end(), log.end({ linearizable: true }), writer.append('late'), (async () => log.writer({ expectedEnd: end }).append('late'))(),
     ]);
     await other.append('goes on');
     await log.close();
     await log.close();
     await new Promise((resolve) => setImmediate(resolve));

     disk.mend();
     const mended = await openLog({ dir, ...SMALL });
     await mended.append('again');
     console.log(JSON.stringify({ failed: (await became([Promise.reject(error)]))[0], pending, later, other: await all(other.read()), unhandled, again: await all(mended.read()) }));`,
    { flags, env },
  );
  const { code, stdout, stderr } = await program.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const told = JSON.parse(stdout) as Told;
  expect(told.failed).toBe('LogError IO failed EIO');
  const unknown = 'LogError IO unknown EIO';
  expect(told.pending).toEqual([unknown, unknown, 'LogError IO failed EIO']);
  expect(new Set(told.later)).toEqual(new Set(['LogError IO failed EIO']));
  expect(told.other).toEqual(['goes on']);
  expect(told.unhandled).toEqual([]);
  // Those that failed with `unknown` may be there.
  expect(told.again.slice(0, 2)).toEqual(['kept', 'kept too']);
  expect(told.again.at(-1)).toBe('again');
  expect(told.again).not.toContain('late');
});
