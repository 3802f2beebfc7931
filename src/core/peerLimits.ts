// Bounds of what nodes of a cluster send, ask and believe of each other.

import { MAX_CONFIGURATION_BYTES } from './limits.ts';

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
