import { expect, test } from 'vitest';
import { ERRORS } from '../../src/core/errors.ts';
import {
  decodeAnswer,
  decodeRequest,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  encodeError,
  encodeHello,
  type Hello,
  type Request,
  requestMessage,
} from '../../src/protocol/client.ts';
import { bytesOf } from '../format/hex.ts';

test('END with AT_LEAST and LINEARIZABLE: offset 29, within 2,500 ms', () => {
  const golden = '0603000003000000 1d00000000000000 00000000 c4090000';
  expect(requestMessage(END, END_LINEARIZABLE | END_AT_LEAST, 3, 29, 0, 2500)).toEqual(bytesOf(golden));
  const request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
  expect(decodeRequest(new DataView(bytesOf(golden).buffer), request)).toBe(true);
  expect(request).toEqual({ opcode: END, flags: 3, requestId: 3, offset: 29, a: 0, b: 2500 });
});

test('ERROR 17 BEHIND: not fatal, retryable, failed, with the commit as its offset', () => {
  const golden = `85001100030000001d00000000000000${'00'.repeat(8)}6e6f`;
  expect(encodeError(3, 'BEHIND', 29, 'no', 0)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({
    kind: 'error',
    requestId: 3,
    code: 'BEHIND',
    fatal: false,
    outcomeUnknown: false,
    offset: 29,
    message: 'no',
  });
  expect(ERRORS.BEHIND).toEqual({ number: 17, retryable: true, outcome: 'failed' });
});

test('HELLO of a follower names its leader', () => {
  const hello: Hello = {
    protocolVersion: 1,
    lowestVersion: 1,
    role: 'follower',
    nodeId: 2,
    clusterId: '69c8a3f63a871ed8726465c8fa82b1a3',
    start: 0,
    commit: 12,
    term: 1,
    maxPayloadBytes: 16_777_215,
    windowBytes: 4_194_304,
    maxBatchBytes: 16_777_227,
    maxReadBytes: 1_048_576,
    leader: 'ws://a:1',
    process: 'f0e1d2c3b4a59687',
    isDurable: true,
    whyNoLeader: '',
  };
  const golden =
    '81000100 02000000 0000000000000000 0c00000000000000 69c8a3f63a871ed8726465c8fa82b1a3' +
    '01000000 ffffff00 00004000 0b000001 00001000 08000000 f0e1d2c3b4a59687 0100 0000 00000000 77733a2f2f613a31';
  expect(encodeHello(hello)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({ kind: 'hello', hello });
  const volatile = bytesOf(golden.replace('0000 00000000 7773', '0000 01000000 7773'));
  expect(encodeHello({ ...hello, isDurable: false })).toEqual(volatile);
  expect(decodeAnswer(volatile)).toEqual({ kind: 'hello', hello: { ...hello, isDurable: false } });
  const short = bytesOf(golden).subarray(0, -1);
  expect(decodeAnswer(short)).toEqual({ kind: 'malformed', reason: 'a HELLO of the wrong length' });
});
