// After a lost connection a client looks whether its conditional append is in the log. An entry is its own when the payload is the same,
// byte for byte: size and place prove nothing.

import { describe, expect, test } from 'vitest';
import { KIND_CONTINUED, KIND_NOOP } from '../../assembly/layout.ts';
import type { LogClient } from '../../src/client/client.ts';
import { END, encodeEnded } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { FakeCluster } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';

interface Case {
  readonly own: readonly string[];
  /** What has its place, with whether each entry says that its batch goes on. */
  readonly there: readonly (readonly [text: string, isContinued: boolean])[];
  readonly isOwn: boolean;
}

const CASES: readonly (readonly [string, Case])[] = [
  ['the same bytes', { own: ['payload'], there: [['payload', false]], isOwn: true }],
  ['the same size, and other bytes', { own: ['payload'], there: [['another', false]], isOwn: false }],
  ['another first byte', { own: ['payload'], there: [['Payload', false]], isOwn: false }],
  ['another last byte', { own: ['payload'], there: [['payloae', false]], isOwn: false }],
  ['a beginning of it', { own: ['payload'], there: [['payloa', false]], isOwn: false }],
  [
    'a batch of the same bytes',
    {
      own: ['one', 'two'],
      there: [
        ['one', true],
        ['two', false],
      ],
      isOwn: true,
    },
  ],
  [
    'a batch whose second entry differs',
    {
      own: ['one', 'two'],
      there: [
        ['one', true],
        ['too', false],
      ],
      isOwn: false,
    },
  ],
  [
    'the same entries, which are no batch',
    {
      own: ['one', 'two'],
      there: [
        ['one', false],
        ['two', false],
      ],
      isOwn: false,
    },
  ],
  [
    'a batch that goes on',
    {
      own: ['one'],
      there: [
        ['one', true],
        ['two', false],
      ],
      isOwn: false,
    },
  ],
];

test.each(CASES)('in the place of an append whose answer was lost is %s', async (_what, { own, there, isOwn }) => {
  const cluster = new FakeCluster();
  const log = await cluster.connect();
  const old = cluster.leader;
  try {
    const { end } = await log.append('a');
    old.holdsAppends = true;
    const promise = log.appendBatch(own, { expectedEnd: end });
    promise.catch(() => undefined);
    await settleMicrotasks();
    cluster.kill(1);
    for (const [text, isContinued] of there) cluster.node(2).add(text, 1, isContinued ? KIND_CONTINUED : 0);
    cluster.lead(2);
    cluster.replicate();
    if (isOwn) {
      expect(await promise).toMatchObject({ term: 1, offset: end });
    } else {
      const error = await failureOf(promise);
      expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
    }
    expect(cluster.leader.texts()).toEqual(['a', ...there.map(([text]) => text)]);
  } finally {
    old.holdsAppends = false;
    await log.close();
  }
});

/** The leader orders the next appends, passes them on, and dies before it answers; node 2 leads. */
function dieAfterNext(cluster: FakeCluster): void {
  cluster.leader.onOrdered = () => {
    cluster.replicate();
    cluster.kill(1);
    cluster.lead(2);
  };
}

describe.each(['append', 'writer'] as const)('an expected end inside an entry, of an %s whose leader is lost', (how) => {
  const append = (log: LogClient, text: string, expectedEnd: number): Promise<{ readonly offset: number }> =>
    how === 'append' ? log.append(text, { expectedEnd }) : log.writer({ expectedEnd }).append(text);

  test('which is the log’s own: the append is found', async () => {
    const cluster = new FakeCluster();
    const log = await cluster.connect();
    dieAfterNext(cluster);
    const { offset } = await append(log, 'own', 5);
    expect(offset).toBe(12);
    expect(cluster.leader.texts()).toEqual(['own']);
    await log.close();
  });

  test('which is data: the append is not in the log, though that entry has the same bytes', async () => {
    const cluster = new FakeCluster();
    const log = await cluster.connect();
    const first = cluster.leader;
    first.holdsAppends = true;
    // The dead leader had only its own beginning of a term before the expected end; the next one has another log.
    first.add('', 1, KIND_NOOP);
    const failure = failureOf(append(log, 'own', 24));
    await settleMicrotasks();
    for (const id of [2, 3]) cluster.node(id).add('own');
    cluster.kill(1);
    cluster.lead(2);
    const error = await failure;
    expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
    expect(cluster.leader.texts()).toEqual(['own']);
    first.holdsAppends = false;
    await log.close();
  });
});

test('an entry with an append’s bytes in its place, but of another term than the only one in which it was to be done, is another’s', async () => {
  const cluster = new FakeCluster();
  const log = await cluster.connect();
  const first = cluster.leader;
  first.holdsAppends = true;
  const failure = failureOf(log.append('own', { expectedEnd: 12, expectedTerm: 1 }));
  await settleMicrotasks();
  cluster.kill(1);
  cluster.lead(2);
  cluster.node(2).add('own', 2);
  cluster.replicate();
  const error = await failure;
  expect([error.code, error.outcome]).toEqual(['CONDITION_FAILED', 'failed']);
  first.holdsAppends = false;
  await log.close();
});

test('an answer whose term is younger than what it says of the log does not end the term of an append that is on its way', async () => {
  const cluster = new FakeCluster();
  const log = await cluster.connect();
  const old = cluster.leader;
  old.holdsAppends = true;
  const promise = log.writer({ expectedEnd: 12, expectedTerm: 1 }).append('own');
  await settleMicrotasks();
  const { connection } = old;
  const [late] = connection.unanswered.splice(0);
  let answers = 0;
  for (const node of cluster.nodes) {
    node.onRequest = ({ opcode, requestId }, from) => {
      if (opcode !== END || answers++ > 0) return false;
      // The log's end is of term 1; by the time of the answer term 2 has begun, and nobody has said so yet.
      from.send(encodeEnded(requestId, 0, 12, 2));
      // What is on its way is committed all the same.
      if (late !== undefined) old.order(late.body, late.a);
      cluster.replicate();
      return true;
    };
  }
  old.holdsAppends = false;
  connection.kill();
  expect(await promise).toMatchObject({ term: 1, offset: 12 });
  expect(old.texts()).toEqual(['own']);
  await log.close();
});
