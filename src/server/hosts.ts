// Which names a node answers to over HTTP. A page of any origin may send requests to this machine; what keeps it from reading the answers
// is that they are of another origin. It gets around that with a name of its own that it makes resolve to this machine (DNS rebinding).
// That name is in the Host header, which a page cannot choose: so pages with facts are served under known names and under addresses only.

import { isIP } from 'node:net';
import { hostname } from 'node:os';

/** The name or address in a Host header, without port, brackets, capitals and a final dot; undefined when it has none. */
function nameOf(header: string): string | undefined {
  try {
    return new URL(`http://${header}`).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  } catch {
    return undefined;
  }
}

export class Hosts {
  readonly #names: ReadonlySet<string>;

  /** Loopback's names, this machine's, and `others`: names with or without a port. */
  constructor(others: readonly string[]) {
    const own = hostname();
    const names = ['localhost', own, own.split('.')[0] ?? own, ...others].map(nameOf);
    this.#names = new Set(names.filter((name) => name !== undefined));
  }

  /** Whether a request with this Host header is answered. Programs may leave it out; browsers never do. */
  isAllowed(header: string): boolean {
    if (header === '') return true;
    const name = nameOf(header);
    if (name === undefined) return false;
    return isIP(name) !== 0 || name.endsWith('.localhost') || this.#names.has(name);
  }
}
