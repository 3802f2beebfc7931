// NATS JetStream through @nats-io: messages that ask for their acknowledgements at one inbox, which is several times as fast as a promise
// and a request for each; a push consumer with flow control, delivered to a plain subscription, which is twice as fast as the consumers of the
// client itself. Newer servers have batches of their own, which are not used here.

import { setTimeout as sleep } from 'node:timers/promises';
import { importClient } from '../../systems/clients.ts';
import { natsServerName } from '../../systems/names.ts';
import { batchEntries, type Driver, type Target } from './driver.ts';

const STREAM = 'entries';
const IN_FLIGHT_ENTRIES = 8192;
const IN_FLIGHT_BYTES = 8 * 1024 * 1024;
/** A cluster that has just started may have no leader for its streams yet. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 100;
/** Flow control asks for it; more often than a read takes it says nothing. */
const HEARTBEAT_NANOSECONDS = 30e9;
/** Status of messages that are not of the stream: heartbeats, and flow control, which wants an answer. */
const CONTROL = 100;

interface Message {
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: { readonly code: number };
  respond(): boolean;
}

interface Subscription {
  unsubscribe(): void;
}

interface Connection {
  publish(subject: string, payload: Uint8Array, options: { reply: string }): void;
  subscribe(subject: string, options: { callback: (error: Error | null, message: Message) => void }): Subscription;
  /** Resolves when the connection is no more, with the reason if nobody asked for it. */
  closed(): Promise<unknown>;
  close(): Promise<void>;
}

interface StreamInfo {
  readonly cluster?: { readonly leader?: string };
  readonly state: { readonly messages: number };
}

interface Manager {
  readonly streams: { add(config: object): Promise<StreamInfo>; info(name: string): Promise<StreamInfo> };
  readonly consumers: {
    add(stream: string, config: object): Promise<{ readonly name: string }>;
    delete(stream: string, consumer: string): Promise<boolean>;
  };
}

interface JetStream {
  publish(subject: string, payload: Uint8Array): Promise<unknown>;
}

interface Transport {
  connect(options: object): Promise<Connection>;
  createInbox(): string;
}

interface JetStreamModule {
  jetstream(connection: Connection): JetStream;
  jetstreamManager(connection: Connection): Promise<Manager>;
}

/** Counts acknowledgements of messages, and says when there is room for more. */
class Window {
  #inFlight = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  sent(): void {
    this.#inFlight += 1;
  }

  /** `{"stream":…}` is an acknowledgement; what begins otherwise is `{"error":…}`, or the empty answer of nobody. */
  answered(error: Error | null, { data }: Message): void {
    this.#inFlight -= 1;
    if (error !== null) this.fail(error);
    else if (data[2] !== 0x73) this.fail(new Error(`a message was not stored: ${Buffer.from(data).toString() || 'nobody answered'}`));
    else this.#wake?.();
  }

  /** No more answers come. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Waits until at most `most` are in flight. Rejects when one was not stored. */
  async until(most: number): Promise<void> {
    while (this.#inFlight > most && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = () => {
          if (this.#inFlight <= most || this.#failure !== undefined) resolve();
        };
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  get inFlight(): number {
    return this.#inFlight;
  }
}

function closedError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('the connection was closed');
}

async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown;
      await sleep(RETRY_MS);
    }
  }
}

/** Makes the stream when it is not there yet, and returns the number of the node that leads it. */
async function makeStream(module: JetStreamModule, connection: Connection, nodes: number): Promise<number> {
  const manager = await module.jetstreamManager(connection);
  await manager.streams.add({ name: STREAM, subjects: [STREAM], storage: 'file', retention: 'limits', num_replicas: nodes });
  if (nodes === 1) return 1;
  const leader = (await manager.streams.info(STREAM)).cluster?.leader;
  for (let id = 1; id <= nodes; id++) if (natsServerName(id) === leader) return id;
  throw new Error('the stream has no leader');
}

/** Connects to the node that leads the stream: every other only passes messages on. */
async function connectToLeader(transport: Transport, module: JetStreamModule, urls: readonly string[]): Promise<Connection> {
  const connectTo = (id: number): Promise<Connection> =>
    transport.connect({ servers: [urls[id - 1] ?? ''], reconnect: false, ignoreClusterUpdates: true });
  const first = await connectTo(1);
  const leader = await patiently(() => makeStream(module, first, urls.length));
  if (leader === 1) return first;
  await first.close();
  return connectTo(leader);
}

async function readAll(
  transport: Transport,
  module: JetStreamModule,
  connection: Connection,
  see: (payload: Uint8Array) => void,
): Promise<void> {
  const manager = await module.jetstreamManager(connection);
  const { messages: due } = (await manager.streams.info(STREAM)).state;
  if (due === 0) return;
  const inbox = transport.createInbox();
  let subscription: Subscription | undefined;
  const all = new Promise<void>((resolve, reject) => {
    let seen = 0;
    const take = (error: Error | null, message: Message): void => {
      if (error !== null) throw error;
      if (message.headers?.code === CONTROL) {
        if (message.reply) message.respond();
        return;
      }
      see(message.data);
      seen += 1;
      if (seen === due) resolve();
    };
    subscription = connection.subscribe(inbox, {
      callback(error, message) {
        try {
          take(error, message);
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
        }
      },
    });
    void connection.closed().then((reason) => reject(closedError(reason)));
  });
  const { name } = await manager.consumers.add(STREAM, {
    deliver_subject: inbox,
    deliver_policy: 'all',
    ack_policy: 'none',
    flow_control: true,
    idle_heartbeat: HEARTBEAT_NANOSECONDS,
    mem_storage: true,
    num_replicas: 1,
  });
  await all;
  subscription?.unsubscribe();
  await manager.consumers.delete(STREAM, name);
}

export async function open({ urls }: Target): Promise<Driver> {
  const transport = await importClient<Transport>('@nats-io/transport-node');
  const module = await importClient<JetStreamModule>('@nats-io/jetstream');
  const connection = await connectToLeader(transport, module, urls);
  const stream = module.jetstream(connection);
  const window = new Window();
  void connection.closed().then((reason) => window.fail(closedError(reason)));
  const reply = transport.createInbox();
  connection.subscribe(reply, { callback: (error, message) => window.answered(error, message) });
  return {
    keepsOrder: true,
    async appendAll(source) {
      const most = batchEntries(source.payloadBytes, IN_FLIGHT_ENTRIES, IN_FLIGHT_BYTES);
      for (let payload = source.next(); payload !== undefined; payload = source.next()) {
        if (window.inFlight >= most) await window.until(most - Math.ceil(most / 8));
        connection.publish(STREAM, payload, { reply });
        window.sent();
      }
      await window.until(0);
    },
    async appendOne(payload) {
      await stream.publish(STREAM, payload);
    },
    readAll: (see) => readAll(transport, module, connection, see),
    close: () => connection.close(),
  };
}
