// What is measured and written down: sizes, samples, distributions, series, and what load programs answered.

import type { LoadName, UploadsMode } from './load/types.ts';

export type Unit = 'entries/s' | 'MB/s' | 'ms' | 's' | 'MB' | '%' | '×' | 'bytes' | 's/million' | '/s' | '';

/** What a value must be, on the machine that the targets are meant for: two cores. */
export interface Target {
  readonly is: 'at least' | 'at most';
  readonly value: number;
}

/** Where a number stands in the report's bar charts. All bars of a chart have the same unit. */
export interface Bar {
  readonly chart: string;
  /** Bars that are compared with one another, such as those of one size of entries. */
  readonly group: string;
  /** Who is measured. */
  readonly series: string;
}

/** Where a number stands in the tables that compare systems: one table for each group, in it a row for each system. */
export interface Beside {
  /** What is the same for all that are compared, such as the size of the entries. */
  readonly group: string;
  /** The column: what the number is. */
  readonly number: string;
  /** Id of the system. */
  readonly system: string;
  /** Where the group stands on an axis of sizes of entries, in bytes: then the number is drawn over them, too. */
  readonly payloadBytes?: number;
  /** Whether it is one of the numbers by which LogLog is said to be ahead or behind: when it is one in all rounds, and of both sides. */
  readonly isCompared: boolean;
}

/** One number of one run. Numbers of the same name of several runs are summed up together. */
export interface Sample {
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  readonly target?: Target;
  /** Is of a log, read or written, and means nothing unless its syncs reach a disk: so are all of a scenario unless they say otherwise. */
  readonly needsDisk?: boolean;
  /** Of a system that answers before anything is synced: not to be compared with one that syncs first. */
  readonly isUnsynced?: boolean;
  readonly bar?: Bar;
  readonly beside?: Beside;
}

/** All times of one kind in one run. Those of the same name of several runs are merged. */
export interface Distribution {
  readonly what: string;
  /** Distributions of one group of a scenario are drawn into one chart; empty: all of it are. */
  readonly group?: string;
  /** As in a `Latency`. */
  readonly histogram: string;
  /** Both as in a sample. */
  readonly needsDisk: boolean;
  readonly isUnsynced?: boolean;
}

/** A moment of a series that the report marks. */
export interface Mark {
  readonly atMs: number;
  readonly what: string;
}

/** A rate over time, in bins of the same length. Those of a run that begin at the same moment are drawn together. */
export interface Series {
  readonly what: string;
  readonly unit: Unit;
  /** Where the first bin begins; 0 is the moment that the scenario is about. */
  readonly startMs: number;
  readonly binMs: number;
  readonly values: readonly number[];
  readonly marks: readonly Mark[];
}

/** Every size that the command line sets. */
export interface Sizes {
  readonly smallBytes: number;
  readonly largeBytes: number;
  readonly connections: number;
  /** Entry sizes of append-sizes. */
  readonly entryBytes: readonly number[];
  /** Entries of each batch of append-batches, one measurement each. */
  readonly batches: readonly number[];
  /** Numbers of nodes of what is measured where a scenario can measure either: 1, 3. */
  readonly nodes: readonly number[];
  /** Entries a second of the open loop, one measurement each. */
  readonly rates: readonly number[];
  /** Numbers of subscribers of the fan-out, one measurement each. */
  readonly subscribers: readonly number[];
  /** Entries a second that are appended while the fan-out times deliveries. */
  readonly fanOutRate: number;
  /** Entries a second that are appended beside the readers of the mixed load. */
  readonly mixedRate: number;
  /** Consumers in the mixed load that read what is newest. */
  readonly hotReaders: number;
  /** Length of each measurement, and of the warm-up before it. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Entries of each append measurement; 0: as many as `seconds` takes. */
  readonly entries: number;
  /** Entries that read-back reads, and those that are read hot, at the end of the log; tail memory must hold them. */
  readonly hotEntries: number;
  readonly coldEntries: number;
  /** Size of the log that the restart scenario starts on. */
  readonly logBytes: number;
  /** Size of the log that a follower without one catches up with. */
  readonly catchUpBytes: number;
  /** Times that a leader is killed in one run. */
  readonly failovers: number;
  /** Times that the office is handed over in one run. */
  readonly transfers: number;
  /** Length of the full load under which no election may happen. */
  readonly stabilitySeconds: number;
  readonly stormConnections: number;
  /** The many of `growth`. */
  readonly growthConnections: number;
  readonly growthSubscribers: number;
  /** Entries of the logs that restart-idle starts on, and their sizes, one measurement each. */
  readonly restartEntries: number;
  readonly restartBytes: readonly number[];
  /** Of `uploads`: nodes of its clusters, clients of each (0: as many as nodes), payloads, and modes in turn. */
  readonly uploadNodes: readonly number[];
  readonly uploadClients: readonly number[];
  readonly uploadBytes: readonly number[];
  readonly uploadModes: readonly UploadsMode[];
  /** How often each mode has its turn, in each round. */
  readonly uploadTurns: number;
  readonly uploadInFlightBytes: number;
  /** Of each link, in each direction. */
  readonly uploadMegabits: number;
  readonly uploadQueueMs: number;
  /** Whether everything that was acknowledged is read back and compared. */
  readonly isChecked: boolean;
  readonly electionTimeoutMs: number;
  readonly windowBytes: number;
  readonly segmentBytes: number;
  readonly slots: number;
}

/** What a load program answered, for the JSON report. */
export interface LoadRecord {
  readonly load: LoadName;
  readonly params: object;
  readonly result: object;
}
