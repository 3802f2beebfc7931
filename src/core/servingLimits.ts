// Bounds of what serving clients may cost a node: readings, unsent and unfinished bytes, descriptors, held appends, turns of the event loop, HTTP and downloads.

/** Most bytes of entries in one message of data, unless one entry alone is larger. */
export const MAX_READ_BYTES = 1024 * 1024;

/** Bytes of entries that the server puts in one message of a subscription. */
export const SUBSCRIPTION_CHUNK_BYTES = 256 * 1024;

/** Reads and subscriptions that one connection may have open; and END requests that it may have waiting. */
export const MAX_REQUESTS_PER_CONNECTION = 256;

/** So many of each a connection always gets. What is above them comes out of what all connections share. */
export const OWN_REQUESTS_PER_CONNECTION = 16;

/** Open reads and subscriptions above each connection's own, over all connections. */
export const MAX_SHARED_READINGS = 65_536;

/** Longest time that a read may wait for new entries. */
export const MAX_WAIT_MS = 60_000;

/** END requests that wait above each connection's own, over all connections. */
export const MAX_SHARED_ENDS = 65_536;

/** Longest time that readers, and END requests whose wait is over, are served in one turn of the event loop; appends come between. */
export const READ_TURN_MS = 1;

/** After a question to the leader that got no answer, it is asked again after this long. */
export const ASK_AGAIN_MS = 100;

/** How long a LINEARIZABLE END waits for the leader's word, and for this node to have what the leader said. */
export const LINEARIZABLE_WAIT_MS = 5_000;

/** Most credit that one subscription can hold. */
export const MAX_CREDIT_BYTES = 0x7fff_ffff;

/** Bytes that may stand unsent on one connection before the server stops reading from the log for it. */
export const SEND_BUFFER_BYTES = 512 * 1024;

/** Bytes unsent on all connections, above which memory is short: a connection must then have drained fully before it is sent more of the log. */
export const SEND_BUFFER_TOTAL_BYTES = 64 * 1024 * 1024;

/** Bytes of entries in one message while memory is short, unless one entry alone is larger. */
export const PRESSED_CHUNK_BYTES = 64 * 1024;

/** Bytes unsent on all connections, up to which larger single entries are sent to who has not shown yet that it reads. */
export const SEND_BUFFER_LARGE_BYTES = 80 * 1024 * 1024;

/** The same for other messages of the log. */
export const SEND_BUFFER_NEW_BYTES = 112 * 1024 * 1024;

/** The same for who has shown that it reads; above it those are cut that owe most unread bytes × seconds. */
export const SEND_BUFFER_CUT_BYTES = 2 * SEND_BUFFER_TOTAL_BYTES;

/** A byte that had to wait and then was taken pays for so many seconds of a byte that waits. */
export const PAID_SECONDS = 10;

/** Most that can be paid ahead: the largest entry may then wait for two seconds, what a reader usually has unsent for a minute. */
export const MAX_READ_CREDIT_BYTE_SECONDS = 32 * 1024 * 1024;

/** The log needs room: a connection that owes for all of its unread bytes for so long is cut for it. */
export const OWED_SECONDS_MAX = 2;

/** The same where it has more unread than a message of small entries: whoever is sent a large one must begin to take it. */
export const OWED_SECONDS_MAX_LARGE = 0.5;

/** A reading that found no room in all send buffers is tried again after this long, if nothing has drained before. */
export const ROOM_RETRY_MS = 50;

/** Unsent answers of a connection that are not of the log; above it the connection is cut. All receipts that it can wait for are half of it. */
export const MAX_UNSENT_ANSWER_BYTES = 4 * 1024 * 1024;

/** Above this many unsent bytes uWebSockets.js cuts a connection: more than the largest entry and all of the above. */
export const MAX_BACKPRESSURE_BYTES = 24 * 1024 * 1024;

/** Each reason why connections are closed, or requests refused, is told in the log at once, and then at most once in this time. */
export const INCIDENT_LOG_MS = 60_000;

/** A connection that ends with more unsent bytes than this is cut without a goodbye: what it has unsent is counted nowhere any more. */
export const UNSENT_AT_END_BYTES = 4096;

/** For so long the order in which connections are cut for unread answers stays as it was found. */
export const CUT_ORDER_MS = 100;

/** Descriptors that clients must leave to the log: its threads, segments, indexes, spare files, and what node itself opens. */
export const RESERVED_DESCRIPTORS = 84;

/** More of them for each slot: its writer's thread has four, and opens up to three files. */
export const SLOT_DESCRIPTORS = 7;

/** More of them in a cluster: connections between nodes, those that have not said yet who they are, and readers for nodes that lag behind. */
export const CLUSTER_DESCRIPTORS = 160;

/** A node does not start where fewer descriptors than this are left for clients. */
export const MIN_CLIENT_DESCRIPTORS = 32;

/**
 * Connections above those of clients, for HTTP and for those that have not said yet what they want. Twice the queue of connections that the
 * system has made and uSockets not taken yet, which it takes at once, with those that come meanwhile.
 */
export const HTTP_CONNECTIONS = 1024;

/** Bytes of a request's line and headers; more gets HTTP 431. Behind a gateway, cookies alone may have several kilobytes. */
export const MAX_HTTP_HEAD_BYTES = 16 * 1024;

/** Connections that may have said goodbye and still have their descriptors are counted at most once in this time. */
export const DESCRIPTORS_LOOK_MS = 100;

/**
 * Memory of messages that have not arrived whole, over all connections: an eighth of what the machine or the container has, within these. It is
 * measured as the part of the resident memory that nothing else explains.
 */
export const UNFINISHED_TOTAL_BYTES = 512 * 1024 * 1024;
export const UNFINISHED_TOTAL_MIN_BYTES = 64 * 1024 * 1024;

/**
 * How often that is looked at; so long a client has to answer a ping, which those get that were silent for the second time, some at a time, and
 * while memory does not grow no sooner again than after the third.
 */
export const MEMORY_CHECK_MS = 250;
export const MEMORY_PROBE_MS = 250;
export const MEMORY_PROBE_AGAIN_MS = 5_000;
export const MEMORY_PROBES = 512;

/** Connections are closed for so long in one turn of the event loop: each gives back up to 16 MiB, which takes the system some milliseconds. */
export const MEMORY_CLOSE_TURN_MS = 5;

/** After so many closed connections without a fall of memory no more are closed before it has grown by so much, then up to twice as many. */
export const MEMORY_FRUITLESS_CLOSES = 16;
export const MEMORY_GROWTH_BYTES = 32 * 1024 * 1024;

/** Appends ordered and not committed yet, over all connections; more are held. */
export const MAX_PENDING_APPENDS = 262_144;

/** APPEND requests that one connection may have unacknowledged, whatever their size. */
export const MAX_UNACKNOWLEDGED_APPENDS = 8_192;

/** What a held append costs the server besides its entries: a row of 44 bytes, in a ring that may be half empty, and its part of a block. */
export const HELD_APPEND_OVERHEAD_BYTES = 128;

/** What it costs besides when it is not a plain one with one entry: an object, and its condition. */
export const HELD_APPEND_EXTRA_BYTES = 160;

/** Held appends that are ordered in one turn of the event loop at most, once there is room. */
export const HELD_APPENDS_PER_TURN = 4096;
export const HELD_BYTES_PER_TURN = 4 * 1024 * 1024;

/** Appends held, over all connections, while tail memory is full. Above it an append is refused as OVERLOADED. */
export const HELD_APPEND_BYTES = 64 * 1024 * 1024;

/**
 * What one connection gets of the node's time between two turns of its event loop before its messages wait; how long all that wait are served
 * each time round, and each of them at a time.
 */
export const TURN_SLICE_MS = 5;
export const TURN_ROUND_MS = 10;

/** Bytes of messages that may wait for their turn, over all connections; above it they are handled as they come. */
export const TURN_QUEUED_BYTES = 64 * 1024 * 1024;

/**
 * Requests over all connections that have come in one turn of the event loop, or wait: above it a connection may have fewer than its own budget,
 * FAIR_REQUESTS_MAX at first, a quarter of that where twice as many came from all, and always FAIR_REQUESTS.
 */
export const CROWDED_REQUESTS = 16_384;
export const FAIR_REQUESTS_MAX = 2_048;
export const FAIR_REQUESTS = 256;

/** What a closed connection had sent and was not handled counts on, so that a new connection is no new budget; after this long half as much. */
export const GONE_REQUESTS_HALF_MS = 500;

/** Pings and pongs of one connection: so many a second, and at once what it did not use of them, up to the second. */
export const CONTROL_FRAMES_PER_SECOND = 1000;
export const MAX_CONTROL_FRAMES = 16_384;

/**
 * A client sends, and takes what it is sent, at least this fast: 16 MiB over a line of 1 Mbit/s take 134 s, and may take twice that. The grace is for
 * the silence before a message begins. After so long without anything whole a client is pinged; so often it is looked at.
 */
export const MIN_CLIENT_BYTES_PER_SECOND = 64 * 1024;
export const UNFINISHED_GRACE_MS = 60_000;
export const UNFINISHED_PING_MS = 30_000;
export const UNFINISHED_CHECK_MS = 15_000;

/**
 * Of one message, where `ws` has the sockets: frames, and chunks as the kernel hands them out, each of which costs a buffer. A message of 16 MiB in
 * the smallest packets of a network comes in half as many.
 */
export const MAX_MESSAGE_FRAGMENTS = 16 * 1024;
export const MAX_MESSAGE_CHUNKS = 64 * 1024;

/** A WebSocket that has ended stays so long for its client to close it, and no longer. */
export const WS_CLOSE_TIMEOUT_MS = 16_000;

/** A request is whole after this long, and its answer taken after as long; where `ws` has the sockets. */
export const HTTP_TIMEOUT_MS = 10_000;

/** TLS handshakes that begin in one turn of the event loop, where `ws` has the sockets: each takes about a millisecond in which no client is served. */
export const HANDSHAKES_PER_TURN = 4;

/** Those that have begun and are not over. Of more, the one waits whose turn it is, until there is room. */
export const MAX_HANDSHAKES = 256;

/** One that has begun goes after this long, if it must make room for another one. */
export const HANDSHAKE_PATIENCE_MS = 1_000;

/** What a client may say before its handshake begins: a record of TLS with its header (RFC 8446, 5.1), and one of 6 bytes, which some send for old middleboxes. */
export const MAX_HELLO_BYTES = 16_384 + 5 + 6;

/** Bytes of a body that must be taken within {@link HTTP_TIMEOUT_MS}; where `ws` has the sockets. */
export const HTTP_WRITE_BYTES = 64 * 1024;

/** Connections that the system has made and the node not taken yet; half of {@link HTTP_CONNECTIONS}. */
export const HTTP_BACKLOG = 512;

/** A connection that neither sends nor answers a ping for this long is closed. */
export const IDLE_TIMEOUT_SECONDS = 60;

/** Downloads of sealed segments over HTTP at once; more get 503, unless one is cut for them that has taken nothing for so long. */
export const MAX_SEGMENT_DOWNLOADS = 256;
export const SEGMENT_DOWNLOAD_STALLED_MS = 1_000;

/** Memory that a connection with TLS takes on uWebSockets.js, which no program is told of: measured with a thousand idle ones (11 KiB each, all of a connection), and rounded up. */
export const UWS_TLS_BYTES = 16 * 1024;

/** A port that was lost while certificates changed is tried again so often. */
export const LISTEN_AGAIN_MS = 100;

/** What a client may say of itself in INTRODUCE: its name, and all of the body, which may grow in later versions. */
export const MAX_CLIENT_NAME_BYTES = 64;
export const MAX_INTRODUCTION_BYTES = 1024;
