// Sessions of producers on the wire, as a stranger would use them, and as nobody should: beside conditions, chains, `received` and batches, sent again over restarts,
// and of others.

import { describe, expect, onTestFinished, test } from 'vitest';
import { connect as connectClient } from '../../src/client/index.ts';
import { LEVEL_COMMITTED, LEVEL_RECEIVED, type Receipt } from '../../src/protocol/client.ts';
import { frameEntries } from './support/entries.ts';
import { connect, sharedNode, startNode } from './support/fixture.ts';
import { codeOf, type RawClient } from './support/rawClient.ts';

const shared = sharedNode({ segmentBytes: 65_536, slots: 3 });
const text = (value: string): Uint8Array => Buffer.from(value);
let names = 0;

/** A connection to the node that tests share, with a session of its own. */
async function opened(): Promise<{ client: RawClient; session: number; name: string }> {
  const client = await connect(shared());
  names += 1;
  const name = `producer ${names}`;
  const { session } = await client.openSession(name);
  return { client, session, name };
}

const placeOf = ({ term, offset, end, level }: Receipt): unknown => ({ term, offset, end, level });

/** What the log has from `from` on, of clients. */
async function textsFrom(client: RawClient, from: number): Promise<string[]> {
  const { commit } = await client.end();
  const entries = await client.readAll(from, commit);
  return entries.filter(({ kind }) => kind === 0).map(({ payload }) => payload.toString());
}

describe('an append of a session', () => {
  test('that is sent again has the same receipt, whoever sends it and however, and is there once', async () => {
    const { client, session } = await opened();
    const first = await client.append([text('a'), text('b')], { session: { session, sequence: 1 } });
    const second = await client.append(text('c'), { session: { session, sequence: 2 } });
    expect(second.offset).toBeGreaterThan(first.end);
    const other = await connect(shared());
    for (const again of [client, other]) {
      expect(placeOf(await again.append([text('a'), text('b')], { session: { session, sequence: 1 } }))).toEqual(placeOf(first));
      expect(placeOf(await again.append(text('c'), { session: { session, sequence: 2 } }))).toEqual(placeOf(second));
    }
    // Known by the number of its bytes alone.
    expect(await codeOf(other.append(text('longer'), { session: { session, sequence: 2 } }))).toBe('MALFORMED');
    expect(await textsFrom(client, first.offset)).toEqual(['a', 'b', 'c']);
  });

  test('is refused out of turn, of no session, and of one that is over; and is never taken for one of none', async () => {
    const { client, session, name } = await opened();
    const from = (await client.end()).commit;
    expect(await codeOf(client.append(text('a'), { session: { session, sequence: 2 } }))).toBe('SEQUENCE_GAP');
    expect(await codeOf(client.append(text('a'), { session: { session: session + 1, sequence: 1 } }))).toBe('UNKNOWN_SESSION');
    const next = await client.openSession(name, { instance: '2' });
    expect(next).toMatchObject({ before: session, beforeSequence: 0 });
    expect(await codeOf(client.append(text('a'), { session: { session, sequence: 1 } }))).toBe('UNKNOWN_SESSION');
    expect(await codeOf(client.openSession(name, { follows: session }))).toBe('FENCED');
    expect(await textsFrom(client, from)).toEqual([]);
    expect(await client.openSession(name, { instance: '2', follows: next.session })).toMatchObject({ before: next.session });
  });

  test('may have a condition: one that does not hold takes no sequence, and one that was done is not looked at again', async () => {
    const { client, session } = await opened();
    const { end } = await client.append(text('a'));
    await client.append(text('b'));
    const conditional = { session: { session, sequence: 1 }, expectedEnd: end };
    expect(await codeOf(client.append(text('c'), conditional))).toBe('CONDITION_FAILED');
    const { commit } = await client.end();
    const done = await client.append(text('d'), { session: { session, sequence: 1 }, expectedEnd: commit });
    await client.append(text('e'));
    const again = await client.append(text('d'), { session: { session, sequence: 1 }, expectedEnd: commit });
    expect(placeOf(again)).toEqual(placeOf(done));
    expect(await textsFrom(client, commit)).toEqual(['d', 'e']);
  });

  test('may be a link of a chain: one that was done moves no chain when it is sent again', async () => {
    const { client, session } = await opened();
    const { commit } = await client.end();
    const head = await client.append(text('a'), { session: { session, sequence: 1 }, expectedEnd: commit });
    const link = await client.append(text('b'), { session: { session, sequence: 2 }, chained: true });
    // The entry of the session is the log's own: nobody's data is between them.
    expect(link.offset).toBeGreaterThan(head.end);
    const other = await connect(shared());
    await other.append(text('x'));
    expect(await codeOf(client.append(text('c'), { session: { session, sequence: 3 }, chained: true }))).toBe('CHAIN_BROKEN');
    const repeated = await client.append(text('b'), { session: { session, sequence: 2 }, chained: true });
    expect(placeOf(repeated)).toEqual(placeOf(link));
    expect(await codeOf(client.append(text('c'), { session: { session, sequence: 3 }, chained: true }))).toBe('CHAIN_BROKEN');
    expect(await client.append(text('c'), { session: { session, sequence: 3 } })).toMatchObject({ level: LEVEL_COMMITTED });
    expect(await textsFrom(client, commit)).toEqual(['a', 'b', 'x', 'c']);
  });

  test('may be acknowledged as received, and is committed when it is sent again later', async () => {
    const { client, session } = await opened();
    const first = await client.append(text('a'), { session: { session, sequence: 1 }, received: true });
    expect(first.level).toBe(LEVEL_RECEIVED);
    await client.append(text('b'));
    const again = await client.append(text('a'), { session: { session, sequence: 1 }, received: true });
    expect(again).toMatchObject({ offset: first.offset, end: first.end, level: LEVEL_COMMITTED });
  });

  test('is one batch, with entries, and says whose it is: all else is refused without an end of the connection, or with one', async () => {
    const { client, session } = await opened();
    const two = frameEntries([text('a'), text('b')]);
    expect(await codeOf(client.appendFramed(two, 2, { session: { session, sequence: 1 } }))).toBe('MALFORMED');
    expect(await codeOf(client.appendFramed(new Uint8Array(0), 0, { session: { session, sequence: 1 } }))).toBe('MALFORMED');
    expect(await client.append(text('a'), { session: { session, sequence: 1 } })).toMatchObject({ level: LEVEL_COMMITTED });
    for (const wrong of [
      { session: 0, sequence: 1 },
      { session, sequence: 0 },
    ]) {
      const attacker = await connect(shared());
      expect(await codeOf(attacker.append(text('a'), { session: wrong }))).toBe('MALFORMED');
    }
    for (const name of ['', 'n'.repeat(65), 'a\nb']) {
      const attacker = await connect(shared());
      expect(await codeOf(attacker.openSession(name))).toBe('MALFORMED');
    }
  });
});

test('what a node was killed before it answered has its receipt when it is sent again, and is there once; what was trimmed is done', async () => {
  const node = await startNode({ segmentBytes: 65_536, slots: 3 });
  const before = await connect(node);
  const { session } = await before.openSession('p');
  const payload = Buffer.alloc(20_000, 'x');
  const receipts: Receipt[] = [];
  for (let sequence = 1; sequence <= 12; sequence += 1) receipts.push(await before.append(payload, { session: { session, sequence } }));
  await node.kill();
  const again = await startNode({ segmentBytes: 65_536, slots: 3, data: node.data });
  const client = await connect(again);
  const log = await connectClient(again.url);
  onTestFinished(() => log.close());
  const kept = 4;
  await log.trim({ to: receipts[kept]?.offset ?? 0 });
  const nowhere = { term: 0, offset: 0, end: 0, level: LEVEL_COMMITTED };
  // Also of segments that are on the disk only.
  for (const [i, receipt] of receipts.entries()) {
    const again = await client.append(payload, { session: { session, sequence: i + 1 } });
    expect(placeOf(again)).toEqual(i < kept ? nowhere : placeOf(receipt));
  }
  expect(await client.openSession('p', { follows: session })).toMatchObject({ before: session, beforeSequence: 12 });
  expect((await again.status()).sessions).toMatchObject({ count: 1, repeats: 12 });
});

test('E175: a session that was opened, and whose opener did not hear it, is the same when it is asked for again, after a restart too', async () => {
  const node = await startNode({ segmentBytes: 65_536, slots: 3 });
  const client = await connect(node);
  const { session } = await client.openSession('p');
  await client.append(text('a'), { session: { session, sequence: 1 } });
  const next = await client.openSession('p', { follows: session });
  const same = { session: next.session, before: session, beforeSequence: 1 };
  expect(next).toMatchObject(same);
  expect(await (await connect(node)).openSession('p', { follows: session })).toMatchObject(same);
  await node.kill();
  const again = await connect(await startNode({ segmentBytes: 65_536, slots: 3, data: node.data }));
  expect(await again.openSession('p', { follows: session })).toMatchObject(same);
  // A late copy of either request takes nothing from who has heard, and appends.
  await again.append(text('b'), { session: { session: next.session, sequence: 1 } });
  expect(await codeOf(again.openSession('p', { follows: session }))).toBe('FENCED');
  expect(await codeOf(again.openSession('p'))).toBe('FENCED');
  expect(await again.append(text('c'), { session: { session: next.session, sequence: 2 } })).toMatchObject({ level: LEVEL_COMMITTED });
});
