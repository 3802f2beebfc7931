// What is said of old copies of disks.

import type { NodeId } from '../raft/messages.ts';

/** What an operator is told of a node that runs on an old copy of its disk: by the leader that noticed it, and by the node itself. */
export function oldCopySentence(node: NodeId, had: number, has: number): string {
  return (
    `node ${node} came back with an old copy of its disk: it had acknowledged the log up to offset ${had}, and has it up to ${has} now. ` +
    'It is fed like a node that lost its disk, and does not count until it has everything and has heard from all others. ' +
    'To bring a node back, empty its directory; a copy from before its last run has forgotten its votes'
  );
}

/** What that node says when another one has told it. */
export const RETURNED_SENTENCE =
  'this directory is an old copy: another node knows that this one had more on its disk, or counted already. It votes for nobody and does not count until it ' +
  'has everything and has heard from all others. To bring a node back, empty its directory; a copy from before its last run has forgotten its votes';
