// The memory map: what stands where in the one WebAssembly.Memory that all threads of a node share. Nothing in it moves, and it
// never grows (a view made before a grow would silently keep the old length).
//
//   0         unused (address 0 means "none")
//   1024      control block: the log's words, wake-up words, counters, the peer table, one descriptor a slot
//   …         ordered uploads: 64 bytes a row
//   …         results: 32 bytes a user of the walks (main thread, log's end, raft thread, each slot's writer, each cold reader)
//   …         tokens: the table that the log has at its end, see format/access.ts
//   …         nodes: the set that the log has at its end, and the directories that were removed, with two words before them, see logFold.ts
//   …         sessions: the table that the log has at its end, see format/sessions.ts, with one word before it
//   …         consumers: the table that the log has at its end, with four words before it, see logConsumers.ts
//   …         index points of each slot, u32 file positions
//   4 KiB …   last pages: where each slot's writer composes the page that its write ends in, with the mark after the entries
//   64 KiB …  slots: exact images of segment files, position in slot = position in file
//   …         cold buffers: where cold readers put what they read

import { INDEX_INTERVAL_BYTES, RESULT_SIZE_BYTES } from '../../assembly/layout.ts';
import { stateCapacityBytes } from '../core/capacities.ts';
import {
  COLD_READERS,
  MAX_ACCESS_BYTES,
  MAX_CONFIGURATION_BYTES,
  MAX_CONSUMERS_BYTES,
  MAX_ENTRY_BYTES,
  MAX_REMOVED_NODES,
  MAX_SESSIONS_BYTES,
} from '../core/limits.ts';
import { FEED_READERS } from '../core/peerLimits.ts';
import { MAX_READ_BYTES } from '../core/servingLimits.ts';
import { MAX_ORDERED_UPLOADS } from '../core/uploadLimits.ts';

const PAGE_BYTES = 65536;

/** Two pages of 4096 bytes: a mark may cross from one into the next. */
export const LAST_PAGES_BYTES = 8192;

/** What the map follows from; every thread computes the same map from the same shape. */
export interface MemoryShape {
  readonly segmentBytes: number;
  readonly slots: number;
}

export const CONTROL_AT = 1024;
const PEERS_AT = CONTROL_AT + 256;
const PEER_BYTES = 48;
const SLOT_DESCRIPTORS_AT = CONTROL_AT + 2112;
const SLOT_DESCRIPTOR_BYTES = 104;

/** 64-bit words of the control block, by address. Each has one writer at a time, named after it; COMMIT may be lifted by two. */
export const WORD = {
  START: CONTROL_AT, // first offset kept, which may lie in a segment: main thread
  TAIL: CONTROL_AT + 8, // end of the ordered log: whoever owns the log's end
  DURABLE: CONTROL_AT + 16, // end of what fdatasync has returned for: the open segment's writer; a truncation lowers it
  COMMIT: CONTROL_AT + 24, // end of what may be read, only ever lifted: raft thread; where SOLE is set, the open segment's writer
  TERM: CONTROL_AT + 32, // current term: raft thread
  OPEN_TERM: CONTROL_AT + 40, // term in which the gate was opened last, 0 while this node does not lead: raft thread
  SYNC_MICROSECONDS: CONTROL_AT + 48, // sum over all fdatasync of entries: writers
  WRITTEN_BYTES: CONTROL_AT + 56, // sum over all writes of entries: writers
  ENDED_TERM: CONTROL_AT + 64, // last term in which this node led and no longer does: raft thread
  ENDED_COMMIT: CONTROL_AT + 72, // the commit when that term ended here: raft thread
  TOLD_COMMIT: CONTROL_AT + 80, // the commit that a leader named last, 0 while this node leads: raft thread
  DATA_END: CONTROL_AT + 88, // end of the last ordered data entry, never too low: whoever owns the log's end, before TAIL
  LAST_LEADER: CONTROL_AT + 96, // 8 bytes: instance of the leader of the last entry's term: raft thread, while the gate is closed
  LAST_TERM: CONTROL_AT + 104, // u32: that term
  REFERENCE_HITS: CONTROL_AT + 1920, // uploads that other nodes were referred to: raft thread
  REFERENCE_MISSES: CONTROL_AT + 1928, // uploads that they had to be sent although their clients named them: raft thread
  BASE: CONTROL_AT + 2032, // base of the first segment kept, at or before START: main thread, before segments before it are removed
  START_DATA_END: CONTROL_AT + 2040, // end of the last data entry before START, or more: main thread, before START
  // The state of the log at TAIL (logFold.ts): whoever owns the log's end, before TAIL.
  LOG_LEVEL: CONTROL_AT + 1936, // 0: the log says nothing about itself
  LOG_TIME: CONTROL_AT + 1944, // Unix ms
  TRIM_START: CONTROL_AT + 1952, // where the log starts by the last trim
  TRIM_DATA_END: CONTROL_AT + 1960, // end of the last data entry at or before that
  TRIM_END: CONTROL_AT + 1968, // end of the entry that says so
  TIME_FROM: CONTROL_AT + 1848, // the log's time moves on only by a clock from there on, Unix ms: raft thread
  TIME_TO: CONTROL_AT + 1856, // and up to there; 0: whatever it shows: raft thread
  SEAL_BASE: CONTROL_AT + 1800, // the last segment that the log seals
  SEAL_END: CONTROL_AT + 1808,
  SEAL_DIGEST: CONTROL_AT + 1816, // 32 bytes
  POLICY_BYTES: CONTROL_AT + 1976,
  POLICY_AGE: CONTROL_AT + 1984, // ms
  POLICY_END: CONTROL_AT + 2008, // end of the entry that says so
  ACCESS_BYTES: CONTROL_AT + 1864, // bytes of the tokens, which stand at accessAt
  ACCESS_END: CONTROL_AT + 1872, // end of the entry that changed them last
  ACCESS_VERSION: CONTROL_AT + 1792, // counts the changes of the tokens that were folded
  LEADER_COMMIT: CONTROL_AT + 1880, // the commit that the present term's leader named in its last message, or the source of a mirror: raft thread
  KNOWN_GENERATION: CONTROL_AT + 1896, // 8 bytes: the generation that this node has committed, as node.json has it, before GENERATION_IS_KNOWN: raft thread
  LEADER_HEARD: CONTROL_AT + 1888, // counts those messages, after LEADER_COMMIT: raft thread
  NEXT_LEVEL: CONTROL_AT + 2016, // the level that all nodes know, by the log; it is LOG_LEVEL from the next segment's state entry on
  NEXT_LEVEL_END: CONTROL_AT + 2024, // end of the entry that says so
  GENERATION: CONTROL_AT + 1992,
  GENERATION_ID: CONTROL_AT + 2000, // 8 bytes
} as const;

/** 32-bit words that threads wait on, by address. */
export const SIGNAL = {
  TAIL: CONTROL_AT + 128, // bumped when TAIL moves, a slot closes or STOP changes; writers wait on it
  DURABLE: CONTROL_AT + 132, // bumped when DURABLE moves; the next segment's writer and, unless SOLE is set, the raft thread wait on it
  STOP: CONTROL_AT + 136, // not 0: writers finish what there is and return; counts the stop of the node and a truncation under way
  COMMIT: CONTROL_AT + 140, // bumped when COMMIT moves or room was made; the main thread waits on it while something of its own does
  ORDERED: CONTROL_AT + 168, // bumped when the main thread has ordered entries or room was made; the raft thread of a cluster waits on it
  ROLE: CONTROL_AT + 172, // bumped when role, leader, term, standing or a link changed, and when the gate opened; the main thread waits on it
} as const;

/** Other 32-bit words, by address. */
export const STATE = {
  GATE: CONTROL_AT + 144, // who may order entries: gate.ts
  OPEN_SLOT: CONTROL_AT + 148, // slot of the open segment + 1, 0 while there is none: whoever owns the log's end
  LEADER_ID: CONTROL_AT + 152, // node id of the leader of the current term, 0 while none is known: raft thread
  ROLE: CONTROL_AT + 156, // ROLE_FOLLOWER, ROLE_CANDIDATE, ROLE_LEADER: raft thread
  TRUNCATIONS: CONTROL_AT + 164, // counts truncations, after their files are gone: readers then let go of the files they know
  SOLE: CONTROL_AT + 176, // 1 when what is durable here is committed: a cluster of one, led in a term that has begun: raft thread
  COMMIT_AWAITED: CONTROL_AT + 180, // 1 while the main thread waits on SIGNAL.COMMIT: main thread
  HANGS: CONTROL_AT + 160, // counts the times that the main thread did not answer for long: raft thread
  DISK_LEVEL: CONTROL_AT + 108, // DISK_OK, DISK_LOW, DISK_CRITICAL: how much room there is: main thread
  BEAT: CONTROL_AT + 188, // bumped by the main thread again and again, to show that its event loop turns: main thread
  LINKS_WAIT: CONTROL_AT + 116, // 1 while this node leads and its links to the others are what waits: raft thread
  UPLOADS: CONTROL_AT + 120, // counts the rows that were put into the ring of ordered uploads: whoever owns the log's end, before TAIL
  UPLOADS_TAKEN: CONTROL_AT + 124, // counts those that were taken out: raft thread
  STATE_VERSION: CONTROL_AT + 112, // odd while what the log says of trims and policies changes, and another number after each change: who changes it
  DAMAGED: CONTROL_AT + 1912, // 1 while the open segment's file has something after TAIL that is damaged, and is to be healed or given up: who recovers, heals or cuts
  PROOFS_REFUSED: CONTROL_AT + 1908, // counts the connections at the port for nodes that did not prove that they belong to the cluster: raft thread
  PROOFS_FAILED: CONTROL_AT + 1916, // counts the connections to other nodes where one end did not believe the other: raft thread
  GENERATION_IS_KNOWN: CONTROL_AT + 1904, // 1 once KNOWN_GENERATION is stored; that never changes then: raft thread
  LONE: CONTROL_AT + 2048, // 1 while appends come one at a time: threads may spin then (spin.ts). Decides nothing: whoever owns the log's end
  CROWDED: CONTROL_AT + 2052, // 1 while more threads want to run than there are processors: none spins then. Decides nothing: whoever looked last
  BOUND_AWAITED: CONTROL_AT + 184, // 1 when the open segment's writer rests before COMMIT has reached what is durable: it, and the raft thread
} as const;

/** Fields of a row of the ring of ordered uploads. */
export const ORDERED_UPLOAD = {
  OFFSET: 0, // f64 word: log offset of the append's first entry, that of its session if it has one
  END: 8, // f64 word: where its last one ends
  NODES: 16, // u32: bit i: node i + 1 has it, as the client says
  CLIENT: 20, // u32: a number for the client, so that the raft thread can tell them apart
  TERM: 24, // u32: the leader's term
  ID: 32, // 16 bytes
} as const;
const ORDERED_UPLOAD_BYTES = 64;

export const DISK_OK = 0;
export const DISK_LOW = 1;
export const DISK_CRITICAL = 2;

export const ROLE_FOLLOWER = 0;
export const ROLE_CANDIDATE = 1;
export const ROLE_LEADER = 2;

/** Histogram of fdatasync times: bucket i counts those under 2^i × 16 µs; the last one counts all others. */
export const SYNC_BUCKETS_AT = CONTROL_AT + 192;
export const SYNC_BUCKETS = 16;

/** Records in the peer table, one a node id: the raft thread writes them, the main thread shows them. */
export const MAX_PEERS = 32;

/** Fields of a peer's record. */
export const PEER = {
  MATCH: 0, // f64 word: one more than the end of what is known to be durable there; 0 until that was heard in this term
  CONTACT_MS: 8, // f64 word: time of the last message from it, Unix milliseconds; 0: none yet
  STATE: 16, // i32: PEER_UNKNOWN to PEER_STUCK
  CONNECTED: 20, // i32: 1 while our link to it is up
  VOTER: 24, // i32: 1 when it does not count, 2 when it does, 0 where that is not known
  OLD_COPY: 28, // i32: 1 while it lacks what it had acknowledged
  FULL: 32, // i32: 1 while it says that its disk has no room for appends
  LEVELS: 36, // i32: levels of the log that its build knows: u16 lowest, u16 highest plus one; 0: it has not said yet
  SENT: 40, // f64 word: bytes that were handed to the link to it, ever
} as const;

export const PEER_UNKNOWN = 0;
export const PEER_PROBING = 1;
export const PEER_REPLICATING = 2;
/** Fed from sealed segments. */
export const PEER_CATCHING_UP = 3;
/** It needs what this node no longer has. */
export const PEER_STUCK = 4;

/** Address of the record of node `id`, 1 to MAX_PEERS. */
export function peerAt(id: number): number {
  return PEERS_AT + (id - 1) * PEER_BYTES;
}

/** Fields of a slot's descriptor. */
export const SLOT = {
  BASE: 0, // f64 word: log offset of the segment's first entry
  CLOSED_END: 8, // f64 word: 0 while entries may follow, else the segment's end offset
  FIRST_MS: 16, // f64 word: time of the first append, Unix milliseconds
  LAST_MS: 24, // f64 word: time of the last append
  ENTRIES: 32, // f64 word
  STATE: 40, // i32: SLOT_FREE, SLOT_IN_USE, SLOT_SEALED
  POINTS: 44, // i32: index points at pointsAt(slot)
  PINS: 48, // i32: reads and sends in progress from the slot; while there are any, no other segment is put into it
  WANTED: 52, // i32: 1 when the log's end could not take the slot because of its pins, and is to be woken when the last one goes
  TERM_BEFORE: 56, // u32: term of the entry before BASE
  LEADER_BEFORE: 64, // 8 bytes: instance of that term's leader
  // What the segment's writer knows besides, while it lends its turn: whoever has the turn.
  TURN: 60, // i32: TURN_KEPT to TURN_BROKEN: who may write the segment's file
  FILE: 72, // i32: the open file
  MARKED: 80, // f64 word: durable offset in the last mark that is on disk
  BOUND: 88, // f64 word: the commit bound in the header page
  BOUND_MS: 96, // f64 word: when it was put there
} as const;

/** The segment's writer writes, or nobody does yet. */
export const TURN_KEPT = 0;
/** The writer rests for a time, and whoever orders may write in its place. */
export const TURN_LENT = 1;
/** The same, but nothing ends its rest: it is to be woken after that. */
export const TURN_LENT_ASLEEP = 2;
/** Whoever orders writes. */
export const TURN_TAKEN = 3;
/** A write of theirs has failed: nothing is written to the segment any more. */
export const TURN_BROKEN = 4;

/** Of the nodes that the log says at its end, which stand at nodesAt: whoever owns the log's end, before TAIL. */
export const NODES = {
  MEMBERS_BYTES: 0, // f64 word; 0: the log does not say which nodes it has
  REMOVED_BYTES: 8, // f64 word
  MEMBERS: 16, // as section 7 of the state has them
  REMOVED: 16 + MAX_CONFIGURATION_BYTES, // as section 8 has them
} as const;
const NODES_BYTES = NODES.REMOVED + MAX_REMOVED_NODES * 16;

/** Of the consumers that the log has at its end, which stand at consumersAt: whoever owns the log's end, before TAIL. */
export const CONSUMERS = {
  BYTES: 0, // f64 word; 0: nobody ever took a name
  END: 8, // f64 word: end of the entry that changed them last
  VERSION: 16, // f64 word: another number after each change that moves records
  POLICY_BYTES: 24, // f64 word: what of the log is kept for them at most, by the policy; 0: nothing is
  TABLE: 32, // as section 11 of the state has it
} as const;

/** Of the sessions that the log has at its end, which stand at sessionsAt: whoever owns the log's end, before TAIL. */
export const SESSIONS = {
  BYTES: 0, // f64 word: bytes of the table
  TABLE: 8, // as section 10 of the state has it
} as const;

/** Most bytes of the sessions that a log with such segments can have. */
export function sessionsCapacityBytes(segmentBytes: number): number {
  return Math.min(MAX_SESSIONS_BYTES, stateCapacityBytes(segmentBytes));
}

export const SLOT_FREE = 0;
export const SLOT_IN_USE = 1;
export const SLOT_SEALED = 2;

export interface MemoryMap {
  readonly shape: MemoryShape;
  /** Address of a slot's descriptor. */
  descriptorAt(slot: number): number;
  /** Address of a slot's segment image. */
  slotAt(slot: number): number;
  /** Address of a slot's index points. */
  pointsAt(slot: number): number;
  /** Address of a row of the ring of ordered uploads, 0 to MAX_ORDERED_UPLOADS - 1. */
  orderedUploadAt(row: number): number;
  /** Address of the tokens that the log has at its end, at most MAX_ACCESS_BYTES. */
  readonly accessAt: number;
  /** Address of the nodes that the log has at its end, see {@link NODES}. */
  readonly nodesAt: number;
  /** Address of the consumers that the log has at its end, see {@link CONSUMERS}. */
  readonly consumersAt: number;
  /** Address of the sessions that the log has at its end, see {@link SESSIONS}. */
  readonly sessionsAt: number;
  /** Address of the main thread's result. */
  readonly mainResultAt: number;
  /** Address of the result of whoever owns the log's end. */
  readonly tailResultAt: number;
  /** Address of the raft thread's result. */
  readonly raftResultAt: number;
  /** Address of a slot writer's result. */
  slotResultAt(slot: number): number;
  /** Address of the two pages in which a slot's writer composes the end of a write. */
  lastPagesAt(slot: number): number;
  coldResultAt(buffer: number): number;
  /** Address of a cold buffer: the first COLD_READERS are for clients' reads, the others to feed other nodes from. */
  coldAt(buffer: number): number;
  /** Address of a buffer to feed other nodes from, 0 to FEED_READERS - 1. */
  feedAt(buffer: number): number;
  /** Cold buffers by number: what other nodes fetch to heal with; where sealed segments are examined, all of it whole pages; what was fetched. */
  readonly fetchBuffer: number;
  readonly workBuffer: number;
  readonly healBuffer: number;
  readonly coldBytes: number;
  readonly totalBytes: number;
}

const COLD_BUFFERS = COLD_READERS + FEED_READERS + 3;

function align(address: number, to: number): number {
  return Math.ceil(address / to) * to;
}

/** Lays out the memory of a node. */
export function memoryMap(shape: MemoryShape): MemoryMap {
  const { segmentBytes, slots } = shape;
  const orderedUploadsAt = align(SLOT_DESCRIPTORS_AT + slots * SLOT_DESCRIPTOR_BYTES, 64);
  const resultsAt = orderedUploadsAt + MAX_ORDERED_UPLOADS * ORDERED_UPLOAD_BYTES;
  const resultBytes = RESULT_SIZE_BYTES;
  const slotResultsAt = resultsAt + 3 * resultBytes;
  const coldResultsAt = slotResultsAt + slots * resultBytes;
  const accessAt = align(coldResultsAt + COLD_BUFFERS * resultBytes, 8);
  const nodesAt = accessAt + MAX_ACCESS_BYTES;
  const consumersAt = align(nodesAt + NODES_BYTES, 8);
  const sessionsAt = align(consumersAt + CONSUMERS.TABLE + MAX_CONSUMERS_BYTES, 8);
  const pointsAt = align(sessionsAt + SESSIONS.TABLE + sessionsCapacityBytes(segmentBytes), 8);
  const pointsBytes = (segmentBytes / INDEX_INTERVAL_BYTES + 1) * 4;
  const lastPagesAt = align(pointsAt + slots * pointsBytes, LAST_PAGES_BYTES);
  const slotsAt = align(lastPagesAt + slots * LAST_PAGES_BYTES, PAGE_BYTES);
  const coldAt = slotsAt + slots * segmentBytes;
  const coldBytes = align(MAX_ENTRY_BYTES + MAX_READ_BYTES, PAGE_BYTES);
  return {
    shape,
    descriptorAt: (slot) => SLOT_DESCRIPTORS_AT + slot * SLOT_DESCRIPTOR_BYTES,
    slotAt: (slot) => slotsAt + slot * segmentBytes,
    pointsAt: (slot) => pointsAt + slot * pointsBytes,
    orderedUploadAt: (row) => orderedUploadsAt + row * ORDERED_UPLOAD_BYTES,
    accessAt,
    nodesAt,
    consumersAt,
    sessionsAt,
    mainResultAt: resultsAt,
    tailResultAt: resultsAt + resultBytes,
    raftResultAt: resultsAt + 2 * resultBytes,
    slotResultAt: (slot) => slotResultsAt + slot * resultBytes,
    lastPagesAt: (slot) => lastPagesAt + slot * LAST_PAGES_BYTES,
    coldResultAt: (buffer) => coldResultsAt + buffer * resultBytes,
    coldAt: (buffer) => coldAt + buffer * coldBytes,
    feedAt: (buffer) => coldAt + (COLD_READERS + buffer) * coldBytes,
    fetchBuffer: COLD_BUFFERS - 3,
    workBuffer: COLD_BUFFERS - 2,
    healBuffer: COLD_BUFFERS - 1,
    coldBytes,
    totalBytes: coldAt + COLD_BUFFERS * coldBytes,
  };
}
