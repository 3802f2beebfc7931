// The addresses of a log's nodes: those that the client was given, and those that nodes tell. A node may lie, so what it tells is bounded,
// never gets a password that was given for another address, and never leads from an encrypted connection to one that is not.

import { bareAddress, isEncrypted, publicAddress } from '../../core/address.ts';
import type { ClusterView } from '../../protocol/greeting.ts';

export class Addresses {
  readonly given: readonly string[];
  /** Given addresses by what they are without user, password and query. */
  readonly #givenByBare = new Map<string, string>();
  readonly #onlyEncrypted: boolean;
  readonly #discovers: boolean;
  #told: readonly string[] = [];
  #nodeCount = 0;

  /** `discovers`: what nodes tell of others is taken. */
  constructor(given: readonly string[], discovers: boolean) {
    this.given = given;
    this.#discovers = discovers;
    this.#onlyEncrypted = given.some(isEncrypted);
    for (const url of given) {
      const bare = bareAddress(url);
      if (bare !== undefined && !this.#givenByBare.has(bare)) this.#givenByBare.set(bare, url);
    }
  }

  /** Those that nodes tell, without those that were given. */
  get told(): readonly string[] {
    return this.#told;
  }

  /** Those that were given first. */
  get all(): readonly string[] {
    return [...this.given, ...this.#told];
  }

  /** Whether there may be more than one node. */
  get hasOthers(): boolean {
    return this.given.length > 1 || this.#nodeCount > 1;
  }

  /** Where this client goes for an address that a node tells: a given one, if it is that; an empty string when it does not go there. */
  of(told: string): string {
    const address = publicAddress(told);
    if (address === undefined) return '';
    const given = this.#givenByBare.get(address);
    if (given !== undefined) return given;
    return this.#onlyEncrypted && !isEncrypted(address) ? '' : address;
  }

  /** Whether the host of `url`, of whatever scheme, is one of these nodes. One that is reached by TLS is none without it: everybody on the way would read along. */
  isNode(url: string): boolean {
    const { host } = new URL(url);
    return this.all.some((known) => new URL(known).host === host && isEncrypted(known) === isEncrypted(url));
  }

  /** {@link of} a node that is of use, and not needed: without discovery, given addresses only. */
  ofUnneeded(told: string): string {
    const url = this.of(told);
    return this.#discovers || this.given.includes(url) ? url : '';
  }

  /** Takes the nodes of a greeting in place of those of earlier ones. */
  learn({ members }: ClusterView): void {
    if (!this.#discovers) return;
    this.#nodeCount = members.length;
    const told = new Set(members.map(({ url }) => this.of(url)));
    for (const url of ['', ...this.given]) told.delete(url);
    this.#told = [...told];
  }
}
