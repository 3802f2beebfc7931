// Closes that the acceptor decides (docs/PROTOCOL.md, "Closes of the acceptor").

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { clientFrame, frameHead, OPCODE } from '../support/attack/frames.ts';
import { openByHand } from '../support/attack/openByHand.ts';
import { SOCKET_DOORS, type SocketNode } from './doors.ts';

const RESERVED_BITS = 0x40;
const close = (payload: readonly number[]): Buffer => clientFrame(Buffer.from(payload), OPCODE.close);
const part = (bytes: number, opcode: number, isFinal = false): Buffer => clientFrame(Buffer.alloc(bytes), opcode, isFinal);

/** What a client does, and the code that it sees; 0: none came before the end. */
const CASES: readonly { what: string; sent: Buffer; uws: number; ws: number }[] = [
  { what: 'a message that says that it is too large', sent: frameHead(2 ** 40), uws: 0, ws: 1009 },
  { what: 'fragments that are too large together', sent: Buffer.concat([part(1 << 24, 2), part(1 << 20, 0)]), uws: 0, ws: 1009 },
  { what: 'reserved bits', sent: clientFrame(Buffer.from('x'), OPCODE.binary | RESERVED_BITS), uws: 0, ws: 1002 },
  { what: 'a reserved opcode', sent: clientFrame(Buffer.from('x'), 3), uws: 0, ws: 1002 },
  { what: 'a ping of 126 bytes', sent: part(126, OPCODE.ping, true), uws: 0, ws: 1002 },
  { what: 'a ping in fragments', sent: part(1, OPCODE.ping), uws: 0, ws: 1002 },
  { what: 'a continuation of nothing', sent: part(1, OPCODE.continuation, true), uws: 0, ws: 1002 },
  // Where masks are not checked, the mask is taken from where the payload begins, and what is left is no request.
  { what: 'a message without a mask', sent: Buffer.from([0x82, 0x05, 1, 2, 3, 4, 5, 6, 7, 8, 9]), uws: 1008, ws: 1002 },
  // As one message it is no request.
  { what: 'a message between fragments', sent: Buffer.concat([part(1, 2), part(1, 2, true)]), uws: 1008, ws: 1002 },
  { what: 'a text that is not UTF-8', sent: clientFrame(Buffer.from([0xff]), OPCODE.text), uws: 0, ws: 1007 },
  { what: 'a text', sent: clientFrame(Buffer.from('text'), OPCODE.text), uws: 1008, ws: 1008 },
  { what: 'a goodbye without a code', sent: close([]), uws: 1005, ws: 1005 },
  { what: 'a goodbye', sent: close([0x03, 0xe8]), uws: 1000, ws: 1000 },
  { what: 'a goodbye of one byte', sent: close([3]), uws: 1005, ws: 1002 },
  { what: 'a goodbye with a reserved code', sent: close([0x03, 0xee]), uws: 1005, ws: 1002 },
  { what: 'a goodbye of 200 bytes', sent: close(Array.from({ length: 200 }, () => 0)), uws: 0, ws: 1002 },
  { what: 'a goodbye that is not UTF-8', sent: close([0x03, 0xe8, 0xff]), uws: 1005, ws: 1007 },
];

describe.each(SOCKET_DOORS)('by $name', (door) => {
  let data: string;
  let node: SocketNode;
  let port: number;

  beforeAll(async () => {
    data = temporaryDirectory();
    node = await door.open({ data });
    port = Number(new URL(node.url).port);
  });

  afterAll(async () => {
    await node.stop();
    removeDirectory(data);
  });

  test.each(CASES)('$what ends the connection, with its code, and no other', async ({ sent, ...codes }) => {
    const beside = await node.connect();
    const { socket, goodbye } = await openByHand(port, onTestFinished);
    socket.write(sent);
    expect((await goodbye).code).toBe(codes[door.name]);
    await beside.append(Buffer.from('x'));
    await beside.close();
    await expect.poll(async () => (await node.status()).clients.connections).toBe(0);
  });

  test('a message in very many fragments is bounded where each of them is kept', async () => {
    const { socket, goodbye } = await openByHand(port, onTestFinished);
    const fragment = part(1, OPCODE.continuation);
    socket.write(Buffer.concat([part(1, OPCODE.binary), ...new Array<Buffer>(16_384).fill(fragment), part(22, OPCODE.continuation, true)]));
    // As a request it is none: by uWS it is whole, and has an answer.
    expect(await goodbye).toMatchObject({ code: 1008, reason: door.name === 'uws' ? expect.stringContaining('opcode 0') : '' });
  });
});
