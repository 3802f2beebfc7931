// What nodes ask of each other to heal with, and what a node that asks or answers with anything else gets.

import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { HEAL_BYTES_PER_SECOND } from '../../src/core/limits.ts';
import { FEED_READERS } from '../../src/core/peerLimits.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { Feed } from '../../src/replication/feed.ts';
import { Fetches } from '../../src/replication/fetches.ts';
import type { FetchAnswer } from '../../src/replication/ports.ts';
import type { ColdRange } from '../../src/storage/segmentReader.ts';

interface Sent {
  readonly to: number;
  readonly message: PeerMessage;
  readonly bytes: number;
}

function make(canSend = true) {
  const memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  memory.setWord(WORD.COMMIT, 300);
  memory.setWord(WORD.DURABLE, 300);
  const sent: Sent[] = [];
  const answers: [number, FetchAnswer][] = [];
  const reads: { range: ColdRange; buffer: number; done: (result: number | LogError) => void }[] = [];
  const damaged: number[] = [];
  const cut: number[] = [];
  const held: (() => void)[] = [];
  const clock = { nowMs: 0 };
  const feed = new Feed(memory, [
    { base: 0, end: 100 },
    { base: 100, end: 250 },
    { base: 250, end: 400 },
  ]);
  const fetches = new Fetches(
    { currentTerm: 7 } as Raft,
    memory,
    feed,
    {
      nowMs: () => clock.nowMs,
      canSend: () => canSend,
      send: (to, message, body, released) => {
        sent.push({ to, message, bytes: body?.length ?? 0 });
        if (released !== undefined) held.push(released);
      },
      readCold: (range, buffer, done) => reads.push({ range, buffer, done }),
      fetched: (id, answer) => answers.push([id, answer]),
      damaged: (offset) => damaged.push(offset),
      cut: (node) => cut.push(node),
    },
    (input) => {
      input();
      fetches.run();
    },
  );
  const asks = (node: number, from: number, end: number, id = 1): void => {
    fetches.asks(node, { kind: 'fetch', term: 7, id, from, end });
    fetches.run();
  };
  return { memory, feed, fetches, sent, answers, reads, damaged, cut, held, clock, asks };
}

describe('a node that answers', () => {
  test('reads committed entries of a sealed segment, and says no to all else', () => {
    const { asks, reads, sent } = make();
    asks(2, 100, 250);
    expect(reads[0]).toMatchObject({
      buffer: FEED_READERS,
      range: { base: 100, from: 100, limit: 250, isBoundary: true, wholeBatches: false },
    });
    reads[0]?.done(90);
    expect(sent).toEqual([{ to: 2, message: { kind: 'fetched', term: 7, id: 1, from: 100, end: 190, isDamaged: false }, bytes: 90 }]);
    const other = make();
    // Not all of it committed, another end than the segment's, past the end, nothing there.
    for (const [from, end] of [
      [250, 400],
      [100, 249],
      [100, 300],
      [1000, 2000],
    ] as const)
      other.asks(2, from, end);
    expect(other.reads).toEqual([]);
    expect(other.sent.map(({ message }) => message)).toMatchObject(Array(4).fill({ kind: 'fetched', isDamaged: false }));
    expect(other.sent.every(({ message }) => message.kind === 'fetched' && message.end === message.from)).toBe(true);
  });

  test('gives who lacks a part of an open segment what it has committed, in whichever segment, and nothing above its commit', () => {
    const { asks, reads, sent, held, memory, fetches, clock } = make();
    const wants = (from: number, end: number): void => {
      clock.nowMs += 1;
      fetches.asks(2, { kind: 'fetch', term: 7, id: 1, from, end, isOpen: true });
      fetches.run();
    };
    wants(100, 260);
    expect(reads[0]?.range).toMatchObject({ base: 100, from: 100, limit: 250, isBoundary: true });
    reads[0]?.done(150);
    held[0]?.();
    // Its own commit is 300, whatever the other node knows.
    wants(250, 400);
    expect(reads[1]?.range).toMatchObject({ base: 250, from: 250, limit: 300 });
    reads[1]?.done(50);
    held[1]?.();
    wants(300, 400);
    expect([reads.length, sent.at(-1)?.message]).toMatchObject([2, { kind: 'fetched', from: 300, end: 300, isDamaged: false }]);
    // What is committed and not durable here is nobody's yet.
    memory.setWord(WORD.DURABLE, 260);
    wants(260, 400);
    expect([reads.length, sent.at(-1)?.message]).toMatchObject([2, { kind: 'fetched', from: 260, end: 260 }]);
    asks(2, 260, 400);
    expect(reads.length).toBe(2);
  });

  test('says that it is damaged there, and tells of it; a place that is none is no damage', () => {
    const { asks, reads, sent, damaged } = make();
    asks(2, 120, 250);
    expect(reads[0]?.range.isBoundary).toBe(false);
    reads[0]?.done(new LogError('OFFSET_NOT_BOUNDARY', 'inside an entry'));
    expect(damaged).toEqual([]);
    asks(2, 100, 250);
    reads[1]?.done(new LogError('DAMAGE', 'bad'));
    expect(damaged).toEqual([100]);
    expect(sent.map(({ message }) => message)).toMatchObject([{ isDamaged: false }, { isDamaged: true }]);
  });

  test('gives nobody a segment that is not what the log says, as soon as it knows', () => {
    const { feed, asks, reads, sent, damaged } = make();
    asks(2, 100, 250);
    feed.different([100]);
    reads[0]?.done(90);
    asks(3, 120, 250);
    expect(sent.map(({ to, message, bytes }) => [to, message.kind === 'fetched' && message.isDamaged, bytes])).toEqual([
      [2, true, 0],
      [3, true, 0],
    ]);
    expect(reads.length).toBe(1);
    // It is no damage that could be healed.
    expect(damaged).toEqual([]);
    asks(2, 0, 100);
    expect(reads[1]?.range).toMatchObject({ base: 0 });
    reads[1]?.done(10);
    feed.different([]);
    asks(3, 100, 250);
  });

  test('reads for one node at a time, at a pace, and keeps one question of each', () => {
    const { asks, reads, held, clock, fetches } = make();
    for (let i = 0; i < 1000; i += 1) asks(2, 100, 250, i);
    asks(3, 0, 100);
    expect(reads.length).toBe(1);
    reads[0]?.done(HEAL_BYTES_PER_SECOND / 100);
    // Its bytes are in the buffer until the link has taken them.
    fetches.run();
    expect(reads.length).toBe(1);
    held[0]?.();
    expect(fetches.run()).toBe(10);
    clock.nowMs = 10;
    fetches.run();
    reads[1]?.done(10);
    held[1]?.();
    clock.nowMs = 30;
    fetches.run();
    expect(reads.map(({ range }) => range.from)).toEqual([100, 100, 0]);
    reads[2]?.done(10);
    held[2]?.();
    clock.nowMs = 50;
    expect(fetches.run()).toBe(Number.POSITIVE_INFINITY);
  });

  test('drops the question of a node whose link is down', () => {
    const { asks, reads, held, fetches } = make();
    asks(2, 0, 100);
    asks(3, 100, 250);
    fetches.disconnected(3);
    reads[0]?.done(1);
    held[0]?.();
    fetches.run();
    expect(reads.length).toBe(1);
  });
});

describe('a node that asks', () => {
  const question = { id: 5, to: 2, from: 100, end: 250 };

  test('has the entries in its heal buffer, and drops what it did not ask for', () => {
    const { fetches, memory, answers, sent, cut } = make();
    fetches.ask(question);
    expect(sent).toEqual([{ to: 2, message: { kind: 'fetch', term: 7, id: 5, from: 100, end: 250 }, bytes: 0 }]);
    const answer = { kind: 'fetched', term: 7, id: 5, from: 100, end: 103, isDamaged: false } as const;
    const body = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    fetches.answered(3, answer, body);
    fetches.answered(2, { ...answer, id: 4 }, body);
    expect(answers).toEqual([]);
    fetches.answered(2, answer, body);
    fetches.answered(2, answer, [Uint8Array.of(9, 9, 9)]);
    expect(answers).toEqual([[5, { outcome: 'entries', bytes: 3 }]]);
    const at = memory.map.coldAt(memory.map.healBuffer);
    expect([...memory.bytes.slice(at, at + 3)]).toEqual([1, 2, 3]);
    expect(cut).toEqual([]);
  });

  test.each([
    ['other entries', 101, 104],
    ['more than was asked for', 100, 251],
  ])('cuts a node that answers with %s', (_what, from, end) => {
    const { fetches, answers, cut } = make();
    fetches.ask(question);
    fetches.answered(2, { kind: 'fetched', term: 7, id: 5, from, end, isDamaged: false }, [new Uint8Array(end - from)]);
    expect(answers).toEqual([[5, { outcome: 'missing' }]]);
    expect(cut).toEqual([2]);
  });

  test('hears that there is nothing, that it is damaged there, that nobody can be reached', () => {
    const { fetches, answers } = make();
    const none = { kind: 'fetched', term: 7, id: 5, from: 100, end: 100 } as const;
    fetches.ask(question);
    fetches.answered(2, { ...none, isDamaged: true }, []);
    fetches.ask(question);
    fetches.answered(2, { ...none, isDamaged: false }, []);
    fetches.ask(question);
    fetches.disconnected(3);
    fetches.disconnected(2);
    expect(answers.map(([, { outcome }]) => outcome)).toEqual(['damaged', 'missing', 'unreachable']);
    const alone = make(false);
    alone.fetches.ask(question);
    expect(alone.answers).toEqual([[5, { outcome: 'unreachable' }]]);
  });
});
