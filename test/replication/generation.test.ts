// Which generation of the log a node says that it knows: a node that joins a restored log is fed the generations before, too.

import { expect, it } from 'vitest';
import { KIND_CONFIGURATION, KIND_NOOP } from '../../assembly/layout.ts';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import type { Member } from '../../src/core/members.ts';
import { positionOf } from '../../src/core/position.ts';
import { configurationPayload } from '../../src/format/configuration.ts';
import { NO_POLICY } from '../../src/format/controlEntries.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { stampNoOp } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { emptyLog, OTHER_LEADER, TestReplica } from '../interleave/scenarios/replicas.ts';

const GENERATION = { number: 1, id: 'ab'.repeat(8) };

/** The first entries of a log of that generation, of term 1. */
function beginning(): Uint8Array {
  const memory = smallMemory();
  const tail = new Tail(memory, () => undefined);
  tail.fold.found(GENERATION);
  expect(tail.appendOwn(KIND_NOOP, noOpPayload(OTHER_LEADER), 1, 1)).toBe('ordered');
  const at = memory.map.slotAt(0) + positionOf(0, 0);
  return memory.bytes.slice(at, at + memory.tail);
}

it('is told by a voter only: a node that is new may be on its way through an earlier one', () => {
  const memory = smallMemory();
  const follower = new TestReplica(memory, [1, 2, 3], emptyLog(), 0, { standing: 'new' });
  const first = beginning();
  const generationOf = (): string[] => [follower.replica.raft.standing, memory.knownGeneration];
  // The leader of term 2 feeds it what was committed in term 1.
  follower.follow(2, { round: 1, term: 2, entriesTerm: 1, prevTerm: 0, prevOffset: 0, commit: first.length }, first);
  memory.setWord(WORD.DURABLE, memory.tail);
  follower.replica.durableMoved();
  expect([memory.commit, memory.generationId]).toEqual([first.length, GENERATION.id]);
  expect(generationOf()).toEqual(['new', NO_INSTANCE]);
  // With an entry of the leader's own term on its disk it has all that was committed, and is a voter.
  const noOp = stampNoOp(OTHER_LEADER, 2, first.length);
  const prevOffset = first.length;
  follower.follow(2, { round: 2, term: 2, prevTerm: 1, prevOffset, commit: prevOffset }, noOp);
  memory.setWord(WORD.DURABLE, memory.tail);
  follower.replica.durableMoved();
  expect(generationOf()).toEqual(['voter', GENERATION.id]);
});

it('is told by a node that joins only where the set of it has that node: others it only passes', () => {
  const memory = smallMemory();
  // Who joins a log that says its nodes has no list of them.
  const saved: unknown[] = [];
  const joiner = new TestReplica(memory, [], emptyLog(), 0, {
    standing: 'stranger',
    saveGeneration: (id, nodes) => saved.push([id, nodes]),
    saveNodes: (nodes) => saved.push(nodes),
  });
  const { instance } = joiner.replica.raft.settings;
  const member = (id: number, directory: string, role: Member['role']): Member => ({
    id,
    instance: directory,
    role,
    host: '',
    port: 0,
    peerPort: 0,
  });
  const leading = member(2, OTHER_LEADER, 'voter');
  const source = smallMemory();
  const tail = new Tail(source, () => undefined);
  tail.fold.found(GENERATION, NO_POLICY, LOG_LEVEL, [leading]);
  const own = (kind: number, payload: Uint8Array): number => {
    expect(tail.appendOwn(kind, payload, 1, 1)).toBe('ordered');
    return source.tail;
  };
  const first = own(KIND_NOOP, noOpPayload(OTHER_LEADER));
  const second = own(KIND_CONFIGURATION, configurationPayload([member(1, instance, 'learner'), leading]));
  const at = source.map.slotAt(0) + positionOf(0, 0);
  const feed = (from: number, to: number): void => {
    const prevTerm = from === 0 ? 0 : 1;
    joiner.follow(2, { round: from + 1, term: 1, prevTerm, prevOffset: from, commit: to }, source.bytes.slice(at + from, at + to));
  };
  const sync = (): void => {
    memory.setWord(WORD.DURABLE, memory.tail);
    joiner.replica.durableMoved();
  };
  feed(0, first);
  sync();
  expect([joiner.replica.raft.standing, memory.generationId, memory.knownGeneration]).toEqual(['voter', GENERATION.id, NO_INSTANCE]);
  // Ids without a generation would count at a start at which the log has begun anew, and is empty.
  expect(saved).toEqual([]);
  // Nor is a generation noted without them: with it, and no ids, a directory says that nobody else has the log (E185).
  feed(first, second);
  expect([memory.commit, memory.durable, memory.knownGeneration, saved]).toEqual([second, first, NO_INSTANCE, []]);
  sync();
  expect([memory.knownGeneration, saved]).toEqual([GENERATION.id, [[GENERATION.id, [1, 2]]]]);
  // Those that come later stand alone.
  const third = own(
    KIND_CONFIGURATION,
    configurationPayload([member(1, instance, 'learner'), leading, member(3, '3'.repeat(16), 'learner')]),
  );
  feed(second, third);
  sync();
  expect(saved).toEqual([
    [GENERATION.id, [1, 2]],
    [1, 2, 3],
  ]);
});
