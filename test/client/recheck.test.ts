// After a lost connection a client looks whether its conditional append is in the log. An entry is its own when the payload is the same,
// byte for byte: size and place prove nothing.

import { expect, test } from 'vitest';
import { KIND_CONTINUED } from '../../assembly/layout.ts';
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
