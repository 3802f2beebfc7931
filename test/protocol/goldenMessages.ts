// Messages between nodes, in objects and in golden bytes.

import { crc32 as zlibCrc32 } from 'node:zlib';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_LOG_OFFSET } from '../../src/core/limits.ts';
import { decodePeerMessage } from '../../src/protocol/peer.ts';
import type { PeerMessage } from '../../src/raft/messages.ts';

export const GOLDEN: readonly (readonly [string, PeerMessage, string])[] = [
  [
    'a vote request',
    { kind: 'voteRequest', term: 0x0102_0304, isPreVote: false, isTransfer: true, lastTerm: 0x0102_0303, end: 0x1_2345_6789_abcd },
    `00000000 01 02 0000 04030201 03030201
     cdab896745230100 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 8ca0881f`,
  ],
  [
    'a pre-vote request',
    { kind: 'voteRequest', term: 2, isPreVote: true, isTransfer: false, lastTerm: 1, end: 12 },
    `00000000 01 01 0000 02000000 01000000
     0c00000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 b76cc1ac`,
  ],
  [
    'a vote response',
    { kind: 'voteResponse', term: 3, isPreVote: true, granted: true },
    `00000000 02 03 0000 03000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 efcd227d`,
  ],
  [
    'an append request',
    {
      kind: 'appendRequest',
      term: 9,
      round: 0x1_0000_0002,
      prevTerm: 7,
      prevOffset: 0x2_0000_0000,
      prevLeader: '0f1e2d3c4b5a6978',
      entriesTerm: 8,
      entriesLeader: 'a50c9ae1f7726b38',
      end: 0x2_0000_0064,
      base: 0x1_ffff_ffff,
      commit: 0x3_0000_0001,
    },
    `64000000 03 00 0000 09000000 07000000
     0000000002000000 6400000002000000 ffffffff01000000 0100000003000000
     0200000001000000 0f1e2d3c4b5a6978 a50c9ae1f7726b38 08000000 1058463f`,
  ],
  [
    'a heartbeat',
    {
      kind: 'appendRequest',
      term: 9,
      round: 5,
      prevTerm: 7,
      prevOffset: 24,
      prevLeader: '0f1e2d3c4b5a6978',
      entriesTerm: 0,
      entriesLeader: NO_INSTANCE,
      end: 24,
      base: 0,
      commit: MAX_LOG_OFFSET,
    },
    `00000000 03 00 0000 09000000 07000000
     1800000000000000 1800000000000000 0000000000000000 ffffffffffff1f00
     0500000000000000 0f1e2d3c4b5a6978 0000000000000000 00000000 71a2168c`,
  ],
  [
    'an accepting append response',
    {
      kind: 'appendResponse',
      term: 9,
      round: 6,
      accepted: true,
      offset: 0x5_0000_0000,
      durable: 0x4_0000_0000,
      hintTerm: 0,
      hintLeader: NO_INSTANCE,
      rejected: 0,
      isVoter: true,
      mayLead: true,
      awaitsCommit: true,
      isHung: true,
      isFull: true,
      isMissing: false,
      hasHeardAll: false,
    },
    `00000000 04 7b 0000 09000000 00000000
     0000000005000000 0000000004000000 0000000000000000 0000000000000000
     0600000000000000 0000000000000000 0000000000000000 00000000 86e61b80`,
  ],
  [
    'a rejecting append response',
    {
      kind: 'appendResponse',
      term: 9,
      round: 6,
      accepted: false,
      offset: 100,
      durable: 0,
      hintTerm: 4,
      hintLeader: '0f1e2d3c4b5a6978',
      rejected: 0x101,
      isVoter: false,
      mayLead: false,
      awaitsCommit: false,
      isHung: false,
      isFull: false,
      isMissing: true,
      hasHeardAll: true,
    },
    `00000000 04 84 0000 09000000 04000000
     6400000000000000 0000000000000000 0101000000000000 0000000000000000
     0600000000000000 0f1e2d3c4b5a6978 0000000000000000 00000000 ba80f788`,
  ],
  [
    'a timeout-now',
    { kind: 'timeoutNow', term: 0x7fff_ffff },
    `00000000 05 00 0000 ffffff7f 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 263287de`,
  ],
  [
    'a read index request',
    { kind: 'readIndexRequest', term: 1, id: 77 },
    `00000000 06 00 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     4d00000000000000 0000000000000000 0000000000000000 00000000 807a6eb0`,
  ],
  [
    'a read index response',
    { kind: 'readIndexResponse', term: 1, id: 77, ok: true, index: 12 },
    `00000000 07 01 0000 01000000 00000000
     0c00000000000000 0000000000000000 0000000000000000 0000000000000000
     4d00000000000000 0000000000000000 0000000000000000 00000000 7faad9b9`,
  ],
  [
    'an admission as new',
    { kind: 'admit', term: 1, standing: 'new' },
    `00000000 08 00 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 dcb608f5`,
  ],
  [
    'an admission as voter',
    { kind: 'admit', term: 1, standing: 'voter' },
    `00000000 08 01 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 3468312f`,
  ],
  [
    'a word that a node has returned without what it had',
    { kind: 'admit', term: 1, standing: 'returned' },
    `00000000 08 02 0000 01000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 4d0d0a9a`,
  ],
  [
    'a heartbeat that says where the log begins',
    {
      kind: 'appendRequest',
      term: 9,
      round: 5,
      prevTerm: 7,
      prevOffset: 0x2_0000_0000,
      prevLeader: '0f1e2d3c4b5a6978',
      entriesTerm: 0,
      entriesLeader: NO_INSTANCE,
      end: 0x2_0000_0000,
      base: 0,
      commit: 0x3_0000_0001,
      begins: true,
    },
    `00000000 03 02 0000 09000000 07000000
     0000000002000000 0000000002000000 0000000000000000 0100000003000000
     0500000000000000 0f1e2d3c4b5a6978 0000000000000000 00000000 2a28a0fa`,
  ],
  [
    'what a node has found a segment to be',
    { kind: 'segmentDigest', term: 9, base: 0x1_0000_0000, end: 0x1_2345_6789 },
    `20000000 0b 00 0000 09000000 00000000
     0000000001000000 8967452301000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 c047ad35`,
  ],
  [
    'a change of tokens that a node asks for',
    { kind: 'askAccess', term: 9, bytes: 111 },
    `6f000000 0e 00 0000 09000000 00000000
     0000000000000000 0000000000000000 0000000000000000 0000000000000000
     0000000000000000 0000000000000000 0000000000000000 00000000 9692550c`,
  ],
  [
    'a vote response with what the clock shows',
    { kind: 'voteResponse', term: 3, isPreVote: true, granted: true, clockMs: 1_760_936_591_360 },
    `00000000 02 03 0000 03000000 00000000
     0000000000000000 0000000000000000 0000000000000000 000000009a010000
     0000000000000000 0000000000000000 0000000000000000 00000000 de05865f`,
  ],
  [
    'an append response with what the clock shows',
    {
      kind: 'appendResponse',
      term: 9,
      round: 6,
      accepted: false,
      offset: 100,
      durable: 0,
      hintTerm: 4,
      hintLeader: '0f1e2d3c4b5a6978',
      rejected: 0x101,
      isVoter: false,
      mayLead: false,
      awaitsCommit: false,
      isHung: false,
      isFull: false,
      isMissing: true,
      hasHeardAll: true,
      clockMs: 1_760_936_591_360,
    },
    `00000000 04 84 0000 09000000 04000000
     6400000000000000 0000000000000000 0101000000000000 000000009a010000
     0600000000000000 0f1e2d3c4b5a6978 0000000000000000 00000000 8b4853aa`,
  ],
  [
    'a fetch',
    { kind: 'fetch', term: 9, id: 0x1_0000_0003, from: 0x2_0000_0000, end: 0x2_0000_0064 },
    `00000000 0c 00 0000 09000000 00000000
     0000000002000000 6400000002000000 0000000000000000 0000000000000000
     0300000001000000 0000000000000000 0000000000000000 00000000 c09456fd`,
  ],
  [
    'a fetch of an open segment',
    { kind: 'fetch', term: 9, id: 0x1_0000_0003, from: 0x2_0000_0000, end: 0x2_0000_0064, isOpen: true },
    `00000000 0c 01 0000 09000000 00000000
     0000000002000000 6400000002000000 0000000000000000 0000000000000000
     0300000001000000 0000000000000000 0000000000000000 00000000 284a6f27`,
  ],
  [
    'what was fetched',
    { kind: 'fetched', term: 9, id: 0x1_0000_0003, from: 0x2_0000_0000, end: 0x2_0000_0064, isDamaged: false },
    `64000000 0d 00 0000 09000000 00000000
     0000000002000000 6400000002000000 0000000000000000 0000000000000000
     0300000001000000 0000000000000000 0000000000000000 00000000 03825287`,
  ],
  [
    'a word that it is damaged there, too',
    { kind: 'fetched', term: 9, id: 0x1_0000_0003, from: 0x2_0000_0000, end: 0x2_0000_0000, isDamaged: true },
    `00000000 0d 01 0000 09000000 00000000
     0000000002000000 0000000002000000 0000000000000000 0000000000000000
     0300000001000000 0000000000000000 0000000000000000 00000000 b72e3808`,
  ],
];

/** Name, position and a byte to put there, of every field. */
export const FIELDS = [
  ['body length', 0],
  ['kind', 4],
  ['flags', 5],
  ['unused bytes', 6],
  ['term', 8],
  ['first entry term', 12],
  ['first offset', 16],
  ['second offset', 24],
  ['third offset', 32],
  ['fourth offset', 40],
  ['number', 48],
  ['first leader', 56],
  ['second leader', 64],
  ['second entry term', 72],
  ['check', 76],
] as const;

/** `frame` with `edit` applied and its check made right again. */
export function forged(frame: Uint8Array, edit: (view: DataView) => unknown): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  edit(view);
  view.setUint32(76, zlibCrc32(copy.subarray(0, 76)), true);
  return copy;
}

export function reasonOf(frame: Uint8Array): string {
  const decoded = decodePeerMessage(frame);
  return decoded.kind === 'malformed' ? decoded.reason : 'none';
}
