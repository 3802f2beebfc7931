// What the host of the raft thread stands on: connections, timers, files and the main thread. Real ones on the thread, made-up ones in the simulator.

import type { TailMemory } from '../memory/tailMemory.ts';
import type { LinkView, OwnView } from '../peers/causeWatch.ts';
import type { PeerAddress } from '../peers/peerDial.ts';
import type { PeerProof } from '../peers/peerProof.ts';
import type { PeerSocketsOptions } from '../peers/peerSockets.ts';
import type { RaftSettings } from '../raft/core.ts';
import type { NodeId, PeerMessage } from '../raft/messages.ts';
import type { AdmissionPorts } from '../replication/admission.ts';
import type { HangTimes } from '../replication/mainThreadWatch.ts';
import type { ReplicaPorts } from '../replication/ports.ts';
import type { FromRaft, RaftSetup } from './messages.ts';

/** What the host needs from its connections: PeerSockets has it. */
export interface RaftLinks {
  /** Listens for the others, then begins to dial those that {@link reach} was told. */
  open(): Promise<void>;
  /** These are the nodes to have links to from now on, and where each is reached. No event comes before this returns. */
  reach(nodes: readonly PeerAddress[]): void;
  /** Whether a message with a body would be taken for `to` now; if not, `drained` or `connected` comes when it would. */
  canSend(to: NodeId): boolean;
  /** False: the message is dropped, and `released` will not be called. */
  send(to: NodeId, message: PeerMessage, body?: Uint8Array, released?: () => void): boolean;
  cut(from: NodeId, reason: string): void;
  /** Nodes prove themselves by this from now on. */
  prove(proof: PeerProof): void;
  /** This node, and what is known of its connections, as causes depend on them. */
  own(): OwnView;
  links(): readonly LinkView[];
  /** Resolves when none is left. No event but `disconnected` comes any more. */
  close(): Promise<void>;
}

/** The same for options: what the connections are told and tell. How long they wait for what is their own matter. */
export type RaftLinksOptions = Pick<PeerSocketsOptions, 'self' | 'now' | 'events' | 'addresses'>;

export interface RaftTimer {
  cancel(): void;
}

export interface RaftHostPorts
  extends Pick<ReplicaPorts, 'nowMs' | 'wallMs' | 'saveVote' | 'readCold'>,
    Pick<AdmissionPorts, 'saveKnown' | 'saveStanding' | 'saveStart' | 'saveRemoved' | 'saveGeneration' | 'saveNodes'> {
  /** Calls `act` after `delayMs`, at least 1. `what` names it, for whoever traces. */
  after(delayMs: number, what: 'tick' | 'admission' | 'quorum' | 'causes' | 'links', act: () => void): RaftTimer;
  /** As `follow` in src/memory/follow.ts. */
  follow(signal: number, isOver: () => boolean, moved: () => void): void;
  /** Makes the connections with the other nodes; not called for a node alone. */
  makeLinks(options: RaftLinksOptions): RaftLinks;
  /** Ends what reads for {@link ReplicaPorts.readCold}. */
  closeReaders(): Promise<void>;
  /** Tells the main thread. */
  tell(message: FromRaft): void;
  /** The thread has nothing to do any more. */
  ended(): void;
}

export interface RaftHostOptions {
  readonly setup: Omit<RaftSetup, 'shared' | 'host' | 'proof'>;
  readonly settings: RaftSettings;
  /** As in `ReplicaOptions`. */
  readonly hang: HangTimes;
  readonly memory: TailMemory;
  readonly ports: RaftHostPorts;
}
