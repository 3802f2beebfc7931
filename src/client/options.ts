// The client's options and what its calls return: names, units, defaults and ranges. checks.ts holds callers to them.

import type { Quotas, Scope } from '../core/access.ts';
import type { PositionStore } from './consumers/store.ts';
import type { OnEvent } from './events.ts';
import type { LogLevel } from './logLevel.ts';
import type { MemberProgress } from './logMembers.ts';
import type { Fetches, TlsOptions, TlsSource } from './nodes/tls.ts';
import type { TokenSource } from './nodes/token.ts';
import type { Time } from './times.ts';

/** A bookmark as it was kept: any text, of which completion does not offer all. */
export type BookmarkText = string & Record<never, never>;

/** When an append counts as done: ordered by the leader, or durable on a majority. */
export type Ack = 'received' | 'committed';

/** What a receipt says: what was waited for, or `volatile` in place of `committed` where nothing is durable. */
export type Level = Ack | 'volatile';

/** How to find a node, at first and after a connection is lost. */
export interface ReconnectOptions {
  /** Pause before the second attempt (the first is made at once), in milliseconds; each pause is drawn from [half, all] of its length. Default 50. */
  readonly minDelayMs?: number | undefined;
  /** Longest pause, in milliseconds; pauses double up to it. Default 2000. */
  readonly maxDelayMs?: number | undefined;
  /**
   * After this long without a node that will do, in milliseconds, what is pending, `connect` too, fails: as UNREACHABLE, as NOT_LEADER when nodes answer
   * but none leads, as BEHIND when none has what was asked for. Default 30 000.
   */
  readonly timeoutMs?: number | undefined;
}

/** Where reads go: to any of the given addresses whose node has what they must see, else to any other node; or to the leader only, whatever its address. */
export type Reads = 'any' | 'leader';

/** Whether large appends are put on followers by the client, so that the leader need not send them there: when the leader says that it helps; whenever it can be done; never. */
export type Uploads = 'auto' | 'on' | 'off';

export interface ConnectOptions {
  /** What an append waits for unless it says otherwise. Default `committed`. */
  readonly ack?: Ack | undefined;
  /** Where `read`, `subscribe` and `end` go. Default `any`: a client that was given one address reads from that node while that does. */
  readonly reads?: Reads | undefined;
  /** Bytes of entries buffered and unacknowledged before appends wait their turn; so do more than 65,536 appends. Default 8 MiB, 64 KiB to 256 MiB. */
  readonly maxInFlightBytes?: number | undefined;
  /**
   * Bytes of memory of appends that wait their turn, what they cost the heap counted in: about 330 for a small one, 1.3 KiB for one with options and for a
   * batch. Beyond it an append fails as QUEUE_FULL. Default 128 MiB.
   */
  readonly maxQueuedBytes?: number | undefined;
  /**
   * How long appends without options wait for others to share their message, after the tick in which they were made, in milliseconds, 0 to 60 000. Each takes up to so
   * much longer; messages become fewer where appends come a few at a time. A message that is full, `close`, and a lack of room end it. Default 0.
   */
  readonly lingerMs?: number | undefined;
  /** Most bytes of entries that such appends share a message for, 1 KiB to 256 KiB; an append that is larger has one of its own. Default: 256 KiB, or a quarter of the node's window where that is less. */
  readonly batchBytes?: number | undefined;
  /** Longest time for one address to connect and greet, in milliseconds. Default 5000. */
  readonly connectTimeoutMs?: number | undefined;
  readonly reconnect?: ReconnectOptions | undefined;
  /** The only cluster that will do, 32 hexadecimal digits; a node of another one is refused as OTHER_CLUSTER. Default: the one that answers first. */
  readonly clusterId?: string | undefined;
  /**
   * What nodes that ask for a token are shown: that, or a function that gives it, which is asked anew for each connection, so that a token can be changed
   * while the client runs. It goes to the given addresses and to those that nodes name, never into an address. A token that they do not take is an error at
   * once: UNAUTHENTICATED, TOKEN_REVOKED or TOKEN_EXPIRED. Default: in Node LOGLOG_TOKEN, otherwise none.
   */
  readonly token?: string | TokenSource | undefined;
  /**
   * For `wss:` addresses on Node: which authorities' certificates nodes may have, and the certificate that this client shows; or a function that gives that, which is
   * asked anew for each connection. Browsers have a store of their own for both. Default: the authorities that Node knows, and no certificate.
   */
  readonly tls?: TlsOptions | TlsSource | undefined;
  /**
   * Whether nodes that a node names are used, too, where those at the given addresses do not answer or do not serve; default true. False: reads
   * come from the given addresses alone, and from nowhere else. Appends go to the leader in any case.
   */
  readonly discover?: boolean | undefined;
  /**
   * Whether the client sends appends of 16 KiB to 4 MiB to the followers itself, besides the leader. It does not help one client alone, or where
   * the leader's network is not what waits: then it costs. Default `auto`: while the leader says that it helps.
   */
  readonly uploads?: Uploads | undefined;
  /**
   * Append as this producer, a name of 1 to 64 bytes: whatever happens to nodes and connections, an append is in the log once, at one place, and its receipt says where. Of two
   * clients with one name the later one goes on, and the other's appends fail as FENCED. It costs 44 bytes of the log for each message. Default: none.
   */
  readonly producer?: string | undefined;
  /** Told of connections, leaders, waiting: see {@link ClientEvent}. */
  readonly onEvent?: OnEvent | undefined;
  /** Aborts `connect` itself; a client that is connected is ended with `close`. */
  readonly signal?: AbortSignal | undefined;
}

export interface AppendOptions {
  /** What to wait for. Default: the client's. */
  readonly ack?: Ack | undefined;
  /**
   * Append only if the log has no entry of any client at or after this offset; otherwise CONDITION_FAILED, whose `details.end` is where the
   * log ends now, committed or not: read up to there before you try again. What the log itself writes (the start of a term and the like)
   * does not count, so `entry.nextOffset`, `reading.position`, `end()` and the `end` of a committed receipt stay good over elections and
   * restarts. After a lost node or connection the client retries, and first checks whether the earlier attempt is in the log: the entry is
   * never there twice. The client recognises it by its bytes, so put something unique, such as an id, into each payload.
   */
  readonly expectedEnd?: number | BookmarkText;
  /**
   * The term of the receipt whose `end` is the `expectedEnd`: append only while that term lasts. Needed when the receipt was `received`: its
   * entry may be lost with its leader, and then that offset means nothing any more. A committed position needs no term.
   */
  readonly expectedTerm?: number;
  /** Gives up: {@link AbortedError}, whose outcome says whether the append failed or may have happened. */
  readonly signal?: AbortSignal | undefined;
}

/** Where an appended entry stands: [offset, end) of the log. */
export interface Receipt {
  /** 0 where the place is not known. */
  readonly term: number;
  /** −1, and `end`, too, where an append of a producer that was sent again is in the log, and was trimmed meanwhile: then nobody knows its place any more. */
  readonly offset: number;
  /** Offset just after the entry, so the `expectedEnd` of a next one; together with `term` when the level is `received`. */
  readonly end: number;
  /** `volatile`: committed by nodes that run with `--fsync off`, so that a power cut can take it back. */
  readonly level: Level;
  /** Ids of the nodes that held it durably when it was acknowledged. Empty when `received`, and when it was found by reading the log. */
  readonly nodes: readonly number[];
}

/** Where a batch stands: [offset, end), with each entry's own offset. */
export interface BatchReceipt extends Receipt {
  readonly offsets: readonly number[];
}

/** See {@link Writer}. */
export interface WriterOptions {
  /** As for an append: where the first append of the writer is to find the log. */
  readonly expectedEnd: number | BookmarkText;
  /** As for an append. */
  readonly expectedTerm?: number;
  /** What its appends wait for. Default: the client's. */
  readonly ack?: Ack | undefined;
}

/** Hosts to take sealed segments from while a reading is far behind; it goes on at a node where they end. */
export interface CatchUpOptions {
  /**
   * Each a static host, a cache or a node (`http:`, `https:`, `ws:` or `wss:`) that has, after any path of its own, `/log/<cluster id>/segments` and what that lists. Tried
   * in order.
   */
  readonly urls: string | URL | readonly (string | URL)[];
  /**
   * `seals`: only segments that the log seals, as a node says over HTTP at its own address, and only once all of one has the SHA-256 that the log names, so that no
   * host need be trusted; in browsers that needs a secure context. `checks`: every entry is checked for damage, and whoever runs a host can make up entries.
   * Default: `seals`.
   */
  readonly verify?: 'seals' | 'checks' | undefined;
}

export interface ReadOptions {
  /**
   * Where the first entry begins: an offset, which must be an entry's boundary, a bookmark, which is refused as OTHER_CLUSTER or GENERATION_CHANGED when it is of
   * another log, `start`, or `end`, the commit offset. Default: `start`.
   */
  readonly from?: number | 'start' | 'end' | BookmarkText | undefined;
  /**
   * Begin with the last so many entries of what is committed, 1 to 1,000,000; where there are fewer, at the start. Only applications' entries count. In place of `from` and `limit`.
   */
  readonly last?: number | undefined;
  /**
   * Begin with the first entry that is not older than this moment, by the log's own time: within a second, while the leader's clock is right. Where all are
   * older, at the end. In place of `from` and `last`.
   */
  readonly since?: Time | undefined;
  /** Most entries to read, at least 1. Default: no limit. */
  readonly limit?: number | undefined;
  /**
   * Wait until the node has the log committed up to this offset, such as a receipt's `end` from another client; after the reconnect
   * timeout it fails as BEHIND. An offset or a bookmark. What this client itself wrote and saw is waited for without it. Default: 0.
   */
  readonly atLeast?: number | BookmarkText | undefined;
  /** Where to take what is far behind the end, beside nodes. Default: nowhere. */
  readonly catchUp?: CatchUpOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SubscribeOptions {
  /**
   * Where the first entry begins: an offset, which must be an entry's boundary, a bookmark, which is refused as OTHER_CLUSTER or GENERATION_CHANGED when it is of
   * another log, `start`, or `end`, the commit offset. Default: `start`.
   */
  readonly from?: number | 'start' | 'end' | BookmarkText | undefined;
  /**
   * Begin with the last so many entries of what is committed, 1 to 1,000,000; where there are fewer, at the start. Only applications' entries count. In place of `from`.
   */
  readonly last?: number | undefined;
  /**
   * Begin with the first entry that is not older than this moment, by the log's own time: within a second, while the leader's clock is right. Where all are
   * older, at the end. In place of `from` and `last`.
   */
  readonly since?: Time | undefined;
  /** Bytes that may be on their way to or waiting for the consumer. Default 4 MiB, 4 KiB to 2 GiB − 1. */
  readonly creditBytes?: number | undefined;
  /** As for a read. Default: 0. */
  readonly atLeast?: number | BookmarkText | undefined;
  /** As for a read. Default: nowhere. */
  readonly catchUp?: CatchUpOptions | undefined;
  /**
   * When what is to come next was trimmed: `fail` ends the subscription with OFFSET_TRIMMED, whose `details.start` says where the log starts; `skip` goes on
   * there, so entries are missed. Default: `fail`.
   */
  readonly onTrimmed?: OnTrimmed | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A subscription's options, or with `follow: false` those of a read. */
export type ReadableOptions =
  | (SubscribeOptions & {
      /** Whether the stream goes on with what is committed as it comes, without end. Default true. */
      readonly follow?: true | undefined;
    })
  | (ReadOptions & { readonly follow: false });

/** See {@link Consumer}. Where a name has no position yet, it begins as a subscription with the other options does. */
export interface ConsumerOptions extends Omit<SubscribeOptions, 'atLeast'> {
  /** Who it is, among all that share the store: 1 to 64 bytes of UTF-8. */
  readonly name: string;
  /** Where its position is kept: on Node `fileStore(directory)`, or any object of the kind. Default: in the log itself, by its nodes. */
  readonly store?: PositionStore | undefined;
}

export interface ConsumersOptions {
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface ResetConsumerOptions extends ConsumersOptions {
  /** Where it goes on: an offset, at most the commit offset, or a bookmark. Default: where its options say. */
  readonly to?: number | BookmarkText | undefined;
}

/** What a subscription does when what it is to give next is trimmed. */
export type OnTrimmed = 'fail' | 'skip';

/** Either `to` or `keepBytes`. */
export interface TrimOptions {
  /** What is before this offset goes; a bookmark will do. At most the commit offset. */
  readonly to?: number | BookmarkText | undefined;
  /** All but the last so many bytes of what is committed. */
  readonly keepBytes?: number | undefined;
  /** Only say where the log would start. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface RetentionOptions {
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/** What is left out stays as it is. */
export interface SetRetentionOptions extends RetentionOptions {
  /** Keep at most so many bytes, 64 KiB or more; null: no bound. The segment in which the log goes on always stays. */
  readonly bytes?: number | null | undefined;
  /** Keep what is not older, by the log's time, in milliseconds, 1000 or more; null: no bound. */
  readonly ageMs?: number | null | undefined;
  /** Keep what a named consumer has not committed as long as it is among so many last bytes of the log, 1 or more; null: wait for nobody. */
  readonly consumerBytes?: number | null | undefined;
}

export interface TokenOptions {
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/** What a new token is to be. */
export interface CreateTokenOptions extends TokenOptions {
  /** For people: 1 to 64 bytes of UTF-8. */
  readonly name: string;
  /** What it allows; `admin` is everything. */
  readonly scopes: readonly Scope[];
  /** Unix milliseconds from which on no node takes it; null, the default: never. */
  readonly expiresMs?: number | null | undefined;
  /** Its own bounds, each 1 or more, in place of what the nodes' options say. */
  readonly quotas?: Partial<Quotas> | undefined;
}

export interface LevelOptions {
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface FinalizeOptions {
  /** How long to wait for the nodes that hold the level back, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Told, again and again while it waits, who holds the level back. */
  readonly onWaiting?: ((level: LogLevel) => void) | undefined;
}

export interface TransferOptions {
  /** Which node is to lead, by its id, 1 to 32. Default: the one whose log is furthest. */
  readonly to?: number | undefined;
  /** Only say who would lead. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

export interface MembersOptions {
  /** Longest time for the answer, in milliseconds. Default: `reconnect.timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** Where a node is reached. */
export interface MemberAddress {
  /** 1 to 32. */
  readonly id: number;
  /** Where clients and the other nodes reach it: a name or an address, without brackets. */
  readonly host: string;
  /** For clients. */
  readonly port: number;
  /** For the other nodes. */
  readonly peerPort: number;
}

/** A node that is to be one of the set; its id is that of no other node. */
export interface NewMember extends MemberAddress {
  /** It never becomes a voter: it is fed, to serve reads. Default false. */
  readonly learner?: boolean | undefined;
}

export interface ChangeMembersOptions {
  /** Only look whether it could be, and what would come of it. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Longest time for each answer of a leader, in milliseconds. Default: `reconnect.timeoutMs`. A node that is to come, or is fed, is waited for without end. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait with ABORTED; what is in the log by then goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Told again and again what is waited for. */
  readonly onProgress?: ((progress: MemberProgress) => void) | undefined;
}

export interface EndOptions {
  /** Count every append that was acknowledged to anyone before this call. Default false. */
  readonly linearizable?: boolean | undefined;
  /** Answer once this much is committed on the node that answers. Default: 0. */
  readonly atLeast?: number | BookmarkText | undefined;
  /** Longest time for the answer, in milliseconds. Default: as long as it takes, with `reconnect.timeoutMs` for each kind of waiting. */
  readonly timeoutMs?: number | undefined;
}

export interface CloseOptions {
  /**
   * Longest time for the answers to what was appended, in milliseconds; what has none by then is rejected with TIMEOUT, whose outcome says
   * what is known. Default: 10 000 from the last answer on, so that a slow server is waited for, and one that hangs is not.
   */
  readonly timeoutMs?: number | undefined;
}

/** The options of a connection with every default filled in. */
export interface Settings {
  readonly ack: Ack;
  readonly reads: Reads;
  readonly maxInFlightBytes: number;
  readonly maxQueuedBytes: number;
  readonly lingerMs: number;
  readonly batchBytes: number;
  readonly connectTimeoutMs: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly timeoutMs: number;
  readonly clusterId: string | undefined;
  readonly token: TokenSource | undefined;
  readonly tls: TlsSource | undefined;
  readonly fetches: Fetches;
  readonly discover: boolean;
  readonly uploads: Uploads;
  readonly producer: string | undefined;
  readonly onEvent: OnEvent | undefined;
}
