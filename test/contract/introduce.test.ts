// A client that says who it is: what it is told besides, and that what is unknown does not end its connection.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  END,
  encodeIntroduce,
  INTRODUCE,
  READ,
  requestMessage,
} from '../../src/protocol/client.ts';
import type { ClientIntroduction } from '../../src/protocol/greeting.ts';
import { frameEntries } from '../server/support/entries.ts';
import { eventually } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { RawClient } from '../server/support/rawClient.ts';
import { DOORS, type DoorNode } from './doors.ts';

const SELF: ClientIntroduction = { lowestVersion: 1, highestVersion: 1, features: 0, name: 'test/1' };

const ADVERTISED = 'ws://localhost:9/log/';

async function introduce(client: RawClient, change: Partial<ClientIntroduction> = {}): Promise<void> {
  client.send(encodeIntroduce(1000, { ...SELF, ...change }));
  await eventually(() => client.hello.cluster !== undefined, 'HELLO names the nodes');
}

describe.each(DOORS)('by $name', (door) => {
  let data: string;
  let node: DoorNode;

  beforeAll(async () => {
    data = temporaryDirectory();
    node = await door.open({ data, advertise: ADVERTISED });
  });

  afterAll(async () => {
    await node?.stop();
    removeDirectory(data);
  });

  async function connect(): Promise<RawClient> {
    const client = await node.connect();
    onTestFinished(() => client.terminate());
    return client;
  }

  describe('a client that introduces itself', () => {
    test('is told the nodes and the leader; others are told what they were always told', async () => {
      const client = await connect();
      expect(client.hello).toMatchObject({ features: 402, cluster: undefined });
      await introduce(client, { highestVersion: 7, features: 0xffff_ffff });
      const members = [{ id: 1, url: ADVERTISED }];
      // Told anew when the log has one.
      await expect
        .poll(() => client.hello.cluster, { timeout: 60_000 })
        .toEqual({
          generation: expect.stringMatching(/^(?!0{16})[0-9a-f]{16}$/),
          leaderId: 1,
          members,
          segmentBytes: expect.any(Number),
        });
      const other = await connect();
      await other.append(Buffer.from('x'));
      expect(other.hello.cluster).toBeUndefined();
    });

    test('goes on after an unknown request and an unknown flag; who did not is closed', async () => {
      const client = await connect();
      await introduce(client);
      for (const body of [0, 1, 5000]) {
        client.send(Buffer.concat([requestMessage(0x4f, 0xff, 10 + body), Buffer.alloc(body)]));
        expect(await client.errorOf(10 + body)).toMatchObject({ code: 'UNKNOWN_OPCODE', fatal: false, outcomeUnknown: false });
      }
      for (const [id, opcode, body] of [
        [2, READ, 0],
        [3, END, 8],
        [4, APPEND, 0],
      ] as const) {
        client.send(Buffer.concat([requestMessage(opcode, 0x80, id), Buffer.alloc(body)]));
        expect(await client.errorOf(id)).toMatchObject({ code: 'UNKNOWN_FLAGS', fatal: false, outcomeUnknown: false });
      }
      expect((await client.append(Buffer.from('it goes on'))).level).toBe(1);
      for (const [message, code] of [
        [requestMessage(0x4f, 0, 5), 'UNKNOWN_OPCODE'],
        [requestMessage(END, 0x80, 5), 'MALFORMED'],
      ] as const) {
        const silent = await connect();
        silent.send(message);
        expect((await silent.closed).code).toBe(1008);
        expect(silent.errors).toMatchObject([{ requestId: 5, code, fatal: true }]);
      }
    });

    test('an append that is refused for a flag has its number in its chain all the same', async () => {
      const client = await connect();
      await introduce(client);
      const { commit } = await client.end();
      const send = (id: number, flags: number, offset = 0): void => {
        client.send(Buffer.concat([requestMessage(APPEND, flags, id, offset, 1), frameEntries([Buffer.from(`${id}`)])]));
      };
      send(1, APPEND_CONDITIONAL, commit);
      send(2, APPEND_CHAINED | 0x80);
      send(3, APPEND_CHAINED);
      expect(await client.errorOf(2)).toMatchObject({ code: 'UNKNOWN_FLAGS' });
      expect(await client.errorOf(3)).toMatchObject({ code: 'CHAIN_BROKEN', fatal: false });
      // A head that is refused begins a chain, which has nothing.
      send(4, APPEND_CONDITIONAL | 0x80, commit);
      send(5, APPEND_CHAINED);
      expect(await client.errorOf(5)).toMatchObject({ code: 'CHAIN_BROKEN', fatal: false });
      const { end } = await client.append(Buffer.from('last'));
      const texts = (await client.readAll(commit, end)).map(({ payload }) => Buffer.from(payload).toString());
      expect(texts).toEqual(['1', 'last']);
    });

    test.each<[string, (client: RawClient) => void, string]>([
      ['after another request', (client) => client.request(END, 1), 'MALFORMED'],
      ['twice', (client) => client.send(encodeIntroduce(1, SELF)), 'MALFORMED'],
    ])('too late is refused: %s', async (_when, before, code) => {
      const client = await connect();
      before(client);
      client.send(encodeIntroduce(77, SELF));
      expect((await client.closed).code).toBe(1008);
      expect(client.errors).toMatchObject([{ requestId: 77, code, fatal: true }]);
    });

    test.each<[string, Uint8Array, string]>([
      ['without a name', requestMessage(INTRODUCE, 0, 77, 0, 0x1_0001), 'MALFORMED'],
      ['with a name that is too long', encodeIntroduce(77, { ...SELF, name: 'x'.repeat(65) }), 'MALFORMED'],
      ['with a body that is too long', Buffer.concat([encodeIntroduce(77, SELF), Buffer.alloc(1100)]), 'MALFORMED'],
      ['with an unknown flag', Buffer.concat([requestMessage(INTRODUCE, 1, 77, 0, 0x1_0001), Buffer.from([1, 0, 0, 0, 65])]), 'MALFORMED'],
      ['without a version', encodeIntroduce(77, { ...SELF, lowestVersion: 0 }), 'MALFORMED'],
      ['of a later version only', encodeIntroduce(77, { ...SELF, lowestVersion: 2, highestVersion: 3 }), 'OTHER_VERSION'],
    ])('is refused %s', async (_what, message, code) => {
      const client = await connect();
      client.send(message);
      expect((await client.closed).code).toBe(1008);
      expect(client.errors).toMatchObject([{ requestId: 77, code, fatal: true }]);
    });
  });
});
