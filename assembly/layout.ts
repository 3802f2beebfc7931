// Every byte offset and size that more than one program part must agree on, written once: this file is integer
// constants only, and is compiled both by asc (into WebAssembly) and by tsc. docs/FORMAT.md explains the layouts.

// Entry: u32 term, u32 continued << 31 | kind << 24 | payload bytes, payload, u32 check.
export const ENTRY_TERM_AT = 0;
export const ENTRY_KIND_SIZE_AT = 4;
export const ENTRY_HEADER_BYTES = 8;
export const ENTRY_CHECK_BYTES = 4;
export const ENTRY_OVERHEAD_BYTES = 12;
export const MAX_PAYLOAD_BYTES = 16777215;

export const KIND_DATA = 0;
export const KIND_NOOP = 1;
export const KIND_CONFIGURATION = 2;
export const KIND_TRIM = 3;
export const KIND_TIME = 4;
export const KIND_SEAL = 5;
export const KIND_STATE = 6;
export const KIND_LEVEL = 7;
export const KIND_POSITION = 9;
export const KIND_ACCESS = 10;
export const KIND_POLICY = 11;
// Alone, or with KIND_CONTINUED the first entry of a batch whose other entries are data.
export const KIND_SESSION = 8;
// Bit k: this build acts on control entries of kind k, each alone, outside of batches: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11.
export const ACTED_ON_KINDS = 4094;
// Kinds 1 to this are control: the log's own. Readers verify and skip them, known or not. Above them nothing is defined.
export const MAX_CONTROL_KIND = 63;
export const KIND_MASK = 127;
// Set on an entry: the next entry belongs to the same batch. A batch is in the log whole, or not at all.
export const KIND_CONTINUED = 128;

// A no-op begins each term. Its payload is the instance of the leader's data directory.
export const NO_OP_PAYLOAD_BYTES = 8;
export const NO_OP_BYTES = 20;

// Segment file: one header page, then entries back to back.
export const SEGMENT_HEADER_BYTES = 4096;
// A sparse index point is the first entry boundary at or after each multiple of this file position.
export const INDEX_INTERVAL_BYTES = 16384;

// What a walk over entries writes at its result pointer (u32 fields).
export const RESULT_COUNT_AT = 0; // whole, valid entries walked
export const RESULT_BYTES_AT = 4; // their bytes
export const RESULT_STATUS_AT = 8; // why the walk ended, see below
export const RESULT_LAST_TERM_AT = 12; // term of the last entry walked, or the term given
export const RESULT_POINTS_AT = 16; // index points emitted
export const RESULT_STOPPED_AT = 20; // where the walk stopped: after RESULT_BYTES when that was inside a batch
export const RESULT_DATA_END_AT = 24; // bytes up to the end of the last data entry among RESULT_BYTES; 0: there is none
export const RESULT_CONTROL_AT = 28; // bytes before the first control entry that is no no-op; NO_CONTROL: there is none
export const RESULT_SIZE_BYTES = 32;
export const NO_CONTROL = 4294967295;

// Why a walk over entries ended.
export const WALK_COMPLETE = 0; // all bytes were whole entries, or the limit was reached
export const WALK_TRUNCATED = 1; // the bytes end inside an entry
export const WALK_BAD_CHECK = 2; // the check does not match the bytes, the term or the offset
export const WALK_TOO_LARGE = 3; // the payload is larger than allowed
export const WALK_BAD_KIND = 4; // a kind that is not allowed here
export const WALK_BAD_TERM = 5; // a producer's term is not zero, or a log's term is zero, fell, or rose inside a batch
export const WALK_INSIDE_BATCH = 6; // the bytes end inside a batch
export const WALK_SECOND_BATCH = 7; // another batch begins where only one is allowed
export const WALK_NEWER_KIND = 8; // a valid entry of a kind that this build does not act on: a newer one wrote it
export const WALK_BAD_LEADER = 9; // no walk says it: entries that begin a term do not begin with the no-op of its leader
export const WALK_BAD_CONTROL = 10; // no walk says it: a control entry that nobody writes there, or whose payload nobody writes

// Flags of stamp().
export const STAMP_ONE_BATCH = 1; // all entries must be one batch

// Flags of clip() and index().
export const SCAN_VERIFY = 1; // check every entry's check, not only its header
export const SCAN_FIRST_ALWAYS = 2; // the first entry (or batch) is taken even when it alone exceeds the limit
export const SCAN_WHOLE_BATCHES = 4; // whole batches are taken, not whole entries
export const SCAN_ACTED_ON = 8; // a node: kinds that this build does not act on end the walk; with SCAN_VERIFY only
