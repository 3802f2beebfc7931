import { describe, expect, it } from 'vitest';
import { PEER_GATHER_BELOW_BYTES } from '../../src/core/peerLimits.ts';
import { FrameReader } from '../../src/protocol/frameReader.ts';
import { bodyBytesOf, encodePeerMessage, PEER_FRAME_BYTES } from '../../src/protocol/peer.ts';
import { MAX_PEER_BODY_BYTES } from '../../src/protocol/peerChecks.ts';
import type { AppendRequest, PeerMessage } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import { anyAppend, anyMessage } from './messages.ts';

function append(bodyBytes: number): AppendRequest {
  return {
    kind: 'appendRequest',
    term: 2,
    round: 1,
    prevTerm: 1,
    prevOffset: 100,
    prevLeader: '00000000000000a1',
    entriesTerm: 2,
    entriesLeader: '00000000000000a2',
    end: 100 + bodyBytes,
    base: 0,
    commit: 0,
  };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

describe('frame reader', () => {
  it('reads what was written, however it is cut into pieces', () => {
    const noise = Uint8Array.from({ length: 100_000 }, (_, i) => Math.imul(i, 0x9e37_79b1) >>> 24);
    for (let seed = 1; seed <= 100; seed++) {
      const random = new Random(seed);
      const sent: { message: PeerMessage; body: Uint8Array }[] = [];
      for (let i = 0; i < 30; i++) {
        const message = random.oneIn(2) ? anyAppend(random, random.pick(100, 5000, 70_000)) : anyMessage(random);
        const bytes = bodyBytesOf(message);
        const from = random.below(30_000);
        if (bytes <= 70_000) sent.push({ message, body: noise.subarray(from, from + bytes) });
      }
      const stream = joined(sent.flatMap(({ message, body }) => [encodePeerMessage(message), body]));
      const got: { message: PeerMessage; body: Uint8Array }[] = [];
      const reader = new FrameReader((message, body) => got.push({ message, body: joined(body) }));
      for (let at = 0; at < stream.length; ) {
        const bytes = 1 + random.below(random.pick(3, 100, 3000, 65_536));
        // A copy, as a socket delivers it.
        expect(reader.push(stream.slice(at, at + bytes))).toBeUndefined();
        at += bytes;
      }
      expect(got.map(({ message }) => message)).toEqual(sent.map(({ message }) => message));
      expect(got.every(({ body }, i) => Buffer.compare(body, sent[i]?.body ?? body.subarray(1)) === 0)).toBe(true);
      expect(reader.arriving).toBeUndefined();
    }
  });

  it('does not copy the body: its pieces are views of what was pushed', () => {
    const bodies: (readonly Uint8Array[])[] = [];
    const reader = new FrameReader((_, body) => bodies.push(body));
    const chunks = [joined([encodePeerMessage(append(150_000)), new Uint8Array(60_000)]), new Uint8Array(65_536), new Uint8Array(24_464)];
    for (const chunk of chunks) expect(reader.push(chunk)).toBeUndefined();
    expect(bodies.map((body) => body.map((piece) => piece.length))).toEqual([[60_000, 65_536, 24_464]]);
    expect(bodies[0]?.map((piece) => piece.buffer)).toEqual(chunks.map((chunk) => chunk.buffer));
  });

  it('says what is arriving, and holds nothing that a header only promises', () => {
    const reader = new FrameReader(() => expect.fail('nothing is whole yet'));
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 100; i++) new FrameReader(() => undefined).push(encodePeerMessage(append(MAX_PEER_BODY_BYTES)));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    reader.push(encodePeerMessage(append(MAX_PEER_BODY_BYTES)));
    reader.push(new Uint8Array(1000));
    expect(reader.arriving).toEqual(append(MAX_PEER_BODY_BYTES));
    expect(reader.missingBytes).toBe(MAX_PEER_BODY_BYTES - 1000);
  });

  it('many small pieces, also between large ones, take little more memory than they hold', () => {
    const bodyBytes = 600_000;
    for (const sizes of [[1], [PEER_GATHER_BELOW_BYTES, 1], [PEER_GATHER_BELOW_BYTES - 1]]) {
      const bodies: (readonly Uint8Array[])[] = [];
      const reader = new FrameReader((_, body) => bodies.push(body));
      reader.push(encodePeerMessage(append(bodyBytes)));
      for (let sent = 0, i = 0; sent < bodyBytes; i++) {
        const piece = new Uint8Array(Math.min(sizes[i % sizes.length] ?? 1, bodyBytes - sent)).fill(i);
        reader.push(piece);
        sent += piece.length;
      }
      const [body = []] = bodies;
      const held = [...new Set(body.map((piece) => piece.buffer))].reduce((sum, buffer) => sum + buffer.byteLength, 0);
      expect(joined(body).length).toBe(bodyBytes);
      expect(held).toBeLessThan(1.2 * bodyBytes);
      expect(body.length).toBeLessThan((2.2 * bodyBytes) / PEER_GATHER_BELOW_BYTES);
    }
  });

  it('a frame that is not one ends the stream for good, and what came before it was read', () => {
    const got: PeerMessage[] = [];
    const reader = new FrameReader((message) => got.push(message));
    const good = encodePeerMessage({ kind: 'timeoutNow', term: 1 });
    const bad = good.slice();
    bad[8] = 7;
    expect(reader.push(joined([good, bad, good]))).toContain('check');
    expect(reader.push(good)).toContain('check');
    expect(got.length).toBe(1);
  });

  it('stops in the middle of a piece when the taker says so', () => {
    const got: PeerMessage[] = [];
    const reader = new FrameReader((message) => {
      got.push(message);
      reader.stop('enough');
    });
    const good = encodePeerMessage({ kind: 'timeoutNow', term: 1 });
    expect(reader.push(joined([good, good, good]))).toBe('enough');
    expect(got.length).toBe(1);
  });

  it('random bytes never throw and are refused with the first frame', () => {
    const random = new Random(3);
    for (let i = 0; i < 2000; i++) {
      const reader = new FrameReader(() => expect.fail('random bytes are no message'));
      const bytes = Uint8Array.from({ length: PEER_FRAME_BYTES + random.below(200) }, () => random.u32());
      expect(reader.push(bytes)).toBeTypeOf('string');
    }
  });
});
