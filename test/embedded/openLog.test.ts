// The log inside a program: the interface of a client, one directory for one log, and what a program hears when options are wrong.

import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../../dist/src/client/index.js';
import { planOf } from '../../dist/src/embedded/options.js';
import { LogClient, type OpenOptions, openLog, type WriterOptions } from '../../dist/src/index.js';
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
    count = 60 - 45;
    for await (const entry of log.read({ last: 45 })) {
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
    const untilMs = performance.now() + 60_000;
    while (ticks <= 2 && performance.now() < untilMs) await log.end();
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
    await expect(log.append('late')).rejects.toMatchObject({
      code: 'CLOSED',
      outcome: 'failed',
      message: 'This log was closed with close(): connect, or open it, again.',
    });
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

  it('says what it is where a program prints it', async () => {
    const dir = directory();
    const log = await open({ dir });
    const { end } = await log.append('x');
    expect(inspect(log)).toBe(`EmbeddedLog { dir: ${JSON.stringify(dir)}, end: ${end} }`);
    await log.close();
    expect(inspect(log)).toBe(`EmbeddedLog { dir: ${JSON.stringify(dir)}, end: ${end}, closed }`);
  });

  it('is opened in a worker thread, and again when that was ended at once', async () => {
    const dir = directory();
    const index = new URL('../../dist/src/index.js', import.meta.url).href;
    const program = `import(${JSON.stringify(index)}).then(async ({ openLog }) => {
      const log = await openLog(${JSON.stringify({ dir, ...SMALL })});
      await log.append('from a thread');
      // An open log does not keep a thread running.
      setInterval(() => undefined, 60_000);
      require('node:worker_threads').parentPort.postMessage('appended');
    });`;
    const thread = new Worker(program, { eval: true });
    onTestFinished(async () => void (await thread.terminate()));
    expect(await once(thread, 'message')).toEqual(['appended']);
    await expect(openLog({ dir, ...SMALL })).rejects.toMatchObject({ code: 'LOCKED' });
    await thread.terminate();
    expect(await textsOf(await open({ dir }))).toEqual(['from a thread']);
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
    const aborted = { code: 'ABORTED', name: 'AbortError' };
    await expect(openLog({ dir, ...SMALL, signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
    expect(existsSync(dir)).toBe(false);
    const controller = new AbortController();
    const opening = openLog({ dir, ...SMALL, signal: controller.signal });
    controller.abort();
    await expect(opening).rejects.toMatchObject(aborted);
    await open({ dir });
  });
});

const SEGMENT_SIZES = 'a whole number from 65536 to 1073741824 bytes, or a size such as 64MiB';
const KEPT =
  'cannot be true with listen, peers or mirror: a log that serves others, or follows another one, keeps the program running until it is closed';
const UNSERVED = 'has no effect without listen or peers, because nobody else is served then';
const ALONE = 'has no effect without peers, because there are no other nodes then';
const DIR = 'dir must be the path of a directory, or a URL object with file:';

describe('options', () => {
  it('that are none at all are refused', async () => {
    await expect(openLog(undefined as unknown as OpenOptions)).rejects.toThrow('options must be an object, not undefined');
    const log = await open();
    expect(() => log.writer(undefined as unknown as WriterOptions)).toThrow('options must be an object, not undefined');
    expect(() => log.writer({} as WriterOptions)).toThrow('expectedEnd must be an offset or a bookmark, not undefined');
  });

  it('have a token for the other nodes of a cluster, which is shown to them alone', async () => {
    const peers = '1=127.0.0.1:7070/7170,2=127.0.0.1:7071/7171,3=127.0.0.1:7072/7172';
    expect(await planOf({ dir: '/x', node: 1, peers, token: () => 'loglog_now' }).settings.token?.()).toBe('loglog_now');
  });

  it('that are undefined are as if they were not there', async () => {
    await open({ acceptor: undefined, peerHost: undefined, unref: undefined, listen: undefined });
    await open({ listen: { port: 0 }, unref: false });
  });

  it('of a host that has no address are refused as that', async () => {
    const listen = { host: 'nothing.invalid', port: 7070 };
    const message = expect.stringMatching(
      /^cannot listen on nothing\.invalid port 7070: this machine knows no address of nothing\.invalid/,
    );
    await expect(openLog({ dir: directory(), ...SMALL, listen, insecure: true })).rejects.toMatchObject({ code: 'USAGE', message });
  });

  it('of a directory that is a file, or cannot be made, are refused, and nothing hangs', async () => {
    const file = directory();
    writeFileSync(file, 'mine');
    const notOurs = { code: 'NOT_A_DATA_DIRECTORY', message: `${file} is a file, not a directory; name an empty or new directory` };
    await expect(openLog({ dir: file })).rejects.toMatchObject(notOurs);
    await expect(openLog({ dir: `${file}/below/it` })).rejects.toMatchObject(notOurs);
    const message = 'making /proc/x failed (ENOENT): /proc takes no directories; name another one';
    await expect(openLog({ dir: '/proc/x' })).rejects.toMatchObject({ code: 'IO', message });
    const long = 'looking at .* failed \\(ENAMETOOLONG\\): the path, or a name in it, is longer than the file system takes';
    await expect(openLog({ dir: `${file}${'x'.repeat(300)}` })).rejects.toThrow(new RegExp(long));
  });

  it.each<[object, new () => Error, string]>([
    [{ segmentByte: 1 }, TypeError, 'openLog has no option "segmentByte"; did you mean segmentBytes?'],
    [{ token: 't' }, TypeError, `token ${ALONE}`],
    [{ directory: '/x' }, TypeError, 'openLog has no option "directory"; did you mean dir?'],
    [{ port: 7070 }, TypeError, 'openLog has no option "port"; did you mean listen.port?'],
    [{ host: 'a' }, TypeError, 'openLog has no option "host"; did you mean listen.host?'],
    [{ path: '/x' }, TypeError, 'openLog has no option "path"; did you mean dir?'],
    [{ data: '/x' }, TypeError, 'openLog has no option "data"; did you mean dir?'],
    [{ url: 'ws://a' }, TypeError, 'openLog has no option "url"; did you mean connect(url), for a log that another process serves?'],
    [{ compress: true }, TypeError, 'openLog has no option "compress"; it has dir, listen, mirror, unref, log, node, peers, '],
    [JSON.parse('{"__proto__": 1}'), TypeError, 'openLog has no option "__proto__"; it has dir, '],
    [{ listen: { prot: 1 } }, TypeError, 'openLog’s listen has no option "prot"; did you mean port?'],
    [{ listen: { acceptor: 'ws' } }, TypeError, 'openLog’s listen has no option "acceptor"; did you mean acceptor, beside listen?'],
    [{ listen: [] }, TypeError, 'listen must be an object, not a list'],
    [{ reconnect: true }, TypeError, 'reconnect must be an object, not boolean true'],
    [{ listen: { port: 65_536 } }, RangeError, 'listen.port takes a whole number from 0 to 65535, not 65536'],
    [{ listen: true }, TypeError, 'listen must be an object, not boolean true'],
    [{ slots: '3' }, TypeError, 'slots takes a whole number from 3 to 64, not "3"'],
    [{ slots: 2 }, RangeError, 'slots takes a whole number from 3 to 64, not 2'],
    [{ slots: null }, TypeError, 'slots takes a whole number from 3 to 64, not null'],
    [{ segmentBytes: '64 megabytes' }, TypeError, `segmentBytes takes ${SEGMENT_SIZES}, not "64 megabytes"`],
    [{ segmentBytes: '2GiB' }, RangeError, `segmentBytes takes ${SEGMENT_SIZES}, not "2GiB"`],
    [{ segmentBytes: 100_000 }, RangeError, 'segmentBytes takes a multiple of 65536, not 100000'],
    [{ fsync: 1 }, TypeError, 'fsync takes true or false, not 1'],
    [{ peers: ['a'] }, TypeError, 'peers takes a text, not an object'],
    [
      { peers: '1=a:1/2,b' },
      RangeError,
      'peers has "b", but this does not have the form of an entry; each entry is ID=HOST:PORT/PEERPORT, such as 1=10.0.0.1:7070/7170',
    ],
    [
      { node: 3, peers: '1=a:1/2' },
      RangeError,
      'peers names nodes 1, but this is node 3: give each node its own id, and all the same list',
    ],
    [
      { advertise: 'nowhere' },
      RangeError,
      'advertise takes an address for clients such as wss://log.example.com, without user, password and query, not "nowhere"',
    ],
    [{ ack: 'soon' }, TypeError, "ack must be 'received' or 'committed', not \"soon\""],
    [{ maxInFlightBytes: 1 }, RangeError, 'maxInFlightBytes must be a whole number from 65536 to 268435456, not 1'],
    [{ unref: 'yes' }, TypeError, 'unref must be true or false, not "yes"'],
    [{ listen: {}, unref: 'yes' }, TypeError, 'unref must be true or false, not "yes"'],
    [{ listen: { port: 0 }, unref: true }, TypeError, `unref ${KEPT}`],
    [{ peers: '1=a:1/2', unref: true }, TypeError, `unref ${KEPT}`],
    [{ acceptor: 'ws' }, TypeError, `acceptor ${UNSERVED}`],
    [{ maxConnections: 9 }, TypeError, `maxConnections ${UNSERVED}`],
    [{ allowOrigin: 'https://a' }, TypeError, `allowOrigin ${UNSERVED}`],
    [{ allowHost: 'a' }, TypeError, `allowHost ${UNSERVED}`],
    [{ advertise: 'wss://a' }, TypeError, `advertise ${UNSERVED}`],
    [{ peerHost: 'a', listen: {} }, TypeError, `peerHost ${ALONE}`],
    [{ electionTimeoutMs: 500 }, TypeError, `electionTimeoutMs ${ALONE}`],
    [{ log: {} }, TypeError, 'log must be a function, or a logger with info, warn and error, not an object of Object'],
    [{ dir: 7 }, TypeError, `${DIR}, not number 7`],
    [{ dir: undefined }, TypeError, `${DIR}, not undefined`],
    [{ dir: '' }, RangeError, `${DIR}, and is empty`],
    [{ dir: '/tmp/a\0b' }, RangeError, `${DIR}, and no path has a NUL character, as "/tmp/a\\u0000b" has`],
    [{ dir: new URL('file:///tmp/a%00b') }, RangeError, `${DIR}, and no path has a NUL character`],
    [{ dir: new URL('http://a/') }, TypeError, `${DIR}, not "http://a"; a log that another process serves is reached with connect`],
    [{ dir: 'ws://a' }, TypeError, `${DIR}, not "ws://a"; a log that another process serves is reached with connect`],
    [{ dir: new URL('file:///tmp/a%2Fb') }, TypeError, `${DIR}, not "file:///tmp/a%2Fb": `],
  ])('%j is refused', async (options, type, sentence) => {
    const refused = openLog({ dir: directory(), ...options } as OpenOptions);
    await expect(refused).rejects.toThrow(type);
    await expect(refused).rejects.toThrow(sentence);
  });

  it('have the names of a program in what the engine says of them', async () => {
    const dir = directory();
    const lines: string[] = [];
    const log = await open({ dir, segmentBytes: '128KiB', fsync: false, listen: { port: 0 }, log: (_level, text) => lines.push(text) });
    const port = Number(new URL(log.url ?? '').port);
    await expect(openLog({ dir: directory(), ...SMALL, listen: { port } })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: /^cannot listen on .*; name another listen\.port; nothing was changed$/,
    });
    await log.append('x');
    await log.close();
    const other = 'belongs to node 1, not to node 2: start it with node 1; nothing was changed';
    await expect(openLog({ dir, ...SMALL, node: 2 })).rejects.toMatchObject({ code: 'USAGE', message: `${dir} ${other}` });
    await open({ dir, segmentBytes: '64KiB', fsync: false, log: (_level, text) => lines.push(text) });
    expect(lines.join('\n')).toMatch(/^fsync off: nothing that this node acknowledges is durable/m);
    expect(lines.join('\n')).toMatch(/^a segment that is not sealed was made with segmentBytes 131072: /m);
    expect(lines.join('\n')).not.toMatch(/(^|\s)--[a-z]/m);
  });

  it.each([
    ['1=a:1/2,2=a:1/3', 'peers has "2=a:1/3", but "1=a:1/2" has the address a:1 already; each entry is'],
    ['1=0.0.0.0:1/2', 'name the address that the others reach, and listen on all with listen.host 0.0.0.0; each entry is'],
  ])('peers %s is refused in a program’s words', async (peers, sentence) => {
    await expect(openLog({ dir: directory(), peers })).rejects.toThrow(sentence);
  });

  it('sizes are numbers or texts', async () => {
    const log = await open({ segmentBytes: '128KiB', windowBytes: 65_536 });
    expect(log.hello.windowBytes).toBe(65_536);
    expect(log.hello.maxPayloadBytes).toBeLessThan(128 * 1024);
  });
});
