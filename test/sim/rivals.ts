// Logs in which one term has two leaders, as nodes have them that two lists of nodes had led to elect two at once: the same term at the same
// offsets, and other bytes. Nothing of it is committed. The nodes have one list again, and start with these disks.

import type { NodeId } from '../../src/raft/messages.ts';
import { stampBatch, stampNoOp } from '../crash/batches.ts';
import { smallMemory, TestNode } from '../crash/testNode.ts';
import { encodeEntries, SEGMENT_BYTES } from './payloads.ts';
import type { World } from './world.ts';

/** Of whoever writes the logs, before the nodes have any. */
const memory = smallMemory(SEGMENT_BYTES);

/** A leader of the term that has two. */
interface Rival {
  readonly node: NodeId;
  readonly instance: string;
}

/** Puts into the logs of all nodes, which are empty and begin at the world's start, what one of two leaders of `term` wrote there. */
export function writeRivals(world: World, term: number, rivals: readonly [Rival, Rival]): void {
  const { nodes, checker, start, history, random } = world;
  const payloadBytes = 8 + random.below(300);
  const logs = rivals.map(({ instance }) => {
    const id = world.newId();
    // Its client never heard of it again.
    history.append({ client: 0, ids: [id], level: 'committed' });
    const noOp = stampNoOp(instance, term, start);
    const bytes = Buffer.concat([noOp, stampBatch(encodeEntries(id, [payloadBytes], false), term, start + noOp.length)]);
    checker.ledger.wrote(instance, term, start, bytes);
    return bytes;
  });
  for (const node of nodes) {
    // Each leader has its own log; the others followed one of the two.
    const side = rivals.findIndex((rival) => rival.node === node.id);
    const log = logs[side < 0 ? random.below(2) : side];
    if (log === undefined) throw new Error('there are two rivals');
    const testNode = new TestNode(node.disk, memory, new Uint8Array(0), () => node.wallMs());
    testNode.follow(term);
    if (testNode.appendReplicated(log, term, start) !== 'ordered') throw new Error('an empty log has room');
    testNode.stop();
  }
}
