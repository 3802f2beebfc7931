// What this node knows of why nodes do not talk and why there is no leader: collected from its links, told when it changes, and logged rarely.

import { type Cause, causes, isMistake, whyNoLeader } from '../core/causes.ts';
import { SAY_AGAIN_MS } from '../core/peerLimits.ts';
import { addressOf } from '../core/peers.ts';
import type { DialOutcome, PeerAddress } from './peerDial.ts';
import type { HeardProcess } from './processWatch.ts';

/** Why there is no link to a node. */
export type LinkFault = Exclude<DialOutcome, { kind: 'welcome' }> | { readonly kind: 'notJoined' };

/** What is known of the connections with another node. */
export interface LinkView {
  readonly address: PeerAddress;
  /** Undefined: the link to it is up, or is being made for the first time. */
  readonly fault: LinkFault | undefined;
  readonly isConnected: boolean;
  /** A link from it is up. */
  readonly isHeard: boolean;
  /** Two processes that live, both as this node. */
  readonly rivals: readonly [HeardProcess, HeardProcess] | undefined;
  /** The other end's address, of a link that is up. */
  readonly remoteAddress: string | undefined;
}

/** This node, as far as causes depend on it. */
export interface OwnView {
  readonly id: number;
  readonly process: string;
  /** The address that it listens on for nodes; undefined: it does not yet. */
  readonly listensOn: string | undefined;
  /** Too many nodes hear another process as this node: it says nothing to any. */
  readonly isSilent: boolean;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.');
}

/** What keeps this node from the one at `address`; undefined: nothing does. */
export function causeOfFault(
  own: Pick<OwnView, 'id' | 'process' | 'isSilent'>,
  { address, fault, isConnected, isHeard }: Pick<LinkView, 'address' | 'fault' | 'isConnected' | 'isHeard'>,
): Cause | undefined {
  const { id } = address;
  const at = addressOf(address.host, address.peerPort);
  switch (fault?.kind) {
    case undefined:
      return isConnected && !isHeard ? causes.isNotReached(id) : undefined;
    case 'notJoined':
      return causes.notJoined(id);
    case 'failed':
      return isHeard ? causes.oneWay(id, at, fault.reason) : causes.unreachable(id, at, fault.reason);
    case 'refused': {
      const { by, code, sentence, isOurs } = fault;
      if (by?.process === own.process) return causes.leadsToSelf(id, at);
      if (by !== undefined && by.from !== id) {
        return by.from === own.id
          ? causes.isSecond(own.id, id, `${sentence} (it answers at ${at})`, own.isSilent)
          : causes.leadsToOther(id, at, by.from);
      }
      if (code === 'OTHER_PROCESS') return causes.isSecond(own.id, id, sentence, own.isSilent);
      return causes.refused(id, `${isOurs ? 'this node refuses it' : 'it refuses this node'} (${code}): ${sentence}`);
    }
  }
}

/** All that is known to be wrong between this node and the others, in the order of `links`. */
export function causesOf(own: OwnView, links: readonly LinkView[]): readonly Cause[] {
  const found: Cause[] = [];
  const { listensOn } = own;
  const isElsewhere = ({ remoteAddress }: LinkView): boolean => remoteAddress !== undefined && !isLoopback(remoteAddress);
  // Where one of them is heard, something forwards its connections to here.
  const isUnheard = links.some(isElsewhere) && !links.some((link) => isElsewhere(link) && link.isHeard);
  if (listensOn !== undefined && isLoopback(listensOn) && isUnheard) found.push(causes.listensOnLoopback(own.id, listensOn));
  for (const link of links) {
    const cause = causeOfFault(own, link);
    // Several nodes may say of this one that it is a second one.
    if (cause !== undefined && !found.some(({ code, node }) => code === 'TWO_PROCESSES' && cause.code === code && node === cause.node)) {
      found.push(cause);
    }
    if (link.rivals !== undefined) found.push(causes.twoProcesses(link.address.id, ...link.rivals));
  }
  return found;
}

/** What {@link CauseWatch} needs of its surroundings. */
export interface CausePorts {
  readonly own: () => OwnView;
  readonly links: () => readonly LinkView[];
  /** Ids of all that count for majorities. */
  readonly voters: () => readonly number[];
  /** 0: no leader is known. */
  readonly leader: () => number;
  readonly nowMs: () => number;
  readonly log: (text: string) => void;
  /** What is wrong has changed. `why`: why there is no leader, should none be known. */
  readonly tell: (found: readonly Cause[], why: string) => void;
}

export class CauseWatch {
  readonly #ports: CausePorts;
  /** When each was logged last, by what it is about: few kinds for each node. */
  readonly #saidAtMs = new Map<string, number>();
  #told = '[]';
  #tooFewVoters: Cause | undefined;

  constructor(ports: CausePorts) {
    this.#ports = ports;
  }

  /** The sentence of a cluster whose nodes all talk, and of which too few may vote; undefined: it is not so. */
  setTooFewVoters(sentence: string | undefined): void {
    this.#tooFewVoters = sentence === undefined ? undefined : causes.tooFewVoters(sentence);
  }

  /** Looks at the links: to be called a moment after one of them has changed, and now and then. */
  look(): void {
    const { found, why } = this.#now();
    for (const cause of found) if (isMistake(cause)) this.#say(`${cause.code} ${cause.node ?? 'all'}`, cause.sentence);
    const text = JSON.stringify([found, why]);
    if (text === this.#told) return;
    this.#told = text;
    this.#ports.tell(found, why);
  }

  /** No leader has been known for several elections. */
  lacksLeader(): void {
    const { why } = this.#now();
    if (why !== '') this.#say('no leader', `no leader is known: ${why}`);
  }

  #now(): { readonly found: readonly Cause[]; readonly why: string } {
    const { own, links, voters, leader } = this.#ports;
    const self = own();
    const views = links();
    const tooFew = leader() === 0 ? this.#tooFewVoters : undefined;
    const found = [...(tooFew === undefined ? [] : [tooFew]), ...causesOf(self, views)];
    const ids = voters();
    // One that does not count is nothing to an election, and has the sentence of all.
    const isOfVoters = ids.includes(self.id) && ids.length < views.length + 1;
    const counted = isOfVoters ? views.filter(({ address }) => ids.includes(address.id)) : views;
    const talking = 1 + counted.filter(({ isConnected, isHeard }) => isConnected && isHeard).length;
    return { found, why: whyNoLeader(found, talking, counted.length + 1, isOfVoters) };
  }

  #say(what: string, text: string): void {
    const nowMs = this.#ports.nowMs();
    if (nowMs - (this.#saidAtMs.get(what) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    this.#saidAtMs.set(what, nowMs);
    this.#ports.log(text);
  }
}
