// Pages of which origins may talk to the node. A browser says in the Origin header whose page asks.

import type { Hosts } from './hosts.ts';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export interface OriginSources {
  /** Those that were allowed by option. */
  readonly listed: readonly string[];
  readonly hosts: Pick<Hosts, 'isAllowed'>;
  /** Where clients reach the nodes of the cluster, `ws://` or `wss://`: each serves its dashboard to pages of its own, which ask the others, too. */
  readonly memberUrls: () => Iterable<string>;
}

export class Origins {
  readonly #sources: OriginSources;

  constructor(sources: OriginSources) {
    this.#sources = sources;
  }

  /**
   * Whether a page of `origin` may connect, and read: no page at all; pages of loopback, of the nodes of the cluster, those allowed; and the node's own. That
   * Origin and the header Host agree says nothing by itself: a page whose name was made to resolve to this machine has them equal, too (DNS rebinding), so the
   * name must be one under which this node serves.
   */
  isAllowed(origin: string, host: string): boolean {
    const { listed, hosts, memberUrls } = this.#sources;
    if (origin === '' || listed.includes(origin)) return true;
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) return false;
    if (LOOPBACK.test(url.hostname)) return true;
    if (host !== '' && url.host === host.toLowerCase() && hosts.isAllowed(host)) return true;
    for (const member of memberUrls()) if (url.origin === new URL(member.replace(/^ws/, 'http')).origin) return true;
    return false;
  }
}
