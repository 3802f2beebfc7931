// Who comes with a certificate, by the rules that the node has now.

import type { Identity } from '../core/access.ts';
import type { ListenerTls } from '../tls/listenerTls.ts';
import type { HttpRequest } from './acceptor.ts';

export interface Certificates {
  /** Who shows a certificate with this request that may do anything; undefined: nobody. */
  find(request: HttpRequest): Identity | undefined;
  /** What the rules say of an identity that was found: when it changes, it holds no more. */
  saidOf(identity: Identity): string;
}

export const NO_CERTIFICATES: Certificates = { find: () => undefined, saidOf: () => '' };

/** What is in force. */
interface Now {
  readonly value: Pick<ListenerTls, 'rules' | 'authorities'>;
}

export class ClientCertificates implements Certificates {
  readonly #tls: Now;
  readonly #nowMs: () => number;
  /** All names in the certificate of each identity: a rule for any of them may come; and the authorities of which one made it. */
  readonly #found = new WeakMap<Identity, { readonly names: readonly string[]; readonly authorities: readonly string[] }>();

  /** `nowMs`: Unix ms. */
  constructor(tls: Now, nowMs: () => number) {
    this.#tls = tls;
    this.#nowMs = nowMs;
  }

  find(request: HttpRequest): Identity | undefined {
    const certificate = request.certificate();
    if (certificate === undefined) return undefined;
    const { rules, authorities } = this.#tls.value;
    const found = rules?.identityOf(certificate, this.#nowMs());
    if (found === undefined) return undefined;
    this.#found.set(found.identity, { names: found.names, authorities });
    return found.identity;
  }

  saidOf(identity: Identity): string {
    const { names = [], authorities = [] } = this.#found.get(identity) ?? {};
    const { rules, authorities: now } = this.#tls.value;
    // The one that has gone may be the one that made it: whoever has one of the others comes again.
    if (!authorities.every((authority) => now.includes(authority))) return 'none';
    return String(rules?.scopesOf(names) ?? 0);
  }
}
