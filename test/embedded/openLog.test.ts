// The log inside a program: the interface of a client, one directory for one log, and what a program hears when options are wrong.

import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../dist/src/client/index.js';
import { LogClient, type OpenOptions, openLog } from '../../dist/src/index.js';
import { directory, open, SMALL, textsOf } from './support.ts';

describe('an embedded log', () => {
  it('does what a client does', async () => {
    const log = await open();
    expect(log).toBeInstanceOf(LogClient);
    const { end } = await log.append('one');
    const batch = await log.appendBatch(['two', 'three']);
    expect(batch.offsets).toHaveLength(2);
    await expect(log.append('late', { expectedEnd: end })).rejects.toMatchObject({ code: 'CONDITION_FAILED', details: { end: batch.end } });
    const writer = log.writer({ expectedEnd: batch.end });
    await Promise.all([writer.append('four'), writer.append('five')]);
    expect(await textsOf(log)).toEqual(['one', 'two', 'three', 'four', 'five']);
    const { end: committed } = await log.end({ linearizable: true });
    const next = (async () => {
      for await (const { payload } of log.subscribe({ from: committed })) return new TextDecoder().decode(payload);
    })();
    await log.append('six');
    expect(await next).toBe('six');
    expect(log.hello).toMatchObject({ role: 'leader', isDurable: true });
    expect(log.url).toBeUndefined();
  });

  it('reads what is large, and what is no longer in memory', async () => {
    const log = await open();
    const payload = Buffer.alloc(100_000, 'x');
    for (let i = 0; i < 60; i++) {
      payload.writeUInt32LE(i);
      await log.append(payload);
    }
    let count = 0;
    for await (const entry of log.read()) {
      expect(new DataView(entry.payload.buffer, entry.payload.byteOffset).getUint32(0, true)).toBe(count);
      count += 1;
    }
    expect(count).toBe(60);
  });

  it('leaves the event loop to the others, whatever is asked of it', async () => {
    const log = await open();
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    onTestFinished(() => clearInterval(timer));
    const untilMs = performance.now() + 200;
    while (performance.now() < untilMs) await log.end();
    expect(ticks).toBeGreaterThan(2);
  });

  it('E6: answers any number of calls that are made at once', async () => {
    const events: string[] = [];
    const log = await open({ onEvent: ({ type }) => events.push(type) });
    await Promise.all(Array.from({ length: 200_000 }, () => log.end()));
    expect(events.filter((type) => type === 'disconnected')).toEqual([]);
  });

  it('is opened by one at a time, and again at once when it was closed', async () => {
    const dir = directory();
    const log = await open({ dir });
    await log.append('kept');
    await expect(openLog({ dir, ...SMALL })).rejects.toMatchObject({
      code: 'LOCKED',
      message: /is in use by this process \d+: close the log/,
    });
    await Promise.all([log.close(), log.close()]);
    await log.close();
    await expect(log.append('late')).rejects.toMatchObject({ code: 'CLOSED', outcome: 'failed' });
    await expect(log.end()).rejects.toMatchObject({ code: 'CLOSED' });
    const again = await open({ dir });
    expect(await textsOf(again)).toEqual(['kept']);
    expect(again.clusterId).toBe(log.clusterId);
  });

  it('is one of several in a process', async () => {
    const logs = await Promise.all([open(), open(), open()]);
    await Promise.all(logs.map((log, i) => log.append(`log ${i}`)));
    expect(await Promise.all(logs.map(textsOf))).toEqual([['log 0'], ['log 1'], ['log 2']]);
  });

  it('waits in close for what was appended', async () => {
    const dir = directory();
    const log = await open({ dir });
    const appends = Array.from({ length: 1000 }, (_, i) => log.append(`${i}`));
    await log.close();
    await Promise.all(appends);
    expect(await textsOf(await open({ dir }))).toHaveLength(1000);
  });

  it('serves others, too, if it is told to listen', async () => {
    const log = await open({ listen: { port: 0 } });
    const other = await connect(log.url);
    await other.append('from outside');
    await log.append('from inside');
    expect(await textsOf(log)).toEqual(['from outside', 'from inside']);
    const response = await fetch(`${log.url?.replace('ws:', 'http:')}/status`);
    expect(await response.json()).toMatchObject({ node: { role: 'leader' }, clients: { connections: 2 } });
    await other.close();
  });

  it('says its lines to a function or a logger, and to nobody else', async () => {
    const lines: string[] = [];
    await open({ fsync: false, log: (level, text) => lines.push(`${level}: ${text}`) });
    expect(lines.join('\n')).toMatch(/^warn: .*nothing that this node acknowledges is durable/m);
    const told: string[] = [];
    const tell = (text: string): void => void told.push(text);
    const log = await open({ fsync: false, log: { info: tell, warn: tell, error: tell } });
    expect(told).not.toEqual([]);
    expect((await log.append('x')).level).toBe('volatile');
  });

  it('can be given up while it is opened', async () => {
    const dir = directory();
    const signal = AbortSignal.abort();
    await expect(openLog({ dir, ...SMALL, signal })).rejects.toMatchObject({ code: 'ABORTED', name: 'AbortError' });
    await open({ dir });
  });
});

describe('options', () => {
  it.each<[object, new () => Error, string]>([
    [{ segmentByte: 1 }, TypeError, 'openLog has no option "segmentByte"; did you mean segmentBytes?'],
    [{ directory: '/x' }, TypeError, 'openLog has no option "directory"; did you mean dir?'],
    [{ port: 7070 }, TypeError, 'openLog has no option "port"; did you mean listen.port?'],
    [{ listen: { port: 0 }, unref: 'nope' }, TypeError, 'unref must be true or false'],
    [{ listen: { prot: 1 } }, TypeError, 'has no option "prot"; did you mean port?'],
    [{ listen: { port: 65_536 } }, RangeError, 'listen.port takes a whole number from 0 to 65535, not 65536'],
    [{ listen: true }, TypeError, 'options must be an object'],
    [{ slots: '3' }, TypeError, 'slots takes a whole number from 3 to 64, not "3"'],
    [{ slots: 2 }, RangeError, 'slots takes a whole number from 3 to 64, not 2'],
    [{ slots: null }, TypeError, 'slots takes a whole number from 3 to 64, not null'],
    [{ segmentBytes: '64 megabytes' }, TypeError, 'or a size such as 64MiB, not "64 megabytes"'],
    [{ segmentBytes: '2GiB' }, RangeError, 'not "2GiB"'],
    [{ segmentBytes: 100_000 }, RangeError, 'segmentBytes takes a multiple of 65536, not 100000'],
    [{ fsync: 1 }, TypeError, 'fsync takes true or false, not 1'],
    [{ peers: ['a'] }, TypeError, 'peers takes a text, not an object'],
    [{ peers: '1=a:1/2,b' }, RangeError, 'peers has "b"'],
    [{ node: 3, peers: '1=a:1/2' }, RangeError, 'peers names nodes 1, but this is node 3'],
    [{ advertise: 'nowhere' }, RangeError, 'advertise takes an address for clients'],
    [{ ack: 'soon' }, TypeError, "ack must be 'received' or 'committed'"],
    [{ maxInFlightBytes: 1 }, RangeError, 'maxInFlightBytes must be a whole number from'],
    [{ unref: 'yes' }, TypeError, 'unref must be true or false'],
    [{ log: {} }, TypeError, 'log must be a function, or a logger'],
    [{ dir: 7 }, TypeError, 'dir must be the path of a directory, not number 7'],
    [{ dir: '' }, RangeError, 'dir must be the path of a directory, and is empty'],
  ])('%j is refused', async (options, type, sentence) => {
    const refused = openLog({ dir: directory(), ...options } as OpenOptions);
    await expect(refused).rejects.toThrow(type);
    await expect(refused).rejects.toThrow(sentence);
  });

  it('sizes are numbers or texts', async () => {
    const log = await open({ segmentBytes: '128KiB', windowBytes: 65_536 });
    expect(log.hello.windowBytes).toBe(65_536);
    expect(log.hello.maxPayloadBytes).toBeLessThan(128 * 1024);
  });
});
