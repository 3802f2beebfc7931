// Values in place of bytes: what is appended comes back as it was, and what is none is said, with its place.

import { describe, expect, onTestFinished, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import { typedLog } from '../../src/client/codec.ts';
import { connect } from '../../src/client/index.ts';
import { sharedNode } from '../server/support/fixture.ts';

const shared = sharedNode({ segmentBytes: 65536 });

async function open(): Promise<LogClient> {
  const log = await connect((await shared()).url);
  onTestFinished(() => log.close());
  return log;
}

interface Order {
  readonly id: number;
  readonly items: readonly string[];
}

async function valuesOf<T>(reading: AsyncIterable<{ readonly value: T }>): Promise<readonly T[]> {
  const values: T[] = [];
  for await (const { value } of reading) values.push(value);
  return values;
}

describe('a typed log', () => {
  test('of JSON has the values that were appended, alone and in a batch', async () => {
    const orders = typedLog<Order>(await open(), { codec: 'json' });
    const { offset: from } = await orders.append({ id: 1, items: ['é'] });
    await orders.appendBatch([
      { id: 2, items: [] },
      { id: 3, items: ['a', 'b'] },
    ]);
    const reading = orders.read({ from });
    const values: readonly Order[] = await valuesOf(reading);
    expect(values).toEqual([
      { id: 1, items: ['é'] },
      { id: 2, items: [] },
      { id: 3, items: ['a', 'b'] },
    ]);
    expect(reading.position).toBeGreaterThan(from);
    expect(reading.bookmark).toContain('@');
  });

  test('of texts and of bytes has strings and bytes', async () => {
    const log = await open();
    const texts = typedLog(log, { codec: 'text' });
    const { offset: from } = await texts.append('\uFEFFtext');
    const found: readonly string[] = await valuesOf(texts.read({ from, limit: 1 }));
    expect(found).toEqual(['\uFEFFtext']);
    const bytes = typedLog(log, { codec: 'bytes' });
    const { offset } = await bytes.append(Uint8Array.of(255, 0));
    for await (const { value } of bytes.subscribe({ from: offset })) {
      expect(value).toEqual(Uint8Array.of(255, 0));
      break;
    }
  });

  test('takes a codec of the program, with its type', async () => {
    const dates = typedLog(await open(), {
      codec: { encode: (date: Date) => date.toISOString(), decode: (payload) => new Date(new TextDecoder().decode(payload)) },
    });
    const { offset: from } = await dates.append(new Date(0));
    const found: readonly Date[] = await valuesOf(dates.read({ from, limit: 1 }));
    expect(found).toEqual([new Date(0)]);
  });

  test('says which entry is not of the codec, and where to go on', async () => {
    const log = await open();
    const orders = typedLog<Order>(log, { codec: 'json' });
    const { offset, end } = await log.append('{');
    await orders.append({ id: 4, items: [] });
    const reading = orders.read({ from: offset });
    await expect(valuesOf(reading)).rejects.toMatchObject({ code: 'MALFORMED', outcome: 'failed', details: { offset, nextOffset: end } });
    // It was not handed out: whoever keeps where a reading is does not pass over it.
    expect([reading.position, reading.bookmark]).toEqual([offset, log.bookmark(offset)]);
    expect(await valuesOf(orders.read({ from: end, limit: 1 }))).toEqual([{ id: 4, items: [] }]);
  });

  test('appends nothing that it cannot encode', async () => {
    const log = await open();
    await expect(typedLog<unknown>(log, { codec: 'json' }).append(undefined)).rejects.toThrow('JSON has nothing for undefined');
    const texts = typedLog<unknown>(log, { codec: { encode: String, decode: String } });
    await expect(texts.appendBatch([])).rejects.toThrow('at least one payload');
    const { end } = await log.end();
    const wrong = JSON.parse('5') as string;
    await expect(typedLog(log, { codec: 'text' }).append(wrong)).rejects.toThrow('a text must be a string');
    // It would come back as another one.
    await expect(typedLog(log, { codec: 'text' }).append('half \ud83d')).rejects.toThrow('half of a surrogate pair');
    await expect(typedLog(log, { codec: 'text' }).appendBatch('two')).rejects.toThrow('a batch must be a list of values');
    expect((await log.end()).end).toBe(end);
  });

  test('refuses a codec that is none, and an option that it has not', async () => {
    const log = await open();
    const none = JSON.parse('{"codec":"yaml"}') as { codec: 'json' };
    expect(() => typedLog(log, none)).toThrow("codec must be 'json', 'text', 'bytes' or an object with encode and decode");
    const other: { codec: 'json' } = Object.assign({ codec: 'json' as const }, { codex: 1 });
    expect(() => typedLog(log, other)).toThrow('did you mean codec?');
  });
});
