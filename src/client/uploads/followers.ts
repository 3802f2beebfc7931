// The followers that a leader's greeting names, as far as this client goes there.

import type { Hello } from '../../protocol/greeting.ts';
import type { Addresses } from '../nodes/addresses.ts';
import { Follower, type FollowerOwner } from './follower.ts';

export class Followers {
  readonly #addresses: Addresses;
  readonly #owner: FollowerOwner;
  #all: Follower[] = [];
  /** The greeting that they are of. */
  #hello: Hello | undefined;

  constructor(addresses: Addresses, owner: FollowerOwner) {
    this.#addresses = addresses;
    this.#owner = owner;
  }

  get all(): readonly Follower[] {
    return this.#all;
  }

  /** What a byte takes to the one that is fastest, of those that uploads wait for. */
  get fastest(): number {
    let msPerByte = Number.POSITIVE_INFINITY;
    for (const follower of this.#all) if (follower.isTrusted) msPerByte = Math.min(msPerByte, follower.msPerByte);
    return msPerByte;
  }

  /** Those of the leader that says `hello` are needed now. Returns whether one of them takes an upload. */
  meet(hello: Hello, nowMs: number): boolean {
    if (hello !== this.#hello) this.#learn(hello);
    let isAnyReady = false;
    for (const follower of this.#all) {
      follower.meet(nowMs);
      if (follower.isReady) isAnyReady = true;
    }
    return isAnyReady;
  }

  /** None is needed: for now, or for good. */
  close(isIdle: boolean): void {
    for (const follower of this.#all) follower.close(isIdle);
  }

  /** Those that stay keep their connections and their rests. */
  #learn(hello: Hello): void {
    this.#hello = hello;
    const before = this.#all;
    this.#all = [];
    for (const { id, url: told } of hello.cluster?.members ?? []) {
      const url = id === hello.nodeId ? '' : this.#addresses.ofUnneeded(told);
      if (url === '') continue;
      const known = before.find((follower) => follower.id === id && follower.url === url);
      this.#all.push(known ?? new Follower(id, url, this.#owner));
    }
    for (const follower of before) if (!this.#all.includes(follower)) follower.close(false);
  }
}
