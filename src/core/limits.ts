// Every bound that is not an option, by name. Sizes in bytes, times in milliseconds. Invariant 9: nothing is without a bound.

import { ENTRY_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES } from '../../assembly/layout.ts';

/** Largest entry: payload and overhead. */
export const MAX_ENTRY_BYTES = MAX_PAYLOAD_BYTES + ENTRY_OVERHEAD_BYTES;

/**
 * Entries of the log's own for which a segment has room beside the largest batch of a client from the first
 * version on, so that what a client may append never shrinks: of the state that all nodes agree on, at most this and a quarter of a segment;
 * of the time, with 8 bytes of payload; of a client's session, with at most 40.
 */
export const MAX_STATE_ENTRY_BYTES = 1024 * 1024;
/** At least as much as a segment begins with, its state without tokens and the no-op of a term: it goes to other nodes whole. */
export const SEGMENT_HEAD_BYTES = 4096;
/**
 * The tokens of a log have at most so many bytes of its state, where a quarter of a segment is not less: about 2,000 of them. The rest of
 * MAX_STATE_ENTRY_BYTES is for what later versions keep there, and so much of a quarter of a small segment is for what else the state says.
 */
export const MAX_ACCESS_BYTES = 256 * 1024;
export const OTHER_STATE_BYTES = 1024;
/** Bytes of the payload of an access entry: a token with the longest name. */
export const MAX_ACCESS_PAYLOAD_BYTES = 172;
/**
 * The consumers of a log have at most so many bytes of its state, where a quarter of a segment, less what else is in it, is not less: more than 4,096 of them with
 * the longest names. Names have at most so many bytes of UTF-8.
 */
export const MAX_CONSUMERS_BYTES = 384 * 1024;
export const MAX_CONSUMER_NAME_BYTES = 64;
/** Bytes of the payload of a position entry: about 400 commits. Those of a larger one would not fit the smallest segment beside the rest. */
export const MAX_POSITION_PAYLOAD_BYTES = 8 * 1024;
/** Of such an entry at most so many claims, resets and removals: each goes through the whole table, on each node. */
export const MAX_NAMES_PER_POSITION_ENTRY = 64;
/** At least so long after one entry of positions the leader writes the next one: so there are at most 20 a second, however often consumers commit. */
export const POSITION_ENTRY_MS = 50;
/** Requests about consumers that a node has under way, and lists of them that wait for the commit: each has a copy of the table. */
export const MAX_CONSUMER_REQUESTS = 8192;
export const MAX_CONSUMER_LISTS = 64;
/** Enough of a file for a state entry, with all that there may be. */
export const STATE_HEAD_BYTES = MAX_STATE_ENTRY_BYTES + 64 * 1024;
/**
 * The sessions of producers have at most so many bytes of the state, where a quarter of a segment is not less: about 7,000 of them. A leader keeps as many as
 * its option says, and as there is room for beside all else.
 */
export const MAX_SESSIONS_BYTES = 768 * 1024;
/** Of each session in the state. */
export const SESSION_ROW_BYTES = 112;
/** Least time after which a session that nobody uses is forgotten. */
export const MIN_SESSION_AGE_MS = 60_000;
/** A session that was used in the last minute of the log's time gives its place to no other. */
export const MIN_SESSION_IDLE_MS = 60_000;
/** Old sessions that are forgotten in one turn of the event loop. */
export const EVICTIONS_PER_TURN = 64;
/** Sessions that are being opened on a node at a time. */
export const MAX_SESSION_REQUESTS = 4096;
/** Places of appends of sessions that a leader remembers for producers that send them again, once more than so many then anew. */
export const MAX_KNOWN_PLACES = 131_072;
export const TIME_ENTRY_BYTES = ENTRY_OVERHEAD_BYTES + 8;
export const SESSION_ENTRY_BYTES = ENTRY_OVERHEAD_BYTES + 40;

/** A log offset is a safe integer: the log ends here, with an error, not with a rounding. */
export const MAX_LOG_OFFSET = Number.MAX_SAFE_INTEGER;

/** Clients' entries end this far before the last offset: a log that is full must have room for the terms of its restarts. */
export const LAST_OFFSET_RESERVE_BYTES = 1024;

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

/** How long the log's own threads wait for a descriptor where there is none, before the node ends; the raft thread no longer than the second. */
export const DESCRIPTOR_WAIT_MS = 10_000;
export const RAFT_DESCRIPTOR_WAIT_MS = 1_000;

/** How long the end of a thread waits until the thread has loaded. */
export const THREAD_LOAD_MS = 5_000;

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

/**
 * What an append costs the client's heap besides its bytes until it is settled, measured with Node 20 and rounded up: of one entry without
 * options, a promise and its two functions; of any other call, what stands for it beside them; each copy of a payload.
 */
export const APPEND_HEAP_BYTES = 320;
export const OPERATION_HEAP_BYTES = 1024;
export const PAYLOAD_HEAP_BYTES = 256;

/** Appends that a client has in flight, however small they are; more wait. One message more may be on top. */
export const MAX_APPENDS_IN_FLIGHT = 65_536;

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

/** After this long without appends the segment writer records on disk how far the log is durable. */
export const MARK_IDLE_MS = 10;

/** Under load it records this often, beside a write of entries, how far the log is committed. */
export const BOUND_MS = 100;

/**
 * A stop: until when what was ordered may be committed and the leadership handed over, until when answers may leave, and until when threads
 * may end. What is not done by then is cut. Counted from the beginning of the stop, which lasts less than 6 s.
 */
export const STOP_SETTLE_MS = 3_500;
export const STOP_ANSWER_MS = 4_500;
export const STOP_END_MS = 5_500;

/** How long a stopping node stays for clients that do not close their end of a connection. */
export const STOP_LINGER_MS = 1_000;

/** A stopping node closes its clients once no append has come for this long. */
export const STOP_QUIET_MS = 20;

/** Cold reads that run at once; each has a buffer of its own in shared memory. */
export const COLD_READERS = 2;

/** Bytes of a sealed segment that are examined in one go, on the thread that also makes files ahead; and a look this often whether appends still wait. */
export const EXAMINE_BYTES = 1024 * 1024;
export const EXAMINE_MIN_BYTES = 64 * 1024;
export const EXAMINE_BUSY_MS = 20;

/** Mebibytes for the young objects of threads that make few: each would take several times that from the system. */
export const QUIET_YOUNG_MB = 1;

/** A helper thread that has nothing to do for this long ends; one that has begun an examination is given some work of no bytes this often. */
export const IDLE_THREAD_MS = 10_000;
export const EXAMINE_TOUCH_MS = 4_000;

/** Scrubbing: so often it is looked at what is due; so long it pauses after a disk that failed it; so often its position is saved, at most. */
export const SCRUB_LOOK_MS = 60_000;
export const SCRUB_RETRY_MS = 60_000;
export const SCRUB_SAVE_MS = 30_000;

/** Bytes a second at which a damaged segment is looked at and healed, and at which a node answers others that heal theirs. */
export const HEAL_BYTES_PER_SECOND = 64 * 1024 * 1024;

/** So long a node waits for another one's answer with a piece of a segment; so long after a segment could not be healed it is tried again. */
export const HEAL_ANSWER_MS = 5_000;
export const HEAL_RETRY_MS = 15_000;

/** Of a segment that cannot be healed or examined all is read for each try: after each further time it rests twice as long, up to so many times as long. */
export const MAX_RETRY_FACTOR = 16;
/** A node whose open segment is damaged, and that nobody could help, asks the others again after this long. */
export const MEND_RETRY_MS = 1_000;

/** After so many times in vain, in a row and beside a leader, it leaves what it lacks to that. */
export const MEND_TRIES = 3;

/** A read that meets damage waits so long for the segment to be healed, at most. */
export const HEAL_WAIT_MS = 15_000;

/** Downloads of sealed segments over HTTP at once; more get 503, unless one is cut for them that has taken nothing for so long. */
export const MAX_SEGMENT_DOWNLOADS = 256;
export const SEGMENT_DOWNLOAD_STALLED_MS = 1_000;

/** Largest file of certificates, a key, or rules for them. */
export const MAX_PEM_BYTES = 1024 * 1024;

/**
 * Files of certificates and the like are read anew once nothing has changed beside them for the first of these, at most the second after a change; and so
 * often without being told of one.
 */
export const FILES_SETTLE_MS = 250;
export const FILES_SETTLE_MAX_MS = 2_000;
export const FILES_LOOK_MS = 30_000;

/** Rules that say which certificates have which scopes. */
export const MAX_CLIENT_RULES = 10_000;

/** Memory that a connection with TLS takes on uWebSockets.js, which no program is told of: measured with a thousand idle ones (11 KiB each, all of a connection), and rounded up. */
export const UWS_TLS_BYTES = 16 * 1024;

/** A port that was lost while certificates changed is tried again so often. */
export const LISTEN_AGAIN_MS = 100;

/** A list of sealed segments that is read has at most so many bytes: more than a hundred thousand segments. */
export const MAX_SEGMENT_LIST_BYTES = 32 * 1024 * 1024;

/** A download of a sealed segment that brings nothing for so long is begun anew where it stopped. */
export const SEGMENT_STALL_MS = 20_000;

/** It is given up after so many tries in a row that bring nothing, with pauses that double from the first of these to the second. */
export const SEGMENT_TRIES = 6;
export const SEGMENT_RETRY_MS = 50;
export const SEGMENT_RETRY_MAX_MS = 2_000;

/** A backup that runs saves what it has so often, and less often when it has very many files: that much of its work is looked at again after a crash. */
export const BACKUP_SAVE_MS = 1_000;

/** How long a mirror waits before it asks its source again, which failed or sent what is not the log: doubles from the first to the second. */
export const MIRROR_RETRY_MS = 250;
export const MIRROR_RETRY_MAX_MS = 30_000;

/** How long a mirror's search for a node of its source takes before it says that there is none, and begins another one. */
export const MIRROR_SEARCH_MS = 10_000;

/** A mirror that lacks as much says how far it is, so often. */
export const MIRROR_CATCH_UP_BYTES = 4 * 1024 * 1024;
export const MIRROR_PROGRESS_MS = 10_000;

/**
 * A mirror that gets nothing from its node for so long, although the source has more, looks for another one: long enough for the largest entry on a slow
 * link. It asks what the source has each sixth of that.
 */
export const MIRROR_STUCK_MS = 60_000;

/** How long a mirror's question to its source what is acknowledged may take: less than LINEARIZABLE_WAIT_MS. */
export const MIRROR_ASK_MS = 4_000;

/** A reading leaves a host that it catches up from after so many tries in a row that bring nothing for so long: the nodes have it, too. */
export const CATCH_UP_TRIES = 3;
export const CATCH_UP_STALL_MS = 5_000;

/** Or when over that time of waiting for it fewer bytes a second come. */
export const CATCH_UP_MIN_PACE = 16 * 1024;

/** Fewer bytes than these are taken from a node without a look at such hosts. */
export const CATCH_UP_MIN_BYTES = 256 * 1024;
/** A segment of a host is kept whole until its digest is known to be right; larger ones come from nodes. */
export const CATCH_UP_MAX_SEGMENT_BYTES = 64 * 1024 * 1024;

/** How many of the last entries may be asked for: where they begin is kept for each while the first is looked for, 8 bytes. */
export const MAX_LAST_ENTRIES = 1_000_000;

/** They are looked for from the end backwards in ranges that grow from the first of these to the second. */
export const LAST_FIRST_RANGE_BYTES = 64 * 1024;
export const LAST_RANGE_BYTES = 64 * 1024 * 1024;

/** How often a node looks how much of its disk is free; besides, at each new segment. The second one while nothing is appended and there is room. */
export const DISK_LOOK_MS = 1_000;
export const DISK_IDLE_LOOK_MS = 5_000;

/** The room for appends below which a disk is low, and critical, in segments and bytes, where no option says otherwise. */
export const DISK_LOW_SEGMENTS = 8;
export const DISK_CRITICAL_SEGMENTS = 2;
export const DISK_CRITICAL_BYTES = 64 * 1024 * 1024;

/** How often the main thread shows that its event loop turns. */
export const MAIN_BEAT_MS = 500;

/** The raft thread of a node alone looks so often what there is to do: nobody waits for its heartbeats. */
export const ALONE_HEARTBEAT_MS = 1_000;

/**
 * A main thread that has not done so for this many election timeouts, and for this long, hangs: its node must not lead. The second bound is
 * longer than collections of garbage and slow starts take.
 */
export const HANG_ELECTIONS = 3;
export const MIN_HANG_MS = 3_000;

/** Its raft thread looks each so many heartbeats whether it has, and no less than so often in the time that makes a hang. */
export const HANG_LOOK_HEARTBEATS = 5;
export const MIN_HANG_LOOKS = 3;

/** Lines of its log that wait for a main thread that hangs, where they cannot be written without it. */
export const MAX_HUNG_LINES = 100;

/** Trims that clients ask for and that wait for their answers, on one node. */
export const MAX_TRIMS = 64;

/** The same for RETENTION. */
export const MAX_RETENTION_REQUESTS = 64;

/** The same for UPGRADE. */
export const MAX_UPGRADES = 64;

/** Sessions of which a leader looks on the disk for what was sent again, at a time: others wait. Each may remember MAX_UNACKNOWLEDGED_APPENDS places meanwhile. */
export const MAX_SESSION_LOOKS = 16;
/** Requests about the set of nodes that one node has under way; more are refused with TOO_MANY_REQUESTS. */
export const MAX_MEMBER_REQUESTS = 64;

/** After a leader gave its office up, who asked for that waits this long for the next one to be known. */
export const HANDOVER_SETTLE_MS = 5_000;

/** Bounds of the log's retention are not below these: smaller ones are mistakes of a unit. */
export const MIN_RETENTION_BYTES = 64 * 1024;
export const MIN_RETENTION_AGE_MS = 1_000;

/** A level is not raised automatically sooner after it could have been: less is a mistake of a unit. */
export const MIN_AUTO_FINALIZE_MS = 1_000;

/** A leader looks so often what the log's retention lets go, besides whenever a segment is sealed. */
export const RETENTION_LOOK_MS = 10_000;

/**
 * Retention by age waits so long after a node has started and after each leap of the log's time, by more than the second bound: nobody knows at once whether
 * a clock was wrong. It also waits while the leader's clock is that much before the log's time.
 */
export const RETENTION_WAIT_MS = 3_600_000;
export const RETENTION_LEAP_MS = 60_000;

/** The last moment that a Date can be, Unix ms. */
export const MAX_TIME_MS = 8_640_000_000_000_000;

/** A leader moves the log's time on only while its clock is so near those of a majority; a node alone, while its clock went so near to what time did. */
export const CLOCK_GUARD_MS = 60_000;

/** What another node's clock showed counts for so long after it was heard. */
export const CLOCK_HEARD_MS = 120_000;

/** A leader compares clocks so often, at most. */
export const CLOCK_LOOK_MS = 100;

/** Bytes of the log that are walked over in one turn of the event loop to find a place by its time. */
export const TIME_SLICE_BYTES = 64 * 1024;

/** A segment that could not be examined is tried again after this long. */
export const EXAMINE_AGAIN_MS = 30_000;
/** A segment that a node has had damaged for this long, and could not heal, is passed over for its seal: it tells what the next one is. */
export const SEAL_SKIP_MS = 600_000;
/** While so many ordered bytes wait for the disk, no segment is read for its digest. */
export const SEAL_BUSY_BYTES = 1024 * 1024;
/** Rows that one task adds to what a node remembers of its segments. */
export const MAX_SEAL_ROWS_AT_ONCE = 4096;

/**
 * Segments, and bytes, that a trim takes from the disk in one step: a larger file goes in pieces. A disk that is told what is free (the mount option `discard`) does
 * nothing else meanwhile, some 0.2 ms a MiB.
 */
export const REMOVE_SEGMENTS = 8;
export const REMOVE_PIECE_BYTES = 1024 * 1024;

/** Then it pauses: so many times as long as the step took while clients append, at least and at most so long: what appends do on the same disk comes between. */
export const REMOVE_PAUSE_TIMES = 20;
export const REMOVE_PAUSE_MS = 5;
export const REMOVE_MOST_PAUSE_MS = 100;

/** Segments go at least so many times as fast as new ones fill. */
export const REMOVE_LEAST_GAIN = 2;

/** Zero-written files kept ready for the next segments. */
export const SPARE_SEGMENTS = 4;

/** Largest term that a node believes another one. A cluster that elected a leader every second would need 68 years to get there. */
export const MAX_TERM = 0x7fff_ffff;

/**
 * How far above its own term a node believes another one, unless a majority greets with such a term. Every term takes a majority and an
 * election timeout: this many are 12 days of an election each second.
 */
export const MAX_TERM_STEP = 2 ** 20;

/** Nodes of a cluster: an append waits for a majority, so more of them make it slower and hardly safer. */
export const MAX_CLUSTER_NODES = 7;

/** Node ids are 1 to this, so that a set of nodes is one 32-bit word. */
export const MAX_NODE_ID = 32;

/** The set of nodes in the log, and the directories that were removed from it: bytes of the one, and how many of the others. Both are in each segment's head. */
export const MAX_CONFIGURATION_BYTES = 2048;
export const MAX_REMOVED_NODES = 64;
/** What both have of the state of a log that says which nodes it has, with the headers of their sections. */
export const NODES_STATE_BYTES = MAX_CONFIGURATION_BYTES + MAX_REMOVED_NODES * 16 + 16;

/** Most bytes of entries in one message to another node, unless a single batch is larger. */
export const MAX_APPEND_BYTES = 1024 * 1024;

/** Connections of other nodes that have not said yet who they are; above it one is cut, of the address from which most come the one that has taken longest. */
export const MAX_PEER_HANDSHAKES = 64;

/** Connections of other nodes that may begin to prove themselves, a second, and at once: a proof takes a millisecond of the thread that keeps the cluster together. */
export const PEER_PROOFS_PER_SECOND = 200;
export const PEER_PROOFS_AT_ONCE = 64;
/** Above that so many addresses may still begin, each its part of as many a second. */
export const PEER_PROOF_ADDRESSES = 32;

/** Bytes of a secret that nodes prove themselves by, and how many of them are valid at a time: two, so that it can be changed without a stop. */
export const PEER_SECRET_BYTES = 32;
export const MAX_PEER_SECRETS = 2;

/** With fewer different values among its bytes a secret was not drawn at random: of 10^15 that are, less than one has so few. */
export const MIN_SECRET_BYTE_VALUES = 16;

/** A connection that has not said who it is after this long is cut. */
export const PEER_HANDSHAKE_TIMEOUT_MS = 5_000;

/** How long a node waits for another one's answer when it dials. */
export const PEER_DIAL_TIMEOUT_MS = 2_000;

/** An attempt to dial a node that has just dialed us is begun again when it has taken longer than this. */
export const PEER_DIAL_PATIENCE_MS = 500;

/** Silence after which the kernel asks whether the other end of a connection between nodes is still there. */
export const PEER_KEEPALIVE_MS = 10_000;

/** Pause before a node is dialed again: doubled each time from the first value to the second. */
export const PEER_BACKOFF_MIN_MS = 50;
export const PEER_BACKOFF_MAX_MS = 1_000;

/** Bytes that may wait for one node; with more than that waiting, entries for it are not taken. */
export const PEER_QUEUED_BYTES = 4 * 1024 * 1024;

/** Bytes of messages without entries that may wait above that, so that a heartbeat is not dropped because entries wait. */
export const PEER_QUEUED_EXTRA_BYTES = 64 * 1024;

/**
 * How long another node's word that it has no cluster counts, from when it was asked. Long enough that the words of all others, each asked
 * again and again, count at one time; too short to stop a node and fill its directory meanwhile.
 */
export const FOUNDING_ANSWER_MS = 2 * PEER_DIAL_TIMEOUT_MS + PEER_BACKOFF_MAX_MS;

/**
 * The founder admits nobody before it has heard from all others since it started, or has waited for them for so many election timeouts: one
 * of them may show that it is an old copy. No longer, because a cluster may begin before all of its machines are there.
 */
export const ADMISSION_WAIT_ELECTIONS = 3;

/** A node that waits for its cluster says for whom: after the first of these, then ever more rarely, up to the last. */
export const WAITING_LOG_MS = [1_000, 5_000, 10_000, 20_000, 60_000] as const;

/** Most bytes that may follow the fixed part of a handshake between nodes: its address for clients, and what later versions say. */
export const MAX_HANDSHAKE_MORE_BYTES = 1024;
/** The same of a WELCOME, which may say where all nodes of a set are: that has no more bytes than the set in the log. */
export const MAX_WELCOME_MORE_BYTES = MAX_HANDSHAKE_MORE_BYTES + MAX_CONFIGURATION_BYTES;

/** Longest sentence in a node's refusal, in bytes of UTF-8. */
export const MAX_REFUSAL_BYTES = 400;

/** A cause that lasts is logged again after this long. */
export const SAY_AGAIN_MS = 60_000;

/** What a client may say of itself in INTRODUCE: its name, and all of the body, which may grow in later versions. */
export const MAX_CLIENT_NAME_BYTES = 64;
export const MAX_INTRODUCTION_BYTES = 1024;

/** Longest sentence of why there is no leader, in bytes of UTF-8: it stands in the greeting of every client. */
export const MAX_WHY_BYTES = 1_500;

/** What is known of the links is looked at this long after one has changed: all changes of that time cost one look. */
export const CAUSES_LOOK_MS = 500;

/**
 * A process that says that it is a node whose link leads to another process makes that link be dialed anew at most once in this time: it may
 * be the node's next life, but a stranger must not be able to keep the link down.
 */
export const VERIFY_LINK_MS = 5_000;

/** Where that led to the same process as before, it is not done again for the same two for this long. */
export const VERIFIED_MS = 600_000;

/** Pieces of a peer's entries smaller than this are gathered, so that many small ones cannot cost more memory than they hold. */
export const PEER_GATHER_BELOW_BYTES = 1024;

/** Bytes of entries that may be on their way to one node, or not durable there; a leader waits for its answers above it. */
export const PEER_WINDOW_BYTES = 8 * 1024 * 1024;

/** Reads of sealed segments for other nodes that run or are being sent at once; each has a buffer of its own in shared memory. */
export const FEED_READERS = 4;

/** Uploads: copies of an append's entries that clients put on followers. Smaller messages are relayed by the leader: an upload costs as many messages as nodes. */
export const MIN_UPLOAD_BYTES = 16 * 1024;

/** Bytes of uploads that a client has under way at once, and so at most in the socket of a follower; one upload is always let through. */
export const MAX_UPLOADS_UNDER_WAY_BYTES = 4 * 1024 * 1024;

/** Bytes of uploads whose messages a client has not settled: nodes stage so much, and as much again that a slow node has not put to its place yet. */
export const MAX_UPLOADS_UNSETTLED_BYTES = 8 * 1024 * 1024;

/** Largest upload: a follower puts it to its place in one turn, some milliseconds. */
export const MAX_UPLOAD_BYTES = 4 * 1024 * 1024;

/** An append with fewer bytes is sent as bytes, whatever its client has uploaded: a reference takes more than half as much, and a message of its own. */
export const MIN_REFERRED_BYTES = 256;

/** Most bytes of entries in one UPLOAD. */
export const MAX_UPLOAD_CHUNK_BYTES = 256 * 1024;

/** Memory for what one connection stages. */
export const STAGED_PER_CONNECTION_BYTES = 16 * 1024 * 1024;

/** Staging memory is given out in blocks of this size, and counted so: an upload of 12 bytes takes one, too. */
export const STAGING_BLOCK_BYTES = 16 * 1024;

/**
 * An upload is forgotten this long after its first chunk, so that no trickle keeps room, and after it was whole; and this long after its connection is
 * gone; they are looked at this often.
 */
export const STAGED_MS = 10_000;
export const STAGED_GONE_MS = 5_000;
export const STAGED_CHECK_MS = 1_000;

/** From this long after its first chunk, or after it was whole, an upload gives way to any other where there is no room: most are placed within milliseconds. */
export const STAGED_OLD_MS = 1_000;

/** Uploads that a follower has announced, and those that a leader has ordered, of which a leader keeps note; older ones are sent as bytes. */
export const MAX_ANNOUNCED_UPLOADS = 4096;
export const MAX_ORDERED_UPLOADS = 1024;

/** A leader's link to another node is what waits when its heartbeats take so much longer than the shortest, while so many bytes are under way. */
export const LINK_QUEUED_MS = 25;
export const LINK_UNDER_WAY_BYTES = 64 * 1024;

/** Clients are busy that append so many bytes a second in messages that are large enough to upload; uploads help from two of them on. */
export const BUSY_CLIENT_BYTES = 64 * 1024;
export const BUSY_CLIENTS = 2;

/** Bytes that the raft thread hashes in one turn of its event loop. */
export const DIGEST_TURN_BYTES = 256 * 1024;

/**
 * The longest that a leader waits for an announcement; for how many hits in a row of a client with a node it does; the share of the time that all waits for
 * a node may take. That share of what all others append is held up where clients earn waits and let them be in vain: it is well below the hundredth that a
 * p99 shows. An honest client hardly needs one, since its node announces before it answers.
 */
export const ANNOUNCE_WAIT_MS = 20;
export const ANNOUNCE_EARNED_HITS = 16;
export const ANNOUNCE_WAIT_SHARE = 0.0025;

/**
 * After a rejected reference a node is referred for so long only to uploads of clients that have ANNOUNCE_EARNED_HITS placed there; after another one in that
 * time to those that have twice as many, up to the most. Each such time halves it again.
 */
export const REFERENCE_DOUBT_MS = 1_000;
export const MAX_DOUBT_HITS = 65_536;

/** The client whose upload it was is not referred to for twice REFERENCE_DOUBT_MS, and for twice as long after each one more, up to this. */
export const MAX_DISTRUST_MS = 64_000;

/** Bytes of the name of a token, in UTF-8. */
export const MAX_TOKEN_NAME_BYTES = 64;

/** The log remembers so many tokens that were asked for in directories of nodes: none of them comes back after it was revoked, whatever is still there. */
export const REMEMBERED_REQUESTS = 16;

/** A token is removed from the log when it has expired for so long, by the log's time. Until then lists show it. */
export const EXPIRED_TOKEN_KEPT_MS = 24 * 3_600_000;

/** Requests about tokens that a node has under way. */
export const MAX_TOKEN_CHANGES = 256;

/** A node takes new connections by token for so long after it last had all that was committed. */
export const TOKEN_TRUST_MS = 10_000;

/** Most bytes that a client may show as its token: more than any has. */
export const MAX_SHOWN_TOKEN_BYTES = 256;

/** A client has so long to show who it is, where a node asks. */
export const AUTHENTICATION_MS = 5_000;

/** Connections that have not shown yet who they are; of more, the oldest one goes. They take places of HTTP, and none of clients. */
export const MAX_STRANGERS = 256;

/** So long after it was shown a token is looked for again that this node does not know: it may have been made a moment ago. */
export const NEW_TOKEN_MS = 300;

/** So often it is looked whether a token has expired that somebody has shown. */
export const TOKEN_LOOK_MS = 200;

/** What was ordered for somebody whose token was revoked may take so long to be committed, and answered. */
export const TOKEN_ENDING_MS = 400;

/** Lines a minute about who trimmed, set the retention, made or revoked tokens; of more it is said how many there were. */
export const AUDIT_LINES = 60;

/** A node looks so often whether its directory asks for a token, and asks whoever leads for it so often. */
export const TOKEN_REQUEST_LOOK_MS = 5_000;
export const TOKEN_REQUEST_ASK_MS = 1_000;

/** What of a quota a second was not used for so long may be used at once. */
export const QUOTA_BURST_MS = 1_000;

/** Who sends so much more than its quota of what has no answer that could be held back, pings and the like, is closed. */
export const QUOTA_OVERDRAFT_MS = 2_000;

/** Bytes of messages that may wait for quotas, over all connections; above it one is closed, of the token or address of which most waits. */
export const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Of what waits for a quota, so many CREDITs and CANCELs, at most, of one connection. */
export const MAX_HELD_SIGNS = 1_024;

/** Who waits for a quota gets a sign of life so often. */
export const HELD_PING_MS = 1_000;

/** While several tokens send, within so long of each other, each has a shorter slice, and all that wait a shorter round. */
export const CROWDED_MS = 1_000;
export const CROWDED_SLICE_MS = 1;
export const CROWDED_ROUND_MS = 3;

/**
 * Then a token that has more than so many bytes of appends under way waits with the next ones while the disk has more than so many to write; and how often
 * it is looked whether it has.
 */
export const CROWDED_BACKLOG_BYTES = 512 * 1024;
export const CROWDED_BACKLOG_LOOK_MS = 1;

/** Appends come one at a time when so many in a row have found nothing of the log before them unfinished. */
export const LONE_APPENDS = 4;

/** An append that is alone is written by the thread that orders it, if it has no more bytes. */
export const LONE_WRITE_BYTES = 64 * 1024;

/** After such a write that took longer, the next ones are left to the segment's writer for so many times as long, after another one for twice that, up to so many. */
export const LONE_WRITE_SLOW_MS = 1;
export const LONE_WRITE_REST = 8;
export const MAX_LONE_WRITE_REST = 1_024;
/** But for no longer than this. */
export const MAX_LONE_WRITE_REST_MS = 60_000;

/** A segment's writer looks for the next append so long at most before it sleeps; who waits for a disk, or for other nodes, for what they have done. */
export const WRITER_SPIN_MS = 0.25;
export const COMMIT_SPIN_MS = 0.5;
export const RAFT_SPIN_MS = 1;

/** A thread that could not look for so long while it spun was set aside for another one, or has more to do: it sleeps. */
export const SPIN_GAP_MS = 0.1;

/** After a spin in vain a thread does not spin for twice as long as it did, after the next one for twice that, up to so many times. */
export const MAX_SPIN_REST = 256;

/** How often a thread that spins looks whether more threads want to run than there are processors; and it looks no more than so often while they do. */
export const CROWD_LOOK_MS = 50;
