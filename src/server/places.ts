// The places of connections on the clients' port, so that clients never get the descriptors that the log needs.
//
// uWS calls a WebSocket closed as soon as either side has said goodbye, but keeps its descriptor until the client has closed its end too, up to
// 16 s, and there is no way to reach such a connection any more (`ws` tells of each). So those count here, under the bound for clients: HTTP keeps its own places,
// and the log its descriptors, whatever clients do after a goodbye. Nobody tells when they are gone. So when it matters it is looked up.

import { readdirSync, readlinkSync } from 'node:fs';
import { DESCRIPTORS_LOOK_MS } from '../core/servingLimits.ts';
import type { ClientPlaces } from './descriptors.ts';

/** With more descriptors than this all are taken for sockets: to ask for each would take long, and the others are few beside them. */
const MAX_ASKED = 4096;

function isSocket(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:');
  } catch {
    // It was closed meanwhile.
    return false;
  }
}

/** Sockets that this process has open; undefined where the system does not say. */
export function openSockets(): number | undefined {
  try {
    const descriptors = readdirSync('/proc/self/fd');
    return descriptors.length > MAX_ASKED ? descriptors.length : descriptors.filter(isSocket).length;
  } catch {
    return undefined;
  }
}

/** The system and the clock, so that a test can have its own. */
export interface PlacesSystem {
  openSockets(): number | undefined;
  /** Connections that said goodbye and still have their descriptors; undefined where that is not known. */
  lingering(): number | undefined;
  nowMs(): number;
}

/** Of this process. */
export function systemPlaces(lingering: () => number | undefined): PlacesSystem {
  return { openSockets, lingering, nowMs: () => performance.now() };
}

export class Places {
  readonly #bounds: ClientPlaces;
  /** Connections that are alive: those of HTTP, or not WebSockets yet, and those of clients. */
  readonly #http: () => number;
  readonly #clients: () => number;
  readonly #system: PlacesSystem;
  /** Sockets of this process that are not clients'. */
  #others: number;
  /** Connections that said goodbye and may still have their descriptors; never fewer than have. */
  #ended = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(bounds: ClientPlaces, http: () => number, clients: () => number, system: PlacesSystem) {
    this.#bounds = bounds;
    this.#http = http;
    this.#clients = clients;
    this.#system = system;
    this.#others = system.openSockets() ?? 0;
  }

  /** Whether another WebSocket may be made of a connection that is there. */
  get hasPlaceForClient(): boolean {
    if (this.#clients() >= this.#bounds.maxConnections) return false;
    return this.#fits(() => this.#clients() + this.#lingering < this.#clientDescriptors);
  }

  /** Whether there are more connections than places: one of HTTP is to go. */
  get isOverfull(): boolean {
    return this.#http() + this.#clients() > this.#bounds.maxSockets || this.isOverDescriptors;
  }

  /** Whether there are more of them than descriptors: one of HTTP must go. */
  get isOverDescriptors(): boolean {
    return !this.#fits(() => this.#http() + this.#clients() + this.#lingering <= this.#bounds.maxDescriptors);
  }

  /** Whether a connection may be ended with a goodbye, and not at once: what that may hold back must leave places for new clients. */
  get hasPlaceForGoodbye(): boolean {
    return this.#fits(() => this.#lingering < this.#clientDescriptors / 4);
  }

  /** A WebSocket said goodbye, or was closed. */
  ended(): void {
    this.#ended += 1;
  }

  /** The port is open: what sockets there are now is not clients'. */
  listening(): void {
    this.#others = this.#system.openSockets() ?? 0;
  }

  get #lingering(): number {
    return this.#system.lingering() ?? this.#ended;
  }

  get #clientDescriptors(): number {
    const { maxConnections, maxSockets, maxDescriptors } = this.#bounds;
    return maxDescriptors - (maxSockets - maxConnections);
  }

  /** Whether `condition` holds, if need be after a look at what is really there. */
  #fits(condition: () => boolean): boolean {
    if (condition()) return true;
    if (this.#system.lingering() !== undefined) return false;
    const nowMs = this.#system.nowMs();
    if (nowMs - this.#lookedMs < DESCRIPTORS_LOOK_MS) return false;
    this.#lookedMs = nowMs;
    const sockets = this.#system.openSockets();
    const lingering = sockets === undefined ? 0 : sockets - this.#others - this.#http() - this.#clients();
    this.#ended = Math.max(0, Math.min(this.#ended, lingering));
    return condition();
  }
}
