// A WebSocket client whose every byte is the fuzzer's choice: handshakes, frames, fragments, masks, and where TCP cuts them.

import { connect, type Socket } from 'node:net';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import type { Random } from '../assembly/random.ts';

const FINAL = 0x80;
const TEXT = 1;
const BINARY = 2;
const PING = 9;

/** What a server is given at most to close a connection, or to answer. */
const PATIENCE_MS = 300;

export class FuzzSocket {
  readonly #socket: Socket;
  readonly #random: Random;
  readonly #closed: Promise<void>;
  #isClosed = false;
  #receivedBytes = 0;
  #onData: () => void = () => undefined;

  constructor(url: string, random: Random) {
    const { hostname, port } = new URL(url);
    this.#random = random;
    this.#socket = connect(Number(port), hostname);
    this.#socket.setNoDelay(true);
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', (data) => {
      this.#receivedBytes += data.length;
      this.#onData();
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#isClosed = true;
        resolve();
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Upgrades; most of the time as one should. Resolves when the server answered or hung up. */
  async handshake(): Promise<void> {
    const random = this.#random;
    const lines = [
      random.oneIn(40) ? 'POST / HTTP/1.1' : 'GET / HTTP/1.1',
      'Host: fuzz',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Sec-WebSocket-Protocol: ${random.oneIn(40) ? 'other' : SUBPROTOCOL}`,
    ];
    if (random.oneIn(30)) lines.splice(random.below(lines.length), 1);
    if (random.oneIn(30)) lines.push(`X-Long: ${'x'.repeat(random.below(20_000))}`);
    if (random.oneIn(30)) lines.push('Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits');
    if (random.oneIn(40)) lines.push(`Origin: ${random.pick('http://localhost', 'https://evil.example', '\u0001', 'null')}`);
    await this.#write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'));
    await this.answered(0);
  }

  /** Sends one message in one or more frames, in as many pieces as chance has it. */
  async message(bytes: Uint8Array): Promise<void> {
    const random = this.#random;
    const opcode = random.oneIn(60) ? TEXT : BINARY;
    const cuts = random.oneIn(3)
      ? Array.from({ length: 1 + random.below(4) }, () => random.below(bytes.length + 1)).sort((a, b) => a - b)
      : [];
    const ends = [...cuts, bytes.length];
    let at = 0;
    for (const [i, end] of ends.entries()) {
      const first = i === 0 ? opcode : 0;
      await this.#write(this.#frame(bytes.subarray(at, end), first | (i === ends.length - 1 ? FINAL : 0)));
      if (random.oneIn(30)) await this.#write(this.#frame(new Uint8Array(random.below(126)), FINAL | PING));
      at = end;
    }
  }

  /** The beginning of a frame that announces more than it has, or bytes that are no frame at all. */
  async garbage(): Promise<void> {
    const random = this.#random;
    const bytes = Uint8Array.from({ length: 1 + random.below(200) }, () => random.u32());
    if (random.oneIn(2)) await this.#write(bytes);
    else await this.#write(this.#frame(bytes, FINAL | BINARY).subarray(0, random.below(bytes.length)));
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Waits until more than `bytes` came, or the server hung up, or patience ends. */
  async answered(bytes: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const more = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#receivedBytes > bytes) resolve();
      };
      this.#onData = look;
      look();
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([more, this.#closed]);
    clearTimeout(timer);
  }

  /** Leaves in one of the ways in which clients leave. */
  async leave(): Promise<void> {
    switch (this.#random.below(4)) {
      case 0:
        this.#socket.destroy();
        break;
      case 1:
        this.#socket.resetAndDestroy();
        break;
      case 2:
        this.#socket.end();
        this.#socket.resume();
        break;
      default:
        await this.#write(this.#frame(Uint8Array.of(0x03, 0xe8), FINAL | 8));
        this.#socket.resume();
    }
    const timer = setTimeout(() => this.#socket.destroy(), PATIENCE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  #frame(payload: Uint8Array, first: number): Buffer {
    const { length } = payload;
    const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + extended + 4);
    head[0] = first;
    head[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
    if (extended === 2) head.writeUInt16BE(length, 2);
    if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
    const mask = this.#random.oneIn(2) ? 0 : this.#random.u32();
    head.writeUInt32BE(mask, 2 + extended);
    const masked = mask === 0 ? payload : Uint8Array.from(payload, (byte, i) => byte ^ (head[2 + extended + (i & 3)] ?? 0));
    return Buffer.concat([head, masked]);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed || this.#socket.destroyed) return;
    const pieces = this.#random.oneIn(5) ? 1 + this.#random.below(4) : 1;
    const step = Math.ceil(bytes.length / pieces);
    for (let at = 0; at < bytes.length; at += step) {
      const piece = bytes.subarray(at, at + step);
      await Promise.race([new Promise<void>((resolve) => this.#socket.write(piece, () => resolve())), this.#closed]);
    }
  }
}
