// Bounds of clients, and of who reads a log from elsewhere as they do: downloads of segments, backups, mirrors.

/**
 * What an append costs the client's heap besides its bytes until it is settled, measured with Node 20 and rounded up: of one entry without
 * options, a promise and its two functions; of any other call, what stands for it beside them; each copy of a payload.
 */
export const APPEND_HEAP_BYTES = 320;
export const OPERATION_HEAP_BYTES = 1024;
export const PAYLOAD_HEAP_BYTES = 256;

/** Appends that a client has in flight, however small they are; more wait. One message more may be on top. */
export const MAX_APPENDS_IN_FLIGHT = 65_536;

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
