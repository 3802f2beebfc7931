// NATS JetStream through @nats-io: messages that ask for their acknowledgements at one inbox, which is several times as fast as the client's
// own request for each; a push consumer with flow control, delivered to a plain subscription, which is twice as fast as the consumers of the
// client itself. Newer servers have batches of their own, which are not used here.

import { setTimeout as sleep } from 'node:timers/promises';
import { importClient } from '../../systems/clients.ts';
import { natsServerName } from '../../systems/names.ts';
import type { Target } from '../target.ts';
import { batchEntries, type Driver } from './driver.ts';

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

export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string;
  readonly headers?: { readonly code: number };
  respond(): boolean;
}

interface Subscription {
  unsubscribe(): void;
}

interface Connection {
  publish(subject: string, payload: Uint8Array, options: { reply: string; headers?: Headers }): void;
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
    info(stream: string, consumer: string): Promise<{ readonly num_pending: number; readonly num_ack_pending: number }>;
    delete(stream: string, consumer: string): Promise<boolean>;
  };
}

/** Of a message. */
interface Headers {
  set(name: string, value: string): void;
}

interface Transport {
  headers(): Headers;
  connect(options: object): Promise<Connection>;
  createInbox(): string;
}

/** A connection, and what makes streams and consumers through it. */
interface Session {
  readonly transport: Transport;
  readonly connection: Connection;
  readonly manager: Manager;
}

interface JetStreamModule {
  jetstreamManager(connection: Connection): Promise<Manager>;
}

/** Why a message was not stored; undefined when it was: `{"stream":…}` is an acknowledgement, what begins otherwise is none. */
function refusal(error: Error | null, { data }: Message): Error | undefined {
  if (error !== null) return error;
  // The `s` of `stream`, where an error has an `e`; nobody's answer is empty.
  if (data[2] === 0x73) return undefined;
  return new Error(`a message was not stored: ${Buffer.from(data).toString() || 'nobody answered'}`);
}

/** Counts acknowledgements of messages, and says when there is room for more. */
class Window {
  #inFlight = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  sent(): void {
    this.#inFlight += 1;
  }

  answered(error: Error | undefined): void {
    this.#inFlight -= 1;
    if (error !== undefined) this.fail(error);
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

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Messages that each want to know of their own acknowledgement: it comes to the inbox, under the message's number. */
class Acknowledgements {
  readonly inbox: string;
  readonly #waiting = new Map<number, Waiter>();
  #next = 0;

  constructor(inbox: string) {
    this.inbox = inbox;
  }

  /** Publishes by `publish`, which is told where the acknowledgement must go. */
  of(publish: (reply: string) => void): Promise<void> {
    const number = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      publish(`${this.inbox}.${number}`);
    });
  }

  take(error: Error | null, message: Message): void {
    const number = Number(message.subject.slice(this.inbox.length + 1));
    const waiter = this.#waiting.get(number);
    this.#waiting.delete(number);
    const reason = refusal(error, message);
    if (reason === undefined) waiter?.resolve();
    else waiter?.reject(reason);
  }

  /** No more answers come. */
  fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
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

/** Connects to the node that leads the stream, since every other only passes messages on; or to any of them, and to another when it is gone. */
async function connectToLeader(transport: Transport, module: JetStreamModule, { urls, ca, survives = false }: Target): Promise<Connection> {
  const tls = ca === undefined ? {} : { tls: { ca } };
  const connectTo = (id: number): Promise<Connection> =>
    transport.connect({ servers: [urls[id - 1] ?? ''], reconnect: false, ignoreClusterUpdates: true, ...tls });
  const first = await connectTo(1);
  const leader = await patiently(() => makeStream(module, first, urls.length));
  if (leader === 1 && !survives) return first;
  await first.close();
  if (!survives) return connectTo(leader);
  // It goes on with another server at once, and tries for as long as it must.
  return transport.connect({ servers: urls, reconnect: true, maxReconnectAttempts: -1, ...tls });
}

/**
 * What a subscription calls with each message: it hands the payload to `see`, and answers flow control. `fail` gets the first error, also one
 * that `see` throws, which the client would swallow; nothing is seen after that.
 */
export function takingMessages(
  see: (payload: Uint8Array) => void,
  fail: (error: unknown) => void,
): (error: Error | null, message: Message) => void {
  let hasFailed = false;
  return (error, message) => {
    if (hasFailed) return;
    try {
      if (error !== null) throw error;
      if (message.headers?.code !== CONTROL) see(message.data);
      else if (message.reply) message.respond();
    } catch (thrown) {
      hasFailed = true;
      fail(thrown);
    }
  };
}

/** Hands the stream's messages to `see` as they come, from the first one on or from the next. Returns what ends that. */
async function consume(
  { transport, manager, connection }: Session,
  from: 'all' | 'new',
  see: (payload: Uint8Array) => void,
  fail: (error: unknown) => void,
): Promise<() => Promise<void>> {
  const inbox = transport.createInbox();
  const take = takingMessages(see, fail);
  const subscription = connection.subscribe(inbox, { callback: take });
  const { name } = await manager.consumers.add(STREAM, {
    deliver_subject: inbox,
    deliver_policy: from,
    ack_policy: 'none',
    flow_control: true,
    idle_heartbeat: HEARTBEAT_NANOSECONDS,
    mem_storage: true,
    num_replicas: 1,
  });
  return async () => {
    subscription.unsubscribe();
    await manager.consumers.delete(STREAM, name);
  };
}

/** Acknowledges each message to a durable consumer, and waits until the server has all of that. */
async function consumeAll(
  { transport, manager, connection }: Session,
  durable: string,
  count: number,
  see: (payload: Uint8Array) => void,
): Promise<void> {
  const inbox = transport.createInbox();
  let subscription: Subscription | undefined;
  const seen = new Promise<void>((resolve, reject) => {
    let left = count;
    subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) reject(error);
        else if (message.headers?.code !== CONTROL) {
          see(message.data);
          message.respond();
          left -= 1;
          if (left === 0) resolve();
        } else if (message.reply) message.respond();
      },
    });
    void connection.closed().then((reason) => reject(closedError(reason)));
  });
  await manager.consumers.add(STREAM, {
    durable_name: durable,
    deliver_subject: inbox,
    deliver_policy: 'all',
    ack_policy: 'explicit',
    max_ack_pending: IN_FLIGHT_ENTRIES,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_NANOSECONDS,
  });
  await seen;
  for (;;) {
    const { num_pending: due, num_ack_pending: unheard } = await manager.consumers.info(STREAM, durable);
    if (due + unheard === 0) break;
  }
  subscription?.unsubscribe();
  await manager.consumers.delete(STREAM, durable);
}

async function readAll(session: Session, see: (payload: Uint8Array) => void): Promise<void> {
  const { messages: due } = (await session.manager.streams.info(STREAM)).state;
  if (due === 0) return;
  let end: Promise<() => Promise<void>> | undefined;
  await new Promise<void>((resolve, reject) => {
    let seen = 0;
    const count = (payload: Uint8Array): void => {
      see(payload);
      seen += 1;
      if (seen === due) resolve();
    };
    end = consume(session, 'all', count, reject);
    end.catch(reject);
    void session.connection.closed().then((reason) => reject(closedError(reason)));
  });
  await (await end)?.();
}

export async function open(target: Target): Promise<Driver> {
  const transport = await importClient<Transport>('@nats-io/transport-node');
  const module = await importClient<JetStreamModule>('@nats-io/jetstream');
  const connection = await connectToLeader(transport, module, target);
  const session = { transport, connection, manager: await module.jetstreamManager(connection) };
  const window = new Window();
  const all = transport.createInbox();
  connection.subscribe(all, { callback: (error, message) => window.answered(refusal(error, message)) });
  const acknowledgements = new Acknowledgements(transport.createInbox());
  connection.subscribe(`${acknowledgements.inbox}.*`, { callback: (error, message) => acknowledgements.take(error, message) });
  void connection.closed().then((reason) => {
    window.fail(closedError(reason));
    acknowledgements.fail(closedError(reason));
  });
  // By its id a message that came before, in the last two minutes, is known.
  let messages = 0;
  const idsOf = (): { headers?: Headers } => {
    if (target.isOnce !== true) return {};
    const headers = transport.headers();
    messages += 1;
    headers.set('Nats-Msg-Id', `${acknowledgements.inbox}-${messages}`);
    return { headers };
  };
  return {
    keepsOrder: true,
    keepsLiveOrder: true,
    async appendAll(source) {
      const most = batchEntries(source.payloadBytes, IN_FLIGHT_ENTRIES, IN_FLIGHT_BYTES);
      for (;;) {
        if (source.mustWait) await source.ready();
        if (window.inFlight >= most) await window.until(most - Math.ceil(most / 8));
        const payload = source.next();
        if (payload === undefined) break;
        connection.publish(STREAM, payload, { reply: all, ...idsOf() });
        window.sent();
      }
      await window.until(0);
    },
    appendOne: (payload) => acknowledgements.of((reply) => connection.publish(STREAM, payload, { reply, ...idsOf() })),
    consumeAll: (name, count, see) => consumeAll(session, name, count, see),
    readAll: (see) => readAll(session, see),
    // As of every driver, a failure is a rejection that nobody handles.
    subscribe: (see) => consume(session, 'new', see, (error) => void Promise.reject(error)),
    close: () => connection.close(),
  };
}
