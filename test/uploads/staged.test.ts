// The raft thread's side of uploads: what is announced, placed and forgotten.

import { describe, expect, it } from 'vitest';
import { Staging } from '../../src/memory/staging.ts';
import { type ReplicatedStatus, Tail } from '../../src/memory/tail.ts';
import { encodeReference } from '../../src/protocol/peer.ts';
import type { AppendRequest } from '../../src/raft/messages.ts';
import type { ReplicaPorts } from '../../src/replication/ports.ts';
import { Staged } from '../../src/replication/staged.ts';
import { smallMemory } from '../crash/testNode.ts';
import { emptyLog, TestReplica } from '../interleave/scenarios/replicas.ts';
import { idOf, MIB } from './uploadsAlone.ts';

describe('uploads on the raft thread', () => {
  it('E34: are announced again when they are staged again, also where the row that they had is another upload’s by now', () => {
    const staging = new Staging(MIB);
    const announced: number[] = [];
    const ports = {
      takesUploads: () => true,
      canSend: () => true,
      send: (_to: number, { count }: { count: number }) => void announced.push(count),
    };
    const staged = new Staged(ports as unknown as ReplicaPorts);
    staged.attach(staging.shared);
    const stage = (number: number): number => {
      const row = staging.begin(idOf(number), 12);
      staging.fill(row, new Uint8Array(12));
      return row;
    };
    const first = stage(1);
    staged.staged([first]);
    staged.announce(2, 1);
    // Its time is over; the next one has its row, and it is put there again.
    expect(staging.drop(first)).toBe(true);
    const other = stage(2);
    expect(other).toBe(first);
    staged.staged([stage(1), other]);
    staged.announce(2, 1);
    expect(announced).toEqual([1, 2]);
  });

  it('E66: stay, and are placed later, where there is no room at the log’s end, or no segment; others are done with', () => {
    const staging = new Staging(MIB);
    const placed: [number, boolean][] = [];
    const ports = { placed: (row: number, isPlaced: boolean) => void placed.push([row, isPlaced]) };
    const staged = new Staged(ports as unknown as ReplicaPorts);
    staged.attach(staging.shared);
    const rows = [1, 2].map((number) => {
      const row = staging.begin(idOf(number), 300);
      staging.fill(row, new Uint8Array(300));
      return row;
    });
    staged.staged(rows);
    const place = (number: number, status: ReplicatedStatus): ReplicatedStatus => {
      const tail = { appendUpload: () => status } as unknown as Tail;
      const body = encodeReference({ id: idOf(number), digest: new Uint8Array(32), head: new Uint8Array(0) });
      const message = { prevOffset: 0, end: 300, entriesTerm: 1, base: 0, referenceBytes: body.length } as AppendRequest;
      return staged.place(tail, message, [body], 1);
    };
    expect([place(1, 'full'), place(1, 'misplaced'), placed]).toEqual(['full', 'misplaced', []]);
    expect([place(1, 'ordered'), place(2, 'refused'), place(2, 'ordered')]).toEqual(['ordered', 'refused', 'refused']);
    expect(placed).toEqual([
      [rows[0], true],
      [rows[1], false],
    ]);
  });

  it('are forgotten when the leader of this term says so, not one of another', () => {
    const memory = smallMemory();
    new Tail(memory, () => undefined).start(0, 0, undefined);
    const { replica } = new TestReplica(memory, [1, 2, 3], emptyLog(), 3);
    const staging = new Staging(MIB);
    const row = staging.begin(idOf(1), 12);
    staging.fill(row, new Uint8Array(12));
    replica.staging(staging.shared);
    replica.staged([row]);
    const forgets = (term: number): boolean => {
      replica.receive(2, { kind: 'forget', term, count: 1 }, [idOf(1)]);
      return staging.isDone(row);
    };
    expect([2, 4, 3].map(forgets)).toEqual([false, false, true]);
  });
});
