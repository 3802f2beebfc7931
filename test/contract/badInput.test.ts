import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts';
import { MAX_REQUESTS_PER_CONNECTION } from '../../src/core/servingLimits.ts';
import { APPEND, APPENDED, CANCEL, CREDIT, END, ERROR, READ, requestMessage, SUBSCRIBE } from '../../src/protocol/client.ts';
import { HELLO } from '../../src/protocol/greeting.ts';
import { encodeMembersRequest } from '../../src/protocol/members.ts';
import { Canary } from '../server/support/canary.ts';
import { entryBytes, frameEntries } from '../server/support/entries.ts';
import { payloadOf, texts } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { RawClient } from '../server/support/rawClient.ts';
import { trimTo } from '../server/support/trim.ts';
import { frameHead, OPCODE } from '../support/attack/frames.ts';
import { type ByHand, openByHand } from '../support/attack/openByHand.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { bySocketsOnly, DOORS, type DoorNode } from './doors.ts';

const SMALL = { segmentBytes: 131_072, slots: 3, windowBytes: 65536 } as const;

describe.each(DOORS)('by $name', (door) => {
  let data: string;
  let node: DoorNode;
  let canary: Canary;
  let offender: RawClient;
  /** Where the log starts, after a trim. */
  let start: number;
  /** An entry in the oldest segment, on disk only, and what is inside it. */
  let coldOffset: number;

  beforeAll(async () => {
    data = temporaryDirectory();
    const first = await door.open({ data, ...SMALL });
    const client = await first.connect();
    for (let i = 0; i < 30; i++) await client.append(texts(100, 'z'.repeat(200)));
    await client.close();
    await first.stop();
    start = trimTo(data, 200_000);
    node = await door.open({ data, ...SMALL });
    canary = Canary.over(await node.connect(), 'canary');
    const reader = await node.connect();
    coldOffset = (await reader.read(start, { maxBytes: 5000 })).entries[3]?.offset ?? 0;
    await reader.close();
  });

  afterEach(async () => {
    offender?.terminate();
    // The others: the node lives, the canary goes on, and all that it has is there.
    await canary.progress(8);
    await canary.check();
  });

  afterAll(async () => {
    await canary?.stop();
    await node?.stop();
    removeDirectory(data);
  });

  async function connectOffender(): Promise<RawClient> {
    offender = await node.connect();
    return offender;
  }

  /** A request whose offset is any u64. */
  function withOffset(opcode: number, requestId: number, offset: bigint, flags = 0, a = 0): Uint8Array {
    const message = requestMessage(opcode, flags, requestId, 0, a);
    new DataView(message.buffer).setBigUint64(8, offset, true);
    return message;
  }

  function concat(...parts: Uint8Array[]): Uint8Array {
    return new Uint8Array(Buffer.concat(parts));
  }

  function appendMessage(requestId: number, entryCount: number, body: Uint8Array, flags = 0): Uint8Array {
    return concat(requestMessage(APPEND, flags, requestId, 0, entryCount), body);
  }

  /** One framed entry with some of its bytes changed. */
  function damaged(change: (view: DataView) => void): Uint8Array {
    const entry = frameEntries([Buffer.from('payload')]);
    change(new DataView(entry.buffer));
    return entry;
  }

  describe('a fatal error answers, and closes with 1008 and the sentence', () => {
    interface Case {
      readonly messages: readonly (Uint8Array | string)[];
      readonly code: ErrorCode;
      readonly requestId: number;
    }
    const ofText: Readonly<Record<string, Case>> = {
      'a text message': { messages: ['{"append":"hello"}'], code: 'MALFORMED', requestId: 0 },
      'an empty text message': { messages: [''], code: 'MALFORMED', requestId: 0 },
    };
    const cases: Readonly<Record<string, Case>> = {
      'an empty message': { messages: [new Uint8Array(0)], code: 'MALFORMED', requestId: 0 },
      'a header cut to 23 bytes': { messages: [requestMessage(END, 0, 7).subarray(0, 23)], code: 'MALFORMED', requestId: 0 },
      'an APPEND of one byte': { messages: [Uint8Array.of(APPEND)], code: 'MALFORMED', requestId: 0 },
      'bytes 2 and 3 that are not zero': {
        messages: [Uint8Array.from(requestMessage(END, 0, 7), (byte, i) => (i === 3 ? 1 : byte))],
        code: 'MALFORMED',
        requestId: 0,
      },
      'opcode 0': { messages: [requestMessage(0, 0, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'opcode 9': { messages: [requestMessage(9, 0, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'opcode 255': { messages: [requestMessage(255, 0xff, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'an answer as a request: HELLO': { messages: [requestMessage(HELLO, 0, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'an answer as a request: APPENDED': { messages: [requestMessage(APPENDED, 0, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'an answer as a request: ERROR': { messages: [requestMessage(ERROR, 0, 7)], code: 'UNKNOWN_OPCODE', requestId: 7 },
      'flags that APPEND does not have': { messages: [appendMessage(7, 1, frameEntries(texts(1)), 4)], code: 'MALFORMED', requestId: 7 },
      'flags that READ does not have': { messages: [requestMessage(READ, 2, 7)], code: 'MALFORMED', requestId: 7 },
      'a body behind END': { messages: [concat(requestMessage(END, 0, 7), Uint8Array.of(0))], code: 'MALFORMED', requestId: 7 },
      'a body behind SUBSCRIBE': {
        messages: [concat(requestMessage(SUBSCRIBE, 0, 7), new Uint8Array(50_000))],
        code: 'MALFORMED',
        requestId: 7,
      },
      'the id of an open READ': {
        messages: [requestMessage(READ, 0, 7, 2 ** 40), requestMessage(SUBSCRIBE, 0, 8, 2 ** 40), withOpenRead(9), withOpenRead(9)],
        code: 'MALFORMED',
        requestId: 9,
      },
    };

    function withOpenRead(requestId: number): Uint8Array {
      return requestMessage(SUBSCRIBE, 0, requestId, 0, 0);
    }

    const isRefused = async (name: string, { messages, code, requestId }: Case): Promise<void> => {
      const client = await connectOffender();
      for (const message of messages) {
        if (typeof message === 'string') client.socket.send(message);
        else {
          // Subscriptions of this log begin at its start, not at 0.
          const copy = message.slice();
          if (name.startsWith('the id of an open') && message[4] === 9) new DataView(copy.buffer).setBigUint64(8, BigInt(start), true);
          client.send(copy);
        }
      }
      // Nothing behind it is done.
      client.send(appendMessage(99, 1, frameEntries([Buffer.from('after the fatal error')])));
      const error = await client.errorOf(requestId);
      expect(error).toMatchObject({ code, fatal: true, outcomeUnknown: false });
      expect(error.message.length).toBeGreaterThan(15);
      const closed = await client.closed;
      expect(closed.code).toBe(1008);
      expect(closed.reason.length).toBeGreaterThan(15);
      expect(error.message.startsWith(closed.reason)).toBe(true);
      expect(client.appended).toEqual([]);
    };
    test.each(Object.entries(cases))('%s', isRefused);
    bySocketsOnly(door, 'messages of text', () => test.each(Object.entries(ofText))('%s', isRefused));
  });

  describe('an APPEND with a bad body is refused whole, and the connection goes on', () => {
    const good = frameEntries(texts(2));
    const firstBytes = entryBytes(texts(1));
    const cases: Record<string, { body: Uint8Array; count: number; code: ErrorCode; offset: number }> = {
      'no body': { body: new Uint8Array(0), count: 1, code: 'MALFORMED', offset: 0 },
      'a count of zero': { body: good, count: 0, code: 'MALFORMED', offset: 0 },
      'a count that is too small': { body: good, count: 1, code: 'MALFORMED', offset: good.length },
      'a count that is too large': { body: good, count: 3, code: 'MALFORMED', offset: good.length },
      'a count of 2^32 - 1': { body: good, count: 0xffff_ffff, code: 'MALFORMED', offset: good.length },
      'bytes that end inside a header': { body: concat(good, new Uint8Array(7)), count: 3, code: 'MALFORMED', offset: good.length },
      'bytes that end inside a payload': { body: good.subarray(0, good.length - 5), count: 2, code: 'MALFORMED', offset: firstBytes },
      'a single byte': { body: Uint8Array.of(1), count: 1, code: 'MALFORMED', offset: 0 },
      'a length that lies by one': { body: damaged((view) => view.setUint32(4, 8, true)), count: 1, code: 'MALFORMED', offset: 0 },
      'a length that is shorter': { body: damaged((view) => view.setUint32(4, 3, true)), count: 1, code: 'BAD_CHECK', offset: 0 },
      'a length of 16 MiB - 1': {
        body: damaged((view) => view.setUint32(4, 0xff_ffff, true)),
        count: 1,
        code: 'ENTRY_TOO_LARGE',
        offset: 0,
      },
      'a wrong check': { body: damaged((view) => view.setUint32(15, 12345, true)), count: 1, code: 'BAD_CHECK', offset: 0 },
      'a payload that changed': {
        body: concat(
          good,
          damaged((view) => view.setUint8(9, 1)),
        ),
        count: 3,
        code: 'BAD_CHECK',
        offset: good.length,
      },
      'kind 1': { body: damaged((view) => view.setUint8(7, 1)), count: 1, code: 'BAD_KIND', offset: 0 },
      'kind 129': { body: damaged((view) => view.setUint8(7, 129)), count: 1, code: 'BAD_KIND', offset: 0 },
      'a batch that goes on behind its only entry': { body: frameEntries(texts(1), [0]), count: 1, code: 'MALFORMED', offset: 0 },
      'a batch that goes on behind its last entry': {
        body: frameEntries(texts(3), [0, 2]),
        count: 3,
        code: 'MALFORMED',
        offset: 2 * firstBytes,
      },
      'kind 255': { body: damaged((view) => view.setUint8(7, 255)), count: 1, code: 'BAD_KIND', offset: 0 },
      'a term that is not zero': { body: damaged((view) => view.setUint32(0, 1, true)), count: 1, code: 'MALFORMED', offset: 0 },
    };

    test.each(Object.entries(cases))('%s', async (_, { body, count, code, offset }) => {
      const client = await connectOffender();
      client.send(appendMessage(77, count, body));
      expect(await client.errorOf(77)).toMatchObject({ code, offset, fatal: false, outcomeUnknown: false });
      const { offset: at } = await client.append(Buffer.from('it goes on'));
      expect((await client.read(at)).entries[0]?.payload.toString()).toBe('it goes on');
      expect(client.errors).toHaveLength(1);
    });

    test('an entry above the limit, and a batch above the limit', async () => {
      const client = await connectOffender();
      const { maxPayloadBytes, maxBatchBytes } = client.hello;
      expect(maxBatchBytes).toBe(maxPayloadBytes + 12);
      client.send(appendMessage(1000, 1, frameEntries([Buffer.alloc(maxPayloadBytes + 1)])));
      expect(await client.errorOf(1000)).toMatchObject({ code: 'ENTRY_TOO_LARGE', fatal: false });
      const second = maxBatchBytes - 12 - 30_000 - 12;
      client.send(appendMessage(1001, 2, frameEntries([Buffer.alloc(30_000), Buffer.alloc(second + 1)])));
      expect(await client.errorOf(1001)).toMatchObject({ code: 'ENTRY_TOO_LARGE', offset: maxBatchBytes, fatal: false });
      await client.append([Buffer.alloc(30_000), Buffer.alloc(second)]);
    });
  });

  bySocketsOnly(door, 'a message above the largest one', () => {
    test('a message above the largest one is not read: the connection is cut', async () => {
      const client = await connectOffender();
      client.send(new Uint8Array(24 + client.hello.maxBatchBytes + 65536 + 1));
      expect((await client.closed).code).toBe(door.name === 'uws' ? 1006 : 1009);
    });
  });

  test('more bytes than the window are a fatal error, one message alone is not', async () => {
    const client = await connectOffender();
    const body = frameEntries([payloadOf(30_000, 1)]);
    // So many that they come faster than they can be acknowledged, however fast the disk is.
    const receipts = Array.from({ length: 200 }, () => client.appendFramed(body, 1));
    const settled = await Promise.allSettled(receipts);
    const closed = await client.closed;
    expect(closed.code).toBe(1008);
    expect(client.errors).toMatchObject([{ code: 'WINDOW_EXCEEDED', fatal: true }]);
    expect(settled.at(-1)?.status).toBe('rejected');
    const other = await node.connect();
    await other.append(payloadOf(SMALL.windowBytes + 1, 1));
    await other.close();
  });

  describe('offsets that nobody may read from', () => {
    test.each([
      ['negative: 2^64 - 1', 2n ** 64n - 1n],
      ['the most negative: 2^63', 2n ** 63n],
      ['2^53', 2n ** 53n],
      ['2^53 - 1', 2n ** 53n - 1n],
      ['far beyond the end', 2n ** 40n],
    ])('%s is beyond the end', async (_, offset) => {
      const client = await connectOffender();
      client.send(withOffset(READ, 70, offset));
      client.send(withOffset(SUBSCRIBE, 71, offset, 0, 1000));
      for (const id of [70, 71]) {
        const error = await client.errorOf(id);
        expect(error).toMatchObject({ code: 'OFFSET_BEYOND_END', fatal: false });
        expect(error.offset).toBeGreaterThanOrEqual(client.hello.commit);
      }
      client.send(concat(withOffset(APPEND, 72, offset, 2, 1), frameEntries(texts(1))));
      expect(await client.errorOf(72)).toMatchObject({ code: 'CONDITION_FAILED' });
    });

    test('trimmed offsets name the start, where reading works', async () => {
      const client = await connectOffender();
      expect(start).toBeGreaterThan(100_000);
      for (const [i, offset] of [0, LOG_HEAD_BYTES, start - 1].entries()) {
        client.send(requestMessage(i === 1 ? SUBSCRIBE : READ, 0, 80 + i, offset, 100));
        expect(await client.errorOf(80 + i)).toMatchObject({ code: 'OFFSET_TRIMMED', offset: start, fatal: false });
      }
      expect((await client.read(start, { maxBytes: 1 })).entries[0]?.offset).toBe(start);
    });

    test('inside an entry, on disk and in memory, for reads and for subscriptions', async () => {
      const client = await connectOffender();
      const hot = await client.append(payloadOf(500, 1));
      const inside = [1, 11].map((at) => [coldOffset + at, coldOffset] as const);
      for (const offset of [hot.offset + 1, hot.offset + 8, hot.end - 1]) inside.push([offset, hot.offset]);
      for (const [i, [offset, beginning]] of inside.entries()) {
        client.send(requestMessage(READ, 0, 900 + i, offset, 10));
        client.send(requestMessage(SUBSCRIBE, 0, 950 + i, offset, 10));
        for (const id of [900 + i, 950 + i]) {
          expect(await client.errorOf(id)).toMatchObject({ code: 'OFFSET_NOT_BOUNDARY', offset: beginning, fatal: false });
        }
      }
      expect((await client.read(coldOffset, { maxBytes: 1 })).entries).toHaveLength(1);
    });
  });

  test('changes of nodes that are none are refused, and the connection goes on', async () => {
    const client = await connectOffender();
    const good = encodeMembersRequest(90, { kind: 'remove', id: 9 }, true);
    for (const [i, wrong] of [good.subarray(0, -1), concat(good, new Uint8Array(1)), good.slice().fill(0, 24, 26)].entries()) {
      const message = wrong.slice();
      new DataView(message.buffer).setUint32(4, 91 + i, true);
      client.send(message);
      expect(await client.errorOf(91 + i)).toMatchObject({ code: 'MALFORMED', fatal: false });
    }
    client.send(good);
    expect(['UNKNOWN_MEMBER', 'LEVEL_TOO_LOW']).toContain((await client.errorOf(90)).code);
  });

  test('ids may repeat among appends, and CREDIT and CANCEL for unknown ids do no harm', async () => {
    const client = await connectOffender();
    const body = frameEntries(texts(1));
    for (let i = 0; i < 3; i++) client.send(appendMessage(5, 1, body));
    for (const id of [0, 5, 4_294_967_295]) client.request(CREDIT, id, { a: 0xffff_ffff });
    for (const id of [0, 5, 4_294_967_295]) await client.cancel(id);
    await client.end();
    expect(client.errors).toEqual([]);
  });

  test('endless credit is cut, and gives each entry once all the same', async () => {
    const client = await connectOffender();
    const subscription = client.subscribe(start, 0xffff_ffff);
    for (let i = 0; i < 1000; i++) client.grant(subscription, 0xffff_ffff);
    await subscription.until((await client.append(Buffer.from('x'))).end);
    expect(client.errors).toEqual([]);
  });

  test('too many open reads and subscriptions are refused one by one, and cancelling makes room', async () => {
    const client = await connectOffender();
    for (let id = 1; id <= MAX_REQUESTS_PER_CONNECTION + 3; id++) client.request(SUBSCRIBE, 10_000 + id, { offset: start });
    await client.end();
    expect(client.errors.map(({ requestId }) => requestId)).toEqual([1, 2, 3].map((i) => 10_000 + MAX_REQUESTS_PER_CONNECTION + i));
    for (const error of client.errors) expect(error).toMatchObject({ code: 'TOO_MANY_REQUESTS', fatal: false });
    expect(ERRORS.TOO_MANY_REQUESTS.retryable).toBe(true);
    await client.cancel(10_001);
    expect((await client.read(start, { maxBytes: 1 })).entries).toHaveLength(1);
  });

  bySocketsOnly(door, 'clients that die within a frame', (portOf) => {
    describe('clients that die', () => {
      /** A WebSocket whose frames are written by hand. */
      const handmade = (): Promise<ByHand> => openByHand(portOf(node), onTestFinished);

      test('in the middle of a message: nothing of it is appended', async () => {
        const before = (await node.status()).appends;
        for (let i = 0; i < 20; i++) {
          const { socket } = await handmade();
          const message = appendMessage(1, 1, frameEntries([payloadOf(40_000, i)]));
          socket.write(Buffer.concat([frameHead(message.length), message.subarray(0, i * 2000)]));
          await new Promise((resolve) => socket.write('', resolve));
          if (i % 2 === 0) socket.destroy();
          else socket.resetAndDestroy();
        }
        await expect.poll(async () => (await node.status()).clients.connections).toBe(1);
        // Only the canary's appends came in between, one entry each.
        const after = (await node.status()).appends;
        expect(after.entries - before.entries).toBe(after.batches - before.batches);
        expect(after.bytes - before.bytes).toBeLessThan(40_000 * 20);
      });

      test('right behind an append, and between the fragments of one', async () => {
        for (let i = 0; i < 20; i++) {
          const { socket } = await handmade();
          const message = appendMessage(1, 1, frameEntries([payloadOf(100, i)]));
          if (i % 2 === 0) socket.end(Buffer.concat([frameHead(message.length), message]));
          else socket.end(Buffer.concat([frameHead(10, OPCODE.binary, false), message.subarray(0, 10)]));
          await new Promise((resolve) => socket.resume().once('close', resolve));
        }
        await expect.poll(async () => (await node.status()).clients.connections).toBe(1);
      });
    });
  });

  test('a subscriber that dies with a cold read in flight costs nothing', async () => {
    for (let i = 0; i < 30; i++) {
      const client = await connectOffender();
      for (let n = 0; n < 20; n++) client.subscribe(start, 1 << 30);
      client.request(CANCEL, 3);
      if (i % 2 === 0) client.terminate();
      else await client.close();
    }
    await expect.poll(async () => (await node.status()).clients.connections).toBe(1);
  });
});
