// What an ERROR of a node is to a program.

import { expect, test } from 'vitest';
import { errorOf } from '../../src/client/nodes/errorAnswer.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import { encodeError } from '../../src/protocol/client.ts';

/** The error that a program gets for an ERROR with this number and these flags. */
function seen(number: number, flags: number): unknown {
  const message = encodeError(7, 'IO', 0, 'a sentence', flags);
  new DataView(message.buffer).setUint16(2, number, true);
  const answer = decodeAnswer(message);
  return answer.kind === 'error' ? errorOf(answer) : answer;
}

test('what a number that is not known says of an append nobody knows', () => {
  expect(seen(999, 0)).toMatchObject({ code: 'PROTOCOL', outcome: 'unknown', retryable: false });
});

test('what a number that is known says is certain, unless the node says otherwise', () => {
  expect(seen(7, 0)).toMatchObject({ code: 'CONDITION_FAILED', outcome: 'failed' });
  expect(seen(14, 2)).toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
});
