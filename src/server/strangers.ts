// Connections that have not shown yet who they are, where a node asks. They hear the short HELLO, have some seconds and one small message, and count
// apart from all others: however many there are, they take no place of somebody who was let in.

import type { Identity } from '../core/access.ts';
import { AUTHENTICATION_MS, MAX_STRANGERS, NEW_TOKEN_MS } from '../core/accessLimits.ts';
import { firstOfCrowd } from '../core/crowd.ts';
import type { Loop, Timer } from '../node/loop.ts';
import { CLOSE_UNAUTHENTICATED, requestIdOf, tokenOf } from '../protocol/client.ts';
import { encodeShortHello } from '../protocol/greeting.ts';
import type { Denial, Doorkeeper } from './doorkeeper.ts';
import { endingText } from './holder.ts';
import type { Incidents } from './incidents.ts';
import type { Session } from './session.ts';

/** A connection as the listener knows it. */
export interface Stranger {
  readonly session: Session;
}

export interface StrangersPorts<S extends Stranger> {
  readonly access: Pick<Doorkeeper, 'identify'>;
  readonly incidents: Incidents;
  readonly loop: Pick<Loop, 'nowMs' | 'afterTurn' | 'after'>;
  /** For tests: how long each has. */
  readonly patienceMs?: number | undefined;
  readonly hasPlaceForClient: () => boolean;
  /** It is none any more. */
  admit(stranger: S, identity: Identity): void;
}

const NO_TOKEN =
  'this node asks who its clients are: show a token in AUTHENTICATE, the first message, or in the header Authorization; or a certificate that its rules allow something';
const NO_SUCH_TOKEN = 'this node takes no such token';
const NOT_SETTLED = 'this node has not heard its leader for a while, and lets nobody in by a token meanwhile: try another node, or later';
const NO_PLACE = 'this node has no place for another client now: try another one, or later';

export class Strangers<S extends Stranger> {
  readonly #ports: StrangersPorts<S>;
  readonly #patienceMs: number;
  /** By when each came, the oldest first. */
  readonly #all = new Map<S, number>();
  /** Those whose token is looked for once more. */
  readonly #hopeful = new Set<S>();
  #timer: Timer | undefined;

  constructor(ports: StrangersPorts<S>) {
    this.#ports = ports;
    this.#patienceMs = ports.patienceMs ?? AUTHENTICATION_MS;
  }

  get size(): number {
    return this.#all.size;
  }

  has(stranger: S): boolean {
    return this.#all.has(stranger);
  }

  /** A connection is open. `token`: what it showed already. */
  came(stranger: S, token: string | undefined): void {
    if (this.#all.size >= MAX_STRANGERS) this.makeRoom();
    this.#all.set(stranger, this.#ports.loop.nowMs());
    this.#watch();
    if (token === undefined) stranger.session.send(encodeShortHello());
    else this.#show(stranger, 0, token);
  }

  /** The first message of one; another one only while its token is looked for. */
  message(stranger: S, message: Uint8Array): void {
    const token = this.#hopeful.has(stranger) ? undefined : tokenOf(message);
    if (token === undefined) this.#refuse(stranger, requestIdOf(message), NO_TOKEN);
    else this.#show(stranger, requestIdOf(message), token);
  }

  gone(stranger: S): void {
    this.#all.delete(stranger);
    this.#hopeful.delete(stranger);
  }

  /** Closes the oldest one of the address that most have: a crowd from one is no hindrance to a client at another. Returns whether there was one. */
  makeRoom(): boolean {
    const oldest = firstOfCrowd(this.#all.keys(), ({ session }) => session.from);
    if (oldest === undefined) return false;
    this.#ports.incidents.closed('stranger', `there may be ${MAX_STRANGERS} of them`);
    this.gone(oldest);
    oldest.session.cut();
    return true;
  }

  /** Closes all at once. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { session } of [...this.#all.keys()]) session.cut();
    this.#all.clear();
    this.#hopeful.clear();
  }

  #show(stranger: S, requestId: number, token: string): void {
    const found = this.#ports.access.identify(token);
    if (typeof found !== 'string') this.#admit(stranger, found);
    else if (found !== 'unknown' || this.#hopeful.has(stranger)) this.#deny(stranger, requestId, found);
    else {
      this.#hopeful.add(stranger);
      const again = (): void => {
        if (this.#hopeful.has(stranger)) this.#show(stranger, requestId, token);
      };
      this.#ports.loop.after(NEW_TOKEN_MS, again, true);
    }
  }

  #admit(stranger: S, identity: Identity): void {
    if (!this.#ports.hasPlaceForClient()) {
      this.#ports.incidents.closed('no_place', NO_PLACE);
      this.gone(stranger);
      stranger.session.fail(0, 'OVERLOADED', NO_PLACE);
      return;
    }
    this.gone(stranger);
    this.#ports.admit(stranger, identity);
  }

  #deny(stranger: S, requestId: number, denial: Denial): void {
    if (denial === 'unsettled') stranger.session.fail(requestId, 'NOT_LEADER', NOT_SETTLED);
    else if (denial === 'expired')
      stranger.session.turnAway(requestId, 'TOKEN_EXPIRED', endingText('TOKEN_EXPIRED', 'token'), CLOSE_UNAUTHENTICATED);
    else this.#refuse(stranger, requestId, NO_SUCH_TOKEN);
  }

  #refuse({ session }: S, requestId: number, sentence: string): void {
    session.turnAway(requestId, 'UNAUTHENTICATED', sentence, CLOSE_UNAUTHENTICATED);
  }

  #watch(): void {
    const [oldestMs] = this.#all.values();
    if (this.#timer !== undefined || oldestMs === undefined) return;
    const { loop } = this.#ports;
    const look = (nowMs: number): void => {
      for (const [stranger, sinceMs] of this.#all) {
        if (nowMs - sinceMs < this.#patienceMs) break;
        this.#refuse(stranger, 0, NO_TOKEN);
      }
      this.#timer = undefined;
      this.#watch();
    };
    const due = (): void => {
      const nowMs = loop.nowMs();
      // What came meanwhile is read first: this thread may have stood still.
      loop.afterTurn(() => loop.afterTurn(() => look(nowMs)));
    };
    this.#timer = loop.after(Math.max(1, oldestMs + this.#patienceMs - loop.nowMs()), due, true);
  }
}
