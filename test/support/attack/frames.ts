// WebSocket frames by hand, for attackers: what a client sends, and the goodbye in what a server sends.

import { randomBytes } from 'node:crypto';
import { SUBPROTOCOL } from '../../../src/protocol/client.ts';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The head of a client's frame (RFC 6455, 5.2), with a mask of zeros, so that the payload follows as it is. */
export function frameHead(payloadBytes: number, opcode: number = OPCODE.binary, isFinal = true): Buffer {
  const lengthBytes = payloadBytes < 126 ? 0 : payloadBytes < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + lengthBytes + 4);
  head[0] = (isFinal ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (lengthBytes === 0 ? payloadBytes : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(payloadBytes, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(payloadBytes), 2);
  return head;
}

/** One frame of a client. */
export function clientFrame(payload: Uint8Array, opcode: number = OPCODE.binary, isFinal = true): Buffer {
  return Buffer.concat([frameHead(payload.length, opcode, isFinal), payload]);
}

/** As many whole copies of `bytes` as fit into `totalBytes`, at least one. */
export function repeated(bytes: Uint8Array, totalBytes: number): Buffer {
  return Buffer.concat(new Array<Uint8Array>(Math.max(1, Math.floor(totalBytes / bytes.length))).fill(bytes));
}

/** The request that makes a connection a WebSocket. */
export function upgradeRequest(): string {
  return (
    `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`
  );
}

/** The end of the answer's head in `bytes`, which a server sent first; -1 when it is not whole yet. */
export function headEnd(bytes: Buffer): number {
  const at = bytes.indexOf('\r\n\r\n');
  return at < 0 ? -1 : at + 4;
}

export interface Goodbye {
  readonly code: number;
  readonly reason: string;
}

/** Looks for the close frame in what a server sends. Keeps no payload but that of the close frame. */
export class GoodbyeReader {
  #rest = Buffer.alloc(0);
  #skipBytes = 0;

  /** Returns the goodbye once it has come. */
  push(chunk: Buffer): Goodbye | undefined {
    const skipped = Math.min(this.#skipBytes, chunk.length);
    this.#skipBytes -= skipped;
    let bytes = Buffer.concat([this.#rest, chunk.subarray(skipped)]);
    while (bytes.length >= 2) {
      const short = (bytes[1] ?? 0) & 0x7f;
      const headBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (bytes.length < headBytes) break;
      const payloadBytes = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      if (((bytes[0] ?? 0) & 0x0f) === OPCODE.close) {
        if (bytes.length < headBytes + payloadBytes) break;
        const payload = bytes.subarray(headBytes, headBytes + payloadBytes);
        return payload.length < 2 ? { code: 1005, reason: '' } : { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) };
      }
      this.#skipBytes = Math.max(0, headBytes + payloadBytes - bytes.length);
      bytes = bytes.subarray(headBytes + payloadBytes);
    }
    this.#rest = Buffer.from(bytes);
    return undefined;
  }
}
