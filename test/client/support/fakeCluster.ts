// Several fake nodes that keep one log: a leader and followers, with changes of leadership, deaths and followers that fall behind, all
// at the test's word. A follower has at once what the leader ordered, unless it was told to lag.

import { KIND_NOOP } from '../../../assembly/layout.ts';
import { LogClient } from '../../../src/client/client.ts';
import type { OpenTransport } from '../../../src/client/nodes/transport.ts';
import type { ConnectOptions } from '../../../src/client/options.ts';
import type { SeenRequest } from './fakeServer.ts';
import { FakeServer } from './fakeServer.ts';

export function urlOf(id: number): string {
  return `ws://node${id}`;
}

export class FakeCluster {
  readonly nodes: readonly FakeServer[];
  readonly urls: readonly string[];
  /** Every attempt to connect, in order. */
  readonly dialed: string[] = [];
  /** Ids of followers that get nothing. */
  readonly lagging = new Set<number>();
  readonly #dead = new Set<number>();
  #leader = 0;
  #term = 0;
  readonly #clients: LogClient[] = [];

  constructor(count = 3) {
    this.nodes = Array.from({ length: count }, (_, i) => {
      const node = new FakeServer();
      node.hello = { ...node.hello, nodeId: i + 1, role: 'follower' };
      node.onOrdered = () => this.replicate();
      return node;
    });
    this.urls = this.nodes.map((_, i) => urlOf(i + 1));
    this.lead(1);
  }

  node(id: number): FakeServer {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  get leader(): FakeServer {
    return this.node(this.#leader);
  }

  /** Answers what the leader holds, and whatever comes, from now on. */
  answer(): void {
    this.leader.holdsAppends = false;
    for (const connection of this.leader.connections) connection.answerAppends();
  }

  /** APPEND, END and the like, on whichever node they arrived. */
  requests(opcode: number): SeenRequest[] {
    return this.nodes.flatMap(({ requests }) => requests.filter((request) => request.opcode === opcode));
  }

  /** Nobody leads; the nodes say so. */
  depose(): void {
    this.#term += 1;
    this.#leader = 0;
    this.#live().forEach((node) => {
      node.say({ role: 'follower', leader: '', term: this.#term });
    });
  }

  /** A node begins a new term with its entry, and all that live know. */
  lead(id: number): void {
    this.#term += 1;
    this.#leader = id;
    const leader = this.node(id);
    leader.hello = { ...leader.hello, term: this.#term };
    leader.add('', this.#term, KIND_NOOP);
    this.replicate();
    for (const node of this.#live()) node.say(this.#rolesOf(node));
  }

  /** All that live and do not lag get what the leader has. */
  replicate(): void {
    for (const node of this.#live()) if (node !== this.leader && !this.lagging.has(node.hello.nodeId)) node.copy(this.leader);
    for (const { connections } of this.nodes) for (const connection of connections) connection.push();
  }

  kill(id: number): void {
    this.#dead.add(id);
    this.node(id).refused.set(urlOf(id), 'connection refused');
    for (const connection of this.node(id).connections) connection.kill();
  }

  revive(id: number): void {
    this.#dead.delete(id);
    const node = this.node(id);
    node.refused.clear();
    node.say(this.#rolesOf(node));
    this.replicate();
  }

  readonly open: OpenTransport = (url, events) => {
    this.dialed.push(url);
    const node = this.nodes.find((_, i) => urlOf(i + 1) === url);
    if (node === undefined) throw new Error(`nobody is at ${url}`);
    return node.open(url, events);
  };

  async connect(options: ConnectOptions = {}, urls: readonly string[] = this.urls): Promise<LogClient> {
    const client = await LogClient.connect({ open: this.open, listeners: [] }, urls, {
      reconnect: { minDelayMs: 2, maxDelayMs: 8, timeoutMs: 5000 },
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** Answers what is held, and closes all clients. */
  async end(): Promise<void> {
    for (const node of this.nodes) {
      node.holdsAppends = false;
      node.onRequest = undefined;
      node.onOrdered = () => this.replicate();
      for (const connection of node.connections) connection.answerAppends();
    }
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  #live(): FakeServer[] {
    return this.nodes.filter(({ hello }) => !this.#dead.has(hello.nodeId));
  }

  #rolesOf({ hello }: FakeServer): { role: 'leader' | 'follower'; leader: string; term: number } {
    const isLeader = hello.nodeId === this.#leader;
    return { role: isLeader ? 'leader' : 'follower', leader: isLeader || this.#leader === 0 ? '' : urlOf(this.#leader), term: this.#term };
  }
}
