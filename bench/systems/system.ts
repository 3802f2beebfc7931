// What a system is that is measured: how it is called and found, what it has on disk before it answers, and how it is started.

import type { DriverName, Target } from '../load/target.ts';
import type { Signal } from '../processes/processes.ts';
import type { Sizes } from '../sample.ts';

/** Nodes of a cluster. */
export const CLUSTER_NODES = 3;

/** Major and minor number, of which the first that differs decides. */
export type Version = readonly [major: number, minor: number];

/** What a system needs to be started. */
export interface Place {
  readonly sizes: Sizes;
  /** Path of a folder that is not there yet. */
  newFolder(name: string): string;
}

/** A program that comes with the system, not with LogLog. */
export interface ProgramSource {
  readonly name: string;
  /** Debian's package of it. */
  readonly debianPackage: string;
  /** Argument that makes it print its version. */
  readonly versionFlag: string;
}

/** A system with one setting. */
export interface System {
  /** How it is called on the command line and on every line of the report. */
  readonly id: string;
  readonly label: string;
  readonly driver: DriverName;
  readonly nodes: 1 | 3;
  /** Number of nodes, and whether an append is synced before it is answered: stands in every row of the report. */
  readonly setting: string;
  /** Whether what was acknowledged is on disk: of a cluster, on the disks of a majority. */
  readonly isDurable: boolean;
  /** Of LogLog, the folder of a build that is not this one. */
  readonly build?: string | undefined;
  /** Undefined: it is LogLog. */
  readonly program: ProgramSource | undefined;
  /** The first version that has the setting; undefined: all have. */
  readonly since: Version | undefined;
  /** The same with TLS between clients and server; undefined: it is not measured so. */
  readonly secured?: System;
  /** The same whose log takes once what is sent again; undefined: it has not got that, or is not measured so. */
  readonly once?: System;
  /** Starts it on nothing, on free ports of loopback, and waits until it answers. `path` is that of its program. */
  start(place: Place, path: string): Promise<RunningSystem>;
}

/** A system that runs; its servers have the numbers from 1 on. */
export interface RunningSystem {
  /** Where clients reach it now. */
  target(): Promise<Target>;
  /** Where its servers have their data. */
  readonly folders: readonly string[];
  /** How long a server that follows hears nothing before it asks for an election, at least. */
  readonly electionTimeoutMs: number;
  /** CPU seconds of all its processes so far; undefined where the system does not tell. */
  cpuSeconds(): number | undefined;
  /** Resident memory of all its processes together. */
  residentBytes(): number | undefined;
  /** Bytes that its processes had fetched from storage, so not from the page cache. */
  storageReadBytes(): number | undefined;
  /** Number of the server that leads, once one does that clients can append to. */
  leader(): Promise<number>;
  /** Ends a server; its data stays. */
  end(id: number, signal: Signal): Promise<void>;
  /** Starts a server that was ended on what it has, and waits until it answers. */
  start(id: number): Promise<void>;
  /** The end of what those of its servers wrote that ended by themselves; empty when all run. */
  lastWords(): string;
  /** Stops it and removes its data. */
  remove(): Promise<void>;
}

/** A system that is here, in the version that its program says it is. */
export interface FoundSystem {
  readonly system: System;
  readonly version: string;
  readonly path: string;
}

/** Whether it is LogLog of this build. */
export function isOwn({ driver, build }: System): boolean {
  return driver === 'loglog' && build === undefined;
}
