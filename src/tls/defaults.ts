// How long certificates count if nothing else is said.

/** An authority, in days. */
export const AUTHORITY_DAYS = 3650;
/** A certificate of a node or a client, in days: the most that some systems take of a server (Apple, HT210176). */
export const CERTIFICATE_DAYS = 825;
