// One run of `loglog cluster`: all nodes from their start to their end. It starts each once, waits for directories and ports that an earlier run is
// just leaving, tells of a node that dies, and stops those that run.

import type { Ending, Exit, ReadyLine } from '../../cluster/childNode.ts';
import { ClusterNode } from '../../cluster/clusterNode.ts';
import { parseLogLine } from '../../cluster/logLine.ts';
import { formatPeers, type Peer } from '../../core/peers.ts';
import { nodeEnvironment } from '../nodeOptions.ts';
import { commandHere, quoted } from '../ownCommand.ts';
import { nodeDirectory } from './clusterFile.ts';
import type { ClusterLog } from './clusterLog.ts';

/** An earlier run whose command was killed stops its nodes automatically; they are waited for this long. */
const WAIT_FOR_EARLIER_MS = 15_000;
const RETRY_MS = 250;

/** The end of what a node wrote that is told again when it dies. */
const LAST_LINES = 5;

/** What a node may be waited for at its start, as its fatal error is coded. */
const TRANSIENT = ['LOCKED', 'PORT_IN_USE'];

export interface ClusterRunOptions {
  readonly directory: string;
  readonly peers: readonly Peer[];
  /** Flags of `serve` that all nodes get. */
  readonly flags: readonly string[];
  /** The ports were chosen a moment ago: when one is taken, others are better than waiting. */
  readonly isFresh: boolean;
  readonly log: ClusterLog;
}

/** A node that listens. */
export interface ListeningNode extends ReadyLine {
  readonly peer: Peer;
  readonly data: string;
}

interface Member {
  readonly peer: Peer;
  /** Flags of `loglog serve`, by which a person could start the node too. */
  readonly flags: readonly string[];
  readonly node: ClusterNode;
  ready: ReadyLine | undefined;
  hasEnded: boolean;
}

function describeEnding({ code, signal }: Exit): string {
  if (signal !== null) return `was ended by ${signal}`;
  return code === null ? 'could not be started' : `ended with exit code ${code}`;
}

export class ClusterRun {
  /** Resolves when every node listens or has ended. */
  readonly settled: Promise<void>;
  /** Resolves when every node has ended. */
  readonly ended: Promise<void>;
  /** Resolves when a node of a fresh cluster did not get its port. */
  readonly portTaken: Promise<void>;
  readonly #options: ClusterRunOptions;
  readonly #members: readonly Member[];
  readonly #deadlineMs = performance.now() + WAIT_FOR_EARLIER_MS;
  #onPortTaken: () => void = () => undefined;
  #isStopping = false;
  #onStop: () => void = () => undefined;
  readonly #stopping = new Promise<void>((resolve) => {
    this.#onStop = resolve;
  });

  /** Starts all nodes. */
  constructor(options: ClusterRunOptions) {
    this.#options = options;
    this.portTaken = new Promise((resolve) => {
      this.#onPortTaken = resolve;
    });
    this.#members = options.peers.map((peer) => this.#memberOf(peer));
    const lives = this.#members.map((member) => {
      let settle: () => void = () => undefined;
      const settled = new Promise<void>((resolve) => {
        settle = resolve;
      });
      return { settled, ended: this.#live(member, settle).finally(settle) };
    });
    this.settled = Promise.all(lives.map(({ settled }) => settled)).then(() => undefined);
    this.ended = Promise.all(lives.map(({ ended }) => ended)).then(() => undefined);
  }

  /** The nodes that listen now. */
  get listening(): readonly ListeningNode[] {
    return this.#members.flatMap(({ peer, node, ready, hasEnded }) =>
      ready === undefined || hasEnded ? [] : { ...ready, peer, data: node.data },
    );
  }

  /** SIGTERM to all nodes that run; returns a sentence for each that did not stop cleanly. */
  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    this.#onStop();
    const stopped = this.#members.map(async ({ node, ready, hasEnded }) => {
      if (hasEnded || !node.isRunning) return [];
      node.signal('SIGTERM');
      const ending = await node.exited;
      // Before it is ready a process may not yet listen to signals; there is nothing to be stopped in order then.
      const isClean = ending.code === 0 || (ready === undefined && ending.signal === 'SIGTERM');
      return isClean ? [] : [`node ${node.id} ${describeEnding(ending)}`];
    });
    await this.ended;
    return (await Promise.all(stopped)).flat();
  }

  /** SIGKILL to all nodes. */
  kill(): void {
    for (const { node } of this.#members) node.signal('SIGKILL');
  }

  #memberOf(peer: Peer): Member {
    const { directory, peers, flags, log } = this.#options;
    const data = nodeDirectory(directory, peer.id);
    const all = ['--node', String(peer.id), '--peers', formatPeers(peers), '--data', data, ...flags];
    const node = new ClusterNode({
      id: peer.id,
      port: peer.port,
      data,
      flags: all,
      nodeFlags: process.execArgv,
      environment: nodeEnvironment(),
    });
    node.onLine = (line) => log.nodeLine(peer.id, line);
    return { peer, flags: all, node, ready: undefined, hasEnded: false };
  }

  /** One node from its start to its end; `settle` is called when it listens. */
  async #live(member: Member, settle: () => void): Promise<void> {
    const { node, peer } = member;
    while (!this.#isStopping) {
      node.start();
      member.ready = await node.listening;
      if (member.ready !== undefined) settle();
      const ending = await node.ending;
      if (ending === undefined) throw new TypeError('a node that was started has a process');
      if (!this.#isStopping && member.ready === undefined && this.#isTransient(ending)) {
        this.#options.log.aboutNode(peer.id, `node ${peer.id} is started again: an earlier run may be just ending`);
        await Promise.race([new Promise((resolve) => setTimeout(resolve, RETRY_MS)), this.#stopping]);
        continue;
      }
      member.hasEnded = true;
      if (this.#options.isFresh && member.ready === undefined && ending.errorCode === 'PORT_IN_USE') this.#onPortTaken();
      else if (!this.#isStopping) this.#report(member, ending);
      return;
    }
    member.hasEnded = true;
  }

  #isTransient({ errorCode }: Ending): boolean {
    if (performance.now() > this.#deadlineMs || errorCode === undefined || !TRANSIENT.includes(errorCode)) return false;
    return !(this.#options.isFresh && errorCode === 'PORT_IN_USE');
  }

  /** Tells of a node that ended on its own: how, its last words, what is left, and how to bring it back. */
  #report({ peer: { id }, flags }: Member, ending: Ending): void {
    const { peers, log } = this.#options;
    const left = this.#members.filter(({ hasEnded }) => !hasEnded).length;
    const majority = Math.floor(peers.length / 2) + 1;
    const consequence = left < majority ? `, fewer than the ${majority} that must be there: appends wait until one is back` : ', and go on';
    const lines = ending.lastLines.slice(-LAST_LINES).map((line) => `  ${parseLogLine(line)?.msg ?? line}`);
    const words = lines.length === 0 ? ['it said nothing'] : ['the last that it said:', ...lines];
    const command = [commandHere(), 'serve', ...flags.map(quoted)].join(' ');
    const rest = left === 0 ? [] : [`${left} of ${peers.length} nodes are left${consequence}; to bring node ${id} back:`, `  ${command}`];
    log.aboutNode(id, [`node ${id} ${describeEnding(ending)}; ${words.join('\n')}`, ...rest].join('\n'));
  }
}
