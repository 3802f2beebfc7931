import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_CLUSTER, NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_TERM_STEP } from '../../src/core/limits.ts';
import { MAX_REFUSAL_BYTES } from '../../src/core/peerLimits.ts';
import {
  ANY_NODE,
  decodeHandshake,
  decodeSentence,
  encodePeerHello,
  encodePeerRefusal,
  encodePeerWelcome,
  faultOfWelcome,
  handshakeBytes,
  type Introduction,
  judgeHello,
  REFUSALS,
  type Refuser,
  type Self,
} from '../../src/protocol/peerHandshake.ts';
import { bytesOf, flipped, hexOf } from '../format/hex.ts';

const CLUSTER = '00112233445566778899aabbccddeeff';
const HELLO: Introduction = {
  clusterId: CLUSTER,
  from: 2,
  to: 1,
  instance: '0123456789abcdef',
  process: 'fedcba9876543210',
  segmentBytes: 0x0200_0000,
  isSynced: true,
  takesUploads: false,
  standing: 'voter',
  isFounder: true,
  term: 0x0102_0304,
  nodes: [1, 2, 3],
  saysNodes: false,
  advertise: '',
  levels: { lowest: 0, highest: 0 },
  generation: NO_INSTANCE,
};
const SELF: Self = {
  clusterId: CLUSTER,
  id: 1,
  instance: '1111111111111111',
  process: '1111111122222222',
  segmentBytes: 0x0200_0000,
  isSynced: true,
  takesUploads: false,
  nodes: [1, 2, 3],
  saysNodes: false,
  voters: [1, 2, 3],
  isRemoved: () => false,
  advertise: '',
  levels: { lowest: 0, highest: 1 },
  level: 0,
  generation: NO_INSTANCE,
  standing: 'voter',
  term: 0x0102_0304,
};
const GENERATION = '0123456789abcdef';
const REFUSER: Refuser = { clusterId: CLUSTER, from: 1, instance: SELF.instance, process: SELF.process };

/** What is not used yet: bytes 64 to 124. */
const ROOM = '00'.repeat(60);
const GOLDEN_HELLO = bytesOf(`
  4c4c5048 0300 01 01 00112233445566778899aabbccddeeff 02 01 02 00 00000002
  0123456789abcdef 04030201 07000000 fedcba9876543210 0300 0000 00000000 ${ROOM} b8fbbd12
`);
const GOLDEN_WELCOME = bytesOf(`
  4c4c5048 0300 02 00 00000000000000000000000000000000 20 1f 00 00 00000100
  0000000000000000 00000000 01000080 0000000000000001 0300 0000 00000000 ${ROOM} c435e4e8
`);
const GOLDEN_REFUSED = bytesOf(`
  4c4c5048 0300 03 00 00112233445566778899aabbccddeeff 01 000000 0500 0800
  1111111111111111 0000000000000000 1111111122222222 0300 0000 00000000 ${ROOM} bf18462e
  676574206c6f7374
`);
const GOLDEN_ADVERTISED = bytesOf(`
  4c4c5048 0300 01 01 00112233445566778899aabbccddeeff 02 01 02 00 00000002
  0123456789abcdef 04030201 07000000 fedcba9876543210 0300 1500 00000000 1500 0000 d9c83629
  ${'00'.repeat(52)} 1532b2ac
  7773733a2f2f6c6f672e6578616d706c652e636f6d
`);
const WELCOME: Introduction = {
  clusterId: NO_CLUSTER,
  from: 32,
  to: 31,
  instance: NO_INSTANCE,
  process: '0000000000000001',
  segmentBytes: 65_536,
  isSynced: true,
  takesUploads: false,
  standing: 'stranger',
  isFounder: false,
  term: 0,
  nodes: [1, 32],
  saysNodes: false,
  advertise: '',
  levels: { lowest: 0, highest: 0 },
  generation: NO_INSTANCE,
};

function forged(bytes: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  edit(view);
  view.setUint32(124, crc32(copy.subarray(0, 124)), true);
  return copy;
}

function reasonOf(bytes: Uint8Array): string {
  const decoded = decodeHandshake(bytes);
  return decoded.kind === 'malformed' ? decoded.reason : decoded.kind;
}

describe('peer handshake: golden bytes', () => {
  it('HELLO with a generation', () => {
    const hello = { ...HELLO, generation: GENERATION };
    const bytes = forged(GOLDEN_HELLO, (view) => view.setBigUint64(76, 0x0123_4567_89ab_cdefn));
    expect(hexOf(encodePeerHello(hello))).toBe(hexOf(bytes));
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: hello });
  });

  it('HELLO of a node that asks whoever is there for addresses, and WELCOME with them', () => {
    const hello: Introduction = { ...HELLO, to: ANY_NODE, asksAddresses: true };
    const asking = forged(GOLDEN_HELLO, (view) => {
      view.setUint8(25, 0);
      view.setUint32(60, 8, true);
    });
    expect(hexOf(encodePeerHello(hello))).toBe(hexOf(asking));
    expect(decodeHandshake(asking)).toEqual({ kind: 'hello', introduction: hello });
    const addresses = [
      { id: 1, host: 'a', peerPort: 7170 },
      { id: 32, host: '::1', peerPort: 1 },
    ];
    const told = bytesOf('0101 021c 61 2003 0100 3a3a31');
    const answer = forged(Uint8Array.from([...GOLDEN_WELCOME, ...told]), (view) => {
      view.setUint32(60, 16, true);
      view.setUint16(58, told.length, true);
      view.setUint32(68, crc32(told), true);
    });
    expect(hexOf(encodePeerWelcome({ ...WELCOME, addresses }))).toBe(hexOf(answer));
    expect(handshakeBytes(answer)).toBe(answer.length);
    expect(decodeHandshake(answer)).toEqual({ kind: 'welcome', introduction: { ...WELCOME, addresses } });
    const none = { ...WELCOME, advertise: 'wss://log.example.com', addresses: [] };
    expect(decodeHandshake(encodePeerWelcome(none))).toEqual({ kind: 'welcome', introduction: none });
  });

  it('HELLO', () => {
    expect(hexOf(encodePeerHello(HELLO))).toBe(hexOf(GOLDEN_HELLO));
    expect(decodeHandshake(GOLDEN_HELLO)).toEqual({ kind: 'hello', introduction: HELLO });
  });

  it('WELCOME, of a node that knows no cluster', () => {
    expect(hexOf(encodePeerWelcome(WELCOME))).toBe(hexOf(GOLDEN_WELCOME));
    expect(decodeHandshake(GOLDEN_WELCOME)).toEqual({ kind: 'welcome', introduction: WELCOME });
  });

  it('REFUSED', () => {
    const refusal = { code: 'OTHER_NODES', sentence: 'get lost' } as const;
    expect(hexOf(encodePeerRefusal(REFUSER, refusal))).toBe(hexOf(GOLDEN_REFUSED));
    const { code } = refusal;
    expect(decodeHandshake(GOLDEN_REFUSED.subarray(0, 128))).toEqual({ kind: 'refused', by: REFUSER, code, sentenceBytes: 8 });
    expect(decodeSentence(GOLDEN_REFUSED.subarray(128))).toBe('get lost');
  });

  it('HELLO with an address for clients', () => {
    const introduction = { ...HELLO, advertise: 'wss://log.example.com' };
    const bytes = encodePeerHello(introduction);
    expect(hexOf(bytes)).toBe(hexOf(GOLDEN_ADVERTISED));
    expect(handshakeBytes(bytes.subarray(0, 128))).toBe(128 + 21);
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction });
  });

  it('every standing has its number', () => {
    for (const [number, standing] of (['stranger', 'new', 'voter', 'returned'] as const).entries()) {
      const bytes = encodePeerHello({ ...HELLO, standing });
      expect(bytes[26]).toBe(number);
      expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: { ...HELLO, standing } });
    }
  });

  it('who syncs nothing says so by a feature bit', () => {
    const bytes = encodePeerHello({ ...HELLO, isSynced: false });
    expect(bytes.subarray(60, 64)).toEqual(Uint8Array.of(1, 0, 0, 0));
    expect(decodeHandshake(bytes)).toEqual({ kind: 'hello', introduction: { ...HELLO, isSynced: false } });
  });

  it('every refusal has its number', () => {
    expect(REFUSALS).toEqual({
      NOT_A_PEER: 1,
      VERSION: 2,
      OTHER_CLUSTER: 3,
      WRONG_NODE: 4,
      OTHER_NODES: 5,
      OWN_ID: 6,
      SEGMENT_BYTES: 7,
      MALFORMED: 8,
      TERM: 9,
      OTHER_PROCESS: 10,
      FSYNC: 11,
      LEVEL: 12,
      NOT_PROVEN: 13,
      OTHER_GENERATION: 14,
      REMOVED: 15,
    });
  });
});

describe('peer handshake: what is wrong is said', () => {
  it.each([
    ['cluster id', 8],
    ['from', 24],
    ['to', 25],
    ['standing', 26],
    ['unused byte', 27],
    ['segment bytes', 28],
    ['instance', 32],
    ['term', 40],
    ['set of nodes', 44],
    ['process', 48],
    ['unused bytes', 58],
    ['features', 60],
    ['unused end', 64],
    ['check', 124],
    ['kind', 6],
    ['flags', 7],
  ])('a damaged %s', (_field, at) => {
    for (const golden of [GOLDEN_HELLO, GOLDEN_WELCOME, GOLDEN_REFUSED.subarray(0, 128)]) {
      expect(reasonOf(flipped(golden, at))).toBe('a handshake that does not match its check');
    }
  });

  it.each([0, 1, 2, 3])('a damaged magic, byte %i', (at) => {
    expect(reasonOf(flipped(GOLDEN_HELLO, at))).toBe('notAPeer');
  });

  it('another version, whatever else is in it', () => {
    const other = GOLDEN_HELLO.slice().fill(0xee, 6);
    other[4] = 2;
    expect(decodeHandshake(other)).toEqual({ kind: 'otherVersion', version: 2, lowest: 0xeeee });
    const later = forged(GOLDEN_HELLO, (view) => {
      view.setUint16(4, 9, true);
      view.setUint16(56, 4, true);
    });
    expect(decodeHandshake(later)).toEqual({ kind: 'otherVersion', version: 9, lowest: 4 });
  });

  it('a later version that speaks this one, too, is understood, whatever it says in bytes that are unused here', () => {
    const later = (golden: Uint8Array, unused: readonly number[]): Uint8Array =>
      forged(golden, (view) => {
        view.setUint16(4, 9, true);
        for (const at of unused) view.setUint8(at, 0xff);
      }).subarray(0, 128);
    expect(decodeHandshake(later(GOLDEN_HELLO, [27, 61, 66, 84, 123]))).toEqual({ kind: 'hello', introduction: HELLO });
    expect(decodeHandshake(later(GOLDEN_REFUSED, [7, 25, 40, 58, 123]))).toMatchObject({ kind: 'refused', by: REFUSER });
  });

  it('the levels that a node knows', () => {
    const bytes = encodePeerHello({ ...HELLO, levels: { lowest: 1, highest: 0x0203 } });
    expect(bytes.subarray(72, 76)).toEqual(Uint8Array.of(1, 0, 3, 2));
    expect(decodeHandshake(bytes)).toMatchObject({ kind: 'hello', introduction: { levels: { lowest: 1, highest: 0x0203 } } });
    const none = forged(GOLDEN_HELLO, (view) => view.setUint16(72, 1, true));
    expect(reasonOf(none)).toBe('levels 1 to 0 in a handshake');
  });

  it('a node that takes uploads says so', () => {
    const hello = { ...HELLO, takesUploads: true };
    expect(decodeHandshake(encodePeerHello(hello))).toEqual({ kind: 'hello', introduction: hello });
  });

  it('features that are not known here are ignored', () => {
    expect(decodeHandshake(forged(GOLDEN_HELLO, (view) => view.setUint32(60, 0xffff_ffe0, true)))).toEqual({
      kind: 'hello',
      introduction: HELLO,
    });
  });

  it.each<[string, Uint8Array, (view: DataView) => void, string]>([
    ['kind 4', GOLDEN_HELLO, (view) => view.setUint8(6, 4), 'unknown kind 4'],
    ['flag 2', GOLDEN_HELLO, (view) => view.setUint8(7, 2), 'unknown flags'],
    ['node 0', GOLDEN_HELLO, (view) => view.setUint8(24, 0), 'node ids'],
    ['node 33', GOLDEN_HELLO, (view) => view.setUint8(25, 33), 'node ids'],
    ['standing 5', GOLDEN_HELLO, (view) => view.setUint8(26, 5), 'standing'],
    ['a set without the sender', GOLDEN_HELLO, (view) => view.setUint32(44, 5, true), 'nodes 1, 3 without the sender, 2'],
    ['an unused byte', GOLDEN_HELLO, (view) => view.setUint8(27, 1), 'not zero'],
    ['no process', GOLDEN_HELLO, (view) => view.setBigUint64(48, 0n, true), 'without the number of its process'],
    ['unused bytes', GOLDEN_HELLO, (view) => view.setUint8(66, 1), 'not zero'],
    ['an unused beginning', GOLDEN_HELLO, (view) => view.setUint8(84, 1), 'not zero'],
    ['more bytes than are there', GOLDEN_HELLO, (view) => view.setUint16(58, 1, true), 'a handshake of 128 bytes'],
    ['too many bytes', GOLDEN_HELLO, (view) => view.setUint16(58, 1025, true), '1025 bytes after its fixed part'],
    ['an address of no bytes', GOLDEN_HELLO, (view) => view.setUint16(64, 1, true), 'an address of 1 bytes among 0'],
    ['a check of no bytes', GOLDEN_HELLO, (view) => view.setUint8(68, 1), 'does not match its check'],
    ['an unused end', GOLDEN_HELLO, (view) => view.setUint8(123, 1), 'not zero'],
    ['refusal 0', GOLDEN_REFUSED, (view) => view.setUint16(28, 0, true), 'unknown code 0'],
    ['refusal 16', GOLDEN_REFUSED, (view) => view.setUint16(28, 16, true), 'unknown code 16'],
    ['a long sentence', GOLDEN_REFUSED, (view) => view.setUint16(30, MAX_REFUSAL_BYTES + 1, true), 'sentence has'],
    ['a flag in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(7, 1), 'not zero'],
    ['an unused byte in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(25, 1), 'not zero'],
    ['unused bytes in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(40, 1), 'not zero'],
    ['an unused end in a refusal', GOLDEN_REFUSED, (view) => view.setUint8(123, 1), 'not zero'],
  ])('%s', (_name, golden, edit, reason) => {
    expect(reasonOf(forged(golden, edit).subarray(0, 128))).toContain(reason);
  });

  it.each([
    'wss://log.example.com/',
    'ws://user@a:1',
    'ws://user:secret@a:1',
    'ws://a:1?token=x',
    'ws://a:1#x',
    'http://a:1',
    'ws://',
    'ws://é:1',
    'ws://a:1\n',
    `ws://a:1/${'x'.repeat(250)}`,
  ])('an address for clients that is none: %s', (advertise) => {
    expect(reasonOf(encodePeerHello({ ...HELLO, advertise }))).toBe('a handshake with an address for clients that is none');
  });

  it('a damaged address, a part of one, and more than one', () => {
    for (const at of [128, 140, 148])
      expect(reasonOf(flipped(GOLDEN_ADVERTISED, at))).toBe('a handshake whose address does not match its check');
    expect(reasonOf(GOLDEN_ADVERTISED.subarray(0, 140))).toBe('a handshake of 140 bytes');
    expect(reasonOf(Uint8Array.from([...GOLDEN_ADVERTISED, 0]))).toBe('a handshake of 150 bytes');
  });

  it('what a later version says after the address is left alone', () => {
    const later = forged(Uint8Array.from([...GOLDEN_ADVERTISED, 1, 2, 3]), (view) => {
      view.setUint16(4, 9, true);
      view.setUint16(58, 24, true);
      view.setUint32(68, crc32(Uint8Array.from([...GOLDEN_ADVERTISED.subarray(128), 1, 2, 3])), true);
    });
    expect(handshakeBytes(later)).toBe(152);
    expect(decodeHandshake(later)).toEqual({ kind: 'hello', introduction: { ...HELLO, advertise: 'wss://log.example.com' } });
  });

  it('other lengths', () => {
    expect(reasonOf(GOLDEN_HELLO.subarray(0, 3))).toBe('notAPeer');
    for (const bytes of [4, 64, 127]) expect(reasonOf(GOLDEN_HELLO.subarray(0, bytes))).toContain(`${bytes} bytes`);
  });

  it('no bytes at all throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => decodeHandshake(bytes).kind === 'notAPeer'));
    const mutation = fc.array(fc.tuple(fc.nat({ max: 123 }), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(GOLDEN_HELLO, GOLDEN_WELCOME, GOLDEN_REFUSED), mutation, (golden, edits) => {
        const bytes = forged(golden, (view) => {
          for (const [at, byte] of edits) view.setUint8(at, byte);
        }).subarray(0, 128);
        const decoded = decodeHandshake(bytes);
        if (decoded.kind !== 'hello' && decoded.kind !== 'welcome') return true;
        const again = (decoded.kind === 'hello' ? encodePeerHello : encodePeerWelcome)(decoded.introduction);
        const isUnderstood = bytes[4] === 3 && bytes[5] === 0 && bytes[56] === 3 && bytes.subarray(60, 64).every((byte) => byte === 0);
        return !isUnderstood || hexOf(again) === hexOf(bytes);
      }),
    );
  });
});

describe('peer handshake: a sentence', () => {
  it('is cut between two characters', () => {
    const bytes = encodePeerRefusal(REFUSER, { code: 'MALFORMED', sentence: `x${'é'.repeat(500)}` });
    expect(bytes.length).toBe(128 + MAX_REFUSAL_BYTES - 1);
    expect(decodeSentence(bytes.subarray(128))).toBe(`x${'é'.repeat(199)}`);
  });

  it('loses what a terminal would obey', () => {
    expect(decodeSentence(new TextEncoder().encode('a\u001b[2Jb\nc\u202ed'))).toBe('a?[2Jb?c?d');
    expect(decodeSentence(Uint8Array.of(0xff, 0xfe))).toBe('\ufffd\ufffd');
  });
});

describe('peer handshake: who may dial', () => {
  const judge = (change: Partial<Introduction>, self: Partial<Self> = {}) =>
    judgeHello({ kind: 'hello', introduction: { ...HELLO, ...change } }, { ...SELF, ...self });

  it('a node of the cluster, one that looks for it, and any while this node looks for it', () => {
    expect(judge({})).toEqual(HELLO);
    expect(judge({ clusterId: NO_CLUSTER, instance: NO_INSTANCE })).toMatchObject({ from: 2 });
    expect(judge({}, { clusterId: NO_CLUSTER })).toEqual(HELLO);
    expect(judge({ standing: 'stranger', isFounder: false })).toMatchObject({ standing: 'stranger' });
  });

  it.each<[keyof typeof REFUSALS, Partial<Introduction>, string]>([
    ['OWN_ID', { from: 1 }, 'as node 1'],
    ['OWN_ID', { from: 1, instance: SELF.instance }, 'with a copy of its data directory'],
    ['OWN_ID', { from: 1, to: 3, process: SELF.process }, 'the address of node 3 leads back to the process that dialed it, node 1'],
    ['WRONG_NODE', { to: 3 }, 'this is node 1, not node 3'],
    ['OTHER_NODES', { from: 4, nodes: [1, 2, 3, 4] }, 'in their lists of nodes'],
    ['OTHER_NODES', { nodes: [1, 2, 3, 4, 5] }, 'node 1 belongs to the nodes 1, 2, 3, node 2 to the nodes 1, 2, 3, 4, 5'],
    ['OTHER_NODES', { nodes: [1, 2] }, '1, 2:'],
    ['OTHER_CLUSTER', { clusterId: 'f'.repeat(32) }, 'f'.repeat(32)],
    [
      'OTHER_GENERATION',
      { generation: 'a'.repeat(16) },
      `the log of node 1 is of generation ${GENERATION}, that of node 2 of generation ${'a'.repeat(16)}: one of them was begun anew since`,
    ],
    [
      'OTHER_GENERATION',
      { standing: 'new', term: 0x00ff_ffff },
      'node 2 is in term 16777215, and does not know of which generation its log is; the log of node 1 was begun anew since it was let in: give node 2 an empty directory',
    ],
    ['SEGMENT_BYTES', { segmentBytes: 65_536 }, 'with segments of 33554432 bytes, node 2 with segments of 65536'],
    ['FSYNC', { isSynced: false }, 'node 1 runs with fsync on, node 2 with fsync off'],
    [
      'LEVEL',
      { levels: { lowest: 0, highest: 1 } },
      'the log of node 1 is of level 2, and the LogLog of node 2 knows levels 0 to 1: run a newer one there',
    ],
    ['MALFORMED', { instance: NO_INSTANCE }, 'instance'],
  ])('%s', (code, change, text) => {
    const verdict = judge(change, { generation: GENERATION, ...(code === 'LEVEL' ? { level: 2 } : {}) });
    expect(verdict).toMatchObject({ code });
    if ('sentence' in verdict) expect(verdict.sentence).toContain(text);
    // It is for programs, too, where options have other names.
    expect(JSON.stringify(verdict)).not.toContain(' --');
  });

  it('nobody who was let into a log from which this one was begun anew, and this node nobody of one that was begun anew from its own', () => {
    const [before, after] = [
      { term: 3 * MAX_TERM_STEP - 1, generation: NO_INSTANCE },
      { term: 3 * MAX_TERM_STEP, generation: GENERATION },
    ];
    const isRefused = (theirs: Partial<Introduction>, own: Partial<Self>): boolean => {
      const verdict = judge(theirs, own);
      const fault = faultOfWelcome({ ...HELLO, ...theirs }, { ...SELF, ...own }, 2);
      expect('code' in verdict ? verdict.code : undefined).toBe(fault?.code);
      return fault?.code === 'OTHER_GENERATION';
    };
    for (const standing of ['new', 'returned', 'damaged', 'voter'] as const) {
      const left = { ...before, standing };
      expect([isRefused(left, after), isRefused(after, left)]).toEqual([true, true]);
      // Also one that was let into the later one and knows its generation as little: else it would tell the other one a term of that.
      expect(isRefused(left, { ...after, generation: NO_INSTANCE, standing: 'new' })).toBe(true);
      // Of one log: a term of the same generation, or none that knows any.
      expect(isRefused({ ...left, term: after.term }, after)).toBe(false);
      expect(isRefused(left, { ...after, generation: NO_INSTANCE })).toBe(false);
      expect(isRefused(left, { ...before, generation: GENERATION })).toBe(false);
    }
    expect([isRefused({ ...before, standing: 'stranger' }, after), isRefused(after, { ...before, standing: 'stranger' })]).toEqual([
      false,
      false,
    ]);
  });

  it('no other frame, no other protocol, no other version', () => {
    expect(judgeHello({ kind: 'welcome', introduction: WELCOME }, SELF)).toMatchObject({ code: 'MALFORMED' });
    expect(judgeHello({ kind: 'notAPeer' }, SELF)).toMatchObject({ code: 'NOT_A_PEER' });
    expect(judgeHello({ kind: 'otherVersion', version: 9, lowest: 4 }, SELF)).toMatchObject({ code: 'VERSION' });
    expect(judgeHello({ kind: 'malformed', reason: 'no' }, SELF)).toEqual({ code: 'MALFORMED', sentence: 'no' });
  });

  it('the dialer does not take a WELCOME of anybody else', () => {
    const welcome: Introduction = { ...HELLO, from: 2, to: 1 };
    expect(faultOfWelcome(welcome, SELF, 2)).toBeUndefined();
    expect(faultOfWelcome({ ...welcome, clusterId: NO_CLUSTER }, SELF, 2)).toBeUndefined();
    expect(faultOfWelcome(welcome, SELF, 3)).toMatchObject({
      code: 'WRONG_NODE',
      sentence: expect.stringContaining('the same list of nodes'),
    });
    expect(faultOfWelcome({ ...welcome, to: 3 }, SELF, 2)?.code).toBe('WRONG_NODE');
    const otherCluster = faultOfWelcome({ ...welcome, clusterId: 'e'.repeat(32) }, SELF, 2);
    expect(otherCluster).toMatchObject({ code: 'OTHER_CLUSTER', sentence: expect.stringContaining('e'.repeat(32)) });
    const begunAnew = faultOfWelcome({ ...welcome, generation: 'a'.repeat(16) }, { ...SELF, generation: GENERATION }, 2);
    expect(begunAnew).toMatchObject({ code: 'OTHER_GENERATION', sentence: expect.stringContaining('empty directory') });
    // Who does not know it yet may be of any.
    for (const [theirs, own] of [
      [NO_INSTANCE, GENERATION],
      [GENERATION, NO_INSTANCE],
      [GENERATION, GENERATION],
    ] as const)
      expect(faultOfWelcome({ ...welcome, generation: theirs }, { ...SELF, generation: own }, 2)).toBeUndefined();
    const older = faultOfWelcome(welcome, { ...SELF, level: 1 }, 2);
    expect(older).toEqual({
      code: 'LEVEL',
      sentence: expect.stringContaining('the LogLog of node 2 knows level 0: run a newer one there'),
    });
    const otherNodes = faultOfWelcome({ ...welcome, nodes: [1, 2] }, SELF, 2);
    expect(otherNodes).toMatchObject({ code: 'OTHER_NODES', sentence: expect.stringContaining('node 2 to the nodes 1, 2:') });
  });
});
