// Whom a node takes for which node: what it does when another one greets it, and when a link comes up or breaks. It makes durable whom it
// knows before it answers, admits strangers if it is the founder, and forgets what was acknowledged when an id has another data
// directory. Links and files are ports: the raft thread gives it real ones, the simulator made-up ones. docs/PEERS.md, "Joining".

import { LogError } from '../core/errors.ts';
import { doesCount, type EntryTerm, type Standing } from '../core/ids.ts';
import type { NodeSet } from '../core/nodeSet.ts';
import { ADMISSION_WAIT_ELECTIONS } from '../core/peerLimits.ts';
import type { NodeId, PeerMessage } from '../raft/messages.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import { Founder, type Stranger } from './founder.ts';
import type { Replica } from './replica.ts';

/** What another node says of itself in HELLO or WELCOME. */
export interface Greeting extends Stranger {
  readonly isFounder: boolean;
  /** The nodes that it goes by; the founder's have those that its list still awaits. */
  readonly nodes: NodeSet;
  readonly term: number;
  /** Where clients reach it; empty: where each node's own list says. */
  readonly advertise: string;
}

export interface AdmissionPorts {
  /** Makes durable with which data directory `node` was met first; returns when it is. */
  saveKnown(identity: Identity, node: NodeId, instance: string): Identity;
  /** Makes this node's standing durable; returns when it is. */
  saveStanding(identity: Identity, standing: Standing): Identity;
  /** Makes durable that the log begins at `start`, after an entry of `before`, with nothing if `isEmpty`; returns when it is. */
  saveStart(identity: Identity, start: number, before: EntryTerm, isEmpty: boolean): Identity;
  /** Makes durable which generation of the log this node has, and with it which nodes there are, unless they are undefined; returns when it is. */
  saveGeneration(identity: Identity, generation: string, nodes: readonly NodeId[] | null | undefined): Identity;
  /** Makes durable which nodes there are; returns when it is. */
  saveNodes(identity: Identity, nodes: readonly NodeId[] | null): Identity;
  /** Makes durable that nothing before the start is left; returns when it is. */
  saveRemoved(identity: Identity): Identity;
  send(to: NodeId, message: PeerMessage): void;
  /** Where clients reach another node, as it says; only when it says something new. */
  advertised(node: NodeId, url: string): void;
  log(level: 'info', text: string): void;
}

export class Admission {
  readonly #replica: Replica;
  readonly #ports: AdmissionPorts;
  readonly #founder: Founder;
  #identity: Identity;
  /** Where clients reach each node that says so. */
  readonly #advertised = new Map<NodeId, string>();

  constructor(replica: Replica, identity: Identity, ports: AdmissionPorts) {
    this.#replica = replica;
    this.#identity = identity;
    this.#ports = ports;
    this.#founder = new Founder({
      role: () => this.#identity,
      hasHeardAll: () => replica.raft.hasHeardAll,
      remember: (node, instance) => {
        this.#identity = ports.saveKnown(this.#identity, node, instance);
      },
      // Where the log says who counts, a node may count whom this one has never met.
      isOldCopy: () => (replica.raft.members.isByIds ? replica.returned() : undefined),
      admit: (node) => this.#admit(node),
    });
  }

  /** What this node's directory says now. */
  get identity(): Identity {
    return this.#identity;
  }

  /** How long after its start the node calls {@link waited}, in milliseconds. */
  get waitMs(): number {
    return ADMISSION_WAIT_ELECTIONS * this.#replica.raft.settings.electionTimeoutMs;
  }

  /** The core has decided on this node's standing: durable when this returns. */
  saveStanding(standing: Standing): void {
    this.#identity = this.#ports.saveStanding(this.#identity, standing);
  }

  /** The log begins at `start`, after an entry of `before`: durable when this returns, so that what is before may be removed. */
  saveStart(start: number, before: EntryTerm, isEmpty: boolean): void {
    this.#identity = this.#ports.saveStart(this.#identity, start, before, isEmpty);
  }

  /**
   * What is committed here is of generation `id`, and `nodes` as for {@link saveNodes}, unless they are undefined: durable, both at once, when this returns. Throws a
   * LogError `DAMAGE` where this directory is of another generation.
   */
  saveGeneration(id: string, nodes: readonly NodeId[] | null | undefined): void {
    const { generation } = this.#identity;
    if (generation !== undefined && generation !== id)
      throw new LogError(
        'DAMAGE',
        `node.json says that this directory is of generation ${generation} of the log, and what is committed in it is of generation ${id}: files of two directories are mixed; nothing was changed`,
      );
    if (generation === undefined) this.#identity = this.#ports.saveGeneration(this.#identity, id, nodes);
    else if (nodes !== undefined) this.saveNodes(nodes);
  }

  /** The log says which nodes there are, and that is committed: `nodes`, null for this one alone. Durable when this returns. */
  saveNodes(nodes: readonly NodeId[] | null): void {
    this.#identity = this.#ports.saveNodes(this.#identity, nodes);
  }

  /** All before `start` was removed. */
  saveRemoved(start: number): void {
    // The log may have begun anew meanwhile, later: then more is being removed.
    if (start === this.#identity.start) this.#identity = this.#ports.saveRemoved(this.#identity);
  }

  /** The nodes that were not heard from by now are silent. */
  waited(): void {
    this.#founder.waited();
  }

  /** A node has greeted, or answered a greeting: why its term is not believed, or undefined. Where it is not, nothing else of it is heard. */
  doubts({ from, term, standing, instance }: Greeting): string | undefined {
    return this.#replica.doubts(from, term, doesCount(standing), instance);
  }

  /** A node says HELLO. It is not answered before this returns: whoever comes to count is known to the founder from then on. */
  greeting(hello: Greeting): void {
    this.#founder.met(hello);
  }

  /** A node that said HELLO was answered, and may send. */
  accepted(from: NodeId, hello: Greeting): void {
    // The founder's WELCOME says that it knows this node; its HELLO, which may come first, does not.
    this.#greeted(from, hello, !hello.isFounder);
  }

  /** The link to a node is up, which answered with WELCOME. */
  connected(to: NodeId, welcome: Greeting): void {
    this.#greeted(to, welcome, true);
    this.#noteAddress(to, welcome.advertise);
    this.#replica.connected(to);
    this.#founder.met(welcome);
    this.#founder.connected(to, welcome);
  }

  /** The link to a node broke. */
  disconnected(to: NodeId): void {
    this.#founder.disconnected(to);
    this.#replica.disconnected(to);
  }

  /** Takes note of what a node says of itself: with another data directory than before, it has forgotten what it acknowledged. */
  #greeted(from: NodeId, { instance, term, isFounder, nodes }: Greeting, isHeard: boolean): void {
    this.#replica.met(from, instance);
    if (isFounder) this.#replica.founderGreeted(from, instance, nodes);
    this.#replica.greeted(from, term, isHeard, isFounder);
    this.#founder.admitAll();
  }

  /** Only a WELCOME's word counts: it comes from the address of its node, and clients will be sent where it says. */
  #noteAddress(node: NodeId, url: string): void {
    if (url === this.#advertised.get(node)) return;
    this.#advertised.set(node, url);
    this.#ports.advertised(node, url);
  }

  #admit(node: NodeId): void {
    this.#ports.send(node, { kind: 'admit', term: this.#replica.raft.currentTerm, standing: 'new' });
    this.#ports.log('info', `node ${node} joins the cluster`);
  }
}
