// A leader that hands over, as its replica sees it: what the main thread has let in meanwhile, which the core has not heard of yet.

import { beforeEach, expect, it } from 'vitest';
import { KIND_NOOP } from '../../assembly/layout.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { GATE_CLOSED } from '../../src/memory/gate.ts';
import { DISK_CRITICAL, STATE } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import { emptyLog, TestReplica } from '../interleave/scenarios/replicas.ts';

let memory: TailMemory;
let raft: TestReplica;
let sent: { readonly to: NodeId; readonly kind: PeerMessage['kind'] }[];

const asked = (): readonly NodeId[] => sent.filter(({ kind }) => kind === 'timeoutNow').map(({ to }) => to);

/** The main thread, inside the gate, puts an entry at the log's end; no news of it has reached the raft thread. */
function letIn(): void {
  const main = new Tail(memory, () => undefined);
  main.start(memory.tail, 0, undefined);
  expect(main.appendOwn(KIND_NOOP, noOpPayload('1'.repeat(16)), 1, 1)).toBe('ordered');
}

/** All nodes have all on their disks. */
function settle(): void {
  memory.publishDurable(memory.tail);
  raft.replica.durableMoved();
  for (const node of [2, 3]) raft.has(node, memory.tail);
}

beforeEach(() => {
  memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  sent = [];
  raft = new TestReplica(memory, [1, 2, 3], emptyLog(), 0, {
    sendMessage: (to, { kind }) => sent.push({ to, kind }),
    sendEntries: (to, { kind }) => sent.push({ to, kind }),
  });
  raft.campaign();
  raft.win();
  settle();
});

it.each(['full', 'hung'] as const)('a leader that is %s asks nobody to take over before that node has what came in until now', (why) => {
  letIn();
  const end = memory.tail;
  if (why === 'full') memory.setWord32(STATE.DISK_LEVEL, DISK_CRITICAL);
  else raft.replica.raft.hung(true);
  raft.later(150);
  expect([memory.word32(STATE.GATE), raft.replica.raft.log.end, asked()]).toEqual([GATE_CLOSED, end, []]);
  // One of them has it, but no majority on a disk: it waits.
  raft.has(2, end, { durable: 0 });
  expect(asked()).toEqual([]);
  settle();
  expect([memory.commit, asked()]).toEqual([end, [2]]);
});

it('a leader to whose log nothing has come asks in the same turn', () => {
  raft.replica.raft.hung(true);
  raft.later(150);
  expect([memory.word32(STATE.GATE), asked()]).toEqual([GATE_CLOSED, [2]]);
});
