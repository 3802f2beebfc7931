// How much room the disk has for the log, and what follows from that. Three levels; a level is left only once there is clearly more room than
// where it began, so that a disk at the bound does not flip between them.
//
//   room       0 ──────────── critical ── + margin ──────── low ── + margin ────────►
//   falling    │   critical       │            low            │            ok
//   rising     │          critical             │         low            │      ok
//
// Room is what is free, and the files made ahead, less what files of open segments have yet to take. So those made ahead are the ballast: they
// are used up, and where others leave nothing free, given up, before the log comes to its bound.
//
// At critical a node orders no appends. All else goes on: it stores what its leader sends, votes, and serves reads. It tells its leader, who
// orders nothing either once too few nodes have room to make a majority.

import type { Config } from '../core/config.ts';
import { DISK_IDLE_LOOK_MS, DISK_LOOK_MS } from '../core/limits.ts';
import { DISK_CRITICAL, DISK_LOW, DISK_OK, STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop, Timer } from './loop.ts';
import type { Segments } from './segments.ts';
import type { DiskStatus } from './status.ts';

export type DiskLevel = 'ok' | 'low' | 'critical';

const WORDS: Readonly<Record<DiskLevel, number>> = { ok: DISK_OK, low: DISK_LOW, critical: DISK_CRITICAL };

export type DiskBounds = Pick<Config, 'diskLowBytes' | 'diskCriticalBytes' | 'segmentBytes'>;

export interface DiskRoomPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'after'>;
  readonly bounds: DiskBounds;
  readonly log: { info(text: string): void; warn(text: string): void };
  readonly segments: Pick<Segments, 'spareBytes' | 'owedBytes' | 'giveUpSpare'>;
  /** Ids of the other nodes. */
  readonly others: readonly number[];
  /** From one look to the next; 0: nobody looks; where it is not given, as usual, and less often while nothing is appended. */
  readonly lookMs?: number | undefined;
  freeBytes(): Promise<number>;
  /** Removes a file that was made ahead. */
  discard(spare: string): void;
  /** From now on appends are refused, for this reason; empty: they are not. */
  refuse(sentence: string): void;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** How much more than a level's bound there must be to leave it. */
function marginOf(bytes: number, segmentBytes: number): number {
  return Math.max(segmentBytes, Math.ceil(bytes / 4));
}

/** The level of a disk with so much room, which was `before`. */
export function levelOf(
  room: number,
  before: DiskLevel,
  { diskLowBytes: low, diskCriticalBytes: critical, segmentBytes }: DiskBounds,
): DiskLevel {
  if (room < critical || (before === 'critical' && room < critical + marginOf(critical, segmentBytes))) return 'critical';
  if (room < low || (before !== 'ok' && room < low + marginOf(low, segmentBytes))) return 'low';
  return 'ok';
}

export class DiskRoom {
  readonly #ports: DiskRoomPorts;
  #level: DiskLevel = 'ok';
  /** As of the last look; undefined while nobody could say. */
  #freeBytes: number | undefined;
  #isLooking = false;
  #looksAgain = false;
  #isOver = false;
  #hasComplained = false;
  /** Why appends are refused, and whether this node's own disk is why; empty: they are not. */
  #refusal = '';
  #isOwnRefusal = false;
  #timer: Timer | undefined;
  /** The log's end when the next look was planned. */
  #end = -1;

  constructor(ports: DiskRoomPorts) {
    this.#ports = ports;
  }

  get level(): DiskLevel {
    return this.#level;
  }

  /** Whether this node's own disk has no room for appends. */
  get isCritical(): boolean {
    return this.#level === 'critical';
  }

  /** Bytes that the log may yet take; undefined where nobody can say. */
  get roomBytes(): number | undefined {
    const { segments } = this.#ports;
    return this.#freeBytes === undefined ? undefined : Math.max(0, this.#freeBytes + segments.spareBytes - segments.owedBytes);
  }

  get status(): DiskStatus {
    const { diskLowBytes: lowBytes, diskCriticalBytes: criticalBytes } = this.#ports.bounds;
    return {
      level: this.#level,
      freeBytes: this.#freeBytes ?? null,
      roomBytes: this.roomBytes ?? null,
      lowBytes,
      criticalBytes,
      whyRefused: this.#refusal === '' ? null : `${this.#refusal}: make room`,
    };
  }

  /** Looks for the first time, and from then on again and again. Resolves after the first look; never rejects. */
  async start(): Promise<void> {
    if (this.#ports.lookMs === 0) return;
    await this.#look();
    this.#plan();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** Whether a file of zeros may be made beside what is kept free for others and for what has no file yet. */
  mayAllocate(): boolean {
    const { diskCriticalBytes, segmentBytes } = this.#ports.bounds;
    return this.#freeBytes === undefined || this.#freeBytes - segmentBytes >= diskCriticalBytes;
  }

  /** A segment was opened: that may have taken room, or will. */
  opened(): void {
    if (this.#timer !== undefined) void this.#look();
  }

  /** Other nodes said something of their disks, or this one leads, or does not any more. */
  nodesChanged(): void {
    const refusal = this.#findRefusal();
    if (refusal === this.#refusal) return;
    const { log, refuse } = this.#ports;
    // What its own disk has to do with it is said with the level.
    if (refusal === '') {
      if (!this.#isOwnRefusal) log.info('a majority of the nodes has room on its disks again: appends are taken');
    } else if (!this.isCritical) {
      log.warn(`${refusal}: make room`);
    }
    this.#refusal = refusal;
    this.#isOwnRefusal = this.isCritical;
    refuse(refusal === '' ? '' : `${refusal}: nothing of this append was done; make room, and it will be taken`);
  }

  #findRefusal(): string {
    const { memory, others } = this.#ports;
    if (this.isCritical) {
      return `the disk of this node has too little room for more entries, of which ${mebibytes(this.#ports.bounds.diskCriticalBytes)} are kept`;
    }
    const full = others.filter((id) => memory.peers.isFull(id));
    const majority = Math.floor((others.length + 1) / 2) + 1;
    if (others.length + 1 - full.length >= majority) return '';
    return `the disks of nodes ${full.join(', ')} have no room for more entries, so that no majority could store them`;
  }

  #plan(): void {
    if (this.#isOver) return;
    const { lookMs, memory, loop } = this.#ports;
    const { tail } = memory;
    // Nobody waits for news of a disk that has room: what is appended goes into files that are there, and each new one is a look.
    const isIdle = tail === this.#end && this.#level === 'ok';
    this.#end = tail;
    this.#timer = loop.after(
      lookMs ?? (isIdle ? DISK_IDLE_LOOK_MS : DISK_LOOK_MS),
      () => {
        void this.#look();
        this.#plan();
      },
      true,
    );
  }

  /** One look at a time: on a disk that hangs none comes back. Who asks meanwhile gets another one after it. */
  async #look(): Promise<void> {
    this.#looksAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#looksAgain && !this.#isOver) {
      this.#looksAgain = false;
      try {
        this.#found(await this.#ports.freeBytes());
      } catch (thrown) {
        this.#notFound(thrown);
      }
    }
    this.#isLooking = false;
  }

  #notFound(thrown: unknown): void {
    this.#freeBytes = undefined;
    if (!this.#hasComplained) this.#ports.log.warn(`how much room the disk has cannot be found out: ${String(thrown)}`);
    this.#hasComplained = true;
  }

  #found(freeBytes: number): void {
    if (this.#isOver) return;
    this.#freeBytes = freeBytes;
    const { bounds, segments, discard } = this.#ports;
    // Others have taken what is kept for votes, indexes and names of trims.
    const spare = freeBytes < bounds.diskCriticalBytes / 2 ? segments.giveUpSpare() : undefined;
    if (spare !== undefined) {
      discard(spare);
      this.#looksAgain = true;
      return;
    }
    this.#setLevel(levelOf(this.roomBytes ?? 0, this.#level, bounds));
  }

  #setLevel(level: DiskLevel): void {
    if (level === this.#level) return;
    const before = this.#level;
    this.#level = level;
    this.#ports.memory.setWord32(STATE.DISK_LEVEL, WORDS[level]);
    this.#say(before);
    this.nodesChanged();
  }

  #say(before: DiskLevel): void {
    const { log, bounds } = this.#ports;
    const room = `${mebibytes(this.roomBytes ?? 0)} are left for the log on this node's disk`;
    if (this.#level === 'critical') {
      const bound = `less than ${mebibytes(bounds.diskCriticalBytes)}`;
      log.warn(
        `the disk is full: ${room}, ${bound}: this node takes no appends until there is more; make room. Reads and replication go on`,
      );
    } else if (this.#level === 'low') {
      const again = before === 'critical' ? 'there is room again, and appends are taken, but ' : '';
      log.warn(`${again}the disk is low: ${room}; below ${mebibytes(bounds.diskCriticalBytes)} this node takes no appends. Make room`);
    } else {
      log.info(`the disk has room again: ${room}${before === 'critical' ? '; appends are taken' : ''}`);
    }
  }
}
