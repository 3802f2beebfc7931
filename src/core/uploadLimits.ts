// Bounds of uploads: what clients put on followers, what those stage, and how far a leader trusts that it is there.

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
