// TLS handshakes on the clients' port where node:tls makes them. Each takes about a millisecond of the thread that serves all clients, and the event loop
// hands over everything that has come in one turn: thousands that come at once would hold it for seconds. So few begin in each turn, and the others wait.
//
//   came ──► waits for its first bytes ──► waits for its turn, by address ──► under way ──► over

import type { Duplex } from 'node:stream';
import { firstOfCrowd } from '../../core/crowd.ts';
import { HANDSHAKE_PATIENCE_MS, HANDSHAKES_PER_TURN, HTTP_TIMEOUT_MS, MAX_HANDSHAKES, MAX_HELLO_BYTES } from '../../core/servingLimits.ts';

/** First byte of a TLS connection (RFC 8446, 5.1: the content type "handshake"). */
const TLS_HANDSHAKE = 0x16;

/** So often it is looked whether one of those under way is to go, while others wait. */
const LOOK_MS = 100;

/** What is needed of a socket. */
type Connecting = Duplex & { readonly remoteAddress?: string | undefined };

export interface HandshakePorts<S> {
  /** Makes a TLS connection of `socket`, which is paused and has its first bytes. */
  begin(socket: S): void;
  nowMs(): number;
  /** Calls at the end of this turn of the event loop. */
  afterTurn(run: () => void): void;
  after(delayMs: number, run: () => void): void;
}

export const HANDSHAKE_PORTS: Omit<HandshakePorts<never>, 'begin'> = {
  nowMs: () => performance.now(),
  afterTurn: (run) => void setImmediate(run),
  after: (delayMs, run) => void setTimeout(run, delayMs).unref(),
};

/** Who began, when, and where it is. */
interface UnderWay {
  readonly address: string;
  readonly sinceMs: number;
}

export class Handshakes<S extends Connecting> {
  readonly #ports: HandshakePorts<S>;
  /** Whose first bytes have come, in that order; addresses take turns. */
  readonly #waiting = new Map<string, Set<S>>();
  /** Begun and not over, the oldest first. */
  readonly #underWay = new Map<S, UnderWay>();
  #isDue = false;

  constructor(ports: HandshakePorts<S>) {
    this.#ports = ports;
  }

  /** Those that wait for their turn. */
  get waiting(): number {
    let count = 0;
    for (const sockets of this.#waiting.values()) count += sockets.size;
    return count;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** A connection was made. It begins once it has said something, in its turn; who says nothing, or what is no TLS, is closed. */
  came(socket: S): void {
    const timer = setTimeout(() => socket.destroy(), HTTP_TIMEOUT_MS);
    timer.unref();
    const address = socket.remoteAddress ?? '';
    socket.once('close', () => {
      clearTimeout(timer);
      this.#forget(socket, address);
    });
    socket.once('data', (first: Buffer) => {
      clearTimeout(timer);
      socket.pause();
      if (first[0] !== TLS_HANDSHAKE || first.length > MAX_HELLO_BYTES) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      const sockets = this.#waiting.get(address) ?? new Set();
      this.#waiting.set(address, sockets.add(socket));
      this.#planTurn();
    });
  }

  /** The handshake of `socket` has succeeded or failed. */
  over(socket: S): void {
    this.#underWay.delete(socket);
    this.#planTurn();
  }

  #forget(socket: S, address: string): void {
    const sockets = this.#waiting.get(address);
    if (sockets?.delete(socket) && sockets.size === 0) this.#waiting.delete(address);
    this.over(socket);
  }

  #planTurn(): void {
    if (this.#isDue || this.#waiting.size === 0) return;
    this.#isDue = true;
    this.#ports.afterTurn(() => this.#turn());
  }

  #turn(): void {
    this.#isDue = false;
    for (let begun = 0; begun < HANDSHAKES_PER_TURN && this.#waiting.size > 0; begun++) {
      if (this.#underWay.size >= MAX_HANDSHAKES && !this.#makeRoom()) {
        this.#isDue = true;
        this.#ports.after(LOOK_MS, () => this.#turn());
        return;
      }
      this.#beginNext();
    }
    this.#planTurn();
  }

  /** The first one of the address whose turn it is, which comes last then. */
  #beginNext(): void {
    const [[address, sockets] = []] = this.#waiting;
    const [socket] = sockets ?? [];
    if (address === undefined || sockets === undefined || socket === undefined) return;
    this.#waiting.delete(address);
    sockets.delete(socket);
    if (sockets.size > 0) this.#waiting.set(address, sockets);
    this.#underWay.set(socket, { address, sinceMs: this.#ports.nowMs() });
    this.#ports.begin(socket);
  }

  /** Closes one that has had its time, of the address from which most are under way: who begins and says no more holds up no others. Returns whether there was one. */
  #makeRoom(): boolean {
    const lateMs = this.#ports.nowMs() - HANDSHAKE_PATIENCE_MS;
    const late = [...this.#underWay].filter(([, { sinceMs }]) => sinceMs <= lateMs);
    const [socket] = firstOfCrowd(late, ([, { address }]) => address) ?? [];
    if (socket === undefined) return false;
    this.#underWay.delete(socket);
    socket.destroy();
    return true;
  }
}
