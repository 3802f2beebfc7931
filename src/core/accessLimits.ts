// Bounds of certificates and tokens, of who has not shown one yet, and of what each token may take.

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
