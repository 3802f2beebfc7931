import { describe, expect, test } from 'vitest';
import { UnfinishedFrames } from '../../src/server/acceptors/unfinishedFrames.ts';
import { clientFrame, frameHead, OPCODE } from '../support/attack/frames.ts';

const PIECE = 256;
const ping = clientFrame(Buffer.from('abc'), OPCODE.ping);
const whole = (bytes: number): Buffer => clientFrame(Buffer.alloc(bytes));
const part = (bytes: number, opcode: number = OPCODE.binary): Buffer => clientFrame(Buffer.alloc(bytes), opcode, false);

describe('what a WebSocket holds that is not a whole message', () => {
  test.each([0, 1, 125, 126, 65_535, 65_536])('nothing after whole messages of %i bytes, however they are cut into chunks', (bytes) => {
    const stream = Buffer.concat([whole(bytes), ping, part(bytes), ping, clientFrame(Buffer.alloc(bytes), OPCODE.continuation)]);
    for (const chunkBytes of [1, 7, 1000, stream.length]) {
      const frames = new UnfinishedFrames();
      for (let at = 0; at < stream.length; at += chunkBytes) frames.take(stream.subarray(at, at + chunkBytes));
      expect([chunkBytes, frames.bytes]).toEqual([chunkBytes, 0]);
    }
  });

  test('a chunk counts in full when a byte of it is kept', () => {
    const frames = new UnfinishedFrames();
    frames.take(Buffer.concat([whole(60_000), frameHead(100).subarray(0, 1)]));
    expect(frames.bytes).toBe(60_008 + 1 + PIECE);
  });

  test('each fragment costs a buffer besides its bytes, and a ping between them nothing', () => {
    const frames = new UnfinishedFrames();
    const chunk = Buffer.concat([part(1), ...new Array<Buffer>(99).fill(part(1, OPCODE.continuation)), ping]);
    frames.take(chunk);
    expect(frames.bytes).toBe(chunk.length + 100 * PIECE + PIECE);
    frames.take(clientFrame(Buffer.alloc(1), OPCODE.continuation));
    expect(frames.bytes).toBe(0);
  });

  test('a message counts as it comes, and no longer than until it is whole', () => {
    const frames = new UnfinishedFrames();
    const stream = whole(200_000);
    const counts: number[] = [];
    for (let at = 0; at < stream.length; at += 65_536) {
      frames.take(stream.subarray(at, at + 65_536));
      counts.push(frames.bytes);
    }
    expect(counts).toEqual([65_536 + PIECE, 2 * (65_536 + PIECE), 3 * (65_536 + PIECE), 0]);
  });
});
