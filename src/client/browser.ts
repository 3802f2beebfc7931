// The client for browsers: the same as index.ts, over the platform's WebSocket.

import { checkUrls } from './checks.ts';
import { LogClient } from './client.ts';
import { BROWSER } from './nodes/transport.browser.ts';
import type { ConnectOptions } from './options.ts';

/**
 * Connects to the node at one of `urls` that leads the log, or to any while none does. Rejects UNREACHABLE, which names every address, ABORTED by `options.signal`, or
 * TypeError or RangeError.
 */
export async function connect(urls: string | readonly string[], options: ConnectOptions = {}): Promise<LogClient> {
  return LogClient.connect(BROWSER, checkUrls(urls), options);
}

export type { Quotas, Scope } from '../core/access.ts';
export type { ErrorCode, ErrorDetails, Outcome } from '../core/errors.ts';
export { isLogError, LogError } from '../core/errors.ts';
export type { ClusterView, Hello, Member } from '../protocol/greeting.ts';
export { AbortedError } from './aborts.ts';
export type { LogAdministration } from './administration.ts';
export type { Payload } from './append/payload.ts';
export { LogClient } from './client.ts';
export type { Codec, CodecName, TypedEntry, TypedLog, TypedReading } from './codec.ts';
export { typedLog } from './codec.ts';
export { Consumer } from './consumers/consumer.ts';
export type { NamedConsumer } from './consumers/nodeStore.ts';
export type { PositionLease, PositionStore } from './consumers/store.ts';
export type { AppendLoad, ClientEvent, ClientStats, Counters, NodeSeen, OnEvent } from './events.ts';
export type { LogLevel, NodeLevel } from './logLevel.ts';
export type { LogMember, LogMemberRole, LogMemberState, LogMembers, MemberProgress, MembersChange } from './logMembers.ts';
export type { LogEnd } from './nodes/questions.ts';
export type { Pem, TlsOptions, TlsSource } from './nodes/tls.ts';
export type { TokenSource } from './nodes/token.ts';
export type {
  Ack,
  AppendOptions,
  BatchReceipt,
  BookmarkText,
  CatchUpOptions,
  ChangeMembersOptions,
  CloseOptions,
  ConnectOptions,
  ConsumerOptions,
  ConsumersOptions,
  CreateTokenOptions,
  EndOptions,
  FinalizeOptions,
  Level,
  LevelOptions,
  MemberAddress,
  MembersOptions,
  NewMember,
  OnTrimmed,
  ReadableOptions,
  ReadOptions,
  Reads,
  Receipt,
  ReconnectOptions,
  ResetConsumerOptions,
  RetentionOptions,
  SetRetentionOptions,
  SubscribeOptions,
  TokenOptions,
  TransferOptions,
  TrimOptions,
  Uploads,
  WriterOptions,
} from './options.ts';
export type { Batch, Entry } from './read/entries.ts';
export type { Reading } from './read/reading.ts';
export type { LogRetention } from './retention.ts';
export type { Time } from './times.ts';
export type { LogToken, NewToken } from './tokens.ts';
export type { TransferResult } from './transfers.ts';
export type { TrimResult } from './trims.ts';
export { Writer } from './writer/writer.ts';
export type { WrittenRange } from './writer/written.ts';
