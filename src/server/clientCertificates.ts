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

export class ClientCertificates implements Certificates {
  readonly #tls: { readonly value: Pick<ListenerTls, 'rules'> };
  readonly #nowMs: () => number;
  /** All names in the certificate of each identity: a rule for any of them may come. */
  readonly #names = new WeakMap<Identity, readonly string[]>();

  /** `nowMs`: Unix ms. */
  constructor(tls: { readonly value: Pick<ListenerTls, 'rules'> }, nowMs: () => number) {
    this.#tls = tls;
    this.#nowMs = nowMs;
  }

  find(request: HttpRequest): Identity | undefined {
    const certificate = request.certificate();
    if (certificate === undefined) return undefined;
    const found = this.#tls.value.rules?.identityOf(certificate, this.#nowMs());
    if (found === undefined) return undefined;
    this.#names.set(found.identity, found.names);
    return found.identity;
  }

  saidOf(identity: Identity): string {
    return String(this.#tls.value.rules?.scopesOf(this.#names.get(identity) ?? []) ?? 0);
  }
}
