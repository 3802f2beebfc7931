// A TCP proxy that can be broken: one for each directed link between two nodes, so that a test can cut, slow and mend the network
// without a right to touch the real one.
//
//   node i ──dials──► proxy i→j ──dials──► peer port of node j
//
// One connection carries bytes both ways. A link's state and pace hold for both, as the answers of a link belong to it; each way can also be
// held on its own.

import { createConnection, createServer, type Server, type Socket } from 'node:net';

/**
 * `open`: bytes pass. `hold`: nothing passes and nothing is lost, as when packets are dropped and will be sent again; connections wait to be
 * made. `reset`: connections end at once, and so does every new one. `swallow`: connections are made and take bytes, which vanish;
 * mending ends them, because a stream with a hole is worth nothing.
 */
export type LinkState = 'open' | 'hold' | 'reset' | 'swallow';

/** One way through a link: from who dialed it, or to it. */
export type Way = 'there' | 'back';

/** How slowly bytes pass. */
export interface Pace {
  /** Added to the way of each byte, in milliseconds. */
  readonly delayMs: number;
  /** Infinity: no limit. */
  readonly bytesPerSecond: number;
}

export const FULL_PACE: Pace = { delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY };

/** Bytes that one direction keeps before it stops reading: about what the buffers of a real path hold. */
const MAX_HELD_BYTES = 1 << 20;

/** What holds for one way through a link. */
interface WayState {
  isHeld: boolean;
  pace: Pace;
}

interface Item {
  readonly dueMs: number;
  /** Undefined: the sender has ended. */
  readonly chunk: Buffer | undefined;
}

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #link: LinkProxy;
  readonly #way: WayState;
  #queue: Item[] = [];
  #heldBytes = 0;
  /** When the next byte may leave, by the limit on bytes a second. */
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, link: LinkProxy, way: Way) {
    this.#from = from;
    this.#to = to;
    this.#link = link;
    this.#way = link.ways[way];
    from.on('data', (chunk) => this.#take(chunk));
    // Whether it ended well or was reset: the other side learns of it once what came before has passed.
    from.on('close', () => this.#take(undefined));
    to.on('drain', () => this.pump());
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#link.state === 'swallow') return;
    this.#queue.push({ dueMs: performance.now() + this.#way.pace.delayMs, chunk });
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#from.pause();
    this.pump();
  }

  /** Passes on what may pass now, and comes back for the rest. */
  pump(): void {
    clearTimeout(this.#timer);
    while (this.#link.state === 'open' && !this.#way.isHeld && !this.#to.connecting) {
      const [item] = this.#queue;
      if (item === undefined) return;
      const waitMs = Math.max(item.dueMs, this.#freeAtMs) - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        return;
      }
      if (this.#to.writableNeedDrain) return;
      this.#queue.shift();
      if (item.chunk === undefined) this.#to.destroySoon();
      else this.#pass(item.chunk);
    }
  }

  #pass(chunk: Buffer): void {
    this.#heldBytes -= chunk.length;
    this.#freeAtMs = Math.max(this.#freeAtMs, performance.now()) + (chunk.length * 1000) / this.#way.pace.bytesPerSecond;
    this.#link.passedBytes += chunk.length;
    if (!this.#to.destroyed) this.#to.write(chunk);
    if (this.#heldBytes <= MAX_HELD_BYTES / 2) this.#from.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }
}

/** One connection through the proxy. */
class Passage {
  readonly #client: Socket;
  readonly #link: LinkProxy;
  #server: Socket | undefined;
  #pipes: readonly Pipe[] = [];

  constructor(client: Socket, link: LinkProxy) {
    this.#client = client;
    this.#link = link;
    client.on('error', () => undefined);
    // What passes here keeps nobody's program running: those who wait for it do.
    client.unref();
    client.pause();
    this.changed();
  }

  /** The link's state or pace has changed. */
  changed(): void {
    const { state } = this.#link;
    if (state === 'reset') this.end();
    else if (state === 'swallow') this.#client.resume();
    else if (this.#link.canDial && this.#server === undefined) this.#dial();
    for (const pipe of this.#pipes) pipe.pump();
  }

  #dial(): void {
    const server = createConnection({ host: '127.0.0.1', port: this.#link.target, noDelay: true });
    this.#server = server;
    server.on('error', () => undefined);
    server.unref();
    const pipes = [new Pipe(this.#client, server, this.#link, 'there'), new Pipe(server, this.#client, this.#link, 'back')];
    this.#pipes = pipes;
    server.once('connect', () => {
      for (const pipe of pipes) pipe.pump();
    });
    this.#client.resume();
    let open = 2;
    for (const socket of [this.#client, server]) {
      socket.once('close', () => {
        open -= 1;
        if (open === 0) this.end();
      });
    }
  }

  end(): void {
    for (const pipe of this.#pipes) pipe.stop();
    this.#client.resetAndDestroy();
    this.#server?.resetAndDestroy();
    this.#link.forget(this);
  }
}

/** A link to `target`, a port of this machine. */
export class LinkProxy {
  readonly target: number;
  /** Bytes that passed so far, both ways. */
  passedBytes = 0;
  readonly #server: Server;
  readonly #passages = new Set<Passage>();
  /** Read by its pipes. */
  readonly ways: Readonly<Record<Way, WayState>> = { there: { isHeld: false, pace: FULL_PACE }, back: { isHeld: false, pace: FULL_PACE } };
  #state: LinkState = 'open';
  #port = 0;

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer({ noDelay: true }, (socket) => {
      if (this.#state === 'reset') socket.resetAndDestroy();
      else this.#passages.add(new Passage(socket, this));
    });
  }

  /** Listens on `port` of loopback, any free one when it is 0. */
  static async listen(target: number, port = 0): Promise<LinkProxy> {
    const proxy = new LinkProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, '127.0.0.1', resolve);
    });
    const address = proxy.#server.address();
    if (address === null || typeof address === 'string') throw new Error('a proxy has no port');
    proxy.#port = address.port;
    proxy.#server.unref();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Whether a connection can be made now: that takes packets both ways. */
  get canDial(): boolean {
    return this.#state === 'open' && !this.ways.there.isHeld && !this.ways.back.isHeld;
  }

  get connectionCount(): number {
    return this.#passages.size;
  }

  /** Breaks the link, or mends it. */
  set(state: LinkState): void {
    if (state === this.#state) return;
    const spoiled = this.#state === 'swallow' ? [...this.#passages] : [];
    this.#state = state;
    for (const passage of spoiled) passage.end();
    this.#changed();
  }

  /** Holds the bytes of one way back, or lets them pass again; none is lost. Connections that are made meanwhile wait. */
  hold(way: Way, isHeld: boolean): void {
    this.ways[way].isHeld = isHeld;
    this.#changed();
  }

  /** Slows both ways, or the one named. */
  setPace(pace: Partial<Pace>, ways: readonly Way[] = ['there', 'back']): void {
    for (const way of ways) this.ways[way].pace = { ...FULL_PACE, ...pace };
    this.#changed();
  }

  /** As it was made. */
  heal(): void {
    for (const way of ['there', 'back'] as const) Object.assign(this.ways[way], { isHeld: false, pace: FULL_PACE });
    this.set('open');
    this.#changed();
  }

  #changed(): void {
    for (const passage of [...this.#passages]) passage.changed();
  }

  forget(passage: Passage): void {
    this.#passages.delete(passage);
  }

  async close(): Promise<void> {
    for (const passage of [...this.#passages]) passage.end();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
