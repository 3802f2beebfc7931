// What a node knows of itself and its cluster, as /status shows it.

import { maxBatchBytes } from '../core/capacities.ts';
import type { Cause } from '../core/causes.ts';
import { LOG_LEVEL } from '../core/levels.ts';
import type { MemberRole } from '../core/members.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import type { Appends } from './appends.ts';
import type { DamageStatus, Damages } from './damages.ts';
import type { CertificateStatus, Door } from './door.ts';
import type { EngineConfig } from './engineOptions.ts';
import { quantile } from './histogram.ts';
import type { Loop } from './loop.ts';
import type { OpenDamageStatus } from './mending.ts';
import type { MirrorStatus } from './mirrorPort.ts';
import { residentBytes } from './residentBytes.ts';
import type { Scrub, ScrubStatus } from './scrub.ts';
import type { Segments } from './segments.ts';
import type { SessionStatus, Sessions } from './sessions.ts';
import type { Uploads } from './uploads.ts';

export type NodeRole = 'leader' | 'candidate' | 'follower';

/** Upper bound of the first bucket of times that syncs take. */
export const FIRST_SYNC_SECONDS = 16e-6;

/** How a leader feeds another node; `unknown` where this node does not lead, of itself, and of one that has not answered or is not connected. */
export type FeedState = 'unknown' | 'probing' | 'replicating' | 'catchingUp' | 'cannotBeFed';

/** A node of the cluster as the asked one knows it: fully where it leads, otherwise what a follower can know. */
export interface ClusterNodeStatus {
  readonly id: number;
  /** Where clients reach it. */
  readonly url: string;
  /** `host:port` where the other nodes reach it; null for a node without a cluster. */
  readonly peerAddress: string | null;
  readonly isSelf: boolean;
  /** The asked node's own link to it is up. */
  readonly isConnected: boolean;
  /** Whether it counts for majorities: a node that lost its disk does not until it is admitted again; null where this is not known. */
  readonly isVoter: boolean | null;
  /** What the log says that it is: a learner becomes a voter when it has all that is committed, a reader stays one; null where the log does not say it. */
  readonly role: MemberRole | null;
  /** Log offset up to which it is known to hold the log durably; null where this is not known. */
  readonly durable: number | null;
  /** What is missing there of the leader's log; null where `durable` is, or where this node does not lead. */
  readonly lagBytes: number | null;
  readonly state: FeedState;
  /** It lacks what it had acknowledged to the leader, because it runs on an old copy of its disk; null where this is not known. */
  readonly isOldCopy: boolean | null;
  /** Unix milliseconds of its last message; null for none, and of itself. */
  readonly lastContactMs: number | null;
  /** Bytes that this node has handed to its link to it since this node started; null of itself. */
  readonly sentBytes: number | null;
}

/** How much room the disk has for the log. */
export interface DiskStatus {
  /** `low`: the node warns; `critical`: it takes no appends. */
  readonly level: 'ok' | 'low' | 'critical';
  /** What is free on the disk, and what of it the log may take, with files made ahead; null where the system does not say. */
  readonly freeBytes: number | null;
  readonly roomBytes: number | null;
  /** The levels begin below these. */
  readonly lowBytes: number;
  readonly criticalBytes: number;
  /** Why this node would order no appends: its own disk, or where it leads those of too many others; null while it would. */
  readonly whyRefused: string | null;
}

/** How long writes of entries took with their syncs, since the node started. */
export interface SyncStatus {
  readonly count: number;
  /** Half of them, and 99 of a hundred, took no longer, in milliseconds, rounded up to a power of two times 0.016; null: there was none. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** How far the log says what its segments are. */
export interface SealStatus {
  /** Log offset before which all segments are sealed by committed entries; 0: none is yet. */
  readonly end: number;
  /** Segments whose bytes here are valid, and are not what the log says: the log offsets where they begin. Nobody gets them from this node. */
  readonly different: readonly number[];
  /** Log offset where the segment begins that is to be sealed next; for how long it has been; and for people: what it waits for. Null: all that can be is sealed. */
  readonly next: number | null;
  readonly waitsMs: number | null;
  readonly why: string | null;
}

/** What GET /status answers, as JSON. Offsets and sizes in bytes, times in milliseconds. */
export interface NodeStatus {
  readonly version: string;
  readonly clusterId: string;
  readonly node: {
    readonly id: number;
    readonly role: NodeRole;
    readonly term: number;
    readonly url: string;
    readonly uptimeMs: number;
    /** False with `--fsync off`: nothing that the node acknowledges is durable. */
    readonly isDurable: boolean;
    /** What has the connections of its clients: `uws` (uWebSockets.js) or `ws`; null where it does not listen. */
    readonly acceptor: 'uws' | 'ws' | null;
    /** True with `--insecure` where others than this machine reach the node: whoever does may do everything. */
    readonly isInsecure: boolean;
    /** The certificates of the port for clients, and of that for nodes; empty where there are none. */
    readonly certificates: readonly CertificateStatus[];
    /** Who leads, as far as this node knows: itself, another node, or null. */
    readonly leader: { readonly id: number; readonly url: string } | null;
    /** For people: why there is none, as far as this node knows; null while it knows one, or knows no reason. */
    readonly whyNoLeader: string | null;
    /** What its clock shows, Unix milliseconds. */
    readonly clockMs: number;
    /** Newest level of a log that its build knows. */
    readonly newestLevel: number;
    /** 16 hexadecimal digits, drawn when the process began: who answers at two addresses with one number is one process. */
    readonly process: string;
  };
  readonly cluster: {
    /** All nodes by id, the asked one among them. */
    readonly nodes: readonly ClusterNodeStatus[];
    /** What this node knows to be wrong between the nodes, whether or not there is a leader. */
    readonly causes: readonly Cause[];
    /** How many more nodes may fail before there is no majority; null where this node does not lead. */
    readonly toleratedFailures: number | null;
  };
  readonly log: {
    readonly start: number;
    readonly commit: number;
    readonly durable: number;
    readonly tail: number;
    /** Its level. */
    readonly level: number;
    /** The log's time at its end here, Unix milliseconds; null: it has none yet, or is of level 0. */
    readonly timeMs: number | null;
    /** This node leads, and its clock is not near enough to those of a majority, or leapt where it is alone: the log's time stands still. */
    readonly isTimeHeld: boolean;
  };
  readonly segments: { readonly sealed: number; readonly bytes: number };
  readonly seals: SealStatus;
  readonly disk: DiskStatus & {
    /** The name of the file system, as far as it is a common one on Linux; else its number in hexadecimal digits; null: not known. */
    readonly fileSystem: string | null;
    readonly syncs: SyncStatus;
  };
  /** How this node reads its sealed segments through, and what it found damaged of them. */
  readonly scrub: ScrubStatus &
    DamageStatus & {
      /** What is damaged of the segment in which the log goes on, so that the node does not count; null: nothing. */
      readonly openDamage: OpenDamageStatus | null;
    };
  /** On a mirror: how it and its source stand; null on any other node. */
  readonly mirror: MirrorStatus | null;
  readonly clients: { readonly connections: number; readonly heldAppendBytes: number; readonly sendBufferedBytes: number };
  readonly appends: { readonly entries: number; readonly batches: number; readonly bytes: number };
  /** Sessions of producers, and of their appends those that were sent again here and were in the log already, since the start. */
  readonly sessions: SessionStatus & { readonly repeats: number };
  /** Copies of appends that clients put on nodes themselves. */
  readonly uploads: {
    /** Whether this node takes any. */
    readonly isOn: boolean;
    /** What is staged here now, and the memory that it takes. */
    readonly staged: number;
    readonly stagedBytes: number;
    /** Since the start: taken whole, put to their place in the log, forgotten because their time was over or their room was needed, refused. */
    readonly taken: number;
    readonly takenBytes: number;
    readonly placed: number;
    readonly expired: number;
    readonly refused: number;
    /** Where this node leads, since its start: those that another node was referred to, and those that one had to be sent although its client named it. */
    readonly hits: number;
    readonly misses: number;
  };
  readonly memory: { readonly residentBytes: number };
  readonly limits: { readonly maxPayloadBytes: number; readonly windowBytes: number; readonly maxBatchBytes: number };
}

/** What a node knows of its cluster; `listenUrl`: where its own clients reach it, where no option says otherwise. */
interface ClusterFacts {
  node(listenUrl: string): Pick<NodeStatus['node'], 'id' | 'role' | 'term' | 'url' | 'leader' | 'whyNoLeader'>;
  nodes(listenUrl: string): readonly ClusterNodeStatus[];
  readonly causes: readonly Cause[];
  readonly toleratedFailures: number | null;
}

/** Whom the facts are taken from: an engine. */
export interface StatusSources {
  readonly config: EngineConfig;
  readonly processNumber: string;
  readonly version: string;
  readonly fileSystem: string | null;
  readonly identity: Identity;
  readonly startedMs: number;
  readonly loop: Pick<Loop, 'wallMs'>;
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'timeMs' | 'isTimeHeld' | 'level'>;
  readonly cluster: ClusterFacts;
  readonly segments: Segments;
  readonly seals: { readonly status: SealStatus };
  readonly disk: { readonly status: DiskStatus };
  readonly scrub: Pick<Scrub, 'status'>;
  readonly sessions: Pick<Sessions, 'status'>;
  readonly damages: Pick<Damages, 'status'>;
  readonly mending: { readonly status: OpenDamageStatus | undefined };
  readonly mirror: { status(): MirrorStatus } | undefined;
  readonly appends: Appends;
  readonly uploads: Uploads;
  readonly doors: Iterable<Door>;
  readonly peerFiles: { readonly certificates: readonly CertificateStatus[] } | undefined;
  readonly url: string;
}

/** What the log says that the time is, and whether that stands still. */
export function timeOf({ memory, fold }: Pick<StatusSources, 'memory' | 'fold'>): Pick<NodeStatus['log'], 'timeMs' | 'isTimeHeld'> {
  const { timeMs, isTimeHeld, level } = fold;
  return { timeMs: timeMs > 0 ? timeMs : null, isTimeHeld: isTimeHeld && level > 0 && memory.word(WORD.OPEN_TERM) !== 0 };
}

function syncsOf(memory: TailMemory): SyncStatus {
  const counts = memory.syncBuckets();
  const within = (share: number): number | null => {
    const seconds = quantile(counts, FIRST_SYNC_SECONDS, share);
    return seconds === undefined ? null : seconds * 1e3;
  };
  return { count: counts.reduce((sum, count) => sum + count, 0), p50Ms: within(0.5), p99Ms: within(0.99) };
}

/** What /status shows of an engine and its doors. */
export function statusOf(engine: StatusSources): NodeStatus {
  const { config, processNumber, identity, startedMs, loop, memory, cluster, segments, appends, uploads, doors, url } = engine;
  const start = memory.word(WORD.START);
  let connections = 0;
  let sendBufferedBytes = 0;
  let acceptor: NodeStatus['node']['acceptor'] = null;
  const certificates: CertificateStatus[] = [...(engine.peerFiles?.certificates ?? [])];
  for (const door of doors) {
    certificates.push(...(door.certificates ?? []));
    connections += door.connections;
    sendBufferedBytes += door.sendBufferedBytes;
    acceptor ??= door.acceptor ?? null;
  }
  return {
    version: engine.version,
    clusterId: identity.clusterId,
    node: {
      ...cluster.node(url),
      process: processNumber,
      clockMs: loop.wallMs(),
      newestLevel: LOG_LEVEL,
      isDurable: config.fsync,
      isInsecure: config.insecure,
      certificates,
      acceptor,
      uptimeMs: loop.wallMs() - startedMs,
    },
    cluster: { nodes: cluster.nodes(url), causes: cluster.causes, toleratedFailures: cluster.toleratedFailures },
    log: { start, commit: memory.commit, durable: memory.durable, tail: memory.tail, level: engine.fold.level, ...timeOf(engine) },
    segments: { sealed: segments.sealedCount, bytes: memory.tail - start },
    seals: engine.seals.status,
    disk: { ...engine.disk.status, fileSystem: engine.fileSystem, syncs: syncsOf(memory) },
    scrub: { ...engine.scrub.status, ...engine.damages.status, openDamage: engine.mending.status ?? null },
    mirror: engine.mirror?.status() ?? null,
    clients: { connections, heldAppendBytes: appends.heldBytes, sendBufferedBytes },
    appends: { ...appends.counters },
    sessions: { ...engine.sessions.status, repeats: appends.repeats },
    uploads: {
      isOn: uploads.isOn,
      staged: uploads.count,
      stagedBytes: uploads.stagedBytes,
      ...uploads.counters,
      hits: memory.word(WORD.REFERENCE_HITS),
      misses: memory.word(WORD.REFERENCE_MISSES),
    },
    memory: { residentBytes: residentBytes() },
    limits: { maxPayloadBytes: config.maxPayloadBytes, windowBytes: config.windowBytes, maxBatchBytes: maxBatchBytes(config) },
  };
}
