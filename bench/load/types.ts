// The load programs: what each is told, and what it answers. Each runs in a process of its own (load/<name>.ts), so that the load costs
// the server nothing but its share of the machine.

import type { Latency } from '../statistics.ts';
import type { LaneRecord } from './lane.ts';
import type { OpenLoopRun } from './schedule.ts';
import type { LogTarget, Target } from './target.ts';

/** Appends without awaiting each, with backpressure: throughput. */
export interface AppendParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
  /** Time before the measurement, so that both sides are compiled and files are allocated. */
  readonly warmUpSeconds: number;
  /** The measurement ends after this long, or after `entries` when that is not 0. */
  readonly seconds: number;
  readonly entries: number;
  /** Entries of each batch, which only LogLog makes all or nothing; 0: each entry alone, which the client batches as it thinks best. */
  readonly batchEntries: number;
}

export interface AppendResult {
  readonly entries: number;
  /** From the first append of the measurement to its last receipt. */
  readonly seconds: number;
  readonly clientCpuSeconds: number;
}

/** Appends until the connection is lost: load for a node that is killed. */
export interface CutParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
}

export interface CutResult {
  /** Acknowledged. */
  readonly entries: number;
  readonly lost: number;
}

/** One append in flight, to a log in the program and to a served one, in turn. */
export interface EmbeddedParams {
  /** Of a node. */
  readonly url: string;
  /** Of the log in the program. */
  readonly directory: string;
  readonly payloadBytes: number;
  /** Of each log in each pair. */
  readonly appends: number;
  readonly pairs: number;
}

/** Medians of each pair. */
export interface EmbeddedResult {
  readonly embeddedMs: readonly number[];
  readonly servedMs: readonly number[];
}

export interface EmbeddedMemoryParams {
  readonly directory: string;
  /** How long the log is open, and nothing is asked of it. */
  readonly openMs: number;
}

/** Resident memory of the program: as it begins, with LogLog loaded, with the log open, and after its close. */
export interface EmbeddedMemoryResult {
  readonly bareBytes: number;
  readonly loadedBytes: number;
  readonly openBytes: number;
  readonly closedBytes: number;
}

/** Appends with one in flight on each connection: round trips. */
export interface InTurnParams {
  readonly log: LogTarget;
  readonly connections: number;
  /** Whether the connections are made all at the same time, not one after the other. */
  readonly isStorm: boolean;
  readonly payloadBytes: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface InTurnResult {
  readonly entries: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
  readonly latency: Latency;
}

/** Appends with `inFlight` under way over `connections`, each on the one whose turn it is. */
export interface RotatingParams {
  readonly log: LogTarget;
  readonly connections: number;
  readonly inFlight: number;
  readonly payloadBytes: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Appends at a fixed rate, each timed from the moment at which it was due. */
export interface OpenLoopParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
  /** Entries a second. */
  readonly rate: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface OpenLoopResult {
  readonly run: OpenLoopRun;
  readonly clientCpuSeconds: number;
  /** From the due time to the receipt. */
  readonly latency: Latency;
  /** From the due time to the append itself. */
  readonly lateness: Latency;
}

/**
 * One producer and many subscribers at the live tail, each on its connection, in one process so that one clock times all. First as fast as
 * the slowest subscriber takes it, then at a fixed rate for the times.
 */
export interface FanOutParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
  readonly subscribers: number;
  readonly rate: number;
  readonly warmUpSeconds: number;
  /** Of each of the two measurements. */
  readonly seconds: number;
  /** Whether every subscriber compares every entry with what was appended. */
  readonly isChecked: boolean;
}

export interface FanOutResult {
  /** At full speed: entries appended and, by all subscribers together, received. */
  readonly entries: number;
  readonly delivered: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
  /** At the fixed rate. */
  readonly paced: OpenLoopRun;
  /** From the moment at which an append was due to its delivery, of every entry at every subscriber. */
  readonly delivery: Latency;
}

/** Reads what is newest, again and again until the time is over: each pass begins at the last batch with `entries` or more from it on. */
export interface NewestParams {
  readonly log: LogTarget;
  readonly consumers: number;
  /** Where the first pass begins. */
  readonly from: number;
  /** Of each pass, at least. */
  readonly entries: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface NewestResult {
  /** Of all consumers together. */
  readonly entries: number;
  readonly passes: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
}

/** Appends with `inFlight` under way, through the loss of any node, and counts receipts in bins of time. */
export interface TimelineParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
  readonly inFlight: number;
  readonly binMs: number;
  readonly seconds: number;
}

export interface TimelineResult {
  /** When the first bin begins, by the system's monotonic clock. */
  readonly startedMs: number;
  /** Entries acknowledged as committed in each bin. */
  readonly counts: readonly number[];
  /** Appends whose outcome is not known. */
  readonly unknown: number;
}

/** One append in flight at each of several logs, in turn: a slice of time here, a slice there, so that both meet the same machine. */
export interface ComparisonParams {
  readonly logs: readonly LogTarget[];
  readonly payloadBytes: number;
  readonly sliceSeconds: number;
  readonly warmUpSeconds: number;
  /** For each of the logs. */
  readonly seconds: number;
}

/** What was measured of one of the logs. */
export interface Side {
  readonly entries: number;
  readonly clientCpuSeconds: number;
  readonly latency: Latency;
}

export interface ComparisonResult {
  readonly sides: readonly Side[];
}

/** Reads `entries` from `from` on, again and again until `seconds` have passed, or once when they are 0. */
export interface RangeParams {
  readonly log: LogTarget;
  readonly from: number;
  /** Where the warm-up reads, so that it can leave what is measured untouched. */
  readonly warmUpFrom: number;
  /** Whole batches are read until there are as many; a pass that finds fewer is an error. */
  readonly entries: number;
  readonly how: 'batches' | 'entries';
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface RangeResult {
  readonly entries: number;
  /** With those of the warm-up. */
  readonly allEntries: number;
  readonly bytes: number;
  readonly passes: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
}

/** One append at a time, seen by a subscriber on another connection of the same process, whose clock times both. */
export interface TailParams {
  readonly log: LogTarget;
  readonly payloadBytes: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Whether the subscriber compares every entry with what was appended. */
  readonly isChecked: boolean;
}

export interface TailResult {
  /** From the append to its receipt. */
  readonly append: Latency;
  /** From the append to its delivery at the subscriber. */
  readonly delivery: Latency;
  /** Of producer and subscriber. */
  readonly clientCpuSeconds: number;
}

/** A file that was written before, and what is written over it at a time. */
export interface FileParams {
  readonly directory: string;
  readonly fileBytes: number;
  readonly writeBytes: number;
  /** Past the page cache (O_DIRECT); `writeBytes` must be whole pages then. */
  readonly direct: boolean;
}

/** write + fdatasync, front to back and again: limit (a). */
export interface DiskParams extends FileParams {
  readonly seconds: number;
}

export interface DiskResult {
  readonly latency: Latency;
  readonly megabytesPerSecond: number;
}

/** The whole file once, and one fdatasync at the end. */
export type SequentialParams = FileParams;

export interface SequentialResult {
  readonly megabytesPerSecond: number;
}

/** Plain TCP to another process: round trips, then bytes in one direction. */
export interface LoopbackParams {
  readonly url: string;
  readonly payloadBytes: number;
  readonly warmUpSeconds: number;
  /** Of each of the two measurements. */
  readonly seconds: number;
}

export interface LoopbackResult {
  readonly latency: Latency;
  readonly megabytesPerSecond: number;
}

/** Reads everything back, again and again until `seconds` have passed; a pass that finds not just `entries` is an error. */
export interface ReadBackParams {
  readonly log: LogTarget;
  /** Each pass is one of another consumer, whose position the servers remember after each entry. */
  readonly isConsumer?: boolean;
  readonly payloadBytes: number;
  readonly entries: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface ReadBackResult {
  /** Of all passes of the measurement. */
  readonly entries: number;
  /** Of all passes, those of the warm-up too. */
  readonly allEntries: number;
  readonly seconds: number;
  readonly clientCpuSeconds: number;
}

/** Reads everything back once and compares it with what was appended. */
export interface CheckParams {
  readonly target: Target;
  readonly lanes: readonly LaneRecord[];
}

export interface CheckResult {
  readonly checkedEntries: number;
}

/** How the bytes of an append come to the followers: all by the leader; from the client; as the client thinks best. */
export type UploadsMode = 'off' | 'on' | 'auto';

export interface UploadsCase {
  /** That append at the same time. */
  readonly clients: number;
  readonly payloadBytes: number;
}

/** Clients on hosts of their own that append as fast as they are let, in each mode in turn. */
export interface UploadsParams {
  readonly urls: readonly string[];
  /** The switch's interface to each node; undefined where there is none, on loopback. */
  readonly ports: readonly string[] | undefined;
  /** What each client is run under to be on its host. */
  readonly hosts: readonly (readonly string[])[];
  readonly nodeFlags: readonly string[];
  readonly cases: readonly UploadsCase[];
  readonly modes: readonly UploadsMode[];
  /** How often each mode has its turn in each case. */
  readonly turns: number;
  /** Of each client; at least two messages. */
  readonly inFlightBytes: number;
  /** Before each slice is measured. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** What a client is told, and what it answers. */
export interface UploadsSlice extends Pick<UploadsParams, 'urls' | 'inFlightBytes' | 'warmUpSeconds' | 'seconds'> {
  readonly mode: UploadsMode;
  readonly payloadBytes: number;
}

export interface UploadsSliceAnswer {
  /** All of the slice. */
  readonly entries: number;
  /** Payloads whose receipts came in the time that is measured. */
  readonly measuredBytes: number;
  readonly histogram: string;
  readonly clientCpuSeconds: number;
  /** Messages that were put on a follower, and followers that were waited for in vain. */
  readonly uploaded: number;
  readonly missed: number;
  /** Why followers were left. */
  readonly lost: readonly string[];
}

/** What the leader did while a slice was measured, as it counts itself; its interface's bytes are undefined where it has none of its own. */
export interface UploadsLeaderRow {
  readonly isSameLeader: boolean;
  /** What it wrote to its links to other nodes, and what its interface sent to all, for each byte that was appended. */
  readonly leaderSentPerByte: number;
  readonly leaderInterfacePerByte: number | undefined;
  readonly hits: number;
  readonly misses: number;
}

/** One slice of all clients together. */
export interface UploadsRow extends UploadsCase, UploadsLeaderRow {
  readonly mode: UploadsMode;
  /** Payloads that were committed. */
  readonly megabytesPerSecond: number;
  /** The same of the client that had the least. */
  readonly leastMegabytesPerSecond: number;
  /** From the append to the receipt that it is committed. */
  readonly latency: Latency;
  /** With the warm-up, as are the rest. */
  readonly entries: number;
  readonly uploaded: number;
  readonly missed: number;
  readonly lost: readonly string[];
  readonly clientCpuSeconds: number;
}

export interface UploadsResult {
  readonly rows: readonly UploadsRow[];
}

/** Clients that upload in pieces until they are told to end. */
export interface TricklersParams {
  readonly log: LogTarget;
  /** Place of the leader's among its URLs. */
  readonly leader: number;
  readonly connections: number;
  readonly payloadBytes: number;
  /** How long one upload takes. */
  readonly periodMs: number;
  /** Late: one upload, again and again, as soon as the leader waits for it. Lying: each is another one than its append. */
  readonly manner: 'honest' | 'late' | 'lying';
}

export interface TricklersResult {
  readonly appends: number;
  readonly late: number;
}

export interface Loads {
  append: { params: AppendParams; result: AppendResult };
  cut: { params: CutParams; result: CutResult };
  inTurn: { params: InTurnParams; result: InTurnResult };
  rotating: { params: RotatingParams; result: InTurnResult };
  embedded: { params: EmbeddedParams; result: EmbeddedResult };
  embeddedMemory: { params: EmbeddedMemoryParams; result: EmbeddedMemoryResult };
  openLoop: { params: OpenLoopParams; result: OpenLoopResult };
  fanOut: { params: FanOutParams; result: FanOutResult };
  newest: { params: NewestParams; result: NewestResult };
  timeline: { params: TimelineParams; result: TimelineResult };
  comparison: { params: ComparisonParams; result: ComparisonResult };
  readBack: { params: ReadBackParams; result: ReadBackResult };
  range: { params: RangeParams; result: RangeResult };
  tail: { params: TailParams; result: TailResult };
  disk: { params: DiskParams; result: DiskResult };
  sequential: { params: SequentialParams; result: SequentialResult };
  loopback: { params: LoopbackParams; result: LoopbackResult };
  check: { params: CheckParams; result: CheckResult };
  tricklers: { params: TricklersParams; result: TricklersResult };
  uploads: { params: UploadsParams; result: UploadsResult };
}

export type LoadName = keyof Loads;

/** Both ways it says what became of all that was appended. */
export type LoadOutcome<Result> = { readonly ok: true; readonly value: Result; readonly lanes: readonly LaneRecord[] } | LoadFailure;

export interface LoadFailure {
  readonly ok: false;
  readonly error: string;
  /** Whether the judge found that the log is not what was appended. */
  readonly isMismatch: boolean;
  readonly lanes: readonly LaneRecord[];
}
