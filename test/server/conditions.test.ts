// Conditional appends and chains, on a node whose terms come and go. Positions are positions in data: the log's own entries neither help nor
// hinder. Each case in which appends were done that must not be, or never again were, is here by its story.

import { beforeEach, describe, expect, test } from 'vitest';
import { KIND_NOOP, KIND_TRIM } from '../../assembly/layout.ts';
import { HELD_APPEND_BYTES } from '../../src/core/servingLimits.ts';
import { trimPayload } from '../../src/format/controlEntries.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { WORD } from '../../src/memory/map.ts';
import { stampBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { smallMemory } from '../crash/testNode.ts';
import { ConditionBench, entriesOf, OVERHEAD_BYTES } from './support/conditionBench.ts';

const memory = smallMemory();
let disk = new MemoryDisk();
let bench = new ConditionBench(disk, memory);

beforeEach(() => {
  disk = new MemoryDisk();
  bench = new ConditionBench(disk, memory);
});

/** One of the log's own entries. */
function appendOwn(kind: typeof KIND_NOOP | typeof KIND_TRIM): void {
  bench.gate.closeSync();
  const payload = kind === KIND_TRIM ? trimPayload({ start: 0, dataEnd: 0 }) : noOpPayload('0f1e2d3c4b5a6978');
  expect(bench.node.tail.appendOwn(kind, payload, bench.node.term, 5)).toBe('ordered');
  bench.gate.open();
}

describe('an expected end', () => {
  test('is a position in data: it holds from where the last data entry ends to where the log does, at a boundary or not', () => {
    const client = bench.connect();
    client.append([5]);
    const data = bench.dataEnd;
    expect([data, bench.tail]).toEqual([bench.noopBytes + 17, bench.noopBytes + 17]);
    appendOwn(KIND_NOOP);
    appendOwn(KIND_TRIM);
    const { tail } = bench;
    expect(bench.dataEnd).toBe(data);
    for (const at of [data - 1, 0, tail + 1, 2 ** 53 - 1]) client.append([3], { at });
    expect(client.outcomes.slice(1)).toEqual([
      `CONDITION_FAILED ${data}`,
      `CONDITION_FAILED ${data}`,
      `CONDITION_FAILED ${tail}`,
      `CONDITION_FAILED ${tail}`,
    ]);
    expect(client.sentences[1]).toBe(`the log has data up to offset ${data}, after the expected end ${data - 1}`);
    expect(client.sentences[3]).toBe(`the log ends at offset ${tail}, before the expected end ${tail + 1}`);
    // Each of these holds; the log is as before for the next one.
    for (const at of [data, data + 1, data + 12, tail - 1, tail]) {
      const again = new ConditionBench(new MemoryDisk(), memory);
      bench = again;
      const other = again.connect();
      other.append([5]);
      appendOwn(KIND_NOOP);
      appendOwn(KIND_TRIM);
      other.append([3], { at });
      again.commit();
      expect(other.outcomes[1]).toBe(`ok ${tail}..${tail + 15}`);
    }
  });

  test('of 0 means that no data was ever appended', () => {
    const client = bench.connect();
    client.append([1], { at: 0 });
    client.append([1], { at: 0 });
    bench.commit();
    expect(client.outcomes).toEqual([`ok ${bench.noopBytes}..${bench.noopBytes + 13}`, `CONDITION_FAILED ${bench.noopBytes + 13}`]);
  });

  test('of the last receipt holds after elections and restarts, as often as one likes', () => {
    let client = bench.connect();
    client.append([5]);
    bench.commit();
    let end = bench.dataEnd;
    for (let round = 0; round < 3; round += 1) {
      bench.resign();
      bench.lead(bench.node.term + 1);
      client.append([5], { at: end });
      bench.commit();
      expect(client.outcomes.at(-1)).toMatch(/^ok/);
      end = bench.dataEnd;
      bench.node.stop();
      bench = new ConditionBench(disk, memory);
      expect([bench.dataEnd, bench.tail]).toEqual([end, end + bench.noopBytes]);
      client = bench.connect();
      client.append([5], { at: end });
      bench.commit();
      expect(client.outcomes.at(-1)).toMatch(/^ok/);
      end = bench.dataEnd;
    }
  });

  test('with a term holds in that term of the leader only: the end of what was only received may be another thing in the next one', () => {
    const client = bench.connect();
    client.append([5], { received: true });
    const { term } = bench.node;
    const received = bench.tail;
    client.append([5], { at: received, b: term + 1 });
    expect(client.outcomes[1]).toBe(`CONDITION_FAILED ${received}`);
    expect(client.sentences[1]).toBe(`this node leads in term ${term}, not in the expected term ${term + 1}`);
    // The received entry is lost with its leader; the new one's entries of its own go past where it ended.
    bench.resign();
    bench.node.truncate(bench.noopBytes);
    bench.lead(term + 1);
    while (bench.tail < received) appendOwn(KIND_NOOP);
    expect(bench.dataEnd).toBeLessThanOrEqual(received);
    client.append([5], { at: received, b: term });
    expect(client.outcomes[2]).toBe(`CONDITION_FAILED ${bench.tail}`);
    client.append([5], { at: received, b: term + 1, received: true });
    expect(client.outcomes[3]).toMatch(/^ok/);
  });

  test('is known to whoever comes to lead: a follower keeps it by what it is sent', () => {
    bench.resign();
    const { node, noopBytes } = bench;
    node.changeTerm(7, false);
    const first = entriesOf([5, 6]);
    expect(node.appendReplicated(stampBatch(first, 7, bench.tail), 7, 0)).toBe('ordered');
    const dataEnd = noopBytes + first.length;
    expect([bench.dataEnd, bench.tail]).toEqual([dataEnd, dataEnd]);
    bench.lead(8);
    expect([bench.dataEnd, bench.tail]).toEqual([dataEnd, dataEnd + noopBytes]);
    const client = bench.connect();
    client.append([1], { at: dataEnd - 1 });
    client.append([1], { at: dataEnd });
    bench.commit();
    expect(client.outcomes[0]).toBe(`CONDITION_FAILED ${dataEnd}`);
    expect(client.outcomes[1]).toMatch(/^ok/);
  });

  test('is compared when the append is ordered, not when it comes: who waits loses to who came before', () => {
    bench.gate.closeSync();
    const [one, two] = [bench.connect(), bench.connect()];
    one.append([5], { at: bench.tail });
    two.append([5], { at: bench.tail });
    expect([one.outcomes, two.outcomes]).toEqual([['none'], ['none']]);
    bench.gate.open();
    bench.appends.retryHeld();
    bench.commit();
    expect(one.outcomes[0]).toMatch(/^ok/);
    expect(two.outcomes[0]).toBe(`CONDITION_FAILED ${bench.dataEnd}`);
  });
});

describe('a conditional or chained append is exactly one batch', () => {
  test('otherwise it is refused, harms nobody and moves no chain', () => {
    const client = bench.connect();
    const at = bench.tail;
    client.append(entriesOf([5, 5], false), { at, entryCount: 2 });
    client.append(Buffer.concat([entriesOf([5, 5]), entriesOf([5])]), { at, entryCount: 3 });
    client.link([5]);
    expect(client.outcomes).toEqual(['MALFORMED 17', 'MALFORMED 34', `CHAIN_BROKEN ${bench.dataEnd}`]);
    expect(client.sentences[0]).toContain('are one batch, but the entry begins another one (entry at byte 17 of the batch)');
    expect([bench.tail, client.unacknowledgedBytes, client.unacknowledgedAppends, client.isClosed]).toEqual([at, 0, 0, false]);
    client.append([5, 5, 5], { at });
    client.link([6, 6]);
    client.link(Buffer.concat([entriesOf([5]), entriesOf([5])]), { entryCount: 2 });
    bench.commit();
    expect(client.outcomes.slice(3)).toEqual([`ok ${at}..${at + 51}`, `ok ${at + 51}..${at + 87}`, 'MALFORMED 17']);
    // Plain ones may be several.
    client.append(entriesOf([5, 5], false), { entryCount: 2 });
    bench.commit();
    expect(client.outcomes.at(-1)).toMatch(/^ok/);
  });
});

describe('a chain', () => {
  test('of one writer stands alone: what another one writes in its midst ends it, although all entries have one size', () => {
    const [one, two] = [bench.connect(), bench.connect()];
    const at = bench.tail;
    // W1 pipelines A@E, B@E+17, C@E+34; the entry of W2 lands at E. By offsets alone, B and C would pass.
    two.append([5]);
    one.append([5], { at });
    one.link([5]);
    one.link([5]);
    bench.commit();
    expect(one.outcomes).toEqual([`CONDITION_FAILED ${at + 17}`, `CHAIN_BROKEN ${at + 17}`, `CHAIN_BROKEN ${at + 17}`]);
    expect([two.outcomes[0], bench.tail]).toEqual([`ok ${at}..${at + 17}`, at + 17]);
    // The same in the midst of it.
    one.append([5], { at: at + 17 });
    two.append([5]);
    one.link([5]);
    one.link([5]);
    bench.commit();
    const end = at + 51;
    expect(one.outcomes.slice(3)).toEqual([`ok ${at + 17}..${at + 34}`, `CHAIN_BROKEN ${end}`, `CHAIN_BROKEN ${end}`]);
    expect(one.sentences[4]).toBe(
      `after append 1 of this chain, which ends at offset ${at + 34}, came other data: it ends at ${end}: look in the log where this chain ends, then begin a new one`,
    );
  });

  test('of one writer is not joined over a change of leaders by a no-op of the same size', () => {
    const client = bench.connect();
    const payload = bench.noopBytes - OVERHEAD_BYTES;
    const at = bench.tail;
    const { term } = bench.node;
    // The head is lost, and the no-op of the next term takes its place exactly.
    client.append([payload], { at });
    bench.resign();
    bench.node.truncate(at);
    bench.lead(term + 1);
    expect(bench.tail).toBe(at + bench.noopBytes);
    client.link([payload]);
    bench.commit();
    expect(client.outcomes).toEqual([expect.stringContaining('unknown'), `CHAIN_BROKEN ${bench.dataEnd}`]);
    expect(client.sentences[1]).toBe(
      `append 1 of this chain was ordered in term ${term}, and term ${term + 1} has begun: look in the log where this chain ends, then begin a new one`,
    );
    expect(bench.tail).toBe(at + bench.noopBytes);
  });

  test('is of one term: the same end in another one is not the same append', () => {
    const client = bench.connect();
    const at = bench.tail;
    const { term } = bench.node;
    client.append([5], { at, received: true });
    const end = bench.dataEnd;
    // Another leader writes other data, which ends at the same offset; then this node leads again.
    bench.resign();
    bench.node.truncate(at);
    bench.node.changeTerm(term + 1, false);
    expect(bench.node.appendReplicated(stampBatch(entriesOf([5]), term + 1, at), term + 1, 0)).toBe('ordered');
    bench.lead(term + 2);
    expect(bench.dataEnd).toBe(end);
    client.link([5]);
    expect(client.outcomes[1]).toBe(`CHAIN_BROKEN ${end}`);
  });

  test('goes past entries of the log itself', () => {
    const client = bench.connect();
    client.append([5], { at: bench.tail });
    appendOwn(KIND_NOOP);
    client.link([5]);
    appendOwn(KIND_TRIM);
    client.link([5]);
    bench.commit();
    expect(client.outcomes.every((outcome) => outcome.startsWith('ok'))).toBe(true);
  });

  test('of many segments is one chain', () => {
    const client = bench.connect();
    client.append([20_000], { at: bench.tail });
    for (let i = 0; i < 10; i += 1) {
      bench.commit();
      client.link([20_000]);
    }
    bench.commit();
    expect(client.outcomes.every((outcome) => outcome.startsWith('ok'))).toBe(true);
  });

  test('is ended by any refusal, at the door or behind it, for what comes after it and for nothing before it', () => {
    const door: readonly (readonly [string, (client: ReturnType<ConditionBench['connect']>) => void])[] = [
      ['MALFORMED 0', (client) => client.link(new Uint8Array())],
      ['MALFORMED 0', (client) => client.link([5], { entryCount: 0 })],
      ['MALFORMED 17', (client) => client.link([5], { entryCount: 2 })],
      ['ENTRY_TOO_LARGE 60000', (client) => client.link([60_001])],
      ['BAD_CHECK 0', (client) => client.link(entriesOf([5]).fill(7, 10, 11), { entryCount: 1 })],
      [
        'SHUTTING_DOWN 0',
        (client) => {
          bench.appends.isDraining = true;
          client.link([5]);
          bench.appends.isDraining = false;
        },
      ],
      [
        'NOT_LEADER 0',
        (client) => {
          const { term } = bench.node;
          bench.resign();
          client.link([5]);
          // It comes to lead again before anybody looks: not in the same term, in life, but that is the harder case.
          bench.memory.setWord(WORD.OPEN_TERM, term);
          bench.gate.open();
        },
      ],
    ];
    for (const [refusal, refuse] of door) {
      // Held before the refusal, and ordered after it: the link before the refused one is done all the same.
      const client = bench.connect();
      client.append([5], { at: bench.tail });
      if (refusal !== 'NOT_LEADER 0') bench.gate.closeSync();
      client.link([5]);
      refuse(client);
      client.link([5]);
      bench.gate.open();
      bench.appends.retryHeld();
      bench.commit();
      expect(client.outcomes.map((outcome) => outcome.split(' ')[0])).toEqual(['ok', 'ok', refusal.split(' ')[0], 'CHAIN_BROKEN']);
      expect(client.outcomes[2]).toContain(refusal);
      expect(client.sentences[3]).toBe(
        'append 3 of this chain was not done, so number 4 was not either: look in the log where this chain ends, then begin a new one',
      );
      expect([client.unacknowledgedBytes, client.unacknowledgedAppends]).toEqual([0, 0]);
    }
  });

  test('that is held over a change of terms is broken, and one whose head is held is not', () => {
    const [one, two] = [bench.connect(), bench.connect()];
    const { term } = bench.node;
    one.append([5], { at: bench.tail });
    bench.gate.closeSync();
    one.link([5]);
    const at = bench.dataEnd;
    two.append([5], { at });
    two.link([5]);
    bench.gate.open();
    bench.resign();
    // Nobody looked meanwhile: what is held meets the next term.
    bench.lead(term + 1);
    bench.appends.retryHeld();
    bench.commit();
    expect(one.outcomes[1]).toBe(`CHAIN_BROKEN ${at}`);
    expect(two.outcomes.map((outcome) => outcome.split(' ')[0])).toEqual(['ok', 'ok']);
  });

  test('ends with its connection: what is held of it is not done, by part or whole', () => {
    const client = bench.connect();
    const at = bench.tail;
    bench.gate.closeSync();
    client.append([5], { at });
    client.link([5]);
    client.isClosed = true;
    bench.gate.open();
    bench.appends.retryHeld();
    expect(bench.tail).toBe(at);
  });

  test('is ended by a plain append of its own connection, and the next head begins another one', () => {
    const client = bench.connect();
    client.append([5], { at: bench.tail });
    client.append([5]);
    client.link([5]);
    client.append([5], { at: bench.dataEnd });
    client.link([5]);
    client.append([5], { at: 0 });
    client.link([5]);
    bench.commit();
    const codes = client.outcomes.map((outcome) => outcome.split(' ')[0]);
    expect(codes).toEqual(['ok', 'ok', 'CHAIN_BROKEN', 'ok', 'ok', 'CONDITION_FAILED', 'CHAIN_BROKEN']);
  });

  test('is the newest one of its connection: a head that failed is a chain of its own', () => {
    const [one, two] = [bench.connect(), bench.connect()];
    one.append([5], { at: bench.tail });
    one.append([5], { at: 0 });
    // The chain before would go on here.
    one.link([5]);
    two.append([5], { at: bench.dataEnd });
    two.link([5]);
    bench.commit();
    expect(one.outcomes.map((outcome) => outcome.split(' ')[0])).toEqual(['ok', 'CONDITION_FAILED', 'CHAIN_BROKEN']);
    expect(two.outcomes.map((outcome) => outcome.split(' ')[0])).toEqual(['ok', 'ok']);
  });

  test('of received appends is a chain like others', () => {
    const client = bench.connect();
    const at = bench.tail;
    client.append([5], { at, b: bench.node.term, received: true });
    client.link([5], { received: true });
    client.link([5]);
    expect(client.outcomes).toEqual([`ok ${at}..${at + 17}`, `ok ${at + 17}..${at + 34}`, 'none']);
    bench.commit();
    expect(client.outcomes[2]).toBe(`ok ${at + 34}..${at + 51}`);
  });

  test('has a head and links, never both in one, and no link comes first', () => {
    const [one, two] = [bench.connect(), bench.connect()];
    one.append([5], { at: bench.tail, chained: true });
    expect(one.outcomes).toEqual(['FATAL MALFORMED 0']);
    two.link([5]);
    expect(two.outcomes).toEqual(['FATAL MALFORMED 0']);
    expect(two.sentences[0]).toContain('this connection has sent no CONDITIONAL one');
  });

  test.each([
    ['an expected end', { offset: 1 }],
    ['a term', { b: 1 }],
  ])('whose link has %s is refused: a condition that nobody looks at must not pass for one', (_what, sent) => {
    const client = bench.connect();
    client.append([5], { at: bench.tail });
    client.link([5], sent);
    expect(client.outcomes.at(-1)).toBe('FATAL MALFORMED 0');
  });

  test('whose link overflows what may be held closes the connection, and nothing after the link is done', () => {
    const client = bench.connect();
    const at = bench.tail;
    bench.gate.closeSync();
    const body = entriesOf([50_000]);
    client.append(body, { at, entryCount: 1 });
    let sent = 1;
    for (let held = 0; held <= HELD_APPEND_BYTES; held += 50_012) {
      client.link(body, { entryCount: 1 });
      sent += 1;
    }
    client.link([5]);
    expect(client.outcomes).toEqual(new Array(sent + 1).fill('none'));
    // Somebody needs the room.
    const other = bench.connect();
    for (let i = 0; i < 2; i += 1) other.append(entriesOf([50_000]), { entryCount: 1 });
    expect([client.isClosed, client.outcomes[0]]).toEqual([true, 'FATAL OVERLOADED 0']);
    bench.gate.open();
    bench.appends.retryHeld();
    bench.commit();
    expect(client.outcomes.slice(1)).toEqual(new Array(sent).fill('none'));
    expect(other.outcomes.map((outcome) => outcome.split(' ')[0])).toEqual(['ok', 'ok']);
  });
});
