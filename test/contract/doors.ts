// The ways to a node that keep one contract: what is tested in this folder is tested through each of them.

import { EmbeddedDoor } from '../../dist/src/embedded/embeddedDoor.js';
import type { EngineLog } from '../../dist/src/node/engineOptions.js';
import { startEngine } from '../../dist/src/node/startEngine.js';
import { configure } from '../../src/core/config.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { type NodeOptions, ProcessNode } from '../server/support/processNode.ts';
import { RawClient } from '../server/support/rawClient.ts';

/** A node behind a door. */
export interface DoorNode {
  /** A client that speaks by hand. */
  connect(): Promise<RawClient>;
  status(): Promise<NodeStatus>;
  /** Stops it in order. Rejects where it ended otherwise, or has logged an error. */
  stop(): Promise<void>;
}

/** A way to a node. */
export interface Door<N extends DoorNode = DoorNode> {
  readonly name: 'uws' | 'ws' | 'embedded';
  /** Starts a node; whoever does must stop it. */
  open(options: NodeOptions): Promise<N>;
}

/** A node whose clients come over sockets, in a process of its own. */
export interface SocketNode extends DoorNode {
  readonly url: string;
  readonly process: ProcessNode;
}

export interface SocketDoor extends Door<SocketNode> {
  /** What has the sockets. */
  readonly name: 'uws' | 'ws';
}

function socketDoor(name: SocketDoor['name']): SocketDoor {
  return {
    name,
    async open(options) {
      const node = await ProcessNode.start({ ...options, acceptor: name });
      return {
        url: node.url,
        process: node,
        connect: () => RawClient.connect(node.url),
        status: () => node.status(),
        async stop() {
          const { code, signal } = await node.stop();
          if (code !== 0) throw new Error(`the node ended with ${code ?? signal}:\n${node.stderr}`);
          if (/"level":(50|60)/.test(node.stderr)) throw new Error(`the node has logged an error:\n${node.stderr}`);
        },
      };
    },
  };
}

export const SOCKET_DOORS: readonly SocketDoor[] = [socketDoor('uws'), socketDoor('ws')];

/** A program with the log in it: the program is this one. */
const EMBEDDED: Door = {
  name: 'embedded',
  async open(options) {
    const errors: string[] = [];
    const log: EngineLog = { info: () => undefined, warn: () => undefined, error: (text) => void errors.push(text) };
    const engine = await startEngine({ config: configure(options), log, keepsRunning: false });
    const door = new EmbeddedDoor(engine, log.warn, () => undefined);
    return {
      connect: () => RawClient.over(door.open),
      status: () => Promise.resolve(engine.status()),
      async stop() {
        await engine.stop();
        await engine.ended;
        if (errors.length > 0) throw new Error(`the engine has logged an error:\n${errors.join('\n')}`);
      },
    };
  },
};

/** All of them: whatever speaks the binary protocol and nothing else. */
export const DOORS: readonly Door[] = [...SOCKET_DOORS, EMBEDDED];

/**
 * What is not asked of the embedded door, and why: the whole list. The files have {@link SOCKET_DOORS}, the other cases are in
 * {@link bySocketsOnly}.
 */
export const NOT_EMBEDDED = {
  'http.test.ts': 'nobody asks a pipe by HTTP, and no page, origin or name of a host comes through it',
  'httpAlone.test.ts': 'what the libraries that have the sockets do with HTTP before a node is asked',
  'closes.test.ts': 'how those end a WebSocket that breaks the rules of frames: a pipe has no frames',
  'resources.test.ts': 'whoever sends or asks without end is the program itself, with its own time, memory and descriptors',
  'messages of text': 'a program gives bytes',
  'a message above the largest one': 'the library cuts it; a pipe has no such bound, and the engine refuses the append as too large',
  'clients that die within a frame': 'a pipe has no frames, and its program ends with the log',
} as const;

/** Cases for the doors with sockets alone; they get the port of a node of theirs. */
export function bySocketsOnly(door: Door, _what: keyof typeof NOT_EMBEDDED, define: (portOf: (node: DoorNode) => number) => void): void {
  if (door !== EMBEDDED) define((node) => Number(new URL((node as SocketNode).url).port));
}
