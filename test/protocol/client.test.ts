import { expect, test } from 'vitest';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { accessPayload } from '../../src/format/access.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import {
  decodeRequest,
  END,
  END_AT_LEAST,
  END_LINEARIZABLE,
  encodeDataHeader,
  encodeError,
  encodeIntroduce,
  RETENTION,
  type Request,
  requestMessage,
  UPGRADE,
  UPGRADE_FINALIZE,
} from '../../src/protocol/client.ts';
import { decodeIntroduce, encodeHello, type Hello } from '../../src/protocol/greeting.ts';
import { encodeLevels } from '../../src/protocol/levels.ts';
import { encodeMembers, encodeMembersRequest, type MembersAnswer, membersRequestIn } from '../../src/protocol/members.ts';
import { encodeKept, encodeRetention, retentionIn } from '../../src/protocol/retention.ts';
import { encodeTokens, encodeTokensRequest, tokensRequestIn } from '../../src/protocol/tokens.ts';
import { bytesOf } from '../format/hex.ts';

test('END with AT_LEAST and LINEARIZABLE: offset 29, within 2,500 ms', () => {
  const golden = '0603000003000000 1d00000000000000 00000000 c4090000';
  expect(requestMessage(END, END_LINEARIZABLE | END_AT_LEAST, 3, 29, 0, 2500)).toEqual(bytesOf(golden));
  const request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
  expect(decodeRequest(new DataView(bytesOf(golden).buffer), request)).toBe(true);
  expect(request).toEqual({ opcode: END, flags: 3, requestId: 3, offset: 29, a: 0, b: 2500 });
});

test('RETENTION: asks, or sets 10 GiB, 30 days, or both', () => {
  const asked = '0c00000005000000 0000000000000000 0000000000000000';
  const bytes = '0c01000005000000 0000008002000000 0000000000000000';
  const age = '0c02000005000000 0000000000000000 00c87e9a00000000';
  const none = '0c03000005000000 0000000000000000 0000000000000000';
  const consumers = '0c0c000005000000 0000000000000000 0000000000000000 0000008002000000';
  const [tenGiB, month] = [10 * 2 ** 30, 30 * 86_400_000];
  for (const [golden, change] of [
    [asked, {}],
    [bytes, { bytes: tenGiB }],
    [age, { ageMs: month }],
    [none, { bytes: 0, ageMs: 0 }],
    [consumers, { consumerBytes: tenGiB }],
  ] as const) {
    expect(encodeRetention(5, change)).toEqual(bytesOf(golden));
    const request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
    expect(decodeRequest(new DataView(bytesOf(golden).buffer), request)).toBe(true);
    expect([request.opcode, request.requestId, retentionIn(request, bytesOf(golden).subarray(24))]).toEqual([RETENTION, 5, change]);
  }
  expect(encodeRetention(5, {}, true)).toEqual(bytesOf('0c04000005000000 0000000000000000 0000000000000000'));
});

test.each([
  ['bytes below 64 KiB', '0c01000005000000 ffff000000000000 0000000000000000'],
  ['an age below a second', '0c02000005000000 0000000000000000 e703000000000000'],
  ['bytes above 2^53 - 1', '0c01000005000000 0000000000002000 0000000000000000'],
  ['an age above 2^53 - 1', '0c02000005000000 0000000000000000 0000000000002000'],
  ['bytes without their flag', '0c02000005000000 0000010000000000 e803000000000000'],
  ['an age without its flag', '0c01000005000000 0000010000000000 e803000000000000'],
  ['consumers without a body', '0c08000005000000 0000000000000000 0000000000000000'],
  ['consumers above 2^53 - 1', '0c08000005000000 0000000000000000 0000000000000000 0000000000002000'],
  ['a body without the flag', '0c04000005000000 0000000000000000 0000000000000000 0000008002000000'],
])('RETENTION sets nothing with %s', (_what, golden) => {
  const request: Request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
  decodeRequest(new DataView(bytesOf(golden).buffer), request);
  expect(retentionIn(request, bytesOf(golden).subarray(24))).toBe(undefined);
});

test('KEPT: 10 GiB and 30 days of a log at [4096, 8192)', () => {
  const golden = '8900000005000000 0000008002000000 00c87e9a00000000 0010000000000000 0020000000000000 00d0b7d99e010000 e8d3b7d99e010000';
  const kept = { requestId: 5, bytes: 10 * 2 ** 30, ageMs: 30 * 86_400_000, start: 4096, commit: 8192 };
  const answer = { ...kept, oldestMs: 0x19ed9b7d000, timeMs: 0x19ed9b7d3e8 };
  expect(encodeKept(answer)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({ kind: 'kept', ...answer });
  const more = `${golden} 0000008002000000`;
  expect(encodeKept({ ...answer, consumerBytes: 10 * 2 ** 30 })).toEqual(bytesOf(more));
  expect(decodeAnswer(bytesOf(more))).toEqual({ kind: 'kept', ...answer, consumerBytes: 10 * 2 ** 30 });
  for (const wrong of [bytesOf(golden).subarray(0, -1), bytesOf(`${golden}00`)]) {
    expect(decodeAnswer(wrong)).toEqual({ kind: 'malformed', reason: 'a KEPT of the wrong length' });
  }
});

test('UPGRADE asks, or raises the level, and LEVELS has it with the nodes', () => {
  expect(requestMessage(UPGRADE, 0, 5)).toEqual(bytesOf(`0d00000005000000${'00'.repeat(16)}`));
  expect(requestMessage(UPGRADE, UPGRADE_FINALIZE, 5)).toEqual(bytesOf(`0d01000005000000${'00'.repeat(16)}`));
  const golden = '8a00000005000000 00000000 01000000 02000000 00000000 01010000 00000100 03000000 00000000';
  const levels = {
    requestId: 5,
    level: 0,
    newest: 1,
    nodes: [
      { id: 1, isHeard: true, lowest: 0, highest: 1 },
      { id: 3, isHeard: false, lowest: 0, highest: 0 },
    ],
  };
  expect(encodeLevels(levels)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({ kind: 'levels', ...levels });
  for (const wrong of [bytesOf(golden).subarray(0, -1), bytesOf(`${golden}00`), bytesOf(golden.replace('02000000', '03000000'))]) {
    expect(decodeAnswer(wrong)).toEqual({ kind: 'malformed', reason: 'a LEVELS of the wrong length' });
  }
});

test('TOKENS asks for the list, or for a change, and has the records without their hashes', () => {
  const header = `0e00000005000000${'00'.repeat(16)}`;
  expect(encodeTokensRequest(5, undefined)).toEqual(bytesOf(header));
  const removal = bytesOf(`${header} 02000000 000000000000003d`);
  expect(encodeTokensRequest(5, { what: 'remove', id: '0000000000z' })).toEqual(removal);
  expect(tokensRequestIn(removal.subarray(24))).toEqual({ what: 'remove', id: '0000000000z' });
  expect(tokensRequestIn(new Uint8Array(0))).toBeUndefined();
  const record = { id: '0000000000z', hash: 'ab'.repeat(32), name: 'a', scopes: 5, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
  const put = accessPayload({ what: 'put', record, isRequest: false });
  expect(tokensRequestIn(put)).toEqual({ what: 'put', record, isRequest: false });
  // What a directory asks for is not for clients.
  for (const wrong of [accessPayload({ what: 'put', record, isRequest: true }), put.subarray(1), new Uint8Array(1)])
    expect(tokensRequestIn(wrong)).toBe('wrong');
  const shown = `05000000 01000000 000000000000003d ${'00'.repeat(32)} 0100000000000000 ${'00'.repeat(48)} 61`;
  const golden = `8b00000005000000 0000000000000000 01000000 00000000 ${shown}`;
  const answer = { requestId: 5, hasChanged: false, tokens: [record] };
  expect(encodeTokens(answer)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({ kind: 'tokens', ...answer, tokens: [{ ...record, hash: '00'.repeat(32) }] });
  const done = { requestId: 5, hasChanged: true, tokens: [] };
  expect(decodeAnswer(encodeTokens(done))).toEqual({ kind: 'tokens', ...done });
  for (const wrong of [
    bytesOf(golden).subarray(0, -1),
    bytesOf(`${golden}00`),
    bytesOf(golden.replace('01000000 00000000 0500', '02000000 00000000 0500')),
  ])
    expect(decodeAnswer(wrong)).toEqual({ kind: 'malformed', reason: 'a LISTED with wrong records' });
});

test('MEMBERS asks for the list, or for a change of nodes, or what that would be', () => {
  const header = (flags: string): string => `14${flags}000005000000${'00'.repeat(16)}`;
  expect(encodeMembersRequest(5, undefined, false)).toEqual(bytesOf(header('00')));
  expect(membersRequestIn(new Uint8Array(0))).toBeUndefined();
  const add = { kind: 'add', id: 4, instance: '00'.repeat(8), isReader: false, host: 'b.c', port: 7070, peerPort: 7170 } as const;
  const changes = [
    [add, '01040200 9e1b 021c 0000000000000000 622e63'],
    [{ ...add, isReader: true, instance: '0123456789abcdef' }, '01040300 9e1b 021c 0123456789abcdef 622e63'],
    [{ kind: 'remove', id: 32 }, `02200000 ${'00'.repeat(12)}`],
    [{ kind: 'promote', id: 1 }, `03010000 ${'00'.repeat(12)}`],
    [{ kind: 'demote', id: 2 }, `04020000 ${'00'.repeat(12)}`],
    [{ kind: 'move', id: 4, host: 'b.c', port: 7070, peerPort: 7170 }, '05040000 9e1b 021c 0000000000000000 622e63'],
  ] as const;
  for (const [change, body] of changes) {
    expect(encodeMembersRequest(5, change, true)).toEqual(bytesOf(`${header('01')} ${body}`));
    expect(membersRequestIn(bytesOf(body))).toEqual(change);
  }
});

test.each([
  ['a node that moves nowhere', `05010000 ${'00'.repeat(12)}`],
  ['one that moves with a role', '05040200 9e1b 021c 0000000000000000 622e63'],
  ['one that moves with an instance', '05040000 9e1b 021c 0100000000000000 622e63'],
  ['a kind that there is not', `06010000 ${'00'.repeat(12)}`],
  ['the id 0', `02000000 ${'00'.repeat(12)}`],
  ['an id above 32', `02210000 ${'00'.repeat(12)}`],
  ['too few bytes', `02010000 ${'00'.repeat(11)}`],
  ['a host where there is none', `02010000 ${'00'.repeat(12)}61`],
  ['a port where there is none', `03010000 01${'00'.repeat(11)}`],
  ['an instance where there is none', `04010000 ${'00'.repeat(11)}01`],
  ['a byte that is not zero', `01040201 9e1b021c ${'00'.repeat(8)} 61`],
  ['a voter to begin with', `01040100 9e1b021c ${'00'.repeat(8)} 61`],
  ['no host', `01040200 9e1b021c ${'00'.repeat(8)}`],
  ['a blank in its host', `01040200 9e1b021c ${'00'.repeat(8)} 6120`],
  ['a host that is too long', `01040200 9e1b021c ${'00'.repeat(8)} ${'61'.repeat(254)}`],
  ['no port for clients', `01040200 0000021c ${'00'.repeat(8)} 61`],
  ['no port for nodes', `01040200 9e1b0000 ${'00'.repeat(8)} 61`],
])('MEMBERS changes nothing with %s', (_what, body) => {
  expect(membersRequestIn(bytesOf(body))).toBe('wrong');
});

test('NODES has each node of the set, as the leader knows it', () => {
  const answer: MembersAnswer = {
    requestId: 5,
    hasChanged: true,
    isInLog: true,
    isSettled: false,
    start: 4096,
    commit: 8192,
    end: 8200,
    level: 2,
    newestLevel: 3,
    leader: 1,
    term: 7,
    nodes: [
      {
        id: 1,
        role: 'voter',
        instance: '0123456789abcdef',
        host: 'a',
        port: 1,
        peerPort: 2,
        url: 'ws://a:1',
        isConnected: true,
        counts: true,
        isOldCopy: false,
        feed: 'unknown',
        durable: 8200,
        lastContactMs: 0,
        levels: { lowest: 0, highest: 3 },
      },
      {
        id: 4,
        role: 'reader',
        instance: '0'.repeat(16),
        host: '',
        port: 0,
        peerPort: 0,
        url: '',
        isConnected: false,
        counts: false,
        isOldCopy: true,
        feed: 'catchingUp',
        durable: null,
        lastContactMs: 0x19ed9b7d000,
        levels: null,
      },
    ],
  };
  const golden =
    '91070200 05000000 0010000000000000 0020000000000000 0820000000000000 02000000 03000000 01000000 07000000' +
    '01011b00 0100 0200 0123456789abcdef 0820000000000000 0000000000000000 0000 0300 0100 0800 61 77733a2f2f613a31' +
    '04030403 0000 0000 0000000000000000 0000000000000000 00d0b7d99e010000 0000 0000 0000 0000';
  expect(encodeMembers(answer)).toEqual(bytesOf(golden));
  expect(decodeAnswer(bytesOf(golden))).toEqual({ kind: 'members', ...answer });
  const plain = { ...answer, hasChanged: false, isInLog: false, isSettled: true, nodes: [] };
  expect(decodeAnswer(encodeMembers(plain))).toEqual({ kind: 'members', ...plain });
  const without = (text: string, by: string): Uint8Array => bytesOf(golden.replace(text, by));
  for (const wrong of [
    bytesOf(golden).subarray(0, 47),
    bytesOf(golden).subarray(0, -1),
    bytesOf(`${golden}00`),
    without('91070200', '91070300'),
    without('04030403', '04040403'),
    without('04030403', '04030405'),
    without('04030403', '01030403'),
    without('0100 0800 61', '0100 ff00 61'),
  ])
    expect(decodeAnswer(wrong)).toEqual({ kind: 'malformed', reason: 'a NODES with wrong nodes' });
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

/** What {@link encodeDataHeader} writes. */
function dataOf(...given: [requestId: number, from: number, commit: number, hasSkipped?: boolean, timeMs?: number]): Uint8Array {
  const bytes = new Uint8Array(32);
  return bytes.subarray(0, encodeDataHeader(viewOf(bytes), ...given));
}

test('DATA: one byte from 116 on, skipped or not, and with the log’s time', () => {
  const fields = { kind: 'data', requestId: 7, from: 116, commit: 200 };
  const rest = '07000000 7400000000000000 c800000000000000';
  expect(dataOf(7, 116, 200)).toEqual(bytesOf(`83000000 ${rest}`));
  expect(dataOf(7, 116, 200, true)).toEqual(bytesOf(`83010000 ${rest}`));
  expect(dataOf(7, 116, 200, true, 1_760_936_591_360)).toEqual(bytesOf(`83030000 ${rest} 000000009a010000`));
  expect(dataOf(7, 116, 200, false, 0)).toEqual(bytesOf(`83020000 ${rest} 0000000000000000`));
  const bytes = Uint8Array.of(9);
  expect(decodeAnswer(bytesOf(`83000000 ${rest} 09`))).toEqual({ ...fields, hasSkipped: false, timeMs: undefined, bytes });
  expect(decodeAnswer(bytesOf(`83030000 ${rest} 000000009a010000 09`))).toEqual({
    ...fields,
    hasSkipped: true,
    timeMs: 1_760_936_591_360,
    bytes,
  });
  expect(decodeAnswer(bytesOf(`83020000 ${rest} 000000009a0100`))).toEqual({
    kind: 'malformed',
    reason: 'a DATA without the time that it announces',
  });
});

test('HELLO of a follower names its leader', () => {
  const hello: Hello = {
    protocolVersion: 1,
    lowestVersion: 1,
    features: 0,
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
    cluster: undefined,
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

const CLUSTER: Hello = {
  protocolVersion: 1,
  lowestVersion: 1,
  features: 2,
  isDurable: false,
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
  leader: '',
  process: 'f0e1d2c3b4a59687',
  whyNoLeader: 'no',
  cluster: {
    generation: '0000000000000000',
    leaderId: 0,
    members: [
      { id: 1, url: 'ws://a:1' },
      { id: 2, url: '' },
    ],
    segmentBytes: 33_554_432,
  },
};
const GOLDEN_CLUSTER =
  '81000100 02000000 0000000000000000 0c00000000000000 69c8a3f63a871ed8726465c8fa82b1a3' +
  '01000000 ffffff00 00004000 0b000001 00001000 00000000 f0e1d2c3b4a59687 0100 0200 03000000 6e6f' +
  '0000000000000000 00000000 0200 0000 01 00 0800 77733a2f2f613a31 02 00 0000 00000002';

test('HELLO to a client that introduced itself has the nodes, and what later versions add is left alone', () => {
  expect(encodeHello(CLUSTER)).toEqual(bytesOf(GOLDEN_CLUSTER));
  for (const more of ['', 'ff', '0102030405']) {
    expect(decodeAnswer(bytesOf(GOLDEN_CLUSTER + more))).toEqual({ kind: 'hello', hello: CLUSTER });
  }
});

test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
  ['cut in an address', (bytes) => bytes.subarray(0, bytes.length - 5)],
  ['cut before a node', (bytes) => bytes.subarray(0, bytes.length - 4)],
  ['cut in its fixed part', (bytes) => bytes.subarray(0, 82 + 15)],
  ['33 nodes', (bytes) => Uint8Array.from(bytes).fill(33, 94, 95)],
  ['node 0', (bytes) => Uint8Array.from(bytes).fill(0, 98, 99)],
  ['node 33', (bytes) => Uint8Array.from(bytes).fill(33, 98, 99)],
  [
    'an address of 256 bytes',
    (bytes) =>
      Uint8Array.from([...bytes, ...new Uint8Array(300)])
        .fill(1, 101, 102)
        .fill(0, 100, 101),
  ],
])('a list of nodes that is none is malformed: %s', (_what, change) => {
  expect(decodeAnswer(change(bytesOf(GOLDEN_CLUSTER)))).toEqual({ kind: 'malformed', reason: 'a HELLO whose list of nodes is none' });
});

test('HELLO that asks for authentication is short', () => {
  const golden = '81020300 00000000 0200 0000 01000000 0000000000000000';
  const needed = { kind: 'authenticationNeeded', protocolVersion: 3, lowestVersion: 2 };
  expect(decodeAnswer(bytesOf(golden))).toEqual(needed);
  expect(decodeAnswer(bytesOf(`${golden}0102`))).toEqual(needed);
});

test('INTRODUCE: versions 1 to 2, feature 4, a name', () => {
  const introduction = { lowestVersion: 1, highestVersion: 2, features: 4, name: 'a/1' };
  const golden = bytesOf('07000000 09000000 0000000000000000 01000200 04000000 0300 0000 612f31');
  expect(encodeIntroduce(9, introduction)).toEqual(golden);
  const body = golden.subarray(24);
  expect(decodeIntroduce(0x2_0001, 4, body)).toEqual(introduction);
  expect(decodeIntroduce(0x2_0001, 4, Uint8Array.from([...body, 1, 2]))).toEqual(introduction);
  expect(decodeIntroduce(0x2_0001, 4, bytesOf('0300 0000 1b0a31'))).toMatchObject({ name: '??1' });
  for (const wrong of [
    '',
    '0300',
    '0000 0000',
    '0400 0000 612f31',
    '4100 0000',
    `4100 0000 ${'61'.repeat(65)}`,
    `0300 0000 ${'61'.repeat(1021)}`,
  ]) {
    expect(decodeIntroduce(0x2_0001, 4, bytesOf(wrong))).toEqual(expect.any(String));
  }
  for (const versions of [0, 0x1_0000, 1, 0x1_0002])
    expect(decodeIntroduce(versions, 4, body)).toEqual(expect.stringMatching(/^versions /));
});
