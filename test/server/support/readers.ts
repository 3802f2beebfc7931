// Clients that read slowly or not at all, and those that ask for more than they should: to be run beside a well-behaved client.

import { onTestFinished } from 'vitest';
import { END, END_AT_LEAST, READ, requestMessage, SUBSCRIBE } from '../../../src/protocol/client.ts';
import { RawClient, type Subscription } from './rawClient.ts';

/** A large credit, so that the client's own bound is not what limits the server. */
export const MUCH_CREDIT = 0x7fff_ffff;

/** Connections that end with the test. */
async function connectMany(url: string, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  onTestFinished(() => {
    for (const { socket } of clients) socket.terminate();
  });
  while (clients.length < count) {
    const wave = Math.min(64, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: wave }, () => RawClient.connect(url)))));
  }
  return clients;
}

/** Sends messages of a connection in one piece, as an attacker does. */
function sendAll(client: RawClient, messages: readonly Uint8Array[]): void {
  client.socket.once('error', () => undefined);
  for (const message of messages) if (client.socket.readyState === client.socket.OPEN) client.send(message);
}

/** Each of `count` connections asks once for what stands at `offset`, and reads nothing any more. */
export async function openDeafReaders(url: string, count: number, offset: number): Promise<RawClient[]> {
  const clients = await connectMany(url, count);
  for (const client of clients) {
    client.socket.pause();
    sendAll(client, [requestMessage(READ, 0, client.newId(), offset)]);
  }
  return clients;
}

/** Each of `count` connections subscribes `each` times from `offset` on; they read what comes, and do nothing with it. */
export async function openSubscribers(url: string, count: number, each: number, offset: number): Promise<RawClient[]> {
  const clients = await connectMany(url, count);
  for (const client of clients) {
    // Whatever is not DATA of a subscription that the client knows: only the bytes are taken.
    client.socket.removeAllListeners('message');
    const messages = Array.from({ length: each }, () => requestMessage(SUBSCRIBE, 0, client.newId(), offset, MUCH_CREDIT));
    sendAll(client, messages);
  }
  return clients;
}

/** Each of `count` connections waits `each` times for an end that does not come for a minute. */
export async function openWaitingEnds(url: string, count: number, each: number): Promise<RawClient[]> {
  const clients = await connectMany(url, count);
  for (const client of clients) {
    client.socket.removeAllListeners('message');
    sendAll(
      client,
      Array.from({ length: each }, () => requestMessage(END, END_AT_LEAST, client.newId(), 2 ** 52, 0, 60_000)),
    );
  }
  return clients;
}

/** Reads a subscription with `bytesPerSecond`, by pausing its socket. */
export class SlowReader {
  readonly client: RawClient;
  readonly subscription: Subscription;
  #bytesPerSecond: number;
  #resume: ReturnType<typeof setTimeout> | undefined;

  static async start(url: string, from: number, bytesPerSecond: number): Promise<SlowReader> {
    const [client] = await connectMany(url, 1);
    if (client === undefined) throw new Error('no connection');
    return new SlowReader(client, from, bytesPerSecond);
  }

  private constructor(client: RawClient, from: number, bytesPerSecond: number) {
    this.client = client;
    this.#bytesPerSecond = bytesPerSecond;
    this.subscription = client.subscribe(from, MUCH_CREDIT);
    this.subscription.keep = false;
    this.subscription.onData = (bytes) => this.#rest(bytes);
  }

  /** From now on it reads as fast as it can. */
  hurry(): void {
    this.#bytesPerSecond = Number.POSITIVE_INFINITY;
    clearTimeout(this.#resume);
    this.client.socket.resume();
  }

  #rest(bytes: number): void {
    if (this.#bytesPerSecond === Number.POSITIVE_INFINITY) return;
    this.client.socket.pause();
    this.#resume = setTimeout(() => this.client.socket.resume(), (bytes / this.#bytesPerSecond) * 1000);
  }
}
