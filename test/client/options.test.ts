// An option that is misspelt, or a condition without a value, must not be left out in silence: the append would be done without it.

import { describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { WriterOptions } from '../../src/client/options.ts';
import { FakeServer } from './support/fakeServer.ts';

describe('options that nobody knows', () => {
  test.each([
    ['append', 'expectedEnd', (log: LogClient) => log.append('x', { expectedend: 0 } as object)],
    ['append', 'signal', (log: LogClient) => log.append('x', { signals: 1 } as object)],
    ['appendBatch', 'expectedTerm', (log: LogClient) => log.appendBatch(['x'], { expectedEnd: 0, expectdTerm: 1 } as object)],
    ['read', 'from', async (log: LogClient) => log.read({ form: 3 } as object)],
    ['subscribe', 'creditBytes', async (log: LogClient) => log.subscribe({ creditsBytes: 5000 } as object)],
    ['end', 'linearizable', (log: LogClient) => log.end({ linearisable: true } as object)],
    ['writer', 'expectedTerm', async (log: LogClient) => log.writer({ expectedEnd: 0, ExpectedTerm: 3 } as WriterOptions)],
    ['connect', 'maxQueuedBytes', () => new FakeServer().connect({ maxQueueBytes: 1 } as object)],
    ['connect', 'timeoutMs', () => new FakeServer().connect({ reconnect: { timeout: 1 } as object })],
  ] as const)('are refused by %s, which names the nearest, %s', async (_call, nearest, call) => {
    const server = new FakeServer();
    const log = await server.connect();
    await expect(call(log)).rejects.toThrow(new RegExp(`did you mean ${nearest}\\?$`));
    await expect(call(log)).rejects.toThrow(TypeError);
    expect(server.end).toBe(0);
    await log.close();
  });

  test('and null in place of options, and a linearizable that is neither true nor false, are refused', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    const nothing = null as unknown as undefined;
    for (const call of [log.append('x', nothing), log.appendBatch(['x'], nothing), log.end(nothing)])
      await expect(call).rejects.toThrow(TypeError);
    for (const linearizable of ['true', 1, 0, null, 'no']) {
      await expect(log.end({ linearizable } as object)).rejects.toThrow(/^linearizable must be true or false/);
    }
    expect((await log.end({ linearizable: false })).end).toBe(0);
    await log.close();
  });

  test('and conditions without a value, and options of a writer’s append, are refused, and nothing is appended', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    const undefinedEnd = { expectedEnd: undefined } as object;
    await expect(log.append('x', undefinedEnd)).rejects.toThrow(/^expectedEnd is undefined/);
    await expect(log.appendBatch(['x'], undefinedEnd)).rejects.toThrow(TypeError);
    await expect(log.append('x', { expectedEnd: 0, expectedTerm: undefined } as object)).rejects.toThrow(/^expectedTerm is undefined/);
    expect(() => log.writer({ expectedEnd: 0, expectedTerm: undefined } as object as WriterOptions)).toThrow(TypeError);
    for (const call of ['append', 'appendBatch'] as const) {
      const writer = log.writer({ expectedEnd: 0 });
      const append = writer[call].bind(writer) as (payload: unknown, options: unknown) => Promise<unknown>;
      await expect(append(['x'], { signal: AbortSignal.abort() })).rejects.toThrow(/takes no options/);
    }
    expect(server.end).toBe(0);
    await log.close();
  });
});
