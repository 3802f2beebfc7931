// etcd through gRPC's own client and the few messages that are needed of etcd's protocol: the client that is made for etcd in npm, etcd3,
// has had no release in years, and makes a tenth of these rates. An entry is a key, in transactions of as many as etcd allows.

import { importClient } from '../../systems/clients.ts';
import type { Target } from '../target.ts';
import { batchEntries, type Driver } from './driver.ts';

/** The default of etcd's --max-txn-ops. */
const TRANSACTION_ENTRIES = 128;
/** Below the default of etcd's --max-request-bytes, 1.5 MiB. */
const TRANSACTION_BYTES = 1024 * 1024;
const TRANSACTIONS = 32;
const PAGE_ENTRIES = 5000;
const PAGE_BYTES = 4 * 1024 * 1024;

/** Of etcd's rpc.proto and kv.proto, with their numbers; fields that are not here are skipped. */
const PROTOCOL = `
  syntax = "proto3";
  message KeyValue { bytes key = 1; bytes value = 5; }
  message RangeRequest { bytes key = 1; bytes range_end = 2; int64 limit = 3; }
  message RangeResponse { repeated KeyValue kvs = 2; bool more = 3; }
  message PutRequest { bytes key = 1; bytes value = 2; }
  message PutResponse {}
  message RequestOp { PutRequest request_put = 2; }
  message TxnRequest { repeated RequestOp success = 2; }
  message TxnResponse { bool succeeded = 2; }
  message WatchRequest { WatchCreateRequest create_request = 1; }
  message WatchCreateRequest { bytes key = 1; bytes range_end = 2; }
  message WatchResponse { bool created = 3; bool canceled = 4; repeated Event events = 11; string cancel_reason = 6; }
  message Event { KeyValue kv = 2; }
`;

interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Put {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Range {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: number;
}

interface Page {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

interface Transaction {
  readonly success: readonly { readonly requestPut: Put }[];
}

/** What a watch answers: that it is there, what was put, or that it is no more. */
interface Watched {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancelReason: string;
  readonly events: readonly { readonly kv: KeyValue }[];
}

interface MessageType {
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

interface Protobuf {
  parse(text: string): { readonly root: { lookupType(name: string): MessageType } };
}

interface GrpcClient {
  makeUnaryRequest(
    path: string,
    serialize: (message: object) => Buffer,
    deserialize: (bytes: Buffer) => unknown,
    message: object,
    callback: (error: Error | null, answer: unknown) => void,
  ): void;
  makeBidiStreamRequest(path: string, serialize: (message: object) => Buffer, deserialize: (bytes: Buffer) => unknown): GrpcStream;
  close(): void;
}

interface GrpcStream {
  write(message: object): void;
  cancel(): void;
  on(event: 'data', listener: (message: unknown) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}

interface Grpc {
  readonly Client: new (address: string, credentials: unknown, options: object) => GrpcClient;
  readonly credentials: { createInsecure(): unknown };
}

type Call<Request, Answer> = (request: Request) => Promise<Answer>;

interface Calls {
  readonly put: Call<Put, object>;
  readonly range: Call<Range, Page>;
  readonly transact: Call<Transaction, { readonly succeeded: boolean }>;
  /** Opens a stream of watches. */
  watch(): GrpcStream;
}

const PREFIX = 'entries/';
/** Of an index: the lane is its upper word. */
const DIGITS = 15;
/** After every key: `0` follows `/`. */
const PREFIX_END = Buffer.from('entries0');

function keyOf(index: number): Buffer {
  return Buffer.from(PREFIX + String(index).padStart(DIGITS, '0'), 'latin1');
}

function makeCalls(client: GrpcClient, protobuf: Protobuf): Calls {
  const { root } = protobuf.parse(PROTOCOL);
  const serializer = (name: string): ((message: object) => Buffer) => {
    const type = root.lookupType(name);
    return (message) => {
      const bytes = type.encode(message).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    };
  };
  const deserializer = (name: string): ((bytes: Buffer) => unknown) => {
    const type = root.lookupType(name);
    return (bytes) => type.decode(bytes);
  };
  const call = <Request extends object, Answer>(method: string, requestName: string, answerName: string): Call<Request, Answer> => {
    const [serialize, deserialize] = [serializer(requestName), deserializer(answerName)];
    return (message) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(`/etcdserverpb.KV/${method}`, serialize, deserialize, message, (error, value) => {
          if (error === null) resolve(value as Answer);
          else reject(error);
        });
      });
  };
  const [serializeWatch, deserializeWatch] = [serializer('WatchRequest'), deserializer('WatchResponse')];
  return {
    put: call('Put', 'PutRequest', 'PutResponse'),
    range: call('Range', 'RangeRequest', 'RangeResponse'),
    transact: call('Txn', 'TxnRequest', 'TxnResponse'),
    watch: () => client.makeBidiStreamRequest('/etcdserverpb.Watch/Watch', serializeWatch, deserializeWatch),
  };
}

/** Runs `work` as `depth` loops at once, each again and again until it returns false. */
async function inParallel(depth: number, work: () => Promise<boolean>): Promise<void> {
  const loop = async (): Promise<void> => {
    while (await work());
  };
  await Promise.all(Array.from({ length: depth }, loop));
}

async function readAll({ range }: Calls, see: (payload: Uint8Array) => void): Promise<void> {
  const first = await range({ key: Buffer.from(PREFIX), rangeEnd: PREFIX_END, limit: 1 });
  const limit = batchEntries(first.kvs[0]?.value.length ?? 1, PAGE_ENTRIES, PAGE_BYTES);
  let page = await range({ key: Buffer.from(PREFIX), rangeEnd: PREFIX_END, limit });
  for (;;) {
    const last = page.kvs.at(-1);
    // The next page comes while this one is looked at.
    const next =
      last === undefined || !page.more ? undefined : range({ key: Buffer.concat([last.key, Buffer.of(0)]), rangeEnd: PREFIX_END, limit });
    for (const { value } of page.kvs) see(value);
    if (next === undefined) return;
    page = await next;
  }
}

/** Watches all keys from now on. */
async function subscribe({ watch }: Calls, see: (payload: Uint8Array) => void): Promise<() => Promise<void>> {
  const stream = watch();
  let isThere = false;
  let isOver = false;
  await new Promise<void>((resolve, reject) => {
    stream.on('error', (error) => {
      if (isThere && !isOver) throw error;
      reject(error);
    });
    stream.on('data', (message) => {
      const { created, canceled, cancelReason, events } = message as Watched;
      if (canceled) throw new Error(`a watch was ended: ${cancelReason}`);
      if (created) {
        isThere = true;
        resolve();
      }
      for (const { kv } of events) see(kv.value);
    });
    stream.write({ createRequest: { key: Buffer.from(PREFIX), rangeEnd: PREFIX_END } });
  });
  return async () => {
    isOver = true;
    stream.cancel();
  };
}

/** One server; or all of them, in turn and without those that cannot be reached, as etcd's own client does it. */
function channelOf({ urls, survives = false }: Target): { readonly address: string; readonly options: object } {
  const hosts = urls.map((url) => new URL(url).host);
  if (!survives) return { address: hosts[0] ?? '', options: {} };
  const service = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });
  return { address: `ipv4:${hosts.join(',')}`, options: { 'grpc.service_config': service, 'grpc.max_reconnect_backoff_ms': 1000 } };
}

export async function open(target: Target): Promise<Driver> {
  const grpc = await importClient<Grpc>('@grpc/grpc-js');
  const protobuf = await importClient<Protobuf>('protobufjs');
  const { address, options } = channelOf(target);
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    ...options,
    'grpc.max_receive_message_length': -1,
    'grpc.enable_retries': 0,
    // Each driver has a connection of its own.
    'grpc.use_local_subchannel_pool': 1,
  });
  const calls = makeCalls(client, protobuf);
  return {
    // By their keys, not by when they came.
    keepsOrder: true,
    keepsLiveOrder: false,
    appendAll(source) {
      const most = batchEntries(source.payloadBytes, TRANSACTION_ENTRIES, TRANSACTION_BYTES);
      return inParallel(TRANSACTIONS, async () => {
        if (source.mustWait) await source.ready();
        const { index } = source;
        const payloads = source.take(most);
        if (payloads.length === 0) return false;
        const success = payloads.map((value, i) => ({ requestPut: { key: keyOf(index + i), value } }));
        const { succeeded } = await calls.transact({ success });
        if (!succeeded) throw new Error('a transaction without a condition did not succeed');
        return true;
      });
    },
    appendOne: (value, index) => calls.put({ key: keyOf(index), value }),
    readAll: (see) => readAll(calls, see),
    subscribe: (see) => subscribe(calls, see),
    async close() {
      client.close();
    },
  };
}
