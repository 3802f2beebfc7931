// Bounds that are not options, by name: those of the log itself, and of what a node does of its own accord. What connections, other nodes, uploads, tokens and
// clients may cost is in the files beside this one whose names end alike. Sizes in bytes, times in milliseconds. Invariant 9: nothing is without a bound.

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
 * The sessions of producers have at most so many bytes of the state, where a quarter of a segment is not less: about 6,000 of them. A leader keeps as many as
 * its option says, and as there is room for beside all else.
 */
export const MAX_SESSIONS_BYTES = 768 * 1024;

/** Of each session in the state. */
export const SESSION_ROW_BYTES = 128;

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

/** How long the log's own threads wait for a descriptor where there is none, before the node ends; the raft thread no longer than the second. */
export const DESCRIPTOR_WAIT_MS = 10_000;
export const RAFT_DESCRIPTOR_WAIT_MS = 1_000;

/** How long the end of a thread waits until the thread has loaded. */
export const THREAD_LOAD_MS = 5_000;

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
